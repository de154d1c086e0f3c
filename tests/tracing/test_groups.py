from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from scipy import ndimage

from geocobot.grid import GeoGrid
from geocobot.tracing import groups
from geocobot.tracing.near import Reach
from geocobot.tracing.polygonize import CleanOptions, polygonize

from .rasters import CLASSES, class_rasters, cut, grid_of, polygons_of, reference, trace

tolerances = st.sampled_from([0.0, 0.3, 0.7, 2.0])
radii = st.sampled_from([0.0, 0.6, 2.0])
softenings = st.tuples(tolerances, radii).filter(any)


@st.composite
def blobs(draw: st.DrawFn) -> np.ndarray:
    """Larger rasters with objects as maps have them: ragged, near one another, in holes."""
    shape = draw(st.tuples(st.integers(8, 48), st.integers(8, 48)))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).normal(size=shape)
    field = ndimage.gaussian_filter(noise, draw(st.sampled_from([0.5, 0.8, 1.5])))
    least = draw(st.sampled_from([-0.3, 0.2, 0.8])) * field.std()
    labels = (field > least).astype(np.uint8)
    labels[field > least + field.std()] = 2
    return labels


def by_id(frame: pd.DataFrame) -> pd.DataFrame:
    """In the order of their ids, with rings that begin where they always do."""
    if len(frame):
        frame = frame.sort_values("object_id", ignore_index=True)
        frame["geometry"] = shapely.normalize(polygons_of(frame))
    return frame


def assert_same(frame: pd.DataFrame, other: pd.DataFrame) -> None:
    frame, other = by_id(frame), by_id(other)
    assert len(frame) == len(other)
    assert shapely.equals_exact(polygons_of(frame), polygons_of(other)).all()
    for column in frame.columns.drop("geometry"):
        assert frame[column].tolist() == other[column].tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(class_rasters(20), blobs()), softenings, st.integers(1, 30), st.sampled_from([0.0, 1])
)
def test_neither_blocks_nor_strips_change_anything(labels, soft, block_rows, least):
    clean = {"simplify_m": soft[0], "smooth_m": soft[1], "min_area_m2": least}
    whole = trace(labels, block_rows=1000, **clean)
    assert_same(trace(labels, block_rows=block_rows, heights=(3, 1), **clean), whole)


@settings(max_examples=30, deadline=None)
@given(blobs(), softenings, st.integers(1, 30), st.sampled_from([0, 10, 60]))
def test_a_group_in_parts_keeps_its_borders(labels, soft, block_rows, corners):
    clean = {"simplify_m": soft[0], "smooth_m": soft[1], "block_rows": block_rows}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "MOST_CORNERS", corners)
        frame = trace(labels, **clean)
        assert_same(trace(labels, heights=(2, 5), **clean), frame)
    assert len(frame) == len(reference(labels))
    assume(len(frame))
    polygons = polygons_of(frame)
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert (shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON).all()
    whole = trace(labels, **clean)
    assert sorted(frame["score"]) == sorted(whole["score"])


@settings(max_examples=20, deadline=None)
@given(blobs(), softenings, st.sampled_from([10, 1000]))
def test_threads_change_nothing(labels, soft, corners):
    clean = CleanOptions(simplify_m=soft[0], smooth_m=soft[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "MOST_CORNERS", corners)
        one, several = (
            list(
                polygonize(
                    cut(labels, (3,)),
                    grid_of(labels),
                    CLASSES,
                    clean,
                    block_rows=4,
                    threads=threads,
                )
            )
            for threads in (1, 3)
        )
    assert len(one) == len(several)
    for frame, same in zip(one, several, strict=True):
        assert_same(frame, same)


@settings(max_examples=30, deadline=None)
@given(blobs(), st.sampled_from([0.4, 0.8, 1.6]))
def test_groups_cover_what_their_pixels_cover(labels, tolerance_m):
    """All polygons of a group together: between them nothing opens, and nothing is lost inside."""
    traced, simple = (trace(labels, simplify_m=soft) for soft in (0.0, tolerance_m))
    assume(len(traced))
    before, after = (shapely.union_all(polygons_of(frame)) for frame in (traced, simple))
    assert shapely.area(polygons_of(simple)).sum() == pytest.approx(after.area)
    # Every corner that goes is worth less than the tolerance squared.
    corners = len(shapely.get_coordinates(polygons_of(traced)))
    assert before.symmetric_difference(after).area <= corners * tolerance_m**2
    assert after.within(before.buffer(2 * tolerance_m + 0.5))


def test_seams_leave_no_vertex():
    labels = np.zeros((90, 40), dtype=np.uint8)
    labels[5:85, 3:20] = 1
    labels[40:60, 20:35] = 2
    frame = trace(labels, simplify_m=0.5, block_rows=7)
    corners = {tuple(xy) for xy in shapely.get_coordinates(polygons_of(frame)).tolist()}
    columns, rows = {3, 20, 35}, {5, 85, 40, 60}
    assert corners <= {(500_000 + 0.5 * c, 5_000_000 - 0.25 * r) for c in columns for r in rows}


def test_what_stands_alone_does_not_wait_for_what_goes_on():
    labels = np.zeros((60, 30), dtype=np.uint8)
    labels[:, 25] = 1
    labels[2:6, 2:8] = 2
    clean = CleanOptions(simplify_m=0.3)
    frames = list(polygonize(cut(labels, (4,)), grid_of(labels), CLASSES, clean, block_rows=10))
    assert [frame["class_id"].tolist() for frame in frames] == [[2], [1]]


def test_what_is_near_waits():
    labels = np.zeros((60, 30), dtype=np.uint8)
    labels[:, 10] = 1
    labels[2:6, 2:9] = 2
    clean = CleanOptions(simplify_m=0.3)
    frames = list(polygonize(cut(labels, (4,)), grid_of(labels), CLASSES, clean, block_rows=10))
    assert [frame["class_id"].tolist() for frame in frames] == [[1, 2]]


@pytest.mark.parametrize("seed", [14, 65])
def test_polygons_that_do_not_touch_do_not_meet(monkeypatch, seed):
    """If those that touch alone were a group, some here would run into one another."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 24)), 1.0)
    labels = (field > 0.5 * field.std()).astype(np.uint8)

    def is_sound() -> bool:
        frame = trace(labels, simplify_m=3.0, block_rows=2)
        return bool(shapely.coverage_is_valid(polygons_of(frame)))

    assert is_sound()
    monkeypatch.setattr(Reach, "of", lambda *_: Reach(1, 1, np.inf))
    assert not is_sound()


def test_the_log_tells_what_was_cut(caplog, monkeypatch):
    labels = np.kron(np.indices((30, 10)).sum(axis=0) % 2, np.ones((2, 2))).astype(np.uint8)
    with caplog.at_level(logging.INFO, "geocobot.tracing"):
        whole = trace(labels, simplify_m=0.3, block_rows=8)
        assert not caplog.records
        monkeypatch.setattr(groups, "MOST_CORNERS", 100)
        parts = trace(labels, simplify_m=0.3, block_rows=8)
    assert len(whole) == len(parts)
    assert "too large: 1 groups of polygons that touch" in caplog.text


def test_what_waits_is_bounded(monkeypatch):
    """A scene that is one single group is softened in parts that do not grow with its height."""
    monkeypatch.setattr(groups, "MOST_CORNERS", 2000)
    tile = np.random.default_rng(4).integers(1, 3, (32, 48), dtype=np.uint8)
    add, waits = groups.GroupJoiner.add, []

    def watched(joiner, *given):
        ready = add(joiner, *given)
        waits.append(sum(one.corners for one in joiner._waiting))
        return ready

    monkeypatch.setattr(groups.GroupJoiner, "add", watched)
    assert len(trace(np.tile(tile, (20, 1)), simplify_m=0.3, block_rows=8))
    assert 0 < max(waits) <= 2000
    assert len(waits) == 80


@pytest.mark.parametrize("seed", [34, 77])
def test_seams_do_not_change_squared_outlines(seed):
    """Walls are drawn along the outlines as they were traced, whose corners no seam may add to."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(3, 160, 120))
    field = ndimage.gaussian_filter(noise, (0, rng.uniform(1.2, 4), rng.uniform(1.2, 4)))
    field /= field.std(axis=(1, 2), keepdims=True)
    field[0] += rng.uniform(-0.3, 0.8)
    labels = field.argmax(0).astype(np.uint8)
    clean = {
        "simplify_m": 0.5,
        "square_classes": frozenset([1]) if seed % 2 else frozenset([1, 2]),
        "min_area_m2": 5.0,
        "close_holes_m2": 3.0,
    }
    grid = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, 5e5, 0, -1, 5e6), labels.shape)
    whole = by_id(trace(labels, grid=grid, block_rows=1000, **clean))
    parts = by_id(trace(labels, grid=grid, block_rows=37, **clean))
    assert len(whole) == len(parts)
    assert shapely.equals_exact(polygons_of(whole), polygons_of(parts)).all()
