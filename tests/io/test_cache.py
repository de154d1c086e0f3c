"""GDAL's cache follows the width of a scene and the height of a tile."""

from __future__ import annotations

import pytest
import rasterio

from geocobot.io.cache import bounded_cache


def size_within(path, rows):
    with rasterio.open(path) as source, bounded_cache(source, rows):
        return rasterio.env.getenv()["GDAL_CACHEMAX"]


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)


def test_it_holds_a_row_of_tiles_and_the_blocks_it_cuts(scene_factory):
    path = scene_factory(
        shape_hw=(300, 20_000), dtype="uint16", tiled=True, blockxsize=256, blockysize=256
    )
    assert size_within(path, rows=512) == (512 + 2 * 256) * 20_000 * 3 * 2


@pytest.mark.parametrize(("tiled", "held"), [(True, 128 * 2**20), (False, (1024 + 2) * 90_000 * 6)])
def test_wide_scenes_need_whole_rows_only_where_they_are_stored_so(scene_factory, tiled, held):
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256} if tiled else {"blockysize": 1}
    path = scene_factory(shape_hw=(64, 90_000), dtype="uint16", **blocks)
    assert size_within(path, rows=1024) == held


def test_it_does_not_follow_the_height(scene_factory):
    sizes = {
        size_within(scene_factory(f"{h}.tif", shape_hw=(h, 64)), rows=256) for h in (300, 3000)
    }
    assert sizes == {64 * 2**20}


def test_the_user_s_own_size_is_left_alone(scene_factory, monkeypatch):
    path = scene_factory()
    monkeypatch.setenv("GDAL_CACHEMAX", "512")
    with rasterio.open(path) as source, bounded_cache(source, 64):
        assert "GDAL_CACHEMAX" not in rasterio.env.getenv()
