from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from geocobot.grid import GeoGrid
from geocobot.tiling import Strip
from geocobot.tracing import square_stage
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.squaring import SquaringTally

from .rasters import CLASSES, TRANSFORM, class_rasters, cut, grid_of, parse, polygons_of, trace

ROADS, ROOFS, ALL = frozenset({1}), frozenset({2}), frozenset({1, 2})

heights = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@pytest.fixture
def small_world(monkeypatch):
    """Limits that rasters of a few pixels reach."""
    monkeypatch.setattr(square_stage, "TALLEST_PX", 8)
    monkeypatch.setattr(square_stage, "_REACH_PX", 2)


def overlaps_m2(polygons: np.ndarray) -> np.ndarray:
    """Areas that pairs of polygons have in common."""
    a, b = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    return shapely.area(shapely.intersection(polygons[a[a < b]], polygons[b[a < b]]))


@pytest.mark.usefixtures("small_world")
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    class_rasters(24),
    st.integers(1, 14),
    st.sampled_from([ROADS, ROOFS, ALL]),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([0.0, 1.0]),
)
def test_no_two_polygons_overlap(labels, block_rows, squared, simplify_m, smooth_m):
    clean = {"simplify_m": simplify_m, "smooth_m": smooth_m, "square_classes": squared}
    polygons = polygons_of(trace(labels, block_rows=block_rows, **clean))
    assert shapely.is_valid(polygons).all()
    assert not shapely.is_empty(polygons).any()
    assert (shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON).all()
    assert all(p.exterior.is_ccw for p in polygons)
    # Coordinates of millions of metres end at a billionth.
    assert overlaps_m2(polygons).max(initial=0) < 1e-7


@pytest.mark.usefixtures("small_world")
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(class_rasters(24), heights, st.integers(1, 14))
def test_strip_heights_change_nothing(labels, heights, block_rows):
    clean = {"block_rows": block_rows, "square_classes": ROOFS, "smooth_m": 0.7}
    whole = trace(labels, heights=(labels.shape[0],), **clean)
    assert_geodataframe_equal(trace(labels, heights=heights, **clean), whole)


@pytest.mark.parametrize("block_rows", [3, 16, 512])
def test_the_height_of_blocks_changes_nothing_of_what_is_squared(block_rows):
    dice = np.random.default_rng(5)
    places = [(x, y) for x in range(20, 280, 40) for y in range(20, 280, 50)]
    shapes = [
        (
            shapely.affinity.rotate(
                shapely.box(x, y, x + dice.integers(8, 30), y + dice.integers(8, 40)),
                dice.uniform(0, 90),
            ),
            1,
        )
        for x, y in places
    ]
    labels = rasterize(shapes, (320, 320), dtype="uint8")
    one = trace(labels, block_rows=block_rows, square_classes=ROADS)
    whole = trace(labels, block_rows=400, square_classes=ROADS)
    assert len(one) == len(whole)
    pairs = zip(
        sorted(one.geometry, key=lambda p: p.bounds),
        sorted(whole.geometry, key=lambda p: p.bounds),
        strict=True,
    )
    for a, b in pairs:
        assert a.symmetric_difference(b).area < 1e-6


@pytest.mark.usefixtures("small_world")
def test_what_is_not_squared_gives_way():
    """A road runs along the slanting wall of a roof, and goes on far below it."""
    labels = np.zeros((60, 40), dtype=np.uint8)
    labels[:, 24:] = 1
    roof = shapely.Polygon([(6, 4), (26, 6), (25, 11), (5, 9)])
    rasterize([(roof, 2)], out=labels)
    frame = trace(labels, block_rows=8, square_classes=ROOFS)
    road, house = (frame.geometry[frame["class_id"] == n].iloc[0] for n in (1, 2))
    without = trace(labels, block_rows=8)
    assert len(house.exterior.coords) == 5
    assert road.intersection(house).area < 1e-7
    old_road = without.geometry[without["class_id"] == 1].iloc[0]
    assert old_road.intersection(house).area > 0.05
    assert road.area == pytest.approx(old_road.difference(house).area)


def test_of_two_squared_outlines_the_smaller_gives_way():
    labels = np.zeros((60, 90), dtype=np.uint8)
    large = shapely.affinity.rotate(shapely.box(10, 10, 50, 40), 20)
    small = shapely.affinity.rotate(shapely.box(48, 14, 60, 30), -15)
    rasterize([(large, 1)], out=labels)
    before = labels.copy()
    rasterize([(small, 2)], out=labels)
    labels[before == 1] = 1
    alone = trace(before, square_classes=ALL, block_rows=90)
    frame = trace(labels, square_classes=ALL, block_rows=90)
    hall, shed = (frame.geometry[frame["class_id"] == n].iloc[0] for n in (1, 2))
    assert len(hall.exterior.coords) == 5
    assert hall.intersection(shed).area < 1e-7
    assert hall.distance(shed) < 1e-6
    assert len(alone) == 1


def test_a_polygon_that_falls_apart_becomes_several():
    """A path one pixel wide between two roofs that grow together over it."""
    path = shapely.LineString([(2, 5), (30, 5)]).buffer(0.4, cap_style="flat")
    roof = shapely.box(10, 0, 20, 10)
    outlines = np.array([path, roof], dtype=object)
    drawn = _drawn(outlines, iou=[np.nan, 0.9], pixels=[28, 100])
    drawn.outlines.cutters[0] = (roof,)
    parts = square_stage._cut(drawn)
    assert shapely.area(parts.outlines.geometry) == pytest.approx([8, 6.4, 100], abs=0.1)
    assert parts.outlines.class_number.tolist() == [1, 1, 2]
    first = parts.outlines.first_px
    assert first[0].tolist() == [0, 0]
    assert shapely.box(2, 4, 10, 6).contains(shapely.Point(first[1][1] + 0.5, first[1][0] + 0.5))


def test_what_is_below_a_pixel_after_the_cut_is_gone():
    speck = shapely.box(9.2, 4, 10.5, 5)
    roof = shapely.box(10, 0, 20, 10)
    drawn = _drawn(np.array([speck, roof]), iou=[np.nan, 0.9], pixels=[2, 100])
    drawn.outlines.cutters[0] = (roof,)
    assert square_stage._cut(drawn).outlines.class_number.tolist() == [2]


def test_no_hairlines_are_left_of_what_gives_way():
    """A wall of the roof meets the road's edge within the last digit of a corner of the road."""
    road = shapely.Polygon([(19, 124), (22, 125), (22, 131), (18, 130), (18, 126), (19, 124)])
    roof = shapely.Polygon(
        [
            (14.600000036338, 117.3347517514763),
            (22, 113.6283878803392),
            (21.999999999999996, 125.30244589117656),
            (14.600000036337999, 121.59607305666933),
        ]
    )
    drawn = _drawn(np.array([road, roof]), iou=[np.nan, 0.9], pixels=[20, 80])
    drawn.outlines.cutters[0] = (roof,)
    rest = square_stage._cut(drawn).outlines.geometry[0]
    assert shapely.is_valid(rest)
    assert shapely.minimum_clearance(rest) > 1e-8
    assert rest.area == pytest.approx(road.difference(roof).area, abs=1e-5)


@pytest.mark.parametrize("block_rows", [3, 10, 13])
def test_what_is_too_small_gives_nobody_an_outline_wherever_blocks_end(block_rows):
    """A shed that is squared and then dropped, in a yard that would give way to it."""
    labels = np.ones((30, 30), dtype=np.uint8)
    shed = shapely.affinity.rotate(shapely.box(10, 10, 20, 17), 25)
    rasterize([(shed, 2)], out=labels)
    clean = {"square_classes": ROOFS, "min_area_m2": 25.0}
    part, whole = (trace(labels, block_rows=rows, **clean) for rows in (block_rows, 30))
    (yard,), (same,) = part.geometry, whole.geometry
    assert yard.symmetric_difference(same).area < 1e-9


def _drawn(geometry: np.ndarray, *, iou: list[float], pixels: list[int]) -> square_stage.Drawn:
    count = len(geometry)
    cutters = np.empty(count, dtype=object)
    cutters.fill(())
    outlines = square_stage.Outlines(
        polygons=PolygonArray(geometry),
        class_number=np.arange(1, count + 1, dtype=np.uint8),
        pixels=np.array(pixels),
        scores=None,
        first_px=np.zeros((count, 2), dtype=np.int64),
        cutters=cutters,
        traced=geometry,
    )
    return square_stage.Drawn(outlines, np.array(iou))


def test_attributes_are_those_of_the_drawn_outline():
    labels = np.zeros((120, 80), dtype=np.uint8)
    rasterize([(shapely.Polygon([(10, 20), (50, 40), (40, 90), (0, 70)]), 1)], out=labels)
    (plain,), (squared,) = (
        trace(labels, square_classes=classes).itertuples() for classes in (frozenset(), ROADS)
    )
    assert squared.geometry.area != pytest.approx(plain.geometry.area, rel=1e-4)
    assert squared.area_m2 == pytest.approx(squared.geometry.area, rel=2e-3)
    assert squared.perimeter_m == pytest.approx(squared.geometry.length, rel=2e-3)
    assert squared.score == plain.score == pytest.approx(0.75, abs=0.003)


def test_figures_are_of_the_polygons_that_are_kept():
    labels = parse(
        """
        ..........................
        .11.....1111111111........
        .11.....1111111111...22222
        ........1111111111...22222
        ........1111111111........"""
    )
    tally = SquaringTally(ROADS)
    clean = CleanOptions(square_classes=ROADS, min_area_m2=2.0)
    frames = polygonize(cut(labels, (3,)), grid_of(labels), CLASSES, clean, squaring=tally)
    assert len(pd.concat(frames)) == 1
    found = tally.of(1)
    assert found is not None
    assert (found.squared, found.left) == (1, 0)
    assert [found.mean_iou, found.least_iou] == pytest.approx([1, 1])


@pytest.mark.usefixtures("small_world")
def test_too_high_polygons_stay():
    labels = np.zeros((30, 12), dtype=np.uint8)
    labels[2:20, 3:9] = 1
    labels[22:28, 3:9] = 1
    tally = SquaringTally(ROADS)
    clean = CleanOptions(square_classes=ROADS)
    list(polygonize(cut(labels, (4,)), grid_of(labels), CLASSES, clean, squaring=tally))
    found = tally.of(1)
    assert found is not None
    assert (found.squared, found.left) == (1, 1)


@pytest.mark.usefixtures("small_world")
def test_polygons_leave_when_nothing_can_reach_them_any_more():
    labels = np.zeros((60, 12), dtype=np.uint8)
    labels[2:6, 2:8] = labels[50:55, 2:8] = 1
    taken = 0

    def counted():
        nonlocal taken
        for strip in cut(labels, (2,)):
            taken = strip.row_off + strip.height
            yield strip

    clean = CleanOptions(square_classes=ROADS)
    chunks = polygonize(counted(), grid_of(labels), CLASSES, clean, block_rows=4)
    assert len(next(chunks)) == 1
    assert taken < 16
    assert len(next(chunks)) == 1


@pytest.mark.usefixtures("small_world")
def test_memory_does_not_grow_with_the_height():
    def peak(height: int) -> int:
        pattern = np.zeros((16, 64), dtype=np.float32)
        pattern[2:9, ::7] = pattern[4, 3:40] = 0.9
        valid = np.ones(pattern.shape, dtype=bool)
        scores = np.stack([pattern, np.zeros_like(pattern)])
        strips = (Strip.of(row, scores, valid) for row in range(0, height, 16))
        grid = GeoGrid(grid_of(np.zeros((1, 1))).crs, TRANSFORM, (height, 64))
        tracemalloc.start()
        try:
            clean = CleanOptions(square_classes=ROADS)
            assert sum(len(f) for f in polygonize(strips, grid, CLASSES, clean, block_rows=64))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(256)
    low, high = 1024, 4096
    assert (peak(high) - peak(low)) / (high - low) < 32
