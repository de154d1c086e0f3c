from __future__ import annotations

import numpy as np
import shapely

from geocobot.synthetic.frame import Canvas, Frame
from geocobot.synthetic.place import Plan
from geocobot.synthetic.vehicles import paint_stalls, parking_of

from .conftest import CRS_OF_FRAMES, SIZE_M


def test_cars_stand_on_asphalt_of_roads_or_yards_or_in_drives(plan: Plan) -> None:
    roads = [r.asphalt for r in plan.network.roads]
    yards = [b.polygon for b in plan.blocks if b.use == "yard"]
    drives = [lot.drive.polygon(grow_m=3.0) for lot in plan.settlement.lots]
    sealed = shapely.union_all(roads + yards + drives)
    cars = shapely.points([(c.x_m, c.y_m) for c in plan.cars])
    assert len(cars) > 50
    assert shapely.contains(sealed, cars).all()


def test_parking_keeps_off_halls(plan: Plan) -> None:
    halls = shapely.union_all(plan.settlement.footprints.geometries)
    for block in plan.blocks:
        if block.use == "yard":
            parking = parking_of(block, plan.settlement)
            assert block.polygon.contains(parking)
            assert parking.distance(halls) > 3.9


def test_stalls_are_painted_in_yards_alone(plan: Plan) -> None:
    frame = Frame.of(CRS_OF_FRAMES, (round(SIZE_M[1]), round(SIZE_M[0])), 1.0)
    canvas = Canvas.blank(frame)
    paint_stalls(canvas, plan.blocks, plan.settlement)
    painted = canvas.color.max(axis=0) > 0
    x, y = np.broadcast_arrays(frame.whole.x_m, frame.whole.y_m)
    yards = shapely.union_all([b.polygon for b in plan.blocks if b.use == "yard"])
    in_yard = shapely.contains_xy(yards, x, y)
    assert painted.any()
    assert not painted[~in_yard].any()
