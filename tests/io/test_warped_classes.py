"""Class rasters on a scene: of many only those are opened that a window meets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geocobot.classes import IGNORE
from geocobot.grid import GeoGrid
from geocobot.io import handles
from geocobot.io.label_files import read_labels
from geocobot.io.warped_classes import WarpedClasses

WEST, NORTH = 500_000.0, 5_000_000.0
UTM = CRS.from_epsg(32633)
GRID = GeoGrid(UTM, Affine(1, 0, WEST, 0, -1, NORTH), (90, 120))
CRSS = {"EPSG:32633": 1.0, "EPSG:3035": 1.0, "EPSG:4326": 1e-5, "EPSG:31287": 1.0}  # unit of ~1 m


def write(path, values, crs, transform, nodata=None):
    """Class numbers (H, W) as a file."""
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint8", height=height, width=width, crs=crs,
        transform=transform, nodata=nodata,
    ) as sink:  # fmt: skip
        sink.write(values, 1)
    return path


def placed(paths):
    """Files on the scene."""
    source = read_labels(paths).on(GRID, "scene").source
    assert isinstance(source, WarpedClasses)
    return source


def all_read(paths, window):
    """What a window is where every file is read, the later one on top."""
    classes = np.full((window.height, window.width), IGNORE, "uint8")
    for path in paths:
        with (
            rasterio.open(path) as source,
            WarpedVRT(
                source, crs=GRID.crs.to_wkt(), transform=GRID.transform, width=GRID.width,
                height=GRID.height, resampling=Resampling.nearest, add_alpha=True,
                src_nodata=None, nodata=None,
            ) as warped,
        ):  # fmt: skip
            raw, alpha = warped.read(window=window)
            known = (alpha > 0) & ((raw != source.nodata) | (source.nodata is None))
            classes[known] = raw[known]
    return classes


@st.composite
def tiles(draw):
    """Where a file lies, and in which pixels: corner in metres, CRS, pixel size, shape, nodata."""
    corner = draw(st.tuples(st.floats(-40, 130), st.floats(-40, 100)))
    res = draw(st.sampled_from([0.7, 1.0, 2.5, 30.0]))
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    return corner, draw(st.sampled_from(sorted(CRSS))), res, shape, draw(st.sampled_from([None, 9]))


@given(
    st.lists(tiles(), min_size=1, max_size=7),
    st.lists(
        st.tuples(*(st.integers(0, n - 1) for n in (120, 90)), *[st.integers(1, 50)] * 2),
        min_size=1, max_size=5,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
@settings(max_examples=25)
def test_every_window_is_as_if_all_files_were_read(tmp_path_factory, drawn, asked, random):
    folder = tmp_path_factory.mktemp("tiles")
    paths = []
    for number, ((right, down), crs, res, shape, nodata) in enumerate(drawn):
        x, y = Transformer.from_crs(UTM, crs, always_xy=True).transform(WEST + right, NORTH - down)
        unit = res * CRSS[crs]
        values = np.random.default_rng(random.randrange(2**32)).choice([0, 1, 1, 1, 9], shape)
        values[0, 0] = 1
        transform = Affine(unit, 0, x, 0, -unit, y)
        paths.append(
            write(folder / f"{number}.tif", values.astype("uint8"), crs, transform, nodata)
        )
    labels = read_labels(paths)
    source = WarpedClasses.of(labels.files, GRID, {1: 1, 9: 9})
    for col, row, width, height in asked:
        window = Window(col, row, min(width, 120 - col), min(height, 90 - row))
        np.testing.assert_array_equal(source.read(window), all_read(paths, window))
    source.close()


@pytest.fixture
def row_of_tiles(tmp_path):
    """Forty files of 3 x 90 px, of one class each, from left to right on the scene."""
    return [
        write(
            tmp_path / f"{number:02}.tif", np.full((90, 3), number % 3 + 1, "uint8"), UTM.to_wkt(),
            Affine(1, 0, WEST + 3 * number, 0, -1, NORTH),
        )
        for number in range(40)
    ]  # fmt: skip


def opened(source):
    """Numbers of the files that are open."""
    return [number for number, file in enumerate(source.files) if len(file._handles)]


def test_files_are_opened_where_a_window_meets_them(row_of_tiles):
    source = placed(row_of_tiles)
    assert opened(source) == []
    assert source.read(Window(31, 5, 8, 9))[0].tolist() == [2, 2, 3, 3, 3, 1, 1, 1]
    assert opened(source) == [9, 10, 11, 12, 13]  # two of them a pixel away
    source.read(Window(100, 0, 5, 5))
    assert opened(source) == [9, 10, 11, 12, 13, 32, 33, 34, 35]
    source.close()
    assert opened(source) == []


def test_a_file_beside_a_window_is_not_read(row_of_tiles):
    source = placed(row_of_tiles)
    row_of_tiles[0].write_bytes(b"no raster any more")
    assert (source.read(Window(10, 0, 110, 90)) != IGNORE).all()


def test_few_are_open_at_a_time(row_of_tiles, monkeypatch):
    monkeypatch.setattr(handles, "MOST_OPEN", 4)
    source = placed(row_of_tiles)
    expected = np.broadcast_to(np.repeat(np.arange(40) % 3 + 1, 3), GRID.shape)
    for _ in range(2):
        np.testing.assert_array_equal(source.read(GRID.window), expected)
        assert opened(source) == [36, 37, 38, 39]
    edges = range(0, 121, 24)
    for left, right in pairwise(edges):
        window = Window(left, 3, right - left, 9)
        np.testing.assert_array_equal(source.read(window), expected[3:12, left:right])
        assert len(opened(source)) <= 4


def test_more_files_than_a_process_may_open(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    paths = [
        write(
            tmp_path / f"{number}.tif", np.ones((2, 2), "uint8"), UTM.to_wkt(),
            Affine(1, 0, WEST + 2 * (number % 60), 0, -1, NORTH - 2 * (number // 60)),
        )
        for number in range(340)
    ]  # fmt: skip
    source = placed(paths)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    try:
        assert (source.read(Window(0, 0, 120, 10)) == 1).all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        source.close()
