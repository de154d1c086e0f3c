from __future__ import annotations

import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geocobot.errors import ConfigError, GridMismatchError
from geocobot.grid import GeoGrid
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize

from .rasters import (
    CLASSES,
    TRANSFORM,
    class_rasters,
    cut,
    grid_of,
    parse,
    polygons_of,
    reference,
    trace,
)

heights = st.lists(st.integers(1, 6), min_size=1, max_size=4)

SPECIAL = {
    "holes in holes": """
        1111111
        1.....1
        1.222.1
        1.2.2.1
        1.222.1
        1.....1
        1111111""",
    "rings that touch at corners": """
        .11..11
        1.11.1.
        111.111
        .1.111.
        11.1.11""",
    "hole that touches the outline": """
        .11
        1.1
        111""",
    "checkerboard": """
        12121
        21212
        12121""",
    "snake": """
        11111
        ....1
        11111
        1....
        11111
        ....1
        11111""",
    "comb that joins at the bottom": """
        1.1.1.1
        1.1.1.1
        1.121.1
        1111111""",
    "all of it": """
        111
        111
        111
        111""",
    "without data": """
        11x22
        1xxx2
        11x22""",
}


def assert_exact(labels: np.ndarray, frame) -> None:
    expected = {(c, shapely.normalize(shapely.simplify(p, 0)).wkb) for c, p in reference(labels)}
    found = {
        (c, shapely.normalize(shapely.simplify(p, 0)).wkb)
        for c, p in zip(frame["class_id"], frame.geometry, strict=True)
    }
    assert len(frame) == len(expected)
    # Where a ring begins may hide a collinear vertex from simplify, so equality is topological.
    for class_id, polygon in reference(labels):
        same = frame[(frame["class_id"] == class_id) & frame.geometry.geom_equals(polygon)]
        assert len(same) == 1, (class_id, polygon.wkt, found ^ expected)
    assert shapely.is_valid(polygons_of(frame)).all()


@settings(max_examples=150, deadline=None)
@given(class_rasters(), heights, st.integers(1, 14))
def test_polygons_equal_those_of_gdal(labels, heights, block_rows):
    assert_exact(labels, trace(labels, heights=heights, block_rows=block_rows))


@pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_shapes_equal_those_of_gdal(name, block_rows):
    labels = parse(SPECIAL[name])
    assert_exact(labels, trace(labels, heights=(2,), block_rows=block_rows))


@settings(max_examples=60, deadline=None)
@given(class_rasters(), st.integers(1, 14))
def test_vertices_are_those_of_gdal_and_the_points_where_three_labels_meet(labels, block_rows):
    frame = trace(labels, block_rows=block_rows)
    framed = np.pad(np.where(labels == 255, 0, labels), 1)
    corners = {
        TRANSFORM @ (col, row)
        for row in range(labels.shape[0] + 1)
        for col in range(labels.shape[1] + 1)
        if len(np.unique(framed[row : row + 2, col : col + 2])) > 2
    }
    for class_id, polygon in reference(labels):
        own = frame[(frame["class_id"] == class_id) & frame.geometry.geom_equals(polygon)]
        vertices = set(map(tuple, shapely.get_coordinates(own.geometry.iloc[0])))
        by_gdal = set(map(tuple, shapely.get_coordinates(polygon)))
        assert by_gdal <= vertices
        assert vertices - by_gdal <= corners


@settings(max_examples=80, deadline=None)
@given(class_rasters(), heights, st.integers(1, 14), st.sampled_from([0.0, 0.3, 0.8, 3.0]))
def test_polygons_never_overlap_and_share_their_borders(labels, heights, block_rows, simplify_m):
    frame = trace(labels, heights=heights, block_rows=block_rows, simplify_m=simplify_m)
    polygons = polygons_of(frame)
    assert len(frame) == len(reference(labels))
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert (shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON).all()
    assert all(p.exterior.is_ccw for p in polygons)


@settings(max_examples=40, deadline=None)
@given(class_rasters(20), heights)
def test_strip_heights_change_nothing(labels, heights):
    clean = {"simplify_m": 0.6, "close_holes_m2": 0.4, "min_area_m2": 0.2, "block_rows": 5}
    whole = trace(labels, heights=(labels.shape[0],), **clean)
    assert_geodataframe_equal(trace(labels, heights=heights, **clean), whole)


@settings(max_examples=40, deadline=None)
@given(class_rasters(20), st.integers(1, 9))
def test_rasterizing_gives_the_classes_back(labels, block_rows):
    frame = trace(labels, block_rows=block_rows)
    expected = np.where(labels == 255, 0, labels)
    if not len(frame):
        assert not expected.any()
        return
    burnt = rasterio.features.rasterize(
        zip(frame.geometry, frame["class_id"], strict=True), labels.shape, transform=TRANSFORM
    )
    np.testing.assert_array_equal(burnt, expected)


def test_order_is_by_first_pixel_within_a_block():
    frame = trace(parse("..1..2\n1.1..."))
    west = frame.geometry.bounds["minx"]
    assert west.tolist() == [500_001.0, 500_002.5, 500_000.0]


def test_polygons_leave_when_the_rows_below_close_them():
    labels = np.zeros((40, 8), dtype=np.uint8)
    labels[1:3, 1:3] = 1
    labels[5:35, 5] = 2
    taken = 0

    def counted():
        nonlocal taken
        for strip in cut(labels, (2,)):
            taken = strip.row_off + strip.height
            yield strip

    chunks = polygonize(counted(), grid_of(labels), CLASSES, CleanOptions(), block_rows=4)
    assert next(chunks)["class_id"].tolist() == [1]
    assert taken < 8
    assert next(chunks)["class_id"].tolist() == [2]
    assert 35 < taken < 40


@settings(max_examples=40, deadline=None)
@given(class_rasters(20), st.integers(1, 9), st.sampled_from([0.0, 0.6]))
def test_threads_change_nothing(labels, block_rows, simplify_m):
    clean = CleanOptions(simplify_m=simplify_m, close_holes_m2=0.4)
    one, several = (
        list(
            polygonize(
                cut(labels, (3,)),
                grid_of(labels),
                CLASSES,
                clean,
                block_rows=block_rows,
                threads=threads,
            )
        )
        for threads in (1, 3)
    )
    assert len(one) == len(several)
    for frame, same in zip(one, several, strict=True):
        assert_geodataframe_equal(frame, same)


def test_who_stops_early_leaves_no_thread_behind():
    labels = np.eye(60, dtype=np.uint8)
    before = threading.active_count()
    frames = polygonize(
        cut(labels, (2,)), grid_of(labels), CLASSES, CleanOptions(), block_rows=3, threads=4
    )
    next(frames)
    frames.close()
    assert threading.active_count() == before


@settings(max_examples=60, deadline=None)
@given(class_rasters(), st.integers(1, 14), st.integers(128, 254))
def test_hysteresis_keeps_polygons_with_a_pixel_above(labels, block_rows, peak):
    rng = np.random.default_rng(labels.size)
    steps = rng.integers(128, 255, (2, *labels.shape), dtype=np.uint8)
    for plane, spec in zip(steps, CLASSES, strict=True):
        plane[labels != spec.number] = 0
    steps[:, labels == 255] = 255
    grid = grid_of(labels)

    def ids(**clean):
        strips = [Strip(0, steps)]
        options = CleanOptions(**clean)
        frames = polygonize(strips, grid, CLASSES, options, block_rows=block_rows)
        return {int(i): p for f in frames for i, p in zip(f["object_id"], f.geometry, strict=True)}

    def highest(polygon):
        inside = rasterio.features.rasterize([polygon], labels.shape, transform=TRANSFORM) > 0
        return steps[:, inside].max()

    every = ids()
    kept = ids(high_threshold=peak / 254)
    assert kept.keys() == {i for i, polygon in every.items() if highest(polygon) > peak}
    assert all(shapely.equals_exact(kept[i], every[i]) for i in kept)


def test_memory_does_not_grow_with_the_height():
    def peak(height: int) -> int:
        pattern = np.zeros((16, 64), dtype=np.float32)
        pattern[2:9, ::7] = pattern[4, 3:40] = 0.9
        valid = np.ones(pattern.shape, dtype=bool)
        scores = np.stack([pattern, np.zeros_like(pattern)])
        strips = (Strip.of(row, scores, valid) for row in range(0, height, 16))
        grid = GeoGrid(CRS.from_epsg(32633), TRANSFORM, (height, 64))
        tracemalloc.start()
        try:
            clean = CleanOptions(simplify_m=0.5)
            assert sum(len(f) for f in polygonize(strips, grid, CLASSES, clean, block_rows=64))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(256)
    low, high = 2048, 16384
    # NumPy and pandas keep small objects for later, some bytes per block; polygons would take ten
    # times as much.
    assert (peak(high) - peak(low)) / (high - low) < 16


def test_a_scene_without_classes_yields_nothing():
    labels = np.full((5, 5), 255, dtype=np.uint8)
    assert list(polygonize(cut(labels, (2,)), grid_of(labels), CLASSES, CleanOptions())) == []


def test_small_polygons_are_dropped_by_their_ground_area():
    labels = parse("11.1\n11..\n....\n222.")
    frame = trace(labels, min_area_m2=0.3)
    assert frame["class_id"].tolist() == [1, 2]
    assert frame.index.tolist() == [0, 1]
    assert (frame["area_m2"] >= 0.3).all()


@settings(max_examples=20, deadline=None)
@given(class_rasters(20), st.integers(1, 9), st.sampled_from([0.2, 0.3, 0.7, 1.5]))
def test_those_that_are_large_enough_are_the_same_without_the_small_ones(labels, rows, least):
    """Small ones are dropped before they are traced: without smoothing nothing else changes."""
    every = trace(labels, block_rows=rows)
    assume(len(every))
    large = every[every["area_m2"] >= least].reset_index(drop=True)
    found = trace(labels, block_rows=rows, min_area_m2=least)
    assert len(found) == len(large)
    assume(len(found))
    assert found["class_id"].tolist() == large["class_id"].tolist()
    assert found.geometry.geom_equals(large.geometry).all()
    assert found["score"].tolist() == large["score"].tolist()


@settings(max_examples=40, deadline=None)
@given(class_rasters(20), st.integers(1, 9), st.sampled_from([0.2, 0.7, 1.5]))
def test_smoothed_polygons_that_are_large_enough_are_not_dropped_early(labels, rows, least):
    """Only what could not have become large enough is: the number of its pixels decides."""
    every = trace(labels, block_rows=rows, simplify_m=0.4)
    found = trace(labels, block_rows=rows, simplify_m=0.4, min_area_m2=least)
    traced = polygons_of(trace(labels, block_rows=rows))
    lost_m2 = 0.4**2 * shapely.get_num_coordinates(traced)
    certain = int((shapely.area(traced) - lost_m2 > 1.01 * least).sum())
    assert certain <= len(found) <= len(every)
    if len(found):
        assert (found["area_m2"] >= least).all()
        assert shapely.coverage_is_valid(polygons_of(found))


@pytest.mark.parametrize(
    ("crs", "transform", "shape"),
    [
        ("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), (180, 360)),  # pole to pole
        (  # the earth as a satellite sees it, with the sky around it
            "+proj=geos +h=35785831 +lon_0=0",
            Affine(1e5, 0, -6e6, 0, -1e5, 6e6),
            (120, 120),
        ),
    ],
)
def test_small_ones_are_dropped_by_their_own_size_wherever_they_lie(crs, transform, shape):
    grid = GeoGrid(CRS.from_user_input(crs), transform, shape)
    labels = np.zeros(shape, dtype=np.uint8)
    for row in (shape[0] // 4, shape[0] // 2, 3 * shape[0] // 4):
        labels[row, 40:80:2] = 1
    every, least = (
        pd.concat(polygonize(cut(labels, (7,)), grid, CLASSES, CleanOptions(min_area_m2=area)))
        for area in (0.0, 1.1e10)
    )
    large = every[every["area_m2"] >= 1.1e10]
    assert 0 < len(large) < len(every)
    assert least["area_m2"].tolist() == large["area_m2"].tolist()


def test_simplifying_smooths_a_staircase_across_blocks():
    labels = np.tril(np.ones((60, 60), dtype=np.uint8))
    frame = trace(labels, simplify_m=1.0, block_rows=20)
    assert shapely.get_num_coordinates(frame.geometry.iloc[0]) < 15
    assert frame["area_m2"].iloc[0] == pytest.approx(labels.sum() * 0.125, rel=0.05)


def test_real_scene(real_data):
    with rasterio.open(real_data / "vegas_multiclass" / "scene_rgb8.tif") as scene:
        red, green, _ = scene.read().astype(np.float32) / 255
        grid = GeoGrid(CRS.from_user_input(scene.crs), scene.transform, scene.shape)
    scores = np.stack([np.where(red > 0.7, 0.9, 0.1), np.where(green > red + 0.02, 0.8, 0.2)])
    labels = np.where(red > 0.7, 1, np.where(green > red + 0.02, 2, 0)).astype(np.uint8)

    def run(height: int, **clean: float):
        strips = cut(labels, (height,), scores=scores.astype(np.float32))
        options = CleanOptions(**clean)
        return list(polygonize(strips, grid, CLASSES, options, block_rows=128))

    plain = np.concatenate([polygons_of(f) for f in run(64)])
    by_gdal = [
        shapely.geometry.shape(s)
        for s, v in rasterio.features.shapes(labels, labels > 0, 4, transform=grid.transform)
    ]
    assert len(plain) == len(by_gdal) > 500
    assert np.sort(shapely.area(plain)) == pytest.approx(np.sort(shapely.area(by_gdal)))
    cleaned = run(100, min_area_m2=2, close_holes_m2=3, simplify_m=0.5)
    smooth = np.concatenate([polygons_of(f) for f in cleaned])
    assert shapely.coverage_is_valid(smooth)
    assert all(f["area_m2"].min() >= 2 for f in cleaned)
    for one, other in pairwise(
        [cleaned, run(333, min_area_m2=2, close_holes_m2=3, simplify_m=0.5)]
    ):
        for a, b in zip(one, other, strict=True):
            assert_geodataframe_equal(a, b)


@pytest.mark.parametrize("option", ["min_area_m2", "close_holes_m2", "simplify_m", "smooth_m"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_negative_cleaning_is_refused(option, value):
    with pytest.raises(ConfigError, match=f"{option} is {value}"):
        CleanOptions(**{option: value})


def test_missing_rows_are_refused():
    labels = np.ones((6, 4), dtype=np.uint8)
    strips = list(cut(labels, (2,)))
    with pytest.raises(GridMismatchError, match=r"strip at row 4.*starts at row 2 of 6"):
        list(polygonize([strips[0], strips[2]], grid_of(labels), CLASSES, CleanOptions()))
    with pytest.raises(GridMismatchError, match=r"strips end at row 4. The grid has 6 rows"):
        list(polygonize(strips[:2], grid_of(labels), CLASSES, CleanOptions()))
