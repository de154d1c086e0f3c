"""Rivers, lakes and coasts."""

from __future__ import annotations

import torch
from torch import Tensor

from geocobot.synthetic.world.canvas import Canvas, Cover
from geocobot.synthetic.world.climate import plane
from geocobot.synthetic.world.setting import Setting
from geocobot.synthetic.world.view import View


def find_shores(setting: Setting) -> Tensor:
    """Lay out what water there is.

    Returns:
        (B, S, S) metres to the shore, roughly, negative in the water.
    """
    view, bumps = setting.view, setting.bumps
    return torch.minimum(_river(view), _lake(view, bumps)) + 0.6 * view.pixel_m * bumps[:, 1]


def paint_water(canvas: Canvas, setting: Setting, shore: Tensor) -> None:
    """Paint water and its banks, by the metres to the shore (B, S, S)."""
    view, climate, bumps = setting.view, setting.climate, setting.bumps
    dice = view.dice
    bank = view.cover(shore - dice.uniform(0.0, 4.0) * view.pixel_m, 2.0) * 0.7
    canvas.paint(bank, plane(climate.soil))
    ripples = 1 + 0.05 * bumps[:, 3:4] + dice.uniform(0, 0.06, 1, 1, 1) * bumps[:, 1:2]
    canvas.put(view.cover(shore), plane(climate.water) * ripples, Cover.WATER)


def _river(view: View) -> Tensor:
    """Metres to a winding river where there is one, (B, S, S)."""
    dice = view.dice
    width = (view.pixel_m * dice.log_uniform(3, 40)).clamp(2, 300)
    distance = winding(view, bend=0.5) - width / 2
    return torch.where(dice.chance(0.15), distance, 1e4)


def _lake(view: View, bumps: Tensor) -> Tensor:
    """Metres to the shore of a lake, a pond or a sea where there is one, roughly, (B, S, S)."""
    dice = view.dice
    along, across = view.turned(dice.uniform(0, 6.3))
    center = dice.uniform(-0.9, 0.9) * view.half_m, dice.uniform(-0.9, 0.9) * view.half_m
    radius = view.half_m * dice.log_uniform(0.1, 0.9)
    apart = torch.hypot(along - center[0], (across - center[1]) * dice.uniform(0.5, 1.5))
    rough = bumps[:, 2] * view.half_m * dice.uniform(0.02, 0.25)
    coast = across - center[1]
    distance = torch.where(dice.chance(0.3), coast, apart - radius) + rough
    return torch.where(dice.chance(0.18), distance, 1e4)


def winding(view: View, *, bend: float) -> Tensor:
    """Metres to a line that winds across the picture, (B, S, S).

    Args:
        view: what is looked at.
        bend: steepest slope against its own direction.
    """
    dice = view.dice
    along, across = view.turned(dice.uniform(0, 6.3))
    offset = dice.uniform(-0.9, 0.9) * view.half_m
    course, slope = torch.zeros_like(along), torch.zeros_like(along)
    for least, most, share in ((0.6, 4.0, 0.7), (0.25, 1.0, 0.3)):
        length = view.half_m * dice.log_uniform(least, most)
        wave = 2 * torch.pi / length
        steep = dice.uniform(0, bend * share)
        phase = along * wave + dice.uniform(0, 6.3)
        course = course + steep / wave * phase.sin()
        slope = slope + steep * phase.cos()
    return (across - offset - course).abs() / (1 + slope**2).sqrt()
