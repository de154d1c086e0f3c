from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from geocobot.synthetic.frame import Frame
from geocobot.synthetic.shapes import Box, coverage, inside, segment_distance, turned

from .conftest import CRS_OF_FRAMES

FRAME = Frame.of(CRS_OF_FRAMES, (24, 32), 1.0)
CUT = FRAME.whole
CENTERS = shapely.points(*np.broadcast_arrays(CUT.x_m, CUT.y_m))
metres = st.floats(-8, 40, allow_nan=False)
sides = st.floats(0.5, 25)
angles = st.floats(-4, 4)
quarters = st.integers(-32, 160).map(lambda n: n / 4)
places = st.tuples(quarters, quarters)
boxes = st.builds(Box, metres, metres, sides, sides, angles)


@given(boxes)
def test_box_distance_is_the_distance_to_its_polygon(box: Box) -> None:
    polygon = box.polygon()
    within = shapely.contains(polygon, CENTERS)
    expected = shapely.distance(polygon.exterior, CENTERS) * np.where(within, -1, 1)
    assert np.allclose(box.distance(CUT), expected, atol=1e-3)


@given(boxes)
def test_box_area_and_radius_fit_its_sides(box: Box) -> None:
    assert box.polygon().area == pytest.approx(box.length_m * box.width_m)
    reach = np.linalg.norm(box.corners() - (box.x_m, box.y_m), axis=1)
    assert reach == pytest.approx([box.radius_m] * 4)


@given(boxes, st.floats(-5, 5), st.floats(-5, 5))
def test_places_in_a_box_have_their_coordinates(box: Box, along: float, across: float) -> None:
    x, y = box.at(along, across)
    here = Frame.of(CRS_OF_FRAMES, (1, 1), 1.0).whole
    p, q = turned(here, box.x_m, box.y_m, box.angle)
    px, qx = turned(here, x, y, box.angle)
    assert p - px == pytest.approx(along, abs=1e-3)
    assert q - qx == pytest.approx(across, abs=1e-3)


@given(places, places)
def test_segment_distance_is_the_distance_to_the_segment(
    start: tuple[float, float], end: tuple[float, float]
) -> None:
    assume(start != end)
    apart, along, _ = segment_distance(CUT, np.array(start), np.array(end))
    line = shapely.LineString([start, end])
    assert np.allclose(apart, shapely.distance(line, CENTERS), atol=1e-3)
    assert along.min() >= 0
    assert along.max() <= line.length + 1e-3


def test_left_of_a_segment_is_positive() -> None:
    _, _, left = segment_distance(CUT, np.array([0.0, 10.0]), np.array([30.0, 10.0]))
    assert left[0, 0] > 0 > left[-1, 0]


@given(st.lists(places, min_size=3, max_size=9), st.lists(places, min_size=3, max_size=9))
def test_inside_agrees_with_shapely(
    outer: list[tuple[float, float]], taken: list[tuple[float, float]]
) -> None:
    hulls = (shapely.convex_hull(shapely.MultiPoint(p)) for p in (outer, taken))
    land = shapely.difference(*hulls)
    assume(land.area > 0)
    clear = shapely.distance(land.boundary, CENTERS) > 1e-6
    assert np.array_equal(inside(land, CUT)[clear], shapely.contains(land, CENTERS)[clear])


def test_inside_leaves_holes_out() -> None:
    ring = shapely.Point(16, 12).buffer(9).difference(shapely.Point(16, 12).buffer(4))
    assert np.array_equal(inside(ring, CUT), shapely.contains(ring, CENTERS))


def test_coverage_is_half_on_the_outline_and_sums_to_the_area() -> None:
    assert coverage(np.array([-1.0, 0.0, 1.0]), 0.5).tolist() == [1.0, 0.5, 0.0]
    box = Box(16.3, 12.2, 11.0, 7.0, 0.4)
    assert coverage(box.distance(CUT), 1.0).sum() == pytest.approx(77.0, rel=0.02)
