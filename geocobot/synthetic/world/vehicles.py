"""Cars: on streets, along curbs and in yards."""

from __future__ import annotations

import torch

from geocobot.synthetic.world.buildings import Lots
from geocobot.synthetic.world.canvas import Canvas, Cover
from geocobot.synthetic.world.climate import chosen
from geocobot.synthetic.world.setting import Setting
from geocobot.synthetic.world.streets import Streets
from geocobot.synthetic.world.view import Cells, box_distance

LAYER = 12


def paint_cars(canvas: Canvas, setting: Setting, streets: Streets, lots: Lots) -> None:
    """Put cars where the ground is sealed; they stand along the grid."""
    view, dice = setting.view, setting.view.dice
    across = torch.where(dice.chance(0.5), 1.0, 0.0)
    u = across * streets.u_m + (1 - across) * streets.v_m
    v = across * streets.v_m + (1 - across) * streets.u_m
    cells = Cells.of(view, (u, v), (dice.uniform(5.2, 7.0), dice.uniform(2.4, 3.2)), LAYER)
    body = cells.moved(cells.number(4, 0.0, 0.3))
    edge = box_distance(body.p_m, body.q_m, cells.number(0, 1.9, 2.5), cells.number(1, 0.8, 1.0))
    on_road, in_yard = canvas.cover == Cover.ROAD, lots.is_yard & (canvas.cover == Cover.PAVED)
    busy = torch.where(in_yard, dice.uniform(0.0, 0.8), on_road * dice.uniform(0.0, 0.12))
    # From further up a car is no thing any more.
    seen = view.pixel_m < 1.2
    there = cells.has(2, busy) & seen
    color = chosen(setting.climate.paints, cells.number(3)) * cells.number(5, 0.8, 1.15).unsqueeze(
        1
    )
    canvas.put(view.cover(edge) * there, color, Cover.CAR, height_m=1.5, thing=cells.key)
    glass = box_distance(body.p_m.abs() - 0.9, body.q_m, torch.tensor(0.35), torch.tensor(0.7))
    canvas.paint(view.cover(glass) * there * 0.7, torch.full_like(canvas.color[:, :1], 0.14))
