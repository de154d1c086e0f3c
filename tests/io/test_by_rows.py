"""Remote scenes read by rows: the same pixels, each byte of them fetched once."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from geocobot.errors import UnreadableFileError
from geocobot.io import by_rows as module
from geocobot.io.by_rows import RowScene, by_rows
from geocobot.io.cut import cut
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene

HEIGHT, WIDTH = 1000, 1300
TILE_PX, STRIDE_PX = 300, 210


@pytest.fixture
def site(serve: Callable[..., Any]) -> Any:
    return serve()


@pytest.fixture
def write(site: Any, scene_factory: Callable[..., Path]) -> Callable[..., str]:
    """Put a COG with blocks of 128 px on the server."""

    def put(**how: Any) -> str:
        raw = scene_factory(shape_hw=(HEIGHT, WIDTH), **how)
        options = {"driver": "COG", "compress": "deflate", "blocksize": 128}
        copy_raster(raw, site.folder / "scene.tif", **options)
        return f"{site.url}/scene.tif"

    return put


@pytest.fixture(autouse=True)
def small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that even a test's scene takes several."""
    monkeypatch.setattr(module, "_READ_BYTES", 2**18)


def tiles(scene: Scene) -> list[Window]:
    height, width = scene.grid.shape
    return [
        Window(col, row, TILE_PX, TILE_PX)
        for row in range(-20, height, STRIDE_PX)
        for col in range(-20, width, STRIDE_PX)
    ]


def assert_same(ours: Scene, expected: Scene) -> None:
    for window in tiles(expected):
        one, other = ours.read(window), expected.read(window)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.valid, other.valid)


def bytes_of_blocks(path: Path) -> int:
    """What the pixels of the first image take in the file."""
    with rasterio.open(path) as source:
        height, width = source.block_shapes[0]
        return sum(
            int(source.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1))
            for row in range(-(-source.height // height))
            for col in range(-(-source.width // width))
        )


def test_every_byte_is_fetched_once(site: Any, write: Callable[..., str]) -> None:
    scene = by_rows(Scene.open(write()))
    assert isinstance(scene, RowScene)
    assert_same(scene, Scene.open(site.folder / "scene.tif"))
    scene.close()
    asked = site.requests()
    # The head, and what GDAL rounds to: 16 KB.
    assert sum(sent for *_, sent, _ in asked) <= bytes_of_blocks(site.folder / "scene.tif") + 2**16
    assert len(asked) <= 2 + 8 * 7  # two of the head; a chunk is a row of blocks, in seven reads


def test_few_requests_do(
    site: Any, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ_BYTES", 2**20)
    scene = by_rows(Scene.open(write()))
    for window in tiles(scene):
        scene.read(window)
    by_row = len(site.requests())
    plain = Scene.open(f"{site.url}/scene.tif?plain")
    for window in tiles(plain):
        plain.read(window)
    assert by_row <= 12 < len(site.requests()) / 2


@pytest.mark.parametrize(
    "how",
    [
        {"dtype": "uint16", "bands": 4},
        {"transform": Affine(1, 0, 5e5, 0, 1, 5e6)},
        {"mask": np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.4},
        {"nodata": 7},
    ],
    ids=["16 bit", "south up", "masked", "nodata"],
)
def test_the_pixels_are_the_same(site: Any, write: Callable[..., str], how: dict[str, Any]) -> None:
    scene = by_rows(Scene.open(write(**how)))
    assert_same(scene, Scene.open(site.folder / "scene.tif"))
    scene.close()


def test_a_part_fetches_no_more_than_its_blocks(site: Any, write: Callable[..., str]) -> None:
    scene = Scene.open(write())
    west, _, _, north = scene.grid.bounds
    bounds = (west + 200, north - 700, west + 600, north - 150)
    local = cut(Scene.open(site.folder / "scene.tif"), None, bounds)
    part = by_rows(cut(scene, None, bounds))
    assert_same(part, local)
    part.close()
    share = (4 * 128) * (5 * 128) / (HEIGHT * WIDTH)
    sent = sum(sent for _, sent in site.asked())
    assert sent <= share * bytes_of_blocks(site.folder / "scene.tif") + 2**16


@pytest.mark.parametrize("size_m", [0.5, 2.5])
def test_other_pixels_are_made_of_the_same(
    site: Any, write: Callable[..., str], size_m: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocobot.io.resampled._MAX_READ_PX", 2**16)  # several reads per tile
    local = Scene.open(site.folder / "scene.tif") if write() else None
    x, y = local.grid.ground_pixel_m
    scene = resampled(by_rows(Scene.open(f"{site.url}/scene.tif")), (size_m * x, size_m * y))
    assert_same(scene, resampled(local, (size_m * x, size_m * y)))
    scene.close()
    sent = sum(sent for _, sent in site.asked())
    assert sent <= bytes_of_blocks(site.folder / "scene.tif") + 2**16


def test_rows_in_any_order(site: Any, write: Callable[..., str]) -> None:
    scene, local = by_rows(Scene.open(write())), Scene.open(site.folder / "scene.tif")
    for row in np.random.default_rng(0).permutation(range(0, HEIGHT - 50, 70)).tolist():
        window = Window(17, row, 900, 50)
        np.testing.assert_array_equal(scene.read(window).image, local.read(window).image)
    scene.close()
    window = Window(0, 0, 40, 40)
    np.testing.assert_array_equal(scene.read(window).image, local.read(window).image)
    scene.close()


def test_rows_that_take_too_much_memory_are_not_kept(
    site: Any, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 2**20)
    scene = by_rows(Scene.open(write()))
    assert_same(scene, Scene.open(site.folder / "scene.tif"))
    assert scene.rows.read(Window(0, 0, TILE_PX, TILE_PX)) is None


def test_other_processes_fetch_what_they_are_asked_for(
    site: Any, write: Callable[..., str]
) -> None:
    scene = by_rows(Scene.open(write()))
    scene.read(Window(0, 0, TILE_PX, TILE_PX))
    sent = pickle.loads(pickle.dumps(scene))
    scene.close()
    site.requests()
    window = Window(700, 600, 100, 100)
    local = Scene.open(site.folder / "scene.tif")
    np.testing.assert_array_equal(sent.read(window).image, local.read(window).image)
    assert sent.rows.read(window) is None
    assert sum(size for _, size in site.asked()) < bytes_of_blocks(site.folder / "scene.tif") / 10


def test_an_error_comes_with_the_rows_it_is_about(site: Any, write: Callable[..., str]) -> None:
    scene = by_rows(Scene.open(write()))
    scene.read(Window(0, 0, 100, 100))
    (site.folder / "scene.tif").unlink()
    with pytest.raises(UnreadableFileError, match=r"cannot be (read|opened) .*404"):
        scene.read(Window(0, 850, 100, 100))
    scene.close()


def test_local_scenes_stay_as_they_are(scene_factory: Callable[..., Path]) -> None:
    scene = Scene.open(scene_factory())
    assert by_rows(scene) is scene


def test_threads_at_two_places_of_a_scene_do_not_get_into_each_others_way(
    site: Any, write: Callable[..., str]
) -> None:
    """One fetches by rows, from top to bottom; the other reads what it is asked for."""
    url = write()
    expected = Scene.open(site.folder / "scene.tif")
    scene = by_rows(Scene.open(url))
    height, width = expected.grid.shape
    scene.read(tiles(expected)[0])
    with ThreadPoolExecutor(1) as beside:
        strips = [Window(0, row, width, 50) for row in range(0, height, 50)] * 2
        read = beside.submit(lambda: [scene.read(window).image for window in strips])
        assert_same(scene, expected)
        for window, image in zip(strips, read.result(), strict=True):
            np.testing.assert_array_equal(image, expected.read(window).image)
    scene.close()


def test_after_closing_the_next_thread_has_the_rows(site: Any, write: Callable[..., str]) -> None:
    scene = by_rows(Scene.open(write()))
    assert isinstance(scene, RowScene)
    window = Window(0, 0, 300, 300)
    for _ in range(2):
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(scene.rows.read, window).result() is None
            thread.submit(scene.rows.expect, window).result()
            assert thread.submit(scene.rows.read, window).result() is not None
        assert scene.rows.read(window) is None
        scene.close()
