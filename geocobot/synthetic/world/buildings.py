"""Blocks between the streets: lots with houses, yards with halls, parking, parks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geocobot.synthetic.world.canvas import Canvas, Cover
from geocobot.synthetic.world.climate import chosen, plane
from geocobot.synthetic.world.light import Sun
from geocobot.synthetic.world.setting import Setting
from geocobot.synthetic.world.streets import Streets
from geocobot.synthetic.world.view import Cells, View, box_distance, cell_key

BLOCK_LAYER, LOT_LAYER, CLUTTER_LAYER, MESS_LAYER = 4, 5, 6, 7


@dataclass(frozen=True)
class Lots:
    """What is built where.

    Attributes:
        cells: the lots; their middle is the middle of the lot.
        size_u_m: (B, S, S) of a lot.
        size_v_m: (B, S, S) of a lot.
        has_houses: (B, S, S) bool, on the land of houses.
        is_yard: (B, S, S) bool, on sealed land, with halls or cars.
        from_street_m: (B, S, S) metres from the nearest edge of the block.
    """

    cells: Cells
    size_u_m: Tensor
    size_v_m: Tensor
    has_houses: Tensor
    is_yard: Tensor
    from_street_m: Tensor


def part_blocks(view: View, streets: Streets) -> Lots:
    """Give every block a use and part it into lots."""
    dice = view.dice
    inner_u = streets.block_u_m - streets.width_m
    inner_v = streets.block_v_m - streets.width_m
    i, j = (streets.u_m / streets.block_u_m).floor(), (streets.v_m / streets.block_v_m).floor()
    key = cell_key(view, i, j, BLOCK_LAYER)
    use = view.look_up(0, key)
    # Middle of the block is (0, 0).
    u = streets.u_m - (i + 0.5) * streets.block_u_m
    v = streets.v_m - (j + 0.5) * streets.block_v_m
    business = dice.uniform(0.0, 0.5)
    is_yard = streets.within & (use < business)
    has_houses = streets.within & (use >= business) & (use < business + dice.uniform(0.3, 1.0))
    lot = torch.where(is_yard, dice.log_uniform(25, 80), dice.log_uniform(7, 34))
    lot = lot.maximum(3.5 * view.pixel_m)
    n_u, n_v = (inner_u / lot).floor().clamp(min=1), (inner_v / lot).floor().clamp(min=1)
    size_u, size_v = inner_u / n_u, inner_v / n_v
    a = ((u + inner_u / 2) / size_u).floor().clamp(min=-1).minimum(n_u)
    b = ((v + inner_v / 2) / size_v).floor().clamp(min=-1).minimum(n_v)
    lot_key = cell_key(view, i * 32 + a, j * 32 + b, LOT_LAYER)
    p = u + inner_u / 2 - (a + 0.5) * size_u
    q = v + inner_v / 2 - (b + 0.5) * size_v
    from_street = torch.minimum(inner_u / 2 - u.abs(), inner_v / 2 - v.abs())
    return Lots(Cells(view, lot_key, p, q), size_u, size_v, has_houses, is_yard, from_street)


def paint_yards(canvas: Canvas, setting: Setting, lots: Lots) -> None:
    """Seal the ground of yards, with stalls, and pave parts of lots."""
    view, climate, bumps = setting.view, setting.climate, setting.bumps
    dice = view.dice
    sealed = view.cover(1.5 - lots.from_street_m) * lots.is_yard
    tone = (1 + 0.06 * bumps[:, 1] + 0.05 * bumps[:, 3]).unsqueeze(1)
    canvas.put(sealed, plane(climate.paving) * tone, Cover.PAVED)
    stalls = view.cover(((lots.cells.p_m % 2.7) - 1.35).abs() - 0.08)
    rows = (lots.cells.q_m % 17.4 - 8.7).abs() < 5.2
    strength = (0.25 / view.pixel_m).clamp(0, 1) * 0.6
    canvas.paint(
        stalls * rows * sealed * strength * dice.chance(0.6),
        torch.full_like(canvas.color[:, :1], 0.8),
    )
    # Gardens are dry, paved or of earth where they are not green.
    garden = lots.has_houses * lots.cells.number(9, 0.0, 1.0) * dice.uniform(0, 1)
    canvas.paint(garden * (lots.cells.number(8) < 0.5), plane(climate.soil) * tone)
    _scatter_things(canvas, setting, lots)


def _scatter_things(canvas: Canvas, setting: Setting, lots: Lots) -> None:
    """Leave crates, laundry and rubbish about; they are no things to be found, and no ground."""
    view, dice = setting.view, setting.view.dice
    size = dice.log_uniform(1.0, 5.0)
    spots = _spots(lots.cells, size, MESS_LAYER)
    thing = spots.turned(spots.number(0, 0.0, 3.2)).moved(size * 0.2)
    half = size * spots.number(1, 0.1, 0.4)
    edge = box_distance(thing.p_m, thing.q_m, half, half * spots.number(2, 0.3, 1.0))
    messy = torch.where(dice.chance(0.35), dice.uniform(0.0, 0.6), 0.0)
    there = (lots.has_houses | lots.is_yard) & spots.has(3, messy)
    color = chosen(setting.climate.paints, spots.number(4)) * spots.number(5, 0.5, 1.2).unsqueeze(1)
    canvas.paint(view.cover(edge) * there * 0.9, color)


@dataclass(frozen=True)
class _Body:
    """What stands on a lot, if anything, (B, S, S) each.

    Attributes:
        cells: turned and moved with the building; their middle is its own.
        size_u_m: from side to side.
        size_v_m: the other way.
        skew: turn against the streets, in radians.
    """

    cells: Cells
    size_u_m: Tensor
    size_v_m: Tensor
    skew: Tensor

    @classmethod
    def on(cls, lots: Lots) -> _Body:
        """Draw a building for every lot."""
        cells, dice = lots.cells, lots.cells.view.dice
        least, most = dice.uniform(0.3, 0.7), dice.uniform(0.75, 0.98)
        size_u = lots.size_u_m * cells.number(1, least, most)
        size_v = lots.size_v_m * cells.number(2, least, most)
        skew = cells.number(3, -1.0, 1.0) * torch.where(
            dice.chance(0.7), 0.04, dice.uniform(0.1, 0.8)
        )
        slack = torch.minimum(lots.size_u_m - size_u, lots.size_v_m - size_v) / 2
        return cls(cells.moved(slack.clamp(min=0) * 0.9).turned(skew), size_u, size_v, skew)

    def edge_m(self) -> Tensor:
        """Metres to the walls, negative inside; of some a wing is missing, which makes an L."""
        cells, p, q = self.cells, self.cells.p_m, self.cells.q_m
        whole = box_distance(p, q, self.size_u_m / 2, self.size_v_m / 2)
        cut_p = cells.number(4, -0.35, 0.35) * self.size_u_m
        cut_q = cells.number(5, -0.35, 0.35) * self.size_v_m
        away = torch.minimum((p - cut_p) * cut_p.sign(), (q - cut_q) * cut_q.sign())
        is_angled = cells.has(6, cells.view.dice.uniform(0, 0.6))
        return torch.where(is_angled, torch.maximum(whole, away), whole)


def paint_buildings(canvas: Canvas, setting: Setting, streets: Streets, lots: Lots) -> None:
    """Put buildings on the lots and raise them."""
    view, bumps = setting.view, setting.bumps
    dice, cells = view.dice, lots.cells
    fill = torch.where(lots.is_yard, dice.uniform(0.1, 0.8), dice.uniform(0.5, 1.0))
    built = (lots.has_houses | lots.is_yard) & cells.has(0, fill)
    body = _Body.on(lots)
    # Nothing stands on a road that crosses the grid.
    edge = torch.maximum(body.edge_m(), 0.5 - streets.edge_m)
    height = torch.where(lots.is_yard, cells.number(7, 4, 14), cells.number(7, 2.5, 9))
    height = height * torch.where(dice.chance(0.12), dice.uniform(1, 6), 1.0)
    light, rise = _roof(body, setting.sun, streets.angle)
    color = chosen(setting.climate.roofs, cells.number(8))
    color = color * cells.number(9, 0.85, 1.15).unsqueeze(1)
    color = _weathered(color, body, setting)
    spots = (bumps[:, 3] > 1.0 + cells.number(10, 0.0, 2.0)).float() * dice.uniform(0, 0.4)
    color = color * (light * (1 - 0.6 * spots) + 0.05 * bumps[:, 1]).unsqueeze(1)
    canvas.put(
        view.cover(edge) * built,
        color,
        Cover.BUILDING,
        height_m=height + rise,
        thing=cells.key,
    )
    rim = view.cover((edge + 0.3).abs() - 0.2) * built * dice.chance(0.4) * dice.uniform(0, 0.6)
    canvas.paint(rim, color * 1.25)
    _paint_machines(canvas, body.cells, edge, built)


def _roof(body: _Body, sun: Sun, street_angle: Tensor) -> tuple[Tensor, Tensor]:
    """Brightness of every part of a roof and its rise above the walls, (B, S, S) each.

    Flat, two sides that meet in a ridge, or four.
    """
    cells, view = body.cells, body.cells.view
    dice, p, q = view.dice, cells.p_m, cells.q_m
    along = body.size_u_m > body.size_v_m
    long_, short = torch.where(along, p, q), torch.where(along, q, p)
    half_long = torch.maximum(body.size_u_m, body.size_v_m) / 2
    half_short = torch.minimum(body.size_u_m, body.size_v_m) / 2
    kind = torch.where(dice.chance(0.5), cells.number(11), dice.uniform(0, 1))
    slope = torch.where(kind > 0.4, dice.uniform(0.1, 0.6), 0.0)
    at_end = (half_long - long_.abs() < half_short - short.abs()) & (kind > 0.75)
    # Which way a side looks, from the building's own first axis.
    at_side = torch.where(short > 0, 0.5, -0.5) * torch.pi
    facing = torch.where(at_end, torch.where(long_ > 0, 0.0, torch.pi), at_side)
    facing = torch.where(along, facing, torch.pi / 2 - facing)
    light = 1 + slope * torch.cos(facing + street_angle + body.skew - sun.azimuth)
    ridge = view.cover(short.abs() - 0.15) * (kind > 0.4) * dice.uniform(0, 0.2)
    depth = torch.where(dice.chance(0.3), dice.uniform(0.08, 0.3), dice.uniform(0, 0.08))
    sheets = torch.sin(long_ * (6.3 / dice.uniform(0.4, 1.6))) * depth
    seen = ((0.35 - view.pixel_m) / 0.2).clamp(0, 1)
    rise = slope * (half_short - short.abs()).clamp(min=0)
    return light + ridge + sheets * seen, rise


def _weathered(color: Tensor, body: _Body, setting: Setting) -> Tensor:
    """Roofs of metal sheets, every one of its own brightness and rusty as it is old.

    Args:
        color: (B, 3, S, S) of the roofs when they were new.
        body: of the buildings.
        setting: of the batch.
    """
    cells, bumps = body.cells, setting.bumps
    dice = cells.view.dice
    along = torch.where(body.size_u_m > body.size_v_m, cells.p_m, cells.q_m)
    sheets = cells.parts((along / dice.log_uniform(0.8, 8.0)).floor().clamp(-60, 60) + 64)
    old = cells.parts(torch.zeros_like(along)).number(0, -0.2, 1.3)
    streaks = 0.2 * bumps[:, 1] + 0.25 * bumps[:, 3]
    rusty = (2.5 * (sheets.number(0) + streaks - old)).clamp(0, 1) * dice.uniform(0.5, 1.0)
    is_metal = dice.chance(0.4)
    uneven = torch.where(is_metal, sheets.number(1, 0.85, 1.15), 1.0).unsqueeze(1)
    rust = plane(setting.climate.rust).expand_as(color)
    return torch.lerp(color, rust, (rusty * is_metal).unsqueeze(1)) * uneven


def _paint_machines(canvas: Canvas, body: Cells, edge: Tensor, built: Tensor) -> None:
    """Put chimneys, windows and machines on roofs; they belong to the building."""
    view, dice = body.view, body.view.dice
    size = dice.uniform(3, 9)
    spots = _spots(body, size, CLUTTER_LAYER)
    side = spots.number(0, 0.2, 1.2)
    box = box_distance(spots.p_m, spots.q_m, side, side * spots.number(1, 0.5, 1.5))
    there = spots.has(2, dice.uniform(0, 0.3)) & built & (edge < -1.0)
    tone = spots.number(3, 0.15, 0.95).unsqueeze(1)
    canvas.paint(view.cover(box) * there * 0.8, tone.expand_as(canvas.color))


def _spots(whole: Cells, size_m: Tensor, layer: int) -> Cells:
    """Places for small things in every cell, along its axes, other ones in every cell."""
    at = (whole.p_m + 500, whole.q_m + 500)
    spots = Cells.of(whole.view, at, (size_m, size_m), layer)
    return Cells(whole.view, spots.key + 7 * whole.key, spots.p_m, spots.q_m)
