"""Augmentation: the same turn for image, label and valid, a little light for the image."""

from __future__ import annotations

import numpy as np
import torch

NO_DATA_FILL = 0.5
"""Value of an image where it is not valid; the mid-gray of `bands.normalize`."""

_CONTRAST = 0.15
_BRIGHTNESS = 0.1
_LOWEST, _HIGHEST = -0.5, 1.5  # where `bands.normalize` cuts


def augment(sample: dict[str, torch.Tensor], rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Turn a sample at random and change its light.

    Turns and flips move whole pixels, so nothing is interpolated and nothing has to be filled.

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
    contrast = 1.0 + float(rng.uniform(-_CONTRAST, _CONTRAST))
    brightness = float(rng.uniform(-_BRIGHTNESS, _BRIGHTNESS))
    turned["image"] = relight(turned["image"], turned["valid"], contrast, brightness)
    return turned


def dihedral(tensor: torch.Tensor, turn: int) -> torch.Tensor:
    """One of the eight ways to lay a square on itself.

    Args:
        tensor: (..., S, S).
        turn: 0 to 7: quarter turns in the lower two bits, a flip before them in the third.
    """
    flipped = tensor.flip(-1) if turn & 4 else tensor
    return torch.rot90(flipped, turn & 3, dims=(-2, -1)).contiguous()


def relight(
    image: torch.Tensor, valid: torch.Tensor, contrast: float, brightness: float
) -> torch.Tensor:
    """Change contrast about mid-gray and brightness where there is data.

    Args:
        image: (C, H, W) float32 as `bands.normalize` makes it.
        valid: (H, W) bool, True where there is data.
        contrast: factor of the distance to mid-gray.
        brightness: added, in units of the normalized range.
    """
    lit = (image - NO_DATA_FILL) * contrast + (NO_DATA_FILL + brightness)
    return torch.where(valid, lit.clamp(_LOWEST, _HIGHEST), image)
