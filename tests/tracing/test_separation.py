"""Objects that touch: each a polygon, all of them the region, wherever blocks and strips end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocobot.classes import name_classes
from geocobot.errors import GridMismatchError
from geocobot.scaling import Scaling, at_threshold
from geocobot.steps import NODATA, SCORE_SCALE
from geocobot.tiling import Strip
from geocobot.tracing.block import Block
from geocobot.tracing.polygonize import INSIDE_SHARE, CleanOptions, polygonize
from geocobot.tracing.separation import separated
from geocobot.tracing.watershed import LEAST_INSIDE_PX, InsideRule, cut_regions

from .rasters import CLASSES, TRANSFORM, class_rasters, grid_of, polygons_of, trace

PIXEL_AREA = abs(TRANSFORM.a * TRANSFORM.e)
INSIDE, EDGE = 225, 40
RULE = InsideRule.of(CLASSES, 0.0)


def split(
    labels: np.ndarray,
    interior: np.ndarray,
    *,
    heights: Sequence[int] = (7,),
    block_rows: int = 512,
    **clean: float,
) -> gpd.GeoDataFrame:
    """Polygons of a class raster (H, W), cut by scores in steps (H, W) of being inside."""
    planes = [np.where(labels == c.number, 190, 60) for c in CLASSES]
    steps = np.stack([*planes, interior]).astype(np.uint8)
    steps[:, labels == 255] = NODATA

    def strips():
        row, i = 0, 0
        while row < len(labels):
            yield Strip(row, steps[:, row : row + heights[i % len(heights)]])
            row, i = row + heights[i % len(heights)], i + 1

    frames = polygonize(
        strips(),
        grid_of(labels),
        CLASSES,
        CleanOptions(**clean),
        separate=True,
        block_rows=block_rows,
    )
    found = list(frames)
    if found:
        return pd.concat(found, ignore_index=True)
    return gpd.GeoDataFrame({"class_id": []}, geometry=[], crs=grid_of(labels).crs)


def discs(*places: tuple[int, int, int], shape: tuple[int, int] = (60, 110), depth: float = 3):
    """Classes of discs (row, column, radius), and scores that are high inside of each."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    distances = [np.hypot(y - row, x - col) - radius for row, col, radius in places]
    labels = (np.min(distances, axis=0) <= 0).astype(np.uint8)
    interior = np.where(np.min(distances, axis=0) <= -depth, INSIDE, EDGE)
    return labels, interior


def as_sets(frame: gpd.GeoDataFrame) -> list[bytes]:
    """Polygons and classes, in an order of their own."""
    shapes = shapely.to_wkb(shapely.normalize(polygons_of(frame)))
    return sorted(bytes([n]) + wkb for n, wkb in zip(frame["class_id"], shapes, strict=True))


def assert_covers(frame: gpd.GeoDataFrame, labels: np.ndarray) -> None:
    """The polygons are the regions, whole and once, and fit together."""
    shapes = polygons_of(frame)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    regions = trace(labels)
    for number in (1, 2):
        own = shapes[frame["class_id"] == number]
        assert shapely.area(own).sum() == (labels == number).sum() * PIXEL_AREA
        whole = polygons_of(regions)[regions["class_id"] == number]
        assert shapely.equals(shapely.union_all(own), shapely.union_all(whole))


@pytest.mark.parametrize("block_rows", [512, 60, 33, 20, 8])
def test_two_discs_that_touch_are_two(block_rows):
    labels, interior = discs((30, 35, 20), (30, 73, 20))
    frame = split(labels, interior, block_rows=block_rows)
    assert len(frame) == 2
    assert_covers(frame, labels)
    # Cut where they touch: columns 35 and 73 are their middles.
    west, _, east, _ = shapely.bounds(polygons_of(frame)).T
    middle = TRANSFORM.c + 54 * TRANSFORM.a
    assert east.min() == pytest.approx(middle, abs=2 * TRANSFORM.a)
    assert west.max() == pytest.approx(middle, abs=2 * TRANSFORM.a)


@pytest.mark.parametrize("block_rows", [512, 20])
def test_one_disc_stays_one(block_rows):
    labels, interior = discs((30, 50, 25))
    frame = split(labels, interior, block_rows=block_rows)
    assert as_sets(frame) == as_sets(trace(labels))


def test_what_has_no_inside_stays_whole():
    labels, interior = discs((30, 35, 20), (30, 73, 20))
    frame = split(labels, np.full_like(interior, EDGE), block_rows=16)
    assert as_sets(frame) == as_sets(trace(labels))


def test_a_speck_is_no_inside():
    labels, interior = discs((30, 50, 25))
    interior = np.where(labels == 1, EDGE, 0)
    interior[20:30, 40:50] = INSIDE
    side = int(LEAST_INSIDE_PX**0.5)
    interior[40 : 39 + side, 60 : 60 + side] = INSIDE
    assert len(split(labels, interior)) == 1
    interior[40 : 40 + side, 60 : 60 + side] = INSIDE
    assert len(split(labels, interior)) == 2


def test_insides_are_surer_than_their_class():
    """Of a threshold of a half that is 0.88; of any threshold it is above it."""
    specs = [replace(CLASSES[0], number=i, threshold=i / 20) for i in range(1, 20)]
    above = InsideRule.of(specs, 0.0).above[1:20] / SCORE_SCALE
    assert above[9] == pytest.approx(1 / (1 + np.exp(-2)), abs=1 / SCORE_SCALE)
    assert (above > np.arange(1, 20) / 20).all()
    assert (np.diff(above) > 0).all()
    extremes = [replace(CLASSES[0], threshold=0.0), replace(CLASSES[1], threshold=1.0)]
    assert 0 < InsideRule.of(extremes, 0.0).above[1] < 20
    assert InsideRule.of(extremes, 0.0).above[2] < SCORE_SCALE


@given(st.floats(0.02, 0.98), st.floats(0.25, 4), st.floats(-3, 3))
def test_scaled_scores_move_no_inside(threshold, temperature, bias):
    """But for what a threshold is moved by, a step at most, to lie between two steps."""
    spec = replace(CLASSES[0], threshold=threshold)
    moved, scaling = at_threshold(spec, Scaling(temperature, bias))
    before = int(InsideRule.of([spec], 0.0).above[spec.number])
    after = int(InsideRule.of([moved], 0.0, [scaling]).above[spec.number])
    inside = before / SCORE_SCALE
    step = inside * (1 - inside) / (threshold * (1 - threshold))
    assert abs(after - before) <= 1 + step


def test_an_inside_is_a_part_of_the_smallest_object_wanted():
    """Both parts of it are larger than what is dropped."""
    labels, interior = np.ones((30, 60), np.uint8), np.full((30, 60), EDGE)
    interior[5:25, 5:25] = interior[10:20, 40:50] = INSIDE
    least_m2 = 100 * PIXEL_AREA / INSIDE_SHARE
    assert len(split(labels, interior, min_area_m2=0.99 * least_m2)) == 2
    assert len(split(labels, interior, min_area_m2=1.01 * least_m2)) == 1


def test_classes_are_cut_apart_from_each_other():
    """A house of another class between two: no inside reaches across."""
    labels = np.ones((30, 90), np.uint8)
    labels[:, 30:60] = 2
    interior = np.full(labels.shape, EDGE)
    interior[10:20, 5:25] = interior[10:20, 65:70] = interior[10:20, 80:85] = INSIDE
    frame = split(labels, interior)
    assert frame["class_id"].tolist() == [1, 2, 1, 1]
    assert_covers(frame, labels)


@pytest.mark.parametrize("block_rows", [48, 80, 256])
def test_an_object_across_many_blocks_is_one(block_rows):
    """Long buildings side by side, a yard that opens to the south and one to the north."""
    labels = np.zeros((400, 120), np.uint8)
    labels[5:395, 5:115] = 1
    labels[60:395, 70:80] = 0
    labels[5:340, 92:98] = 0
    interior = np.full(labels.shape, EDGE)
    interior[8:392, 8:37] = interior[8:392, 43:67] = INSIDE
    interior[8:57, 67:88] = interior[57:392, 83:88] = interior[343:392, 88:112] = INSIDE
    interior[8:343, 101:112] = INSIDE
    frame = split(labels, interior, block_rows=block_rows)
    assert_covers(frame, labels)
    assert len(frame) == 2
    assert shapely.get_num_interior_rings(polygons_of(frame)).tolist() == [0, 0]


@pytest.fixture(scope="module")
def town() -> tuple[np.ndarray, np.ndarray]:
    """Hundreds of discs of two classes, many of which touch."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:600, :400]
    near = np.full(y.shape, np.inf)
    kind = np.zeros(y.shape, np.uint8)
    for _ in range(350):
        row, col, radius = rng.integers(0, 600), rng.integers(0, 400), rng.integers(4, 22)
        distance = np.hypot(y - row, x - col) - radius
        closer = (distance < near) & (distance <= 0)
        kind[closer] = 1 + (col > 200)
        near = np.minimum(near, distance)
    interior = np.where(near < -3, INSIDE, np.where(near <= 0, EDGE, 5))
    kind[:40, :60] = 255
    return kind, interior + rng.integers(0, 30, near.shape)


@pytest.mark.parametrize("heights", [(1,), (13, 200), (600,)])
def test_strips_of_any_height_give_the_same(town, heights):
    usual = split(*town, block_rows=128)
    other = split(*town, block_rows=128, heights=heights)
    assert usual.equals(other)


@pytest.mark.parametrize("block_rows", [64, 128, 300])
def test_blocks_of_any_height_give_the_same_objects(town, block_rows):
    whole, cut = split(*town, block_rows=600), split(*town, block_rows=block_rows)
    assert_covers(cut, town[0])
    assert len(cut) == len(whole) > 1.3 * len(trace(town[0]))
    same = set(as_sets(whole)) & set(as_sets(cut))
    assert len(same) > 0.97 * len(whole)


def test_cleaning_leaves_them_fitting(town):
    frame = split(*town, block_rows=128, simplify_m=0.8, min_area_m2=5.0, close_holes_m2=4.0)
    shapes = polygons_of(frame)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    assert len(frame) > 100


def test_scores_and_pixels_are_those_of_the_objects(town):
    frame = split(*town, block_rows=128)
    assert frame["score"].to_numpy() == pytest.approx(190 / SCORE_SCALE)
    assert frame["area_m2"].sum() == pytest.approx(trace(town[0])["area_m2"].sum(), rel=1e-6)


@given(
    class_rasters(14),
    st.integers(0, 2**32 - 1),
    st.integers(1, 15),
    st.sampled_from([1, 2, 5]),
)
def test_any_insides_cut_the_regions_without_a_rest(labels, seed, block_rows, grain):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (14, 14)).repeat(grain, 0).repeat(grain, 1)
    interior = coarse[: labels.shape[0], : labels.shape[1]]
    frame = split(labels, interior, block_rows=block_rows)
    assert_covers(frame, labels) if len(frame) else None
    assert frame.equals(split(labels, interior, block_rows=block_rows, heights=(1, 3)))
    if block_rows >= len(labels):
        assert len(frame) >= len(trace(labels))


@given(class_rasters(14), st.integers(0, 2**32 - 1))
def test_every_object_has_one_inside_or_none(labels, seed):
    classes = np.where(labels == 255, 0, labels).astype(np.uint8)
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4)).repeat(4, 0).repeat(4, 1)
    interior = coarse[: classes.shape[0], : classes.shape[1]].astype(np.uint8)
    segments = cut_regions(classes, interior, (False, False), RULE)
    assert ((segments.labels > 0) == (classes > 0)).all()
    assert (classes[segments.inside] > 0).all()
    for number in np.unique(segments.labels[segments.labels > 0]):
        own = segments.labels == number
        assert np.unique(classes[own]).size == 1
        assert (own & segments.inside).any() == segments.has_inside[number]


def test_strips_without_the_plane_are_refused():
    labels, _ = discs((30, 50, 25))
    steps = np.stack([labels * 190, labels * 0]).astype(np.uint8)
    frames = polygonize([Strip(0, steps)], grid_of(labels), CLASSES, CleanOptions(), separate=True)
    with pytest.raises(GridMismatchError, match="has 3 planes"):
        list(frames)


def test_memory_holds_three_blocks():
    asked = []

    def blocks():
        for row in range(0, 400, 40):
            asked.append(row)
            empty = np.zeros((40, 30), np.uint8)
            none = np.zeros(30, np.uint8)
            yield Block(row, empty, empty, none, none, interior=empty)

    ahead = [asked[-1] - block.row_off for block in separated(blocks(), 32, RULE)]
    assert max(ahead) == 2 * 40
    assert len(ahead) == 10


def test_a_single_class_is_enough():
    labels, interior = discs((30, 35, 20), (30, 73, 20))
    steps = np.stack([labels * 190, interior]).astype(np.uint8)
    frames = polygonize(
        [Strip(0, steps)], grid_of(labels), name_classes(["roof"]), CleanOptions(), separate=True
    )
    assert sum(map(len, frames)) == 2
