"""Centerlines of small rasters, and of the same raster in other pieces."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod
from scipy.ndimage import gaussian_filter

from geocobot.centerlines.attributes import COLUMNS
from geocobot.centerlines.cleaning import conflicts
from geocobot.grid import GeoGrid

from .rasters import draw, in_pixels, trace

SHAPE = (60, 80)


def ends_of(lines: np.ndarray) -> list[tuple[float, float]]:
    """Both ends of every line."""
    return [tuple(line.coords[i]) for line in lines for i in (0, -1)]


def blobs(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """Two classes in patches and bands, with holes, spurs and pixels without data."""
    rng = np.random.default_rng(seed)
    rough, smooth = (gaussian_filter(rng.normal(size=shape), s) for s in (2.5, 6))
    labels = np.where(np.abs(smooth) < 0.4 * smooth.std(), 1, 0)
    labels[rough > 1.2 * rough.std()] = 2
    labels[rough < -2.2 * rough.std()] = 255
    return labels.astype(np.uint8)


@pytest.mark.parametrize("number", [0, 255])
def test_nothing_gives_an_empty_frame_with_all_columns(number):
    frame = trace(np.full(SHAPE, number, dtype=np.uint8))
    assert len(frame) == 0
    assert tuple(frame.columns[:-1]) == COLUMNS


@pytest.mark.parametrize(
    "area", [np.s_[30:31, 40:41], np.s_[20:40, 20:40], np.s_[20:40, 20:58], np.s_[:, :]]
)
def test_what_is_not_longer_than_twice_its_width_has_no_centerline(area):
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[area] = 1
    assert len(trace(labels)) == 0


@pytest.mark.parametrize(("width", "middle"), [(5, 22.5), (6, 23.0)])
def test_even_and_odd_widths_are_met_exactly(width, middle):
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[20 : 20 + width] = 1
    frame = trace(labels)
    (line,) = in_pixels(frame)
    assert np.allclose(shapely.get_coordinates(line)[:, 1], middle, atol=0.02)
    assert frame["width_m"].item() == pytest.approx(width, abs=0.05)
    assert frame["length_m"].item() == pytest.approx(80, rel=1e-3)
    assert frame["score"].item() == pytest.approx(0.75, abs=0.005)


@pytest.mark.parametrize("angle", [0, 10, 22, 30, 45, 61, 78, 90])
@pytest.mark.parametrize("size", [(1.0, 1.0), (0.25, 0.5)])
def test_widths_do_not_depend_on_direction_nor_on_the_shape_of_pixels(angle, size):
    x_m, y_m = size
    turn = np.radians(angle)
    ends = 40 * np.array([np.cos(turn), np.sin(turn)])
    middle = np.array([60.0, 60.0])
    xy = shapely.LineString([middle - ends, middle + ends])
    area = xy.buffer(5.0)
    col, row = np.meshgrid(np.arange(120 / x_m) + 0.5, np.arange(120 / y_m) + 0.5)
    labels = shapely.contains_xy(area, col * x_m, row * y_m).astype(np.uint8)
    transform = Affine(x_m, 0, 500_000, 0, -y_m, 5_000_000)
    frame = trace(labels, grid=GeoGrid(CRS.from_epsg(32633), transform, labels.shape))
    assert len(frame) == 1
    assert frame["width_m"].item() == pytest.approx(10, abs=0.25)
    assert frame["length_m"].item() == pytest.approx(80, abs=2.5)


def test_lengths_and_widths_are_of_the_ground_in_degrees_too():
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[20:25] = 1
    grid = GeoGrid(CRS.from_epsg(4326), Affine(1e-5, 0, 10, 0, -1e-5, 60), SHAPE)
    frame = trace(labels, grid=grid)
    geod = Geod(ellps="WGS84")
    _, _, high = geod.inv(10, 60, 10, 60 - 5e-5)
    assert frame["width_m"].item() == pytest.approx(high, rel=0.01)
    assert frame["length_m"].item() == pytest.approx(geod.geometry_length(frame.geometry[0]))
    assert frame["length_m"].item() < 0.6 * 80 * 1.11


@pytest.mark.parametrize("rows", [7, 500])
def test_a_ring_is_one_closed_line(rows):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    away = np.hypot(y - 30, x - 40)
    labels = ((away < 22) & (away > 15)).astype(np.uint8)
    frame = trace(labels, rows=rows)
    (line,) = in_pixels(frame)
    assert line.is_ring
    center = shapely.Point(40.5, 30.5)
    assert shapely.hausdorff_distance(line, center.buffer(18.5).exterior) < 1
    assert frame["width_m"].item() == pytest.approx(7, abs=0.5)


def test_a_line_from_a_junction_to_itself_keeps_its_course():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    labels = draw([[(0, 30), (30, 30)]], 6, SHAPE)
    away = np.hypot(y - 29.5, x - 49.5)
    labels[(away < 22) & (away > 16)] = 1
    frame = trace(labels)
    assert len(frame) == 2
    center = shapely.Point(50, 30)
    loop = max(in_pixels(frame), key=lambda line: line.length)
    assert shapely.hausdorff_distance(loop, center.buffer(19).exterior) < 2


@pytest.mark.parametrize(
    ("lines", "node", "degree"),
    [
        ([[(5, 30), (75, 30)], [(40, 5), (40, 55)]], (40, 30), 4),
        ([[(5, 20), (75, 20)], [(40, 20), (40, 55)]], (40, 20), 3),
        ([[(5, 5), (75, 55)], [(5, 55), (75, 5)]], (40, 30), 4),
        ([[(5, 5), (40, 30)], [(40, 30), (75, 5)], [(40, 30), (40, 55)]], (40, 30), 3),
    ],
)
def test_lines_meet_in_one_node(lines, node, degree):
    frame = trace(draw(lines, 8, SHAPE), simplify_m=0.5)
    drawn = in_pixels(frame)
    ends = ends_of(drawn)
    assert len(frame) == degree
    (met,) = {end for end in ends if ends.count(end) > 1}
    assert ends.count(met) == degree
    assert np.hypot(*np.subtract(met, node)) < 1
    given = shapely.union_all([shapely.LineString(xy) for xy in lines])
    assert shapely.hausdorff_distance(shapely.union_all(drawn), given) < 2.5


def test_spurs_shorter_than_the_width_are_pruned():
    labels = draw([[(5, 30), (75, 30)]], 7, SHAPE)
    labels[22:27, 30:33] = 1
    labels[33:36, 50] = 1
    frame = trace(labels)
    assert len(frame) == 1
    labels[10:27, 30:33] = 1
    assert len(trace(labels)) == 3


def test_corners_stay_corners():
    (line,) = in_pixels(trace(draw([[(15, 15), (60, 15), (60, 45)]], 8, SHAPE)))
    given = shapely.LineString([(15, 15), (60, 15), (60, 45)])
    assert shapely.hausdorff_distance(line, given) < 2


def test_classes_that_touch_have_their_own_lines():
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[20:26], labels[26:34] = 1, 2
    frame = trace(labels)
    assert frame["class_name"].tolist() == ["road", "river"]
    assert frame["class_id"].tolist() == [1, 2]
    assert frame["width_m"].tolist() == pytest.approx([6, 8], abs=0.05)
    only = trace(labels, class_numbers=frozenset({2}))
    assert only["class_name"].tolist() == ["river"]
    assert only.geometry.geom_equals_exact(frame.geometry[1:].reset_index(drop=True), 0).all()


def test_what_is_smaller_than_the_least_area_has_no_line():
    labels = draw([[(5, 10), (75, 10)], [(5, 40), (35, 40)]], 4, SHAPE)
    assert len(trace(labels, min_area_m2=100)) == 2
    assert len(trace(labels, min_area_m2=200)) == 1
    assert len(trace(labels, min_area_m2=400)) == 0


@given(
    st.integers(0, 50),
    st.integers(1, 90),
    st.integers(1, 60),
    st.integers(20, 200),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
def test_pieces_make_no_difference(seed, strip_rows, block_rows, rows):
    labels = blobs(seed, (300, 110))
    options = {"bridge_gaps_m": 6.0, "simplify_m": 1.0, "min_area_m2": 5.0}
    whole = trace(labels, strip_rows=300, rows=300, **options)
    parts = trace(labels, strip_rows=strip_rows, block_rows=block_rows, rows=rows, **options)
    assert len(whole) > 10
    assert parts.equals(whole)


@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24),
        elements=st.sampled_from([0, 0, 1, 1, 1, 2, 255]),
    ),
    st.sampled_from([0.0, 1.0, 5.0]),
)
@settings(max_examples=150)
def test_lines_meet_at_nodes_and_nowhere_else(labels, simplify_m):
    frame = trace(labels, simplify_m=simplify_m, bridge_gaps_m=simplify_m)
    lines = np.asarray(frame.geometry)
    assert not conflicts(lines).any()
    assert shapely.is_valid(lines).all()
    assert (frame["length_m"] > 0).all()
    assert (frame["width_m"] > 0).all()


def test_lines_of_large_rasters_meet_at_nodes_and_nowhere_else():
    frame = trace(blobs(3, (500, 400)), simplify_m=2.0, bridge_gaps_m=5.0)
    lines = in_pixels(frame)
    assert len(lines) > 50
    assert not conflicts(lines).any()


@pytest.mark.parametrize("turned", [False, True])
def test_lines_that_would_meet_beyond_the_scene_meet_at_its_edge(turned):
    """Two wide roads lead out of the scene side by side and nearly meet."""
    labels = draw(
        [[(-10, 30), (60, -6)], [(170, 30), (100, -6)], [(60, -6), (100, -6)]], 34, (60, 160)
    )
    labels |= draw([[(60, -6), (80, 55)]], 14, (60, 160))
    labels = labels.T if turned else labels
    lines = in_pixels(trace(labels))
    x, y = shapely.get_coordinates(lines).T
    assert len(lines) > 1
    assert x.min() >= 0
    assert y.min() >= 0


@given(st.integers(0, 300), st.sampled_from([0.0, 2.0]))
@settings(max_examples=20, deadline=None)
def test_lines_stay_within_the_scene(seed, bridge_gaps_m):
    labels = blobs(seed, (50, 90))
    bounds = shapely.total_bounds(in_pixels(trace(labels, bridge_gaps_m=bridge_gaps_m)))
    assert (bounds[:2] >= -1e-6).all()
    assert (bounds[2:] <= np.array([90, 50]) + 1e-6).all()


def test_lines_along_seams_are_whole():
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[18:23] = 1
    frames = [trace(labels, rows=n, block_rows=n, strip_rows=n) for n in (19, 20, 21)]
    assert all(len(frame) == 1 for frame in frames)
    assert all(frame.equals(frames[0]) for frame in frames)
