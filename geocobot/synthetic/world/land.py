"""Open country: meadows, woods, and fields of all shapes, with what is sown in rows."""

from __future__ import annotations

import torch
from torch import Tensor

from geocobot.synthetic.world.canvas import Canvas, Cover
from geocobot.synthetic.world.climate import chosen, plane
from geocobot.synthetic.world.setting import Setting
from geocobot.synthetic.world.view import Cells, View, box_distance

LAYER = 1

_DIVISIONS = 3


def paint_land(canvas: Canvas, setting: Setting, is_open: Tensor) -> Tensor:
    """Cover everything with grass and bare ground, and open country with fields.

    Args:
        canvas: blank.
        setting: of the batch.
        is_open: (B, S, S) bool, where there may be fields.

    Returns:
        (B, S, S) how wooded the land is, about -1 to 1.
    """
    climate, bumps, dice = setting.climate, setting.bumps, setting.view.dice
    bareness = bumps[:, 0] * 0.6 + dice.uniform(-1.5, 1.2)
    soil = torch.sigmoid(bareness * dice.uniform(2.0, 9.0))
    grass = plane(climate.grass) * (1 + 0.12 * bumps[:, 1:2])
    bare = plane(climate.soil) * (1 + 0.10 * bumps[:, 1:2])
    canvas.paint(torch.ones_like(soil), grass)
    canvas.put(soil, bare, Cover.SOIL)
    _paint_fields(canvas, setting, is_open)
    return bumps[:, 2] * 0.7 + 2.4 * (climate.forest - 0.75)


def _paint_fields(canvas: Canvas, setting: Setting, is_open: Tensor) -> None:
    """Lay out fields: in rows like bricks, or round, as pivots water them."""
    view, climate, bumps = setting.view, setting.climate, setting.bumps
    dice = view.dice
    turned = view.turned(dice.uniform(0, 6.3))
    wobble = dice.uniform(0, 0.08) * view.half_m
    u, v = turned[0] + wobble * bumps[:, 0], turned[1] + wobble * bumps[:, 3]
    # As large as looks like a field from up here, within what farmers do.
    size_v = (view.half_m * dice.log_uniform(0.12, 1.6)).clamp(15, 1500)
    size_u = (size_v * dice.log_uniform(0.8, 5.0)).clamp(15, 2500)
    shift = (v / size_v).floor() * 0.37 * size_u
    cells = Cells.of(view, (u + shift, v), (size_u, size_v), LAYER)
    is_round = dice.chance(0.2)
    # Heirs and buyers have parted many of the others.
    parted = torch.where(is_round | dice.chance(0.3), 0.0, dice.uniform(0.2, 0.9))
    for generation in range(_DIVISIONS):
        cells, (size_u, size_v) = cells.divided((size_u, size_v), parted, generation)
    half = size_v * cells.number(0, 0.40, 0.5)
    p, q = cells.p_m * torch.where(is_round, size_v / size_u, 1.0), cells.q_m
    margin = torch.where(dice.chance(0.5), view.pixel_m * 0.4, size_v * dice.uniform(0.01, 0.06))
    square = box_distance(cells.p_m, q, size_u / 2 - margin, size_v / 2 - margin)
    edge = torch.where(is_round, torch.hypot(p, q) - half, square)
    # A field where the sample has any, and fewer in hills.
    wanted = cells.has(1, dice.uniform(0.2, 1.0)) & ~dice.chance(0.35) & is_open
    share = view.cover(edge) * wanted
    color = chosen(climate.crops, cells.number(2)) * cells.number(3, 0.8, 1.2).unsqueeze(1)
    canvas.put(
        share,
        color
        * (1 + _rows(view, cells, u, v) + 0.06 * bumps[:, 1] + 0.08 * bumps[:, 3]).unsqueeze(1),
        Cover.CROP,
        thing=cells.key,
    )
    hedge = view.cover(edge.abs() - margin * 0.5) * wanted * dice.chance(0.3) * (1 - share)
    canvas.paint(hedge * 0.7, plane(climate.trees[:, 0]))


def _rows(view: View, cells: Cells, u: Tensor, v: Tensor) -> Tensor:
    """Rows of plants and the tracks of tractors, as a change of brightness, (B, S, S)."""
    dice = view.dice
    across = torch.where(cells.has(4, 0.7), v, u)
    spacing = dice.log_uniform(0.5, 8.0)
    # Rows finer than two pixels are not seen.
    seen = ((spacing / view.pixel_m - 1.5) / 2).clamp(0, 1)
    rows = torch.sin(across * (2 * torch.pi / spacing)) * cells.number(5, 0.0, 0.12)
    tracks = view.cover((across % 21.0 - 10.5).abs() - 0.6)
    return rows * seen - tracks * cells.number(6, -0.05, 0.12) * seen
