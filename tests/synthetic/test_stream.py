from __future__ import annotations

import numpy as np
import shapely

from geocobot.synthetic.frame import Canvas, Frame
from geocobot.synthetic.noise import Relief
from geocobot.synthetic.stream import paint_stream, plan_stream

from .conftest import SIZE_M


def test_the_stream_crosses_the_place_and_its_land_holds_the_water() -> None:
    stream = plan_stream(1, SIZE_M)
    assert stream.line[0, 0] < 0
    assert stream.line[-1, 0] > SIZE_M[0]
    assert stream.land.contains(shapely.LineString(stream.line).buffer(stream.half_m.max()))


def test_only_water_and_banks_are_painted(frame: Frame) -> None:
    stream = plan_stream(1, frame.size_m)
    canvas = Canvas.blank(frame)
    paint_stream(canvas, stream, Relief.of(1, frame), 1)
    x, y = np.broadcast_arrays(frame.whole.x_m, frame.whole.y_m)
    apart = shapely.distance(shapely.LineString(stream.line), shapely.points(x, y))
    painted = canvas.color.sum(axis=0) > 0
    assert painted[apart < 2.0].all()
    assert not painted[apart > stream.half_m.max() + 9.0].any()
