"""Augmentation of batches: one geometry for image, label and valid, other light for the image.

Torch alone, and not kornia, which TorchGeo brings: its gamma, contrast and brightness cut values at
0 and 1, beyond which `bands.normalize` leaves detail in shadows and roofs; its draws come from the
global generator, so that a sample would depend on its batch; and every transform of a chain
resamples again. The tests hold the geometry against kornia's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.bands import NO_DATA_FILL
from geocobot.classes import IGNORE
from geocobot.data.dataset import INTERIOR, Sample

_T = TypeVar("_T")

DICE = "dice"
"""Name of the entropy (B, N) int64 in batches that are to be augmented."""

_LOWEST, _HIGHEST = -0.5, 1.5  # where `bands.normalize` cuts

# Some samples stay as they are, so that a network also meets the scene's own colors and pixels.
_WARPED_SHARE = 0.75
_RELIT_SHARE = 0.5
_HAZY_SHARE = 0.1
_NOISY_SHARE = 0.15
_BLIND_SHARE = 0.03

_ALL_OF_IT = 0.999  # an interpolated pixel is valid if its sources are, up to rounding

# From where a pixel comes after a flip and after a quarter turn, x to the east and y to the south.
_FLIP = np.diag([-1.0, 1.0])
_QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


@dataclass(frozen=True)
class Warp:
    """How a sample lies on its square.

    One small scene shows few sizes and fewer directions: a network learns its streets by heart
    and misses those that run otherwise. benchmarks/README.md has the figures.

    Attributes:
        turn: 0 to 7: quarter turns in the lower two bits, a flip before them in the third.
        angle_rad: turn about the center beyond that.
        zoom: size of things, 1 as they are.
    """

    turn: int = 0
    angle_rad: float = 0.0
    zoom: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Warp:
        """Draw a warp; all directions are equally likely."""
        turn = int(rng.integers(8))
        if rng.random() >= _WARPED_SHARE:
            return cls(turn)
        return cls(
            turn,
            angle_rad=float(rng.uniform(-np.pi / 4, np.pi / 4)),
            zoom=float(np.exp(rng.uniform(-0.35, 0.35))),
        )

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """(2, 2): where a pixel comes from, both places counted from the center."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        free = np.array([[cos, -sin], [sin, cos]]) / self.zoom
        turned = np.linalg.matrix_power(_QUARTER, self.turn & 3)
        flipped = _FLIP if self.turn & 4 else np.eye(2)
        matrix: npt.NDArray[np.float64] = flipped @ turned @ free
        return matrix


@dataclass(frozen=True)
class Light:
    """How a sample's light differs from the scene's.

    The ranges are wide because one scene shows one sun and one season, and a network that may
    rely on them does: benchmarks/README.md has the figures.

    Attributes:
        contrast: factor of the distance to mid-gray.
        brightness: added to every band, in units of the normalized range.
        balance: added to each band, C values; empty for none.
        saturation: factor of each band's distance to the mean of the bands.
        gamma: exponent of the normalized value.
    """

    contrast: float = 1.0
    brightness: float = 0.0
    balance: tuple[float, ...] = ()
    saturation: float = 1.0
    gamma: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, bands: int) -> Light:
        """Draw a light for so many bands."""
        if rng.random() >= _RELIT_SHARE:
            return cls()
        return cls(
            contrast=float(rng.uniform(0.65, 1.35)),
            brightness=float(rng.uniform(-0.2, 0.2)),
            balance=tuple(float(v) for v in rng.uniform(-0.1, 0.1, bands)),
            saturation=float(rng.uniform(0.3, 1.4)),
            gamma=float(np.exp(rng.uniform(-0.4, 0.4))),
        )


@dataclass(frozen=True)
class Haze:
    """A bright veil, thicker towards one side.

    Attributes:
        density: share of the veil in the middle; 0 for clear air.
        slope_xy: how much denser it is at the east and the south edge.
        brightness: of the veil.
    """

    density: float = 0.0
    slope_xy: tuple[float, float] = (0.0, 0.0)
    brightness: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Haze:
        """Draw clear air, or a veil that leaves the ground visible."""
        if rng.random() >= _HAZY_SHARE:
            return cls()
        density = float(rng.uniform(0.05, 0.35))
        angle = float(rng.uniform(0.0, 2 * np.pi))
        slope = density * float(rng.uniform(0.0, 0.8))
        return cls(
            density,
            slope_xy=(slope * math.cos(angle), slope * math.sin(angle)),
            brightness=float(rng.uniform(0.8, 1.1)),
        )


@dataclass(frozen=True)
class Sensor:
    """How a sample's sensor differs from the scene's.

    Attributes:
        noise: standard deviation of what is added to every value.
        seed: of the noise.
        blind: the band that says nothing; None where all do.
    """

    noise: float = 0.0
    seed: int = 0
    blind: int | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator, bands: int) -> Sensor:
        """Draw a sensor of so many bands; the only band there is never goes blind."""
        noise = float(rng.uniform(0.01, 0.05)) if rng.random() < _NOISY_SHARE else 0.0
        blind = int(rng.integers(bands)) if rng.random() < _BLIND_SHARE and bands > 1 else None
        return cls(noise, seed=int(rng.integers(2**62)), blind=blind)


@dataclass(frozen=True)
class Change:
    """What becomes of a sample."""

    warp: Warp
    light: Light
    haze: Haze
    sensor: Sensor

    @classmethod
    def draw(cls, rng: np.random.Generator, bands: int) -> Change:
        """Draw a change for a sample of so many bands."""
        return cls(Warp.draw(rng), Light.draw(rng, bands), Haze.draw(rng), Sensor.draw(rng, bands))


def augment(batch: Sample) -> Sample:
    """Turn and warp every sample of a batch and change its light, haze and sensor.

    A sample's change follows from its own dice: neither from the rest of the batch nor from any
    global generator. On another device the noise is another.

    Args:
        batch: "image" (B, C, S, S) float32, "valid" (B, S, S) bool, `DICE` (B, N) int64 and
            perhaps "label" and `INTERIOR` (B, S, S); square, because a quarter turn swaps the
            sides. Other entries stay as they are.

    Returns:
        A new batch on the same device, without the dice.
    """
    bands = batch["image"].shape[1]
    changes = [Change.draw(np.random.default_rng(dice), bands) for dice in batch[DICE].tolist()]
    batch = warp(batch, [change.warp for change in changes])
    image = relight(batch["image"], [change.light for change in changes])
    image = add_haze(image, [change.haze for change in changes])
    image = sense(image, [change.sensor for change in changes])
    image = image.clamp(_LOWEST, _HIGHEST)
    valid = batch["valid"][:, None]
    left = {name: tensor for name, tensor in batch.items() if name != DICE}
    return left | {"image": torch.where(valid, image, NO_DATA_FILL)}


def warp(batch: Sample, how: Sequence[Warp]) -> Sample:
    """Turn and zoom samples about their centers; what would come from outside is mirrored in.

    Mirrored, because a larger window would reach into the gap around validation blocks, and an
    empty rim would waste a third of the pixels.

    Args:
        batch: as for `augment`.
        how: a warp per sample.

    Returns:
        A new batch: images interpolated bilinearly, labels by the nearest pixel; valid where all
        that was interpolated is.
    """
    valid = batch["valid"]
    matrices = np.stack([w.matrix for w in how])
    theta = torch.zeros(len(how), 2, 3, device=valid.device)
    theta[:, :, :2] = torch.from_numpy(matrices).to(theta)
    side = valid.shape[-1]
    grid = F.affine_grid(theta, [len(how), 1, side, side], align_corners=False)

    def sampled(planes: Tensor, mode: str) -> Tensor:
        return F.grid_sample(
            planes, grid, mode=mode, padding_mode="reflection", align_corners=False
        )

    covered = sampled(valid[:, None].float(), "bilinear") > _ALL_OF_IT
    image = torch.where(covered, sampled(batch["image"], "bilinear"), NO_DATA_FILL)
    warped = batch | {"image": image, "valid": covered[:, 0]}
    if "label" in batch:
        label = sampled(batch["label"][:, None].float(), "nearest").to(batch["label"].dtype)
        warped["label"] = torch.where(covered, label, IGNORE)[:, 0]
    if INTERIOR in batch:
        warped[INTERIOR] = sampled(batch[INTERIOR][:, None].float(), "nearest")[:, 0] > 0
    return warped


def relight(image: Tensor, lights: Sequence[Light]) -> Tensor:
    """Show images in another light.

    Args:
        image: (B, C, H, W) float32 as `bands.normalize` makes it.
        lights: one per image.
    """
    column = _columns(lights, image)
    lit = image.sign() * image.abs() ** column(lambda light: light.gamma)
    mean = lit.mean(dim=1, keepdim=True)
    lit = mean + (lit - mean) * column(lambda light: light.saturation)
    lit = (lit - NO_DATA_FILL) * column(lambda light: light.contrast) + NO_DATA_FILL
    balance = [light.balance or (0.0,) * image.shape[1] for light in lights]
    lit = lit + torch.tensor(balance, device=image.device)[:, :, None, None]
    return lit + column(lambda light: light.brightness)


def add_haze(image: Tensor, veils: Sequence[Haze]) -> Tensor:
    """Draw a veil over images.

    Args:
        image: (B, C, H, W) float32.
        veils: one per image.
    """
    if not any(veil.density for veil in veils):
        return image
    column = _columns(veils, image)
    height, width = image.shape[-2:]
    x = torch.linspace(-1, 1, width, device=image.device)
    y = torch.linspace(-1, 1, height, device=image.device)[:, None]
    density = (
        column(lambda veil: veil.density)
        + column(lambda veil: veil.slope_xy[0]) * x
        + column(lambda veil: veil.slope_xy[1]) * y
    )
    return torch.lerp(image, column(lambda veil: veil.brightness), density.clamp(0, 1))


def sense(image: Tensor, sensors: Sequence[Sensor]) -> Tensor:
    """Take images with other sensors.

    Args:
        image: (B, C, H, W) float32.
        sensors: one per image.
    """
    taken = image.clone()
    for k, sensor in enumerate(sensors):
        own = taken[k]
        if sensor.noise:
            generator = torch.Generator(image.device).manual_seed(sensor.seed)
            noise = torch.randn(own.shape, generator=generator, device=image.device)
            own.add_(noise, alpha=sensor.noise)
        if sensor.blind is not None:
            own[sensor.blind] = NO_DATA_FILL
    return taken


def _columns(settings: Sequence[_T], image: Tensor) -> Callable[[Callable[[_T], float]], Tensor]:
    """A function that takes a figure of every setting as (B, 1, 1, 1), beside the image."""

    def column(figure: Callable[[_T], float]) -> Tensor:
        values = torch.tensor([figure(setting) for setting in settings], device=image.device)
        return values.to(image.dtype)[:, None, None, None]

    return column
