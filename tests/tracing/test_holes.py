from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geocobot.grid import GeoGrid
from geocobot.tracing.blocks import recut
from geocobot.tracing.holes import HoleFilling

from .rasters import CLASSES, class_rasters, cut, grid_of, parse, trace


def fill(picture: str, max_m2: float) -> np.ndarray:
    labels = parse(picture)
    HoleFilling(grid_of(labels), max_m2).fill(labels, labels[:0], 0)
    return labels


# A pixel covers 0.125 m2 on the map and a little more on the ground.
@pytest.mark.parametrize(
    ("picture", "max_m2", "expected"),
    [
        ("111\n1.1\n111", 0.2, "111\n111\n111"),
        ("111\n1.1\n111", 0.1, "111\n1.1\n111"),
        ("1111\n1..1\n1111", 0.2, "1111\n1..1\n1111"),
        ("111\n1.2\n111", 9.0, "111\n1.2\n111"),
        ("111\n1.x\n111", 9.0, "111\n1.x\n111"),
        ("111\n1x1\n111", 9.0, "111\n1x1\n111"),
        ("111\n1..\n111", 9.0, "111\n1..\n111"),
        ("11111\n1...1\n1.2.1\n1...1\n11111", 9.0, "11111\n1...1\n1.2.1\n1...1\n11111"),
        ("11111\n1...1\n1.1.1\n1...1\n11111", 9.0, "11111\n11111\n11111\n11111\n11111"),
        ("11.\n1.1\n111", 0.2, "11.\n111\n111"),
    ],
    ids=[
        "small",
        "too large",
        "two pixels",
        "second class",
        "beside no data",
        "no data",
        "open to the edge",
        "occupied by another class",
        "occupied by the same class",
        "touches the outside",
    ],
)
def test_which_holes_are_filled(picture, max_m2, expected):
    np.testing.assert_array_equal(fill(picture, max_m2), parse(expected))


def test_a_scene_from_pole_to_pole():
    labels = np.ones((18, 36), np.uint8)
    labels[[3, 9], 5] = 0
    degrees = GeoGrid(CRS.from_epsg(4326), Affine(10, 0, -180, 0, -10, 90), labels.shape)
    # A pixel covers 1.2e12 m2 beside the equator and 0.7e12 m2 at 55 degrees.
    (world,) = trace(labels, grid=degrees, close_holes_m2=1e12).geometry
    assert len(world.interiors) == 1
    assert world.interiors[0].bounds[1] == -10


@settings(max_examples=80, deadline=None)
@given(class_rasters(16), st.integers(1, 5), st.sampled_from([0.15, 0.3, 0.6, 2.0]))
def test_blocks_fill_what_the_whole_scene_fills(labels, rows, max_m2):
    grid = grid_of(labels)
    filling = HoleFilling(grid, max_m2)
    whole = labels.copy()
    filling.fill(whole, whole[:0], 0)
    blocks = recut(cut(labels, (3,)), grid, CLASSES, rows, filling)
    found = np.concatenate([b.classes for b in blocks])
    np.testing.assert_array_equal(found, np.where(whole == 255, 0, whole))


def test_filled_holes_leave_no_ring():
    labels = np.ones((40, 9), dtype=np.uint8)
    labels[10:30, 4] = 0
    kept = trace(labels, block_rows=8, close_holes_m2=2.0).geometry.iloc[0]
    filled = trace(labels, block_rows=8, close_holes_m2=3.0).geometry.iloc[0]
    assert len(kept.interiors) == 1
    assert len(filled.interiors) == 0


def test_holes_are_measured_on_the_ground():
    # A pixel of 2 m in EPSG:3857 is about 1 m on the ground at 60 degrees north.
    labels = parse("111\n1.1\n111")
    grid = GeoGrid(CRS.from_epsg(3857), Affine(2, 0, 0, 0, -2, 8_399_738), labels.shape)
    HoleFilling(grid, 0.95).fill(labels, labels[:0], 0)
    assert labels[1, 1] == 0
    HoleFilling(grid, 1.05).fill(labels, labels[:0], 0)
    assert labels[1, 1] == 1
