"""Batches of the endless world: pictures with everything that can be asked about them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geocobot.synthetic.world.buildings import paint_buildings, paint_yards, part_blocks
from geocobot.synthetic.world.canvas import Canvas
from geocobot.synthetic.world.climate import Climate
from geocobot.synthetic.world.dice import Dice
from geocobot.synthetic.world.land import paint_land
from geocobot.synthetic.world.light import Sun, cast_shadows, shade
from geocobot.synthetic.world.plants import paint_trees
from geocobot.synthetic.world.sensor import expose
from geocobot.synthetic.world.setting import Setting
from geocobot.synthetic.world.streets import lay_out, paint_streets
from geocobot.synthetic.world.vehicles import paint_cars
from geocobot.synthetic.world.view import View
from geocobot.synthetic.world.water import find_shores, paint_water

PIXEL_M = (0.08, 10.0)
"""Smallest and largest side of a pixel on the ground."""


@dataclass(frozen=True)
class WorldBatch:
    """Pictures and the truth about them.

    Attributes:
        image: (B, 3, S, S) float32, 0..1 and a little beyond, as scenes are normalized.
        cover: (B, S, S) int64, see `canvas.Cover`.
        thing: (B, S, S) int64 number of the object a pixel belongs to, 0 for none.
        height_m: (B, S, S) float32 above the ground.
        shadow: (B, S, S) float32, 0 (sun) to 1 (shadow).
        pixel_m: (B,) side of a pixel on the ground.
    """

    image: Tensor
    cover: Tensor
    thing: Tensor
    height_m: Tensor
    shadow: Tensor
    pixel_m: Tensor


@torch.no_grad()
def draw_world(
    generator: torch.Generator, n: int, side_px: int, device: torch.device | None = None
) -> WorldBatch:
    """Draw a batch of places in any climate, from any height, by any camera.

    Args:
        generator: on the CPU; the same state gives the same batch.
        n: pictures in the batch.
        side_px: their side in pixels.
        device: where to draw; default the CPU.
    """
    dice = Dice(generator, n, device or torch.device("cpu"))
    # Mostly as aircraft and the sharpest satellites see it: whole things, with what is beside them.
    near, far = dice.log_uniform(PIXEL_M[0], 0.9), dice.log_uniform(0.9, PIXEL_M[1])
    usual = dice.log_uniform(0.15, 0.9)
    pixel_m = torch.where(dice.chance(0.55), usual, torch.where(dice.chance(0.35), near, far))
    view = View.of(pixel_m, side_px, dice)
    setting = Setting(view, Climate.draw(dice), Sun.draw(dice), view.noise(4))
    canvas = Canvas.blank(n, side_px, dice.device)
    _paint(canvas, setting)
    shadow = cast_shadows(canvas, view, setting.sun)
    shade(canvas, shadow, setting.sun)
    return WorldBatch(
        expose(canvas, view),
        canvas.cover,
        canvas.thing,
        canvas.height_m,
        shadow,
        pixel_m.flatten(),
    )


def _paint(canvas: Canvas, setting: Setting) -> None:
    """Lay out a place and paint it from the ground up."""
    shore_m = find_shores(setting)
    streets = lay_out(setting, shore_m)
    lots = part_blocks(setting.view, streets)
    woods = paint_land(canvas, setting, ~streets.within)
    paint_yards(canvas, setting, lots)
    paint_water(canvas, setting, shore_m)
    paint_streets(canvas, setting, streets)
    paint_buildings(canvas, setting, streets, lots)
    paint_cars(canvas, setting, streets, lots)
    paint_trees(canvas, setting, streets, woods)
