"""Augmentation: one geometry for image, label and valid, another light for the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.classes import IGNORE

NO_DATA_FILL = 0.5
"""Value of an image where it is not valid; the mid-gray of `bands.normalize`."""

_LOWEST, _HIGHEST = -0.5, 1.5  # where `bands.normalize` cuts

# Some samples stay as they are, so that a network also meets the scene's own colors and pixels.
_WARPED_SHARE = 0.75
_RELIT_SHARE = 0.5

_ALL_OF_IT = 0.999  # an interpolated pixel is valid if its sources are, up to rounding


@dataclass(frozen=True)
class Warp:
    """How a sample lies on its square, beyond quarter turns and flips.

    One small scene shows few sizes and fewer directions: a network learns its streets by heart
    and misses those that run otherwise. benchmarks/README.md has the figures.

    Attributes:
        angle_rad: turn about the center.
        zoom: size of things, 1 as they are.
    """

    angle_rad: float = 0.0
    zoom: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Warp:
        """Draw a warp; with quarter turns all directions are equally likely."""
        return cls(
            angle_rad=float(rng.uniform(-np.pi / 4, np.pi / 4)),
            zoom=float(np.exp(rng.uniform(-0.35, 0.35))),
        )


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
        return cls(
            contrast=float(rng.uniform(0.65, 1.35)),
            brightness=float(rng.uniform(-0.2, 0.2)),
            balance=tuple(float(v) for v in rng.uniform(-0.1, 0.1, bands)),
            saturation=float(rng.uniform(0.3, 1.4)),
            gamma=float(np.exp(rng.uniform(-0.4, 0.4))),
        )


def augment(sample: dict[str, torch.Tensor], rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Turn and warp a sample at random and change its light.

    Args:
        sample: "image" (C, S, S) float32, "valid" (S, S) bool and perhaps "label" (S, S);
            square, because a quarter turn swaps the sides. Other entries stay as they are.
        rng: decides; the same state gives the same sample.

    Returns:
        A new sample.
    """
    turn = int(rng.integers(8))
    turned = {
        name: dihedral(value, turn) if name in ("image", "label", "valid") else value
        for name, value in sample.items()
    }
    if rng.random() < _WARPED_SHARE:
        turned = warp(turned, Warp.draw(rng))
    if rng.random() < _RELIT_SHARE:
        light = Light.draw(rng, len(turned["image"]))
        turned["image"] = relight(turned["image"], turned["valid"], light)
    return turned


def warp(sample: dict[str, torch.Tensor], how: Warp) -> dict[str, torch.Tensor]:
    """Turn and zoom a sample about its center; what would come from outside is mirrored in.

    Mirrored, because a larger window would reach into the gap around validation blocks, and an
    empty rim would waste a third of the pixels.

    Args:
        sample: as for `augment`.
        how: the warp.

    Returns:
        A new sample: the image interpolated bilinearly, the label by the nearest pixel; valid
        where all that was interpolated is.
    """
    cos, sin = (float(f(how.angle_rad)) / how.zoom for f in (np.cos, np.sin))
    matrix = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]], dtype=torch.float32)
    side = sample["valid"].shape[-1]
    grid = F.affine_grid(matrix, [1, 1, side, side], align_corners=False)

    def sampled(planes: torch.Tensor, mode: str) -> torch.Tensor:
        return F.grid_sample(
            planes[None], grid, mode=mode, padding_mode="reflection", align_corners=False
        )[0]

    valid = sampled(sample["valid"][None].float(), "bilinear")[0] > _ALL_OF_IT
    image = torch.where(valid, sampled(sample["image"], "bilinear"), NO_DATA_FILL)
    warped = sample | {"image": image, "valid": valid}
    if "label" in sample:
        label = sampled(sample["label"][None].float(), "nearest")[0].to(sample["label"].dtype)
        warped["label"] = torch.where(valid, label, IGNORE)
    return warped


def dihedral(tensor: torch.Tensor, turn: int) -> torch.Tensor:
    """One of the eight ways to lay a square on itself.

    Args:
        tensor: (..., S, S).
        turn: 0 to 7: quarter turns in the lower two bits, a flip before them in the third.
    """
    flipped = tensor.flip(-1) if turn & 4 else tensor
    return torch.rot90(flipped, turn & 3, dims=(-2, -1)).contiguous()


def relight(image: torch.Tensor, valid: torch.Tensor, light: Light) -> torch.Tensor:
    """Show an image in another light where there is data.

    Args:
        image: (C, H, W) float32 as `bands.normalize` makes it.
        valid: (H, W) bool, True where there is data.
        light: the other light.
    """
    lit = image.sign() * image.abs() ** light.gamma
    mean = lit.mean(dim=0, keepdim=True)
    lit = mean + (lit - mean) * light.saturation
    lit = (lit - NO_DATA_FILL) * light.contrast + (NO_DATA_FILL + light.brightness)
    if light.balance:
        lit = lit + torch.tensor(light.balance)[:, None, None]
    return torch.where(valid, lit.clamp(_LOWEST, _HIGHEST), image)
