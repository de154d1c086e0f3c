"""Sun and shadow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.synthetic.world.canvas import Canvas
from geocobot.synthetic.world.dice import Dice
from geocobot.synthetic.world.view import View

_STEPS = 8
_PENUMBRA_M = 0.7
_SKY = (0.9, 1.0, 1.15)  # red, green and blue of what lights a shadow


@dataclass(frozen=True)
class Sun:
    """Where the light comes from, (B, 1, 1) each.

    Attributes:
        azimuth: direction of the sun, counter-clockwise from east, in radians.
        rise: tangent of its height above the horizon.
        sky: share of the light that reaches a shadow.
    """

    azimuth: Tensor
    rise: Tensor
    sky: Tensor

    @classmethod
    def draw(cls, dice: Dice) -> Sun:
        """Any time of a day on which somebody flies."""
        return cls(
            dice.uniform(0, 6.3), dice.uniform(25, 70).deg2rad().tan(), dice.uniform(0.25, 0.7)
        )


def cast_shadows(canvas: Canvas, view: View, sun: Sun) -> Tensor:
    """Find what the sun does not reach, from a few places on the way towards it.

    Returns:
        (B, S, S) 0 (sun) to 1 (shadow).
    """
    height = canvas.height_m
    longest_m = height.amax((1, 2), keepdim=True) / sun.rise
    depth = torch.zeros_like(height)
    east, north = sun.azimuth.cos(), sun.azimuth.sin()
    half = view.half_m
    for step in range(1, _STEPS + 1):
        way = longest_m * (step / _STEPS) ** 1.5
        at = torch.stack([(view.x_m + way * east) / half, -(view.y_m + way * north) / half], dim=-1)
        there = F.grid_sample(height.unsqueeze(1), at, mode="nearest", align_corners=False)[:, 0]
        depth = torch.maximum(depth, there - height - way * sun.rise)
    return (depth / _PENUMBRA_M).clamp(0, 1)


def shade(canvas: Canvas, shadow: Tensor, sun: Sun) -> None:
    """Darken what lies in the shadow; what light there is comes from a blue sky."""
    left = torch.stack([sun.sky * blue for blue in _SKY], dim=1)
    canvas.color = canvas.color * (1 - shadow.unsqueeze(1) * (1 - left))
