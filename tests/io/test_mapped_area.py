"""Areas of polygons, of masks, and of both."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from rasterio.windows import Window

from geocobot.errors import ConfigError, GeometryError, MissingFileError, OverlapError
from geocobot.io.area import LABELLED_AREA, VALIDATION_AREA, read_area
from geocobot.io.burnt import BurntShapes
from geocobot.io.cut import CutScene, cut
from geocobot.io.mapped_area import find_area, read_mapped_area
from geocobot.io.mask import PlacedMask
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene

WEST, NORTH = 500_000.0, 5_000_000.0
SHAPE_HW = (120, 200)


def at(col, row, width, height):
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


SHAPES = [at(10, 20, 30, 40), at(100, 50, 21, 30), at(101, 49, 3, 3)]


@pytest.fixture
def scene(scene_factory):
    return Scene.open(scene_factory(shape_hw=SHAPE_HW))


@pytest.fixture
def polygons(labels_factory):
    return str(labels_factory(SHAPES, name="area.gpkg"))


@pytest.fixture
def mask(scene_factory):
    """The same as a raster on the scene's grid."""
    burnt = rasterio.features.rasterize(
        SHAPES, SHAPE_HW, transform=Affine(1, 0, WEST, 0, -1, NORTH), dtype="uint8"
    )
    return str(scene_factory("mask.tif", image=burnt))


def test_a_mask_shows_what_its_polygons_show(scene, polygons, mask):
    drawn, marked = (cut(scene, read_mapped_area([path]), None) for path in (polygons, mask))
    assert isinstance(marked, CutScene)
    assert isinstance(marked.area, PlacedMask)
    assert isinstance(drawn.area, BurntShapes)
    assert marked.window == drawn.window
    for window in (marked.grid.window, Window(-3, 5, 40, 50), Window(80, -9, 64, 64)):
        one, other = drawn.read(window), marked.read(window)
        assert np.array_equal(one.valid, other.valid)
        assert np.array_equal(one.image, other.image)


def test_within_bounds(scene, mask):
    part = cut(scene, read_mapped_area([mask]), (WEST + 20, NORTH - 50, WEST + 300, NORTH))
    assert part.window == Window(20, 20, 101, 30)
    assert part.read(part.grid.window).valid.sum() == 20 * 30 + 3


def test_polygons_and_masks_together(scene, polygons, scene_factory):
    more = np.zeros(SHAPE_HW, "uint8")
    more[0:5, 180:190] = more[20:30, 10:20] = 1
    elsewhere = scene_factory("elsewhere.tif", image=np.ones((9, 9), "uint8"), origin_xy=(0, 1))
    files = [str(scene_factory("more.tif", image=more)), polygons, str(elsewhere)]
    area = read_mapped_area(files)
    part = cut(scene, area, None)
    assert part.window == Window(10, 0, 180, 80)
    expected = cut(scene, read_mapped_area([polygons]), None)
    assert (
        part.read(part.grid.window).valid.sum()
        == expected.area.read(expected.grid.window).sum() + 50
    )
    assert part.area.digest() != expected.area.digest()
    part.close()
    assert all(not len(p.file._handles) for p in part.area.parts if isinstance(p, PlacedMask))


def test_what_lies_outside_is_not_read(scene, scene_factory, monkeypatch):
    image = np.zeros(SHAPE_HW, "uint8")
    image[:10, :10] = image[-10:, -10:] = 1
    part = cut(scene, read_mapped_area([str(scene_factory("mask.tif", image=image))]), None)
    read = []
    real = Scene._read_file

    def read_file(self, source, window):
        read.append(window)
        return real(self, source, window)

    monkeypatch.setattr(Scene, "_read_file", read_file)
    assert not part.read(Window(50, 50, 64, 64)).valid.any()
    assert read == []
    assert part.read(Window(0, 0, 64, 64)).valid.sum() == 100
    assert read == [Window(0, 0, 64, 64)]


def test_a_resampled_scene(scene, polygons, mask):
    drawn, marked = (
        resampled(cut(scene, read_mapped_area([path]), None), (2.0, 2.0))
        for path in (polygons, mask)
    )
    one, other = (s.read(s.grid.window) for s in (drawn, marked))
    assert np.array_equal(one.valid, other.valid)
    assert np.array_equal(one.image, other.image)


def test_elsewhere(scene, scene_factory):
    away = scene_factory("away.tif", image=np.ones((9, 9), "uint8"), origin_xy=(WEST + 999, NORTH))
    with pytest.raises(OverlapError, match=r"scene.tif has nothing within --area\. It covers 5000"):
        cut(scene, read_mapped_area([str(away)]), None)
    # It lies on the scene, and what it marks does not.
    image = np.zeros((20, 20), "uint8")
    image[:, -3:] = 1
    beside = scene_factory("beside.tif", image=image, origin_xy=(WEST + 190, NORTH))
    with pytest.raises(OverlapError, match="has nothing within --area"):
        cut(scene, read_mapped_area([str(beside)]), None)


def test_folders_and_patterns(polygons, mask, tmp_path):
    rasters = tmp_path / "masks"
    rasters.mkdir()
    moved = Path(mask).rename(rasters / "b.tif")
    assert find_area([polygons, str(rasters)]) == (polygons, str(moved))
    assert find_area([str(rasters / "*.tif")]) == (str(moved),)
    with pytest.raises(ConfigError, match=r"--area names .* twice"):
        find_area([str(moved), str(rasters)])
    with pytest.raises(MissingFileError, match=r"x\*.tif matches no file. --area names files"):
        find_area([str(tmp_path / "x*.tif")])


def test_endings_do_not_tell_everything(scene, mask, polygons, tmp_path):
    plain = Path(mask).rename(tmp_path / "mask")
    virtual = tmp_path / "drawn.vrt"
    virtual.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="area"><SrcDataSource>{polygons}</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    drawn, marked = (read_mapped_area([str(path)]).on(scene.grid) for path in (virtual, plain))
    assert isinstance(drawn, BurntShapes)
    assert isinstance(marked, PlacedMask)
    assert drawn.around() == marked.around()
    with pytest.raises(MissingFileError, match="--area names a vector file"):
        read_mapped_area([str(tmp_path / "nothing")])


@pytest.mark.parametrize("flag", [LABELLED_AREA, VALIDATION_AREA])
def test_training_takes_polygons_alone(mask, flag):
    with pytest.raises(
        GeometryError, match=rf"mask.tif is a raster. {flag} is drawn with polygons, .*polygonize"
    ):
        read_area([mask], flag)


def test_a_real_scene(real_data, tmp_path):
    """Where buildings stand in Kampala, burnt five times as coarse and in another CRS."""
    folder = real_data / "kampala_buildings"
    scene = Scene.open(folder / "scene_b.tif")
    houses = gpd.read_file(folder / "labels.geojson").to_crs(32636)
    west, south, east, north = houses.total_bounds
    path = tmp_path / "houses.tif"
    shape = int((north - south) / 0.375) + 1, int((east - west) / 0.375) + 1
    transform = Affine(0.375, 0, west, 0, -0.375, north)
    burnt = rasterio.features.rasterize(houses.geometry, shape, transform=transform)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:32636"}
    size = {"height": shape[0], "width": shape[1]}
    with rasterio.open(path, "w", transform=transform, **size, **profile) as sink:
        sink.write(burnt, 1)
    drawn, marked = (
        read_mapped_area([str(p)]).on(scene.grid).read(scene.grid.window) > 0
        for p in (folder / "labels.geojson", path)
    )
    assert 0.02 < drawn.mean() < 0.9
    assert (drawn & marked).sum() / (drawn | marked).sum() > 0.9
