"""Trees and bushes: single ones, rows, orchards, woods."""

from __future__ import annotations

import torch
from torch import Tensor

from geocobot.synthetic.world.canvas import Canvas, Cover
from geocobot.synthetic.world.climate import chosen
from geocobot.synthetic.world.setting import Setting
from geocobot.synthetic.world.streets import Streets
from geocobot.synthetic.world.view import Cells

LAYERS = (8, 9, 10)


def paint_trees(canvas: Canvas, setting: Setting, streets: Streets, woods: Tensor) -> None:
    """Put crowns on the land, each layer over the one before, and raise them.

    Args:
        canvas: with everything below them.
        setting: of the batch.
        streets: trees in settlements are fewer, and keep off the streets.
        woods: (B, S, S) how wooded the land is, see `land.paint_land`.
    """
    bumps, dice = setting.bumps, setting.view.dice
    on_roof = canvas.cover == Cover.BUILDING
    in_water = canvas.cover == Cover.WATER
    in_field = canvas.cover == Cover.CROP
    on_road = streets.edge_m < 0.5
    scattered = dice.uniform(0.0, 0.22)
    # Lanes are shaded, wide roads and roofs hardly.
    density = torch.where(
        streets.within,
        dice.uniform(0.0, 0.6) + 0.2 * bumps[:, 2],
        torch.where(woods > 0, 0.95, scattered),
    )
    density = density * torch.where(on_road, dice.uniform(0, 0.25), 1.0)
    density = density * torch.where(in_field & ~dice.chance(0.1), 0.03, 1.0)
    density = density * torch.where(on_roof, 0.12, 1.0) * ~in_water
    for layer in LAYERS:
        _paint_layer(canvas, setting, density, layer)


def _paint_layer(canvas: Canvas, setting: Setting, density: Tensor, layer: int) -> None:
    """One lattice of crowns, in a share of its cells (B, S, S)."""
    view, sun, bumps = setting.view, setting.sun, setting.bumps
    dice = view.dice
    u, v = view.turned(dice.uniform(0, 6.3))
    size = dice.log_uniform(3.0, 14.0).maximum(dice.uniform(3, 5) * view.pixel_m)
    cells = Cells.of(view, (u + 3e3, v + 3e3), (size, size * dice.uniform(0.8, 1.4)), layer)
    radius = size * cells.number(0, 0.18, 0.42)
    regular = torch.where(dice.chance(0.12), 0.1, 1.0)
    crown = cells.moved((size * 0.5 - radius).clamp(min=0) * regular)
    dx, dy = crown.p_m / radius, crown.q_m / radius
    away = torch.hypot(dx, dy) * (1 + dice.uniform(0.0, 0.2) * bumps[:, 1])
    dome = (1 - away**2).clamp(min=0.02).sqrt()
    bright = (dx * torch.cos(sun.azimuth) + dy * torch.sin(sun.azimuth)) * 0.5 + dome * 0.5
    light = 0.55 + 0.6 * bright + 0.12 * bumps[:, 1]
    color = chosen(setting.climate.trees, cells.number(1)) * cells.number(2, 0.8, 1.25).unsqueeze(1)
    there = cells.has(3, density)
    height = size * cells.number(4, 0.3, 0.9) * (0.4 + 0.6 * dome)
    canvas.put(
        view.cover((away - 1) * radius, 1.6) * there,
        color * light.clamp(0.2, 1.8).unsqueeze(1),
        Cover.TREE,
        height_m=height,
        thing=cells.key,
    )
