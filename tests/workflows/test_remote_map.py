"""A map of a remote scene is that of the same scene on this machine, and asks for little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rasterio.shutil import copy as copy_raster

from geocobot.io import by_rows, remote

from .stand_in import make_map


@pytest.fixture
def scene(tmp_path: Path, serve: Callable[..., Any], scene_factory: Callable[..., Path]) -> Path:
    """A COG on the server, 200 x 300 px in blocks of 128 px."""
    path = tmp_path / "site" / "scene.tif"
    raw = scene_factory(shape_hw=(200, 300))
    copy_raster(raw, path, driver="COG", compress="deflate", blocksize=128)
    return path


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "DELAYS_S", (0.001,) * len(remote.DELAYS_S))
    monkeypatch.setattr(by_rows, "_READ_BYTES", 2**13)
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.001")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def contents(folder: Path) -> dict[str, bytes]:
    """Results by name, without the options, which name the scene."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".yaml"}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_flaky_server_changes_nothing(
    tmp_path: Path, serve: Callable[..., Any], scene: Path, workers: int
) -> None:
    make_map(scene, tmp_path / "near" / "map.gpkg")
    site = serve("close", "half", "503", rate=0.1, seed=2)
    make_map(f"{site.url}/scene.tif", tmp_path / "far" / "map.gpkg", workers=workers)
    near, far = contents(tmp_path / "near"), contents(tmp_path / "far")
    assert {"map.gpkg", "map_scores.tif"} <= near.keys() == far.keys()
    for name, expected in near.items():
        assert far[name] == expected, name
    assert sum(bool(fault) for *_, fault in site.requests()) >= 1


def test_a_map_fetches_each_byte_once(
    tmp_path: Path, serve: Callable[..., Any], scene: Path
) -> None:
    site = serve()
    make_map(f"{site.url}/scene.tif", tmp_path / "map.gpkg")
    assert sum(sent for _, sent in site.asked()) <= scene.stat().st_size + 2**16
