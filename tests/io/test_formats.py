"""The same scene in whatever file: same pixels, same place, same validity."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.shutil import copy
from rasterio.windows import Window

from geocobot.errors import CrsError
from geocobot.io.scene import Scene

TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
WINDOWS = [Window(0, 0, 300, 200), Window(100, 50, 64, 64), Window(-20, 150, 90, 90)]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(1, 255, (3, 200, 300)).astype("uint8")


@pytest.fixture
def original(scene_factory, image):
    return scene_factory("original.tif", image=image, transform=TRANSFORM)


def assert_is_the_scene(path, original):
    scene, expected = Scene.open(path), Scene.open(original)
    assert scene.grid.crs == expected.grid.crs
    assert scene.grid.transform.almost_equals(expected.grid.transform)
    for window in WINDOWS:
        patch, wanted = scene.read(window), expected.read(window)
        assert np.array_equal(patch.image, wanted.image)
        assert np.array_equal(patch.valid, wanted.valid)


@pytest.mark.parametrize(
    "profile",
    [
        {"BIGTIFF": "YES"},
        {"BLOCKYSIZE": "1"},
        {"BLOCKYSIZE": "200", "INTERLEAVE": "BAND"},
        {"TILED": "YES", "BLOCKXSIZE": "64", "BLOCKYSIZE": "128", "INTERLEAVE": "PIXEL"},
        {"COMPRESS": "ZSTD", "PREDICTOR": "2", "TILED": "YES", "SPARSE_OK": "TRUE"},
        {"COMPRESS": "LZW", "ENDIANNESS": "BIG"},
        {"NBITS": "8", "COMPRESS": "DEFLATE", "BIGTIFF": "YES", "TILED": "YES"},
    ],
    ids=lambda profile: "-".join(profile.values()),
)
def test_geotiffs_of_any_layout(original, tmp_path, profile):
    path = tmp_path / "copy.tif"
    copy(original, path, driver="GTiff", **profile)
    if profile.get("BIGTIFF"):
        assert path.read_bytes()[2] == 43  # the version that says so
    assert_is_the_scene(path, original)


@pytest.mark.parametrize(
    ("driver", "name", "options"),
    [
        ("COG", "copy.tif", {"BLOCKSIZE": "128", "OVERVIEWS": "AUTO"}),
        ("VRT", "copy.vrt", {}),
        ("HFA", "copy.img", {}),
        ("ENVI", "copy.dat", {}),
        ("JP2OpenJPEG", "copy.jp2", {"REVERSIBLE": "YES", "QUALITY": "100"}),
    ],
)
def test_other_formats(original, tmp_path, driver, name, options):
    path = tmp_path / name
    copy(original, path, driver=driver, **options)
    assert_is_the_scene(path, original)


def test_a_picture_with_a_world_file_and_an_aux_xml(original, tmp_path):
    path = tmp_path / "photo.png"
    copy(original, path, driver="PNG")
    assert (tmp_path / "photo.png.aux.xml").is_file()  # both place and CRS are in it
    assert_is_the_scene(path, original)


def test_a_world_file_alone_places_but_names_no_crs(original, tmp_path):
    path = tmp_path / "photo.png"
    copy(original, path, driver="PNG", WORLDFILE="YES")
    (tmp_path / "photo.png.aux.xml").unlink()
    (tmp_path / "photo.wld").rename(tmp_path / "photo.pgw")
    with pytest.raises(CrsError, match=r"photo.png has no CRS\. .*gdal_edit.py -a_srs"):
        Scene.open(path)
    sidecar = f"<PAMDataset><SRS>{CRS(32633).to_wkt()}</SRS></PAMDataset>"
    (tmp_path / "photo.png.aux.xml").write_text(sidecar)
    assert_is_the_scene(path, original)


def test_scenes_larger_than_memory_are_read_by_window(tmp_path):
    """A sparse file of 400 gigapixels: nothing of it is read but what is asked for."""
    path = tmp_path / "country.tif"
    side = 640_000
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8",
        crs="EPSG:32633", transform=TRANSFORM, tiled=True, SPARSE_OK="TRUE", BIGTIFF="YES",
        blockxsize=4096, blockysize=4096, compress="zstd",
    ) as sink:  # fmt: skip
        sink.write(np.full((3, 64, 64), 99, "uint8"), window=Window(600_000, 500_000, 64, 64))
    scene = Scene.open(path)
    assert scene.grid.shape == (side, side)
    patch = scene.read(Window(600_000 - 10, 500_000 - 10, 84, 84))
    assert (patch.image[:, 10:74, 10:74] == 99).all()
    assert patch.image.sum() == 3 * 64 * 64 * 99


def test_overviews_inside_a_file_are_not_what_is_read(original):
    with rasterio.open(original, "r+") as source:
        source.build_overviews([2, 4], Resampling.average)
    expected = Scene.open(original).read(WINDOWS[0])
    with rasterio.open(original) as source:
        assert np.array_equal(source.read(), expected.image)
