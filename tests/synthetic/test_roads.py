from __future__ import annotations

import numpy as np
import pytest
import shapely

from geocobot.synthetic.frame import Canvas, Frame
from geocobot.synthetic.network import Network, Road
from geocobot.synthetic.noise import Relief
from geocobot.synthetic.place import Plan
from geocobot.synthetic.roads import measure_roads, paint_roads

from .conftest import CRS_OF_FRAMES

FRAME = Frame.of(CRS_OF_FRAMES, (120, 200), 0.5)
STRAIGHT = Network(
    (Road(np.array([[-10.0, 30.0], [50.0, 30.0], [110.0, 30.0]]), "main", 13.0),),
    np.array([[50.0, 30.0]]),
    np.array([[50.0, 30.0]]),
)


def test_a_straight_road_is_measured_across_and_along() -> None:
    field = measure_roads(FRAME, STRAIGHT)
    x, y = 70.25, 33.25
    row, col = round((60 - y) / 0.5 - 0.5), round(x / 0.5 - 0.5)
    assert field.across_m[row, col] == pytest.approx(3.25, abs=1e-3)
    assert field.along_m[row, col] == pytest.approx(80.25, abs=1e-3)
    assert field.edge_m[row, col] == pytest.approx(3.25 - 6.5, abs=1e-3)
    assert field.junction_m[row, col] == pytest.approx(50.0)
    assert field.junction_m[row, col - 30] == pytest.approx(np.hypot(5.25, 3.25), abs=1e-3)


def test_edges_agree_with_the_polygons_of_the_labels(plan: Plan) -> None:
    frame = Frame.of(CRS_OF_FRAMES, (180, 210), 2.0)
    field = measure_roads(frame, plan.network)
    x, y = np.broadcast_arrays(frame.whole.x_m, frame.whole.y_m)
    centers = shapely.points(x, y)
    asphalt = shapely.union_all([r.asphalt for r in plan.network.roads])
    clear = shapely.distance(asphalt.boundary, centers) > 0.1
    assert np.array_equal(field.edge_m[clear] < 0, shapely.contains(asphalt, centers)[clear])


def test_asphalt_covers_the_road_and_nothing_far_from_it() -> None:
    canvas = Canvas.blank(FRAME)
    paint_roads(canvas, STRAIGHT, measure_roads(FRAME, STRAIGHT), Relief.of(0, FRAME), 0)
    painted = canvas.color.min(axis=0) > 0
    y = FRAME.whole.y_m[:, 0]
    assert painted[np.abs(y - 30) < 6.4].all()
    assert not painted[np.abs(y - 30) > 12].any()


def test_dashes_run_along_the_middle_and_stop_at_the_junction() -> None:
    canvas = Canvas.blank(FRAME)
    paint_roads(canvas, STRAIGHT, measure_roads(FRAME, STRAIGHT), Relief.of(0, FRAME), 0)
    y, x = FRAME.whole.y_m[:, 0], FRAME.whole.x_m[0]
    middle = canvas.color[1, np.abs(y - 30) < 0.3].mean(axis=0)
    beside = canvas.color[1, (np.abs(y - 30) > 0.8) & (np.abs(y - 30) < 2.0)].mean(axis=0)
    contrast = middle - beside
    along = (x + 10) % 10
    far = np.abs(x - 50) > 13
    assert contrast[(along > 0.5) & (along < 3.5) & far].mean() > 0.05
    assert abs(contrast[(along > 4.5) & (along < 9.5) & far].mean()) < 0.02
    assert abs(contrast[np.abs(x - 50) < 11].mean()) < 0.02
