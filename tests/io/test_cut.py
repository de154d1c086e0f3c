"""Parts of scenes that are to be mapped."""

from __future__ import annotations

import pickle

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasterio.windows import Window

from geocobot.errors import ConfigError, EmptyLabelsError, GeometryError, OverlapError
from geocobot.io.area import MAPPED_AREA, read_area
from geocobot.io.cut import CutScene, check_bounds, cut
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene

WEST, NORTH = 500_000.0, 5_000_000.0


def at(col, row, width, height):
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


@pytest.fixture
def scene(scene_factory):
    return Scene.open(scene_factory(shape_hw=(120, 200)))


@pytest.fixture
def area(tmp_path):
    """Read polygons as an area."""

    def make(*shapes, crs="EPSG:32633"):
        path = tmp_path / "area.gpkg"
        frame = gpd.GeoDataFrame(geometry=list(shapes), crs="EPSG:32633").to_crs(crs)
        frame.to_file(path, engine="pyogrio")
        return read_area([path], MAPPED_AREA)

    return make


def assert_shows(part, scene, inside):
    """A part shows what the scene shows there, and nothing outside of a mask (H, W)."""
    left, top = part.window.col_off, part.window.row_off
    grid = part.grid
    assert grid.bounds == pytest.approx(scene.grid.bounds_of(part.window))
    for window in (grid.window, Window(-5, -7, 40, 50), Window(grid.width - 9, 3, 30, 4)):
        patch = part.read(window)
        shifted = Window(window.col_off + left, window.row_off + top, window.width, window.height)
        whole = scene.read(shifted)
        rows, cols = np.meshgrid(
            np.arange(window.height) + shifted.row_off,
            np.arange(window.width) + shifted.col_off,
            indexing="ij",
        )
        known = (rows >= 0) & (rows < 120) & (cols >= 0) & (cols < 200)
        within = np.zeros(known.shape, bool)
        within[known] = inside[rows[known], cols[known]]
        assert np.array_equal(patch.valid, whole.valid & within)
        assert np.array_equal(patch.image[:, patch.valid], whole.image[:, patch.valid])


def test_bounds(scene):
    part = cut(scene, None, (WEST + 20.5, NORTH - 100, WEST + 90, NORTH - 9.2))
    assert isinstance(part, CutScene)
    assert part.window == Window(20, 9, 70, 91)
    inside = np.zeros((120, 200), bool)
    inside[9:100, 20:90] = True
    assert_shows(part, scene, inside)


def test_bounds_beyond_the_scene_end_with_it(scene):
    part = cut(scene, None, (WEST + 150, NORTH - 1e6, WEST + 1e6, NORTH + 1e6))
    assert part.window == Window(150, 0, 50, 120)


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326"])
def test_an_area_in_any_crs(scene, area, crs):
    part = cut(scene, area(at(10, 20, 30, 40), at(100, 50, 20, 30), crs=crs), None)
    inside = np.zeros((120, 200), bool)
    inside[20:60, 10:40] = inside[50:80, 100:120] = True
    assert_shows(part, scene, inside)


def test_both(scene, area):
    part = cut(scene, area(at(10, 20, 100, 40)), (WEST + 50, NORTH - 50, WEST + 300, NORTH))
    inside = np.zeros((120, 200), bool)
    inside[20:50, 50:110] = True
    assert part.window == Window(50, 20, 60, 30)
    assert_shows(part, scene, inside)


def test_what_lies_outside_is_not_read(scene, area, monkeypatch):
    part = cut(scene, area(at(0, 0, 10, 10), at(190, 110, 10, 10)), None)
    read = []
    real = Scene.read_inside

    def read_inside(self, window):
        if self is scene:
            read.append(window)
        return real(self, window)

    monkeypatch.setattr(Scene, "read_inside", read_inside)
    assert not part.read(Window(50, 50, 64, 64)).valid.any()
    assert read == []
    assert part.read(Window(0, 0, 64, 64)).valid.sum() == 100
    assert len(read) == 1


def test_it_can_be_resampled(scene, area):
    part = cut(scene, area(at(20, 20, 60, 40)), None)
    coarse = resampled(part, (2.0, 2.0))
    assert coarse.grid.shape == (20, 30)
    expected = resampled(scene, (2.0, 2.0)).read(Window(12, 12, 20, 10)).image
    difference = coarse.read(Window(2, 2, 20, 10)).image.astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_neither_is_the_scene_itself(scene):
    assert cut(scene, None, None) is scene


def test_it_travels_to_other_processes(scene, area):
    part = cut(scene, area(at(20, 20, 60, 40)), None)
    before = part.read(part.grid.window)
    again = pickle.loads(pickle.dumps(part)).read(part.grid.window)
    assert np.array_equal(again.valid, before.valid)
    assert np.array_equal(again.image, before.image)
    part.close()
    assert not len(scene._handles)


def test_elsewhere(scene, area):
    with pytest.raises(OverlapError, match=r"scene.tif has nothing within --area\. It covers 5000"):
        cut(scene, area(at(9_000, 0, 10, 10)), None)
    with pytest.raises(OverlapError, match="has nothing within --bbox"):
        cut(scene, None, (0, 0, 1, 1))


def test_lines_are_no_area(tmp_path):
    path = tmp_path / "line.gpkg"
    line = shapely.LineString([(WEST, NORTH), (WEST + 9, NORTH)])
    gpd.GeoDataFrame(geometry=[line], crs=32633).to_file(path, engine="pyogrio")
    with pytest.raises(GeometryError, match="--area is drawn with polygons, and is what is"):
        read_area([path], MAPPED_AREA)
    gpd.GeoDataFrame(geometry=[], crs=32633).to_file(path, engine="pyogrio")
    with pytest.raises(EmptyLabelsError, match="--area is what is to be mapped"):
        read_area([path], MAPPED_AREA)


@pytest.mark.parametrize("bounds", [(1, 2, 3), (5, 0, 1, 9), (0, 9, 1, 5), (0, 0, 0, 1)])
@pytest.mark.parametrize("west", [None, -np.inf, np.nan])
def test_bounds_that_are_none(bounds, west):
    bounds = bounds if west is None else (west, 0, 5, 9)
    with pytest.raises(ConfigError, match=r"--bbox is .*west, south, east and north in the sc"):
        check_bounds(bounds)
    assert check_bounds((0, 1, 2, 3)) == (0, 1, 2, 3)
