from __future__ import annotations

import logging

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocobot.tracing import smooth
from geocobot.tracing.smooth import smooth_groups
from geocobot.tracing.trace import trace_block

from .rasters import class_rasters, parse, polygons_of, reference, trace
from .test_trace import block_of


def smooth_alone(
    polygons: np.ndarray,
    radius_m: float,
    *,
    fixed: tuple[int, ...] = (),
    edges: tuple[tuple[float, ...], tuple[float, ...]] = ((), ()),
    pixel_m: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Polygons, rounded as one group; those with the numbers given stay."""
    number = np.arange(len(polygons))
    stays = np.isin(number, fixed)
    return smooth_groups(
        polygons, 0 * number, np.array(pixel_m), radius_m, fixed=stays, edges=edges
    )


def smoothed(
    labels: np.ndarray,
    radius_m: float,
    *,
    fixed: tuple[int, ...] = (),
    pixel_m: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """The components of a raster, rounded; those with the numbers given stay."""
    return smooth_alone(
        trace_block(block_of(labels)).geometry, radius_m, fixed=fixed, pixel_m=pixel_m
    )


def disk(radius: float, side: int = 60) -> np.ndarray:
    row, col = np.ogrid[:side, :side]
    return ((row - side / 2) ** 2 + (col - side / 2) ** 2 < radius**2).astype(np.uint8)


def turns(polygon: shapely.Polygon) -> np.ndarray:
    """How much each corner of the outer ring turns, in degrees, -180 to 180."""
    xy = np.array(polygon.exterior.coords)[:-1]
    before, after = xy - np.roll(xy, 1, 0), np.roll(xy, -1, 0) - xy
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.degrees(np.arctan2(cross, (before * after).sum(axis=1)))


def test_the_staircase_of_a_disk_is_gone():
    (round_,) = smoothed(disk(20.3), 3.0)
    distance = np.hypot(*(shapely.get_coordinates(round_) - [30.5, 130.5]).T)
    assert np.abs(distance - 20.3).max() < 0.8
    assert np.abs(turns(round_)).max() < 35
    assert round_.area == pytest.approx(np.pi * 20.3**2, rel=0.02)


def test_a_slope_of_equal_steps_becomes_a_line():
    labels = np.zeros((24, 48), dtype=np.uint8)
    for row in range(24):
        labels[row, : 2 * row + 1] = 1
    (wedge,) = smoothed(labels, 4.0)
    xy = shapely.get_coordinates(wedge)
    slope = xy[(xy[:, 0] > 8) & (xy[:, 0] < 40) & (xy[:, 1] < 123)]
    beside = (slope[:, 0] - 2 * (slope[:, 1] - 100)) / np.sqrt(5)
    assert len(slope) > 4
    assert np.ptp(beside) < 1e-9


def test_long_walls_stay_and_corners_are_rounded_by_the_radius():
    labels = np.pad(np.ones((20, 30), dtype=np.uint8), 2)
    (house,) = smoothed(labels, 3.0)
    walls = shapely.box(2, 102, 32, 122)
    assert walls.exterior.intersection(house.exterior).length == pytest.approx(100 - 8 * 3)
    # A parabola between points 3 m from a corner cuts off a third of their triangle.
    lost = 4 * 3 * 3 / 2 / 3
    assert house.area == pytest.approx(600 - lost, abs=0.8)
    assert not house.contains(shapely.Point(2.5, 102.5))


def test_the_radius_is_measured_on_the_ground():
    labels = np.pad(np.ones((40, 40), dtype=np.uint8), 2)
    (house,) = smoothed(labels, 3.0, pixel_m=(0.5, 0.25))
    _, north, _, _ = shapely.bounds(house)
    straight = [x for x, y in shapely.get_coordinates(house) if y == north]
    assert min(straight) == pytest.approx(2 + 3 / 0.5)
    west = [y for x, y in shapely.get_coordinates(house) if x == 2]
    assert min(west) == pytest.approx(north + 3 / 0.25)


@settings(max_examples=120, deadline=None)
@given(class_rasters(16), st.sampled_from([0.3, 1.0, 4.0]), st.integers(1, 14), st.booleans())
def test_borders_stay_shared_and_nothing_crosses(labels, radius_m, block_rows, is_simplified):
    clean = {"smooth_m": radius_m, "simplify_m": 0.4 if is_simplified else 0.0}
    frame = trace(labels, block_rows=block_rows, **clean)
    polygons = polygons_of(frame)
    assert len(frame) == len(reference(labels))
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert (shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON).all()


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(class_rasters(16), st.sampled_from([0.3, 1.0, 4.0]))
def test_corners_are_cut_so_that_no_group_has_to_stay(caplog, labels, radius_m):
    """The triangles alone keep outlines apart: what GEOS says afterwards is never needed."""
    polygons = trace_block(block_of(labels)).geometry
    if not len(polygons):
        return
    found = smooth_alone(polygons, radius_m)
    assert not caplog.records
    whole, rounded = shapely.union_all(polygons), shapely.union_all(found)
    assert rounded.area == pytest.approx(shapely.area(found).sum())
    # Gaps could only open between neighbors; around them a corner loses half a pixel at most.
    assert (
        shapely.area(whole.symmetric_difference(rounded))
        <= 0.5 * len(shapely.get_coordinates(polygons)) * min(radius_m, 8) ** 2
    )


def test_points_in_which_three_meet_and_those_on_seams_stay():
    labels = parse("1111122222\n1111122222\n1111222222\n333333333.\n3333333333")
    pieces = trace_block(block_of(labels))
    found = smooth_alone(pieces.geometry, 2.0, edges=((0, 10), (100, 105)))
    places = {tuple(xy) for xy in shapely.get_coordinates(found).tolist()}
    assert {(4, 103), (5, 100), (0, 103), (10, 104)} <= places
    assert shapely.coverage_is_valid(found)


def test_seams_leave_no_trace_but_a_corner():
    frame = trace(disk(25), smooth_m=2.0, block_rows=16)
    (round_,) = frame.geometry
    (whole,) = trace(disk(25), smooth_m=2.0).geometry
    assert round_.area == pytest.approx(whole.area, rel=0.005)
    assert round_.hausdorff_distance(whole) < 0.5


def test_what_is_fixed_keeps_its_border_and_others_follow_it():
    labels = np.where(np.tri(20), 1, 2).astype(np.uint8)
    labels[8:12, 15:] = 0
    before = trace_block(block_of(labels)).geometry
    found = smoothed(labels, 3.0, fixed=(0,))
    assert found[0].equals_exact(before[0], 0)
    assert not found[1].equals(before[1])
    assert shapely.coverage_is_valid(found)


def test_a_corner_stays_where_another_outline_reaches_into_it():
    """The tip of 2 lies in the triangle that the corner of 1 would be cut by."""
    one = shapely.Polygon([(0, -1), (21, -1), (21, 20), (18, 20), (18, 2), (0, 2)])
    tip = shapely.Polygon([(0, 3), (17.6, 2.4), (17, 20), (0, 20)])
    (first, second) = smooth_alone(np.array([one, tip]), 8.0)
    assert not first.intersects(second)
    assert [18, 2] in shapely.get_coordinates(first).tolist()
    alone = smooth_alone(np.array([one]), 8.0)[0]
    assert [18, 2] not in shapely.get_coordinates(alone).tolist()


def test_unsound_results_are_replaced(monkeypatch, caplog):
    monkeypatch.setattr(smooth, "is_sound", lambda polygons: False)
    polygons = trace_block(block_of(disk(5, 12))).geometry
    with caplog.at_level(logging.WARNING, "geocobot.tracing"):
        found = smooth_alone(polygons, 1.0)
    assert shapely.equals_exact(found, polygons).all()
    assert "1 polygons could not be smoothed without overlaps" in caplog.text
