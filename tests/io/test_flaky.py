"""A server that fails now and then changes nothing; one that always fails is told of."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from geocobot.errors import UnreadableFileError
from geocobot.io import remote
from geocobot.io.label_files import read_labels
from geocobot.io.mask import read_mask
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


@pytest.mark.parametrize("seed", range(2))
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
    assert sum(bool(fault) for *_, fault in site.requests()) >= (0 if kind == "strips" else 2)


@pytest.mark.parametrize("fault", ["close", "reset", "half", "500", "502", "503", "429"])
def test_every_kind_of_failure_is_tried_again(
    serve: Callable[..., Any], write: Callable[..., str], fault: str
) -> None:
    name = write("deflate", seed=3)
    site = serve(fault, rate=0.25, seed=5)
    scene = Scene.open(f"{site.url}/{name}")
    assert_same(read_all(scene), read_all(Scene.open(site.folder / name)))
    assert sum(bool(fault) for *_, fault in site.requests()) >= 10


def test_a_mask_does_not_get_lost_with_half_an_answer(
    serve: Callable[..., Any], write: Callable[..., str]
) -> None:
    """It is described at the end of the file, and GDAL takes a missing description for no mask."""
    name = write("strips")
    masks = {
        Scene.open(f"{serve('half', rate=0.4, seed=seed).url}/{name}").masked for seed in range(15)
    }
    assert masks == {True}


@pytest.mark.parametrize("seed", range(5))
def test_buckets_are_no_different(
    serve: Callable[..., Any],
    write: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    name = write("strips")
    site = serve("close", "half", "503", rate=0.1, seed=seed)
    (site.folder / "bucket").mkdir()
    path = (site.folder / name).rename(site.folder / "bucket" / name)
    for key, value in {
        "AWS_S3_ENDPOINT": site.url.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES",
    }.items():
        monkeypatch.setenv(key, value)
    # Each test has a server of its own, and GDAL would remember the bucket of the first.
    monkeypatch.setattr(remote, "_OPTIONS", remote._OPTIONS | remote._FORGETTING)
    scene = Scene.open(f"s3://bucket/{name}")
    assert scene.masked
    assert_same(read_all(scene), read_all(Scene.open(path)))


@pytest.mark.parametrize("fault", ["close", "half", "503"])
def test_a_server_that_always_fails_is_told_of(
    serve: Callable[..., Any],
    write: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    site = serve(fault, rate=1.0)
    began = time.perf_counter()
    with pytest.raises(
        UnreadableFileError,
        match=r"cannot be opened \(.*; asked 7 times\).*Check the address and the server",
    ):
        Scene.open(f"{site.url}/{write('deflate')}?token=hush")
    assert time.perf_counter() - began < 20
    assert len(caplog.messages) >= 6
    assert "Asking again in 0.001 s (attempt 7 of 7)." in caplog.text
    assert "hush" not in caplog.text


@pytest.mark.parametrize("fault", ["close", "half", "503"])
def test_a_file_that_opens_no_more_is_not_opened_for_ever(
    serve: Callable[..., Any],
    write: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    name = write("deflate")
    scene = Scene.open(f"{serve().url}/{name}")
    moved = replace(scene, path=f"{serve(fault, rate=1.0).url}/{name}")
    with pytest.raises(UnreadableFileError, match=r"cannot be opened \(.*; asked 7 times\)"):
        moved.read(Window(0, 0, 9, 9))
    assert len([r for r in caplog.records if r.name == "geocobot.io"]) == 6


def test_a_server_that_is_gone_later_is_told_of(
    serve: Callable[..., Any], write: Callable[..., str]
) -> None:
    site = serve()
    scene = Scene.open(f"{site.url}/{write('none')}")
    scene.read(Window(0, 0, 9, 9))
    (site.folder / "none.tif").unlink()
    with pytest.raises(
        UnreadableFileError, match=r"cannot be (read at rows 700 to 709|opened) .*Check the "
    ):
        scene.read(Window(900, 700, 9, 9))


def test_what_is_not_there_is_asked_for_once(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    site = serve()
    with pytest.raises(UnreadableFileError, match=r"cannot be opened \(HTTP response code: 404\)"):
        Scene.open(f"{site.url}/lost.tif")
    assert not [r for r in caplog.records if r.name.startswith("geocobot")]


def test_gdal_is_told_what_the_user_did_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "9")
    url = "https://example.org/scene.tif"
    with rasterio.Env(GDAL_HTTP_CONNECTTIMEOUT=3), remote.remote_options(url):
        said = rasterio.env.getenv()
    assert "GDAL_HTTP_MAX_RETRY" not in said
    assert said["GDAL_HTTP_CONNECTTIMEOUT"] == 3
    assert said["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    assert "CPL_VSIL_CURL_NON_CACHED" not in said
    with rasterio.Env(), remote.remote_options("scene.tif"):
        assert not rasterio.env.getenv().keys() & remote._OPTIONS.keys()


def test_debug_messages_go_to_those_who_want_them(
    serve: Callable[..., Any], write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{serve().url}/{write('deflate')}"
    Scene.open(url)
    assert "VSICURL" not in caplog.text
    with caplog.at_level(logging.DEBUG, logger="rasterio"):
        Scene.open(f"{url}?again")
    assert "VSICURL" in caplog.text


@pytest.mark.parametrize("seed", [6, 8])
def test_class_rasters_are_scanned_and_read_in_spite_of_it(
    serve: Callable[..., Any], write: Callable[..., str], seed: int
) -> None:
    values = np.random.default_rng(2).integers(0, 250, (1000, 1400)).astype("uint8")
    name = write("deflate", image=values)
    site = serve("half", rate=0.25, seed=seed)
    labels = read_labels([f"{site.url}/{name}"])
    expected = read_labels([site.folder / name])
    assert labels.digest() == expected.digest()
    grid = Scene.open(site.folder / name).grid
    ours, theirs = (each.on(grid, "scene") for each in (labels, expected))
    for window in (Window(0, 0, 200, 200), Window(900, 500, 200, 200)):
        np.testing.assert_array_equal(ours.read(window).classes, theirs.read(window).classes)
    assert sum(bool(fault) for *_, fault in site.requests()) >= 2


@pytest.mark.parametrize("seed", [6, 8])
def test_masks_are_scanned_and_read_in_spite_of_it(
    serve: Callable[..., Any], write: Callable[..., str], seed: int
) -> None:
    marks = np.random.default_rng(3).integers(0, 250, (1000, 1400))
    name = write("deflate", image=marks.astype("uint8"))
    site = serve("half", rate=0.25, seed=seed)
    grid = Scene.open(site.folder / name).grid
    ours = read_mask(f"{site.url}/{name}", "--area").on(grid)
    theirs = read_mask(str(site.folder / name), "--area").on(grid)
    assert ours.digest() == theirs.digest()
    for window in (Window(0, 0, 200, 200), Window(900, 500, 200, 200)):
        np.testing.assert_array_equal(ours.read(window), theirs.read(window))
    assert sum(bool(fault) for *_, fault in site.requests()) >= 2


def test_a_scan_that_fails_for_good_is_told_of(
    serve: Callable[..., Any], write: Callable[..., str]
) -> None:
    name = write("deflate", image=np.ones((1000, 1400), "uint8"))
    site = serve()
    whole = (site.folder / name).read_bytes()
    (site.folder / name).write_bytes(whole[: len(whole) // 2])
    for read in (lambda url: read_labels([url]), lambda url: read_mask(url, "--area")):
        with pytest.raises(
            UnreadableFileError, match=r"cannot be (read at rows|opened) .*Check th"
        ):
            read(f"{site.url}/{name}")
