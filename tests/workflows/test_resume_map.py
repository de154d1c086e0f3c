"""Maps that are interrupted and go on: the same bytes, and nothing done twice but a tile row."""

from __future__ import annotations

import _thread
import json
import math
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from filelock import FileLock
from rasterio.errors import RasterioIOError

from geocobot.errors import (
    DeviceError,
    OutputError,
    ResumeError,
    SceneSizeError,
    UnreadableFileError,
)
from geocobot.inference.engines import LocalEngine
from geocobot.inference.lanes import MOST_LANES
from geocobot.io.scene import Scene
from geocobot.workflows.mapped import SceneResult
from geocobot.workflows.moment import moment_now

from .stand_in import StandIn, make_map

HEIGHT, WIDTH = 330, 250
ROWS, TILES_IN_ROW = 7, 5  # of 64 px, every 48
BATCHES_IN_ROW = 2
STOPPED_S = "1767225600"  # the first second of 2026


@pytest.fixture
def scene(scene_factory: Callable[..., Path]) -> Path:
    """Smooth noise, a corner of it without data."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(30, 226, (3, HEIGHT // 10 + 1, WIDTH // 10 + 1))
    image = np.kron(coarse, np.ones((10, 10)))[:, :HEIGHT, :WIDTH].astype("uint8")
    image[:, -100:, -120:] = 0
    return scene_factory(image=image, nodata=0)


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", STOPPED_S)


def contents(result: SceneResult) -> dict[str, bytes]:
    """What a map's files hold, by what they are."""
    files = {"polygons": result.polygons, "scores": result.scores, "classes": result.classes}
    return {name: path.read_bytes() for name, path in files.items() if path is not None}


@pytest.fixture
def whole(scene: Path, tmp_path: Path) -> dict[str, bytes]:
    """The map, made without interruption."""
    return contents(make_map(scene, tmp_path / "whole" / "map.gpkg"))


def stop(scene: Path | str, out: Path, after: int, **options: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_map(scene, out, StandIn(stop_after=after), **options)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 9, 10])
@pytest.mark.parametrize("workers", [0, 1])
def test_it_goes_on_with_the_row_that_was_not_finished(
    scene: Path, tmp_path: Path, whole: dict[str, bytes], after: int, workers: int
) -> None:
    out = tmp_path / "out" / "map.gpkg"
    stop(scene, out, after)
    rows = after // BATCHES_IN_ROW
    assert list((tmp_path / "out").iterdir()) == (
        [out.with_name("map.gpkg.partial")] if rows else []
    )
    rest = StandIn()
    result = make_map(scene, out, rest, resume=True, workers=workers)
    assert contents(result) == whole
    uninterrupted = StandIn()
    make_map(scene, tmp_path / "again" / "map.gpkg", uninterrupted)
    assert rest.batches == uninterrupted.batches - rows * BATCHES_IN_ROW
    assert not out.with_name("map.gpkg.partial").exists()


def test_it_may_be_interrupted_again_and_again(
    scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out" / "map.gpkg"
    for _ in range(5):
        stop(scene, out, 3, resume=True)
    assert contents(make_map(scene, out, resume=True)) == whole


def test_a_resampled_scene_goes_on_too(scene: Path, tmp_path: Path) -> None:
    whole = make_map(scene, tmp_path / "whole" / "map.gpkg", resolution=1.0)
    out = tmp_path / "out" / "map.gpkg"
    stop(scene, out, 5, resolution=1.0)
    assert contents(make_map(scene, out, resume=True, resolution=1.0)) == contents(whole)


def test_batches_without_data_are_no_work(scene: Path, tmp_path: Path) -> None:
    seen = StandIn()
    result = make_map(scene, tmp_path / "map.gpkg", seen)
    assert result.tiles == ROWS * TILES_IN_ROW
    assert seen.tiles < result.tiles


def test_an_interrupted_map_is_not_thrown_away_unasked(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5)
    with pytest.raises(
        OutputError, match=r"map.gpkg.partial holds an interrupted run.*--resume.*--overwrite"
    ):
        make_map(scene, out)
    fresh = StandIn()
    make_map(scene, out, fresh, overwrite=True)
    assert fresh.batches > ROWS


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"threshold": 0.7}, r"option threshold \(was None, is 0.7\)"),
        ({"batch_size": 2}, r"option batch_size \(was 3, is 2\)"),
        ({"min_area": 3.0}, r"option min_area \(was 10.0, is 3.0\)"),
    ],
)
def test_other_options_are_noticed(
    scene: Path, tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5)
    with pytest.raises(ResumeError, match=f"was begun with another {named}.*Repeat the first"):
        make_map(scene, out, resume=True, **options)
    assert len(list((tmp_path / "map.gpkg.partial" / "rows").iterdir())) == 2


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"nodata": math.nan}, {"nodata": math.nan}),
        ({"report": True}, {"report": False}),
        ({}, {"qgis_project": True, "license": "CC-BY-4.0"}),
    ],
    ids=str,
)
def test_what_does_not_change_the_rows_goes_on(
    scene: Path, tmp_path: Path, first: dict[str, Any], then: dict[str, Any]
) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5, **first)
    rest = StandIn()
    result = make_map(scene, out, rest, resume=True, **then)
    uninterrupted = StandIn()
    expected = make_map(scene, tmp_path / "again" / "map.gpkg", uninterrupted, **then)
    assert rest.batches < uninterrupted.batches
    assert contents(result) == contents(expected)


def test_another_scene_is_noticed(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5)
    os.utime(scene, ns=(1, 1))
    with pytest.raises(ResumeError, match=r"another scene modified_ns \(was \d+, is 1\)"):
        make_map(scene, out, resume=True)


@pytest.mark.parametrize("nested", [False, True])
def test_another_source_of_a_virtual_scene_is_noticed(
    scene: Path, tmp_path: Path, nested: bool
) -> None:
    shown = virtual(scene, tmp_path / "inner.vrt")
    if nested:
        shown = virtual(shown, tmp_path / "outer.vrt")
    out = tmp_path / "map.gpkg"
    stop(shown, out, 5)
    os.utime(scene, ns=(1, 1))
    with pytest.raises(ResumeError, match="was begun with another scene "):
        make_map(shown, out, resume=True)


def virtual(scene: Path, path: Path) -> Path:
    """A virtual raster that shows a scene."""
    rasterio.shutil.copy(scene, path, driver="VRT")
    return path


def test_another_number_of_cores_goes_on_until_a_batch_takes_several(
    scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5)
    with pytest.raises(ResumeError, match=r"another machine number of threads \(was 1, is 2\)"):
        make_map(scene, out, resume=True, threads=2 * MOST_LANES)
    assert contents(make_map(scene, out, resume=True, threads=7)) == whole


def test_the_number_of_tiles_at_a_time_is_settled_with_the_first_one(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes]
) -> None:
    """A GPU with more free memory than the first time must not compute otherwise."""
    out = tmp_path / "out" / "map.gpkg"
    monkeypatch.setattr(LocalEngine, "fitting_batch", lambda *_: 3)
    stop(scene, out, 5, batch_size=None)
    monkeypatch.setattr(LocalEngine, "fitting_batch", lambda *_: 5)
    result = make_map(scene, out, resume=True, batch_size=None)
    assert contents(result) == whole
    assert "batch_size: 3" in result.config.read_text()
    other = make_map(scene, tmp_path / "other" / "map.gpkg", batch_size=None)
    assert "batch_size: 5" in other.config.read_text()


def test_one_process_at_a_time(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5)
    with (
        FileLock(tmp_path / "map.gpkg.partial" / "lock"),
        pytest.raises(OutputError, match=r"map.gpkg.partial is in use.*Wait for the other one"),
    ):
        make_map(scene, out, resume=True)
    with (
        FileLock(tmp_path / "map.gpkg.partial" / "lock"),
        pytest.raises(OutputError, match=r"map.gpkg.partial is in use.*Wait for the other one"),
    ):
        make_map(scene, out)
    with pytest.raises(OutputError, match="holds an interrupted run"):
        make_map(scene, out)
    make_map(scene, out, resume=True)


def test_old_results_stay_until_the_new_ones_are_whole(
    scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out" / "map.gpkg"
    old = contents(make_map(scene, out, threshold=0.9))
    stop(scene, out, 5, overwrite=True)
    assert {n: out.with_name(f).read_bytes() for n, f in FILES.items()} == old
    with pytest.raises(OutputError, match="exists already"):
        make_map(scene, out, resume=True)
    assert contents(make_map(scene, out, resume=True, overwrite=True)) == whole


FILES = {"polygons": "map.gpkg", "scores": "map_scores.tif", "classes": "map_classes.tif"}


def test_a_run_that_broke_off_between_two_names_ends_well(
    scene: Path, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the first file had its name and the others had not."""
    out = tmp_path / "out" / "map.gpkg"
    stop(scene, out, 5)
    (tmp_path / "out" / "map.gpkg.partial" / "closing").touch()
    out.write_bytes(b"the new polygons, already in their place")
    assert contents(make_map(scene, out, resume=True)) == whole


def test_a_disk_that_fills_up_can_be_gone_on_with(
    scene: Path, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out" / "map.gpkg"
    real, calls = os.fsync, []

    def fsync(number: int) -> None:
        calls.append(number)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match=r"No space left on device.*--resume"):
        make_map(scene, out)
    assert contents(make_map(scene, out, resume=True)) == whole


class FullGpu(StandIn):
    """A GPU whose memory another process has taken."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("no room")


def test_what_is_finished_stays_whatever_going_on_meets(
    scene: Path, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out" / "map.gpkg"
    rows = tmp_path / "out" / "map.gpkg.partial" / "rows"
    stop(scene, out, 6)
    before = sorted(path.name for path in rows.iterdir())
    assert len(before) == 3
    with pytest.raises(SceneSizeError, match="--max-memory"):
        make_map(scene, out, resume=True, max_memory=0.01)
    with pytest.raises(DeviceError, match="memory"):
        make_map(scene, out, FullGpu(), resume=True)

    def hiccup(*_: Any, **__: Any) -> None:
        raise RasterioIOError("Input/output error")

    with monkeypatch.context() as network:
        network.setattr(Scene, "_read_file", hiccup)
        with pytest.raises(UnreadableFileError, match="Input/output"):
            make_map(scene, out, resume=True)
    assert sorted(path.name for path in rows.iterdir()) == before
    assert contents(make_map(scene, out, resume=True)) == whole


class Interrupting(StandIn):
    """Is interrupted as by Ctrl-C when it is at its second batch."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        if self.batches == 1:
            _thread.interrupt_main()
        return super().__call__(image)


def test_who_stops_waits_for_a_batch_and_not_for_the_row(
    scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    wide = scene_factory(shape_hw=(64, 1600))  # 34 tiles, 3 at a time
    predictor = Interrupting(pause_s=0.3)
    with pytest.raises(KeyboardInterrupt):
        make_map(wide, tmp_path / "map.gpkg", predictor)
    assert 2 <= predictor.batches < 8


def test_a_file_that_came_meanwhile_is_not_replaced_by_going_on(
    scene: Path, tmp_path: Path
) -> None:
    out = tmp_path / "map.gpkg"

    class Meanwhile(StandIn):
        def __call__(self, image: torch.Tensor) -> torch.Tensor:
            out.write_text("the work of somebody else")
            return super().__call__(image)

    with pytest.raises(OutputError, match="exists already"):
        make_map(scene, out, Meanwhile())
    with pytest.raises(OutputError, match="exists already"):
        make_map(scene, out, resume=True)
    assert out.read_text() == "the work of somebody else"
    make_map(scene, out, resume=True, overwrite=True)
    assert out.read_bytes().startswith(b"SQLite")


def test_a_map_is_marked_with_the_scene_that_it_was_begun_with(scene: Path, tmp_path: Path) -> None:
    class Touching(StandIn):
        """Somebody copies another scene over this one."""

        def __call__(self, image: torch.Tensor) -> torch.Tensor:
            os.utime(scene, ns=(1, 1))
            return super().__call__(image)

    marks = [
        make_map(scene, tmp_path / f"{name}.gpkg", predictor).config.read_text().splitlines()[-1]
        for name, predictor in (("a", StandIn()), ("b", Touching()), ("c", StandIn()))
    ]
    assert marks[0].startswith("# made of ")
    assert marks[0] == marks[1] != marks[2]


def test_a_mask_laid_beside_the_scene_is_noticed(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(scene, "r+") as opened:
        opened.write_mask(np.full(opened.shape, 255, np.uint8))
    assert scene.with_name(f"{scene.name}.msk").is_file()
    with pytest.raises(ResumeError, match=r"another scene .*mask \(was False, is True\)"):
        make_map(scene, out, resume=True)


def test_another_archive_is_noticed(scene: Path, tmp_path: Path) -> None:
    archive, out = tmp_path / "scenes.zip", tmp_path / "map.gpkg"
    raster = f"/vsizip/{archive}/scene.tif"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(scene, "scene.tif")
    stop(raster, out, 5)
    make_map(raster, tmp_path / "other.gpkg")
    with rasterio.open(scene, "r+") as opened:
        opened.write(255 - opened.read())
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(scene, "scene.tif")
    with pytest.raises(ResumeError, match="another scene"):
        make_map(raster, out, resume=True)


def test_a_damaged_row_is_named_and_the_others_stay(
    scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out" / "map.gpkg"
    stop(scene, out, 7)
    row = tmp_path / "out" / "map.gpkg.partial" / "rows" / "row-000001.z"
    content = bytearray(row.read_bytes())
    content[-30:] = bytes(30)
    row.write_bytes(bytes(content))
    with pytest.raises(OutputError, match=r"row-000001.z is damaged.*Delete it, and repeat"):
        make_map(scene, out, resume=True)
    row.unlink()
    assert contents(make_map(scene, out, resume=True)) == whole


def test_a_disk_without_room_for_the_first_note(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_text(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(OutputError, match=r"map.gpkg.partial cannot be written \(No space left"):
        make_map(scene, tmp_path / "out" / "map.gpkg")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_moment_is_that_of_the_first_begin(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.gpkg"
    stop(scene, out, 5)
    state = json.loads((tmp_path / "map.gpkg.partial" / "run.json").read_text())
    assert state["begun"] == "2026-01-01T00:00:00+00:00"
    os.environ["SOURCE_DATE_EPOCH"] = "1800000000"
    result = make_map(scene, out, resume=True)
    assert b"2026-01-01T00:00:00.000Z" in result.polygons.read_bytes()


def test_without_the_variable_the_clock_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert abs(moment_now().timestamp() - time.time()) < 5


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_killed_at_any_moment_it_makes_the_same_bytes(
    scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    lasts_s = _Killed(scene, tmp_path / "timed" / "map.gpkg").runs_s()
    moments = np.random.default_rng(0).uniform(0, lasts_s, 20)
    outs = [tmp_path / f"run{k}" / "map.gpkg" for k in range(len(moments))]
    following = _Killed(scene, outs[0])  # one ahead, as their imports take seconds
    resumed = 0
    for k, (out, moment) in enumerate(zip(outs, moments, strict=True)):
        killed, following = following, _Killed(scene, outs[min(k + 1, len(outs) - 1)])
        following.wait_until_ready()
        finished = killed.after(moment)
        partial = out.with_name("map.gpkg.partial")
        resumed += partial.is_dir() and any((partial / "rows").glob("row-*.z"))
        if finished or (not (partial / "run.json").exists() and out.exists()):
            continue  # it was faster, or about to delete the folder
        result = make_map(scene, out, StandIn(), resume=True)
        assert contents(result) == whole
        assert sorted(p.name for p in out.parent.iterdir()) == sorted(
            [*FILES.values(), "map_classes.qml", "map_options.yaml"]
        )
    following.after(0)
    assert resumed >= 6


class _Killed:
    """A process that makes a map, to be killed: imported and waiting when it is asked to begin."""

    def __init__(self, scene: Path, out: Path) -> None:
        program = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
        self._process = subprocess.Popen(
            [*program, str(scene), str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=out.parents[1],
        )
        self._ready = False

    def wait_until_ready(self) -> None:
        """Until it has imported what it needs."""
        if not self._ready:
            assert self._says() == "ready"
            self._ready = True

    def _says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _begin(self) -> float:
        self.wait_until_ready()
        assert self._process.stdin is not None
        self._process.stdin.write("begin\n")
        self._process.stdin.flush()
        return time.perf_counter()

    def runs_s(self) -> float:
        """Let it make the map: how long that takes."""
        began = self._begin()
        assert self._says() == "done"
        lasts_s = time.perf_counter() - began
        assert self._process.wait() == 0
        self._close()
        return lasts_s

    def after(self, moment_s: float) -> bool:
        """Kill it (SIGKILL) so long after its beginning: whether it had ended by then."""
        began = self._begin()
        time.sleep(max(0.0, began + moment_s - time.perf_counter()))
        self._process.kill()
        ended = self._process.wait() == 0
        self._close()
        return ended

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
