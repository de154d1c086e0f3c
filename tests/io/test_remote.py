"""Scenes and labels over HTTP: only the parts that are needed are fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from geocobot.errors import UnreadableFileError
from geocobot.io.label_files import read_labels
from geocobot.io.scene import Scene


@pytest.fixture
def site(serve: Callable[..., Any]) -> Any:
    return serve()


@pytest.fixture
def cog(site: Any, scene_factory: Callable[..., Path]) -> str:
    """A cloud-optimized scene of 3 MB on the server."""
    noise = np.random.default_rng(0).integers(1, 255, (3, 1024, 1024)).astype("uint8")
    options = {"driver": "COG", "compress": "deflate", "blocksize": 256}
    copy_raster(scene_factory(image=noise), site.folder / "scene.tif", **options)
    return f"{site.url}/scene.tif"


def test_a_window_costs_its_blocks(site: Any, cog: str) -> None:
    size = (site.folder / "scene.tif").stat().st_size
    scene = Scene.open(cog)
    assert scene.name == "scene"
    opened = site.asked()
    assert {name for name, _ in opened} == {"scene.tif"}
    assert sum(sent for _, sent in opened) <= 2**15
    patch = scene.read(Window(256, 512, 256, 256))
    read = site.asked()
    assert sum(sent for _, sent in read) < size / 8
    assert len(read) <= 3
    scene.read(Window(256, 512, 256, 256))
    assert not site.asked()
    with rasterio.open(site.folder / "scene.tif") as source:
        np.testing.assert_array_equal(patch.image, source.read(window=patch.window))


@pytest.mark.parametrize("name", ["s3://bucket/scene.tif", "/vsis3/bucket/scene.tif"])
def test_a_bucket_of_s3(site: Any, cog: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.folder / "bucket").mkdir()
    (site.folder / "scene.tif").rename(site.folder / "bucket" / "scene.tif")
    for key, value in {
        "AWS_S3_ENDPOINT": site.url.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES",
    }.items():
        monkeypatch.setenv(key, value)
    patch = Scene.open(name).read(Window(256, 512, 256, 256))
    assert {name for name, _ in site.asked()} == {"bucket/scene.tif"}
    with rasterio.open(site.folder / "bucket" / "scene.tif") as source:
        np.testing.assert_array_equal(patch.image, source.read(window=patch.window))


def test_what_is_not_there_is_no_scene(site: Any) -> None:
    with pytest.raises(UnreadableFileError, match=r"lost\.tif cannot be opened \(.*404"):
        Scene.open(f"{site.url}/lost.tif")


def test_labels_over_http(site: Any, cog: str, labels_factory: Callable[..., Path]) -> None:
    scene = Scene.open(cog)
    west, _, _, north = scene.grid.bounds
    labels_factory([shapely.box(west, north - 9, west + 9, north)], name="roads.geojson")
    (site.folder.parent / "roads.geojson").rename(site.folder / "roads.geojson")
    labels = read_labels([f"{site.url}/roads.geojson"])
    assert [c.name for c in labels.classes] == ["roads"]
    assert labels.on(scene.grid, "scene").read(Window(0, 0, 20, 20)).classes.sum() == 81
