"""Streets: a bent grid of them in settlements, and roads that wind across the country."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geocobot.synthetic.world.canvas import Canvas, Cover
from geocobot.synthetic.world.climate import plane
from geocobot.synthetic.world.setting import Setting
from geocobot.synthetic.world.view import View, cell_key
from geocobot.synthetic.world.water import winding

LAYER = 2


@dataclass(frozen=True)
class Streets:
    """The grid of a settlement, (B, S, S) or (B, 1, 1) each.

    Attributes:
        u_m: metres along the first axis of the bent grid.
        v_m: metres along the second one.
        block_u_m: from street to street along u.
        block_v_m: from street to street along v.
        width_m: of a street.
        within: bool, in the settlement.
        angle: direction of u, counter-clockwise from east.
        edge_m: metres to the edge of the nearest street or road, negative on it.
    """

    u_m: Tensor
    v_m: Tensor
    block_u_m: Tensor
    block_v_m: Tensor
    width_m: Tensor
    within: Tensor
    angle: Tensor
    edge_m: Tensor


def lay_out(setting: Setting, shore_m: Tensor) -> Streets:
    """Draw settlements with their streets, and roads through the country.

    Args:
        setting: of the batch.
        shore_m: (B, S, S) metres to the shore, negative in the water, where nobody settles.
    """
    view, dice = setting.view, setting.view.dice
    angle = dice.uniform(0, 6.3)
    along, across = view.turned(angle)
    u, v = _bent(view, along, across), _bent(view, across, along)
    # Informal settlements are small and crooked, business districts large and straight.
    scale = dice.log_uniform(0.5, 1.6)
    # What is finer than a few pixels is no street any more from up here.
    least = 14 * view.pixel_m
    block_u = (scale * dice.uniform(60, 180)).maximum(least * dice.uniform(1, 2))
    block_v = (scale * dice.uniform(45, 120)).maximum(least * dice.uniform(1, 2))
    width = (scale * dice.uniform(5.5, 11.0)).clamp(3.5, 16).maximum(1.3 * view.pixel_m)
    u, v = u + dice.uniform(0, 1) * block_u, v + dice.uniform(0, 1) * block_v
    # Outside, along the edge of a settlement, or in the middle of it.
    kind = dice.uniform(0, 1)
    town = setting.bumps[:, 2] + torch.where(kind < 0.3, -9.0, torch.where(kind < 0.6, 0.0, 9.0))
    within = (town > 0) & (shore_m > 1.0)
    streets = _grid_edge(view, (u, v), (block_u, block_v), width)
    streets = torch.where(within & (shore_m > 2.0), streets, 1e4)
    # Roads cross rivers and do not run into lakes.
    roads = torch.where(shore_m > -15.0 * view.pixel_m, _roads(view), 1e4)
    edge = torch.minimum(streets, roads)
    return Streets(u, v, block_u, block_v, width, within, angle, edge)


def _bent(view: View, along: Tensor, across: Tensor) -> Tensor:
    """A coordinate with slow waves in it, so that streets curve, (B, S, S)."""
    dice = view.dice
    length = dice.log_uniform(150, 900)
    steep = dice.uniform(0.0, 0.4)
    return along + steep * length / 6.3 * torch.sin(across * (6.3 / length) + dice.uniform(0, 6.3))


def _grid_edge(
    view: View, at: tuple[Tensor, Tensor], block: tuple[Tensor, Tensor], width: Tensor
) -> Tensor:
    """Metres to the edge of the nearest street of the grid; some of its pieces are missing."""
    kept = view.dice.uniform(0.6, 1.0)
    nearest = None
    for axis in (0, 1):
        a, b, block_a, block_b = at[axis], at[1 - axis], block[axis], block[1 - axis]
        line, piece = (a / block_a).round(), (b / block_b).floor()
        chance = view.look_up(axis, cell_key(view, line, piece, LAYER + 30 * axis))
        own_width = width * (1 + 0.5 * (line % 3 == 0))
        edge = (a - line * block_a).abs() - own_width / 2
        edge = torch.where(chance < kept, edge, 1e4)
        nearest = edge if nearest is None else torch.minimum(nearest, edge)
    assert nearest is not None
    return nearest


def _roads(view: View) -> Tensor:
    """Metres to the edge of roads across the country, (B, S, S)."""
    dice = view.dice
    nearest = torch.full_like(view.x_m, 1e4)
    for share in (0.3, 0.15, 0.08):
        width = dice.log_uniform(3.5, 15.0).maximum(1.3 * view.pixel_m)
        edge = winding(view, bend=0.35) - width / 2
        edge = torch.where(dice.chance(share), edge, 1e4)
        nearest = torch.minimum(nearest, edge)
    return nearest


def paint_streets(canvas: Canvas, setting: Setting, streets: Streets) -> None:
    """Paint asphalt with its wear and lines, or dirt, and pavements beside it."""
    view, climate, bumps = setting.view, setting.climate, setting.bumps
    dice = view.dice
    edge = streets.edge_m
    walk = view.cover(edge - dice.uniform(0.8, 3.5)) * streets.within * dice.chance(0.5)
    canvas.put(walk, plane(climate.paving), Cover.PAVED)
    is_dirt = dice.chance(0.2)
    color = torch.where(is_dirt.unsqueeze(1), plane(climate.dirt), plane(climate.asphalt))
    wear = 0.05 * bumps[:, 1] + 0.05 * bumps[:, 3]
    canvas.put(view.cover(edge), color * (1 + wear).unsqueeze(1), Cover.ROAD)
    # Lines at the edge and in the middle, where they can be seen at all.
    inner = -edge
    line = view.cover((inner - dice.uniform(0.3, 0.8)).abs() - 0.1)
    middle = view.cover((inner - streets.width_m / 2).abs() - 0.1)
    marked = (line * dice.chance(0.3) + middle * dice.chance(0.4)).clamp(0, 1) * ~is_dirt
    strength = (0.4 / view.pixel_m).clamp(0, 1) * dice.uniform(0.2, 0.7)
    canvas.paint(marked * strength, torch.full_like(canvas.color[:, :1], 0.82))
