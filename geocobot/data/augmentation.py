"""Augmentation of batches: one geometry for image, label and valid, other light for the image.

Torch alone, and not kornia, which TorchGeo brings: its gamma, contrast and brightness cut values at
0 and 1, beyond which `bands.normalize` leaves detail in shadows and roofs; its draws come from the
global generator, so that a sample would depend on its batch; and every transform of a chain
resamples again. The tests hold the geometry against kornia's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.bands import NO_DATA_FILL
from geocobot.classes import IGNORE
from geocobot.data.changes import Change, Haze, Light, Sensor, Warp
from geocobot.data.dataset import INTERIOR, Sample

_T = TypeVar("_T")

DICE = "dice"
"""Name of the entropy (B, N) int64 in batches that are to be augmented."""

_LOWEST, _HIGHEST = -0.5, 1.5  # where `bands.normalize` cuts

_ALL_OF_IT = 0.999  # an interpolated pixel is valid if its sources are, up to rounding


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
