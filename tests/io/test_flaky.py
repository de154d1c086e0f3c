"""A server that fails now and then changes nothing; one that always fails is told of."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from geocobot.errors import UnreadableFileError
from geocobot.io import remote
from geocobot.io.scene import Patch, Scene

TILE_PX = 200


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "DELAYS_S", (0.001,) * len(remote.DELAYS_S))
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.001")


@pytest.fixture
def write(tmp_path: Path, scene_factory: Callable[..., Path]) -> Callable[..., str]:
    """Put a scene on the server, 1000 x 1400 px, as a COG of blocks of 128 px or as it comes."""

    def put(kind: str, **how: Any) -> str:
        mask = np.random.default_rng(1).random((1000, 1400)) > 0.3
        raw = scene_factory(shape_hw=(1000, 1400), mask=mask, **how)
        path = tmp_path / "site" / f"{kind}.tif"
        if kind == "strips":
            raw.rename(path)
        else:
            copy_raster(raw, path, driver="COG", compress=kind, blocksize=128)
        return path.name

    return put


def read_all(scene: Scene) -> list[Patch]:
    """Every tile of a scene, overhanging it."""
    height, width = scene.grid.shape
    return [
        scene.read(Window(col, row, TILE_PX, TILE_PX))
        for row in range(-9, height, TILE_PX)
        for col in range(-9, width, TILE_PX)
    ]


def assert_same(ours: list[Patch], expected: list[Patch]) -> None:
    assert len(ours) == len(expected) > 20
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.valid, other.valid)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["deflate", "jpeg", "none", "strips"])
def test_a_tenth_of_the_requests_may_fail(
    serve: Callable[..., Any], write: Callable[..., str], kind: str, seed: int
) -> None:
    name = write(kind)
    site = serve("close", "reset", "half", "503", rate=0.1, seed=seed)
    scene = Scene.open(f"{site.url}/{name}")
    local = Scene.open(site.folder / name)
    assert scene.masked
    assert_same(read_all(scene), read_all(local))
    faults = [fault for *_, fault in site.requests()]
    print(kind, len(faults), sum(map(bool, faults)), faults)


@pytest.mark.parametrize("fault", ["close", "reset", "half", "500", "502", "503", "429"])
def test_every_kind_of_failure_is_tried_again(
    serve: Callable[..., Any], write: Callable[..., str], fault: str
) -> None:
    name = write("deflate", seed=3)
    site = serve(fault, rate=0.25, seed=5)
    scene = Scene.open(f"{site.url}/{name}")
    assert_same(read_all(scene), read_all(Scene.open(site.folder / name)))
    faults = [fault for *_, fault in site.requests()]
    print(len(faults), sum(map(bool, faults)))
