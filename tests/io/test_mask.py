"""Masks in the pixels of scenes."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio.windows import Window

from geocobot.errors import (
    BandError,
    CrsError,
    EmptyLabelsError,
    GridError,
    MissingFileError,
    UnreadableFileError,
)
from geocobot.grid import GeoGrid
from geocobot.io import mask as mask_module
from geocobot.io.mask import read_mask

UTM = CRS.from_epsg(32633)
WEST, NORTH = 500_000.0, 5_000_000.0
GRID = GeoGrid(UTM, Affine(1, 0, WEST, 0, -1, NORTH), (120, 200))


@pytest.fixture
def squares(monkeypatch):
    """Squares so small that every mask has many."""
    monkeypatch.setattr(mask_module, "_BLOCK_PX", 16)
    monkeypatch.setattr(mask_module, "_BLOCKS_READ", 3)
    monkeypatch.setattr(mask_module, "_SCENE_BLOCK_PX", 32)


@pytest.fixture
def written(scene_factory):
    """Write a mask (H, W) and read it."""

    def make(image, **how):
        return read_mask(str(scene_factory("mask.tif", image=image, **how)), "--area")

    return make


def blots(shape, seed=0):
    """0 and 1 in squares."""
    rng = np.random.default_rng(seed)
    rows, cols = (-(-n // 7) for n in shape)
    marks = rng.random((rows, cols)) < 0.2
    return np.kron(marks, np.ones((7, 7), "uint8"))[: shape[0], : shape[1]].astype("uint8")


def smallest(marked):
    """The window around what is marked."""
    rows, cols = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    return Window(cols[0], rows[0], np.ptp(cols) + 1, np.ptp(rows) + 1)


def nearest(image, transform, grid, crs=UTM):
    """Which pixels of a grid have their center in a marked pixel of an image."""
    rows, cols = np.indices(grid.shape) + 0.5
    x, y = grid.transform @ (cols, rows)
    x, y = Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y)
    col, row = (np.floor(v).astype(int) for v in ~transform @ (x, y))
    height, width = image.shape
    on = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    return on & (image[row.clip(0, height - 1), col.clip(0, width - 1)] != 0)


@pytest.mark.usefixtures("squares")
@pytest.mark.parametrize("res", [0.3, 1.0, 2.7, 9.3])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (-13.4, 6.2), (30.1, -20.6)])
def test_a_pixel_follows_the_nearest_one_of_the_mask(written, res, offset):
    image = blots((int(90 / res), int(150 / res)))
    transform = Affine(res, 0, WEST + offset[0], 0, -res, NORTH + offset[1])
    placed = written(image, transform=transform).on(GRID)
    expected = nearest(image, transform, GRID)
    # A center on an edge of the mask's pixels belongs to either.
    assert (placed.read(GRID.window) != expected).mean() < 0.003
    whole = placed.read(GRID.window)
    assert placed.around() == smallest(whole)
    for window in (Window(0, 0, 50, 50), Window(37, 41, 100, 11), Window(199, 119, 1, 1)):
        rows, cols = window.toslices()
        assert np.array_equal(placed.read(window), whole[rows, cols])


@pytest.mark.usefixtures("squares")
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3035"])
def test_a_mask_in_another_crs(written, crs):
    other = CRS(crs)
    x, y = Transformer.from_crs(UTM, other, always_xy=True).transform(WEST, NORTH)
    res = 2e-5 if other.is_geographic else 1.5
    image = blots((150, 200), seed=3)
    transform = Affine(res, 0, x - 30 * res, 0, -res, y + 30 * res)
    placed = written(image, transform=transform, crs=crs).on(GRID)
    found = placed.read(GRID.window)
    # GDAL is an eighth of a pixel off at most: that shows at the edges of squares.
    assert (found != nearest(image, transform, GRID, other)).mean() < 0.01
    assert placed.around() == smallest(found)
    for window in (Window(10, 20, 64, 64), Window(130, 70, 70, 50)):
        rows, cols = window.toslices()
        assert np.array_equal(placed.read(window), found[rows, cols])


@given(st.lists(st.tuples(st.integers(0, 119), st.integers(0, 199)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_what_lies_around_single_pixels(tmp_path_factory, pixels):
    image = np.zeros(GRID.shape, "uint8")
    image[tuple(zip(*pixels, strict=True))] = 200
    path = tmp_path_factory.mktemp("mask") / "mask.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": UTM.to_wkt()}
    size = {"height": GRID.height, "width": GRID.width}
    with rasterio.open(path, "w", transform=GRID.transform, **size, **profile) as sink:
        sink.write(image, 1)
    mask = read_mask(str(path), "--area")
    placed = mask.on(GRID)
    assert np.array_equal(placed.read(GRID.window), image > 0)
    assert placed.around() == smallest(image)
    placed.close()


@pytest.mark.parametrize(
    ("dtype", "values", "nodata"),
    [
        ("uint8", [0, 1, 255, 7, 0, 7], 7),
        ("int16", [0, -5, 9, -9999, 0, -9999], -9999),
        ("float32", [0, 0.25, 3, np.nan, 0, np.inf], None),
        ("float32", [0, 0.25, 3, np.nan, 0, -1e38], float(np.float32(-1e38))),
        ("float64", [0, 0.25, 3, np.nan, 0, np.nan], np.nan),
    ],
)
def test_neither_zero_nor_nodata(written, dtype, values, nodata):
    image = np.array([values], dtype)
    placed = written(image, nodata=nodata).on(GRID)
    assert placed.read(Window(0, 0, 8, 1)).tolist() == [[0, 1, 1, 0, 0, 0, 0, 0]]
    assert placed.around() == Window(1, 0, 2, 1)


def test_what_a_file_masks_is_not_marked(written):
    known = np.zeros((120, 200), bool)
    known[:, 50:60] = True
    placed = written(np.ones((120, 200), "uint8"), mask=known).on(GRID)
    assert np.array_equal(placed.read(GRID.window), known)
    assert placed.around() == Window(50, 0, 10, 120)


@pytest.mark.usefixtures("squares")
def test_a_mask_from_south_to_north(written):
    image = blots((120, 200))
    placed = written(image[::-1], transform=Affine(1, 0, WEST, 0, 1, NORTH - 120)).on(GRID)
    assert np.array_equal(placed.read(GRID.window), image)
    assert placed.around() == smallest(image)


def test_elsewhere(written):
    placed = written(np.ones((10, 10), "uint8"), origin_xy=(WEST + 900, NORTH)).on(GRID)
    assert placed.around() is None
    assert not placed.read(GRID.window).any()
    assert not len(placed.file._handles)  # nobody had to look


@pytest.mark.usefixtures("squares")
def test_the_file_is_not_asked_where_nothing_is_marked(written):
    image = np.zeros((120, 200), "uint8")
    image[100:110, 150:160] = 1
    placed = written(image).on(GRID)
    assert not placed.read(Window(0, 0, 100, 60)).any()
    assert not len(placed.file._handles)
    assert placed.read(Window(100, 60, 100, 60)).sum() == 100
    assert len(placed.file._handles) == 1
    placed.close()
    assert not len(placed.file._handles)


def test_memory_does_not_grow_with_it(tmp_path):
    """800 MB of pixels, of which the file holds four blocks."""
    path, side = tmp_path / "mask.tif", 30_000
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": UTM.to_wkt()}
    size = {"height": side, "width": side, "tiled": True, "sparse_ok": True}
    grid = GeoGrid(UTM, GRID.transform, (side, side))
    with rasterio.open(path, "w", transform=grid.transform, **size, **profile) as sink:
        for place in (700, 29_000):
            sink.write(np.ones((1, 50, 50), "uint8"), window=Window(place, place, 50, 50))
    tracemalloc.start()
    placed = read_mask(str(path), "--area").on(grid)
    assert placed.around() == Window(700, 700, 28_350, 28_350)
    assert placed.read(Window(29_000, 28_500, 1024, 1024)).sum() == 50 * 50
    assert tracemalloc.get_traced_memory()[1] < 40e6
    tracemalloc.stop()
    placed.close()


def test_its_checksum_is_that_of_what_it_marks(written):
    image = blots((120, 200))
    first = written(image).on(GRID).digest()
    assert written(image * 9, tiled=True, blockxsize=16, blockysize=16).on(GRID).digest() == first
    assert written(image, origin_xy=(WEST + 1, NORTH)).on(GRID).digest() != first
    image[60, 100] ^= 1
    assert written(image).on(GRID).digest() != first


def test_it_travels_to_other_processes(written):
    placed = written(blots((120, 200))).on(GRID)
    here = placed.read(GRID.window)
    again = pickle.loads(pickle.dumps(placed))
    assert not len(again.file._handles)
    assert np.array_equal(again.read(GRID.window), here)
    assert again.digest() == placed.digest()


def test_a_mask_that_marks_nothing(written):
    with pytest.raises(EmptyLabelsError, match=r"has nothing but 0\. --area is .* Look at its va"):
        written(np.zeros((9, 9), "uint8"))
    with pytest.raises(
        EmptyLabelsError, match=r"but 0 and nodata \(1\)\. .* -unsetnodata .*mask\.tif; else look"
    ):
        written(np.eye(9, dtype="uint8"), nodata=1)


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_several_bands(scene_factory, bands):
    path = str(scene_factory("mask.tif", bands=bands))
    with pytest.raises(BandError, match=rf"mask.tif has {bands} bands. A mask has one .*-b <numb"):
        read_mask(path, "--area")


def test_numbers_that_say_nothing(scene_factory):
    ones = np.ones((9, 9), "uint8")
    alone = scene_factory("alpha.tif", image=np.zeros((0, 9, 9), "uint8"), alpha=ones)
    with pytest.raises(BandError, match=r"alpha.tif has alpha in its only band"):
        read_mask(str(alone), "--area")
    path = scene_factory("complex.tif", image=ones.astype("complex64"))
    with pytest.raises(BandError, match=r"has complex numbers \(complex64\). A mask has one band"):
        read_mask(str(path), "--area")


def test_masks_without_a_place(scene_factory, tmp_path):
    ones = np.ones((9, 9), "uint8")
    rotated = Affine(1, 0.5, WEST, 0.5, -1, NORTH)
    path = str(scene_factory("rotated.tif", image=ones, transform=rotated))
    with pytest.raises(GridError, match=r"is rotated or sheared .* gdalwarp -r near "):
        read_mask(path, "--area")
    path = str(scene_factory("nowhere.tif", image=ones, crs=None))
    with pytest.raises(CrsError, match="has no CRS"):
        read_mask(path, "--area")
    with pytest.raises(MissingFileError, match="--area names a raster file"):
        read_mask(str(tmp_path / "none.tif"), "--area")


def test_a_mask_on_a_server(scene_factory, serve):
    image = blots((120, 200))
    scene_factory("site/mask.tif", image=image)
    placed = read_mask(f"{serve().url}/mask.tif", "--area").on(GRID)
    assert np.array_equal(placed.read(GRID.window), image)
    placed.close()


def test_a_truncated_mask(scene_factory):
    path = scene_factory("mask.tif", image=blots((300, 300)), tiled=True, blockxsize=16)
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(UnreadableFileError, match=r"mask.tif cannot be read at rows \d+ to"):
        read_mask(str(path), "--area")


def test_a_mask_that_breaks_off_while_a_scene_is_mapped(written, scene_factory):
    image = np.random.default_rng(0).integers(0, 2, (300, 300), "uint8")
    placed = written(image, tiled=True, blockxsize=16, blockysize=16).on(GRID)
    path = scene_factory("mask.tif", image=image, tiled=True, blockxsize=16, blockysize=16)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(UnreadableFileError, match=r"mask.tif cannot be read at rows"):
        placed.read(Window(0, 60, 200, 60))
