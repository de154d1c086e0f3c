"""Maps by one process, by several, and by a cluster: the same bytes, whoever ends on the way."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocobot.ahead import LeftError
from geocobot.config import PredictOptions
from geocobot.data.dataset import SceneDataset
from geocobot.errors import (
    ConfigError,
    DeviceError,
    ModelFileError,
    UnreadableFileError,
    WorkerError,
)
from geocobot.inference import process_engine
from geocobot.inference.predictor import PredictorSource
from geocobot.inference.process_engine import ProcessEngine
from geocobot.inference.rows import RowWork
from geocobot.io.scene import Scene
from geocobot.models.card import read_card
from geocobot.models.precision import Compute
from geocobot.settings import make_options
from geocobot.workflows.predict import predict

from .untrained import contents, make_model, options_for


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture
def scene(scene_factory: Callable[..., Path]) -> Path:
    """Twelve tile rows of smooth noise, a corner of it without data."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(30, 226, (3, 57, 30))
    image = np.kron(coarse, np.ones((10, 10))).astype("uint8")
    image[:, -100:, -120:] = 0
    return scene_factory(image=image, nodata=0)


class Told:
    """Progress that does something when so many tiles are finished."""

    def __init__(self, after: int, then: Callable[[], None]) -> None:
        self._after = after
        self._then = then
        self.done = 0.0

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Told]:
        yield self

    def advance(self, steps: float = 1) -> None:
        before, self.done = self.done, self.done + steps
        if before < self._after <= self.done:
            self._then()

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def alone(model: Path, scene: Path, tmp_path: Path) -> dict[str, bytes]:
    """The map by this process."""
    predict(options_for(model, scene, tmp_path / "alone"))
    return contents(tmp_path / "alone")


@pytest.mark.parametrize("workers", [0, 1])
def test_several_processes_make_the_same_bytes(
    model: Path, scene: Path, tmp_path: Path, alone: dict[str, bytes], workers: int
) -> None:
    told = Told(1, lambda: None)
    asked = options_for(model, scene, tmp_path / "two", devices=2, workers=workers)
    result = predict(asked, told)
    assert contents(tmp_path / "two") == alone
    assert told.done == result.scenes[0].tiles
    assert result.scenes[0].n_polygons > 20


def test_one_goes_on_where_several_were_stopped_and_the_other_way_round(
    model: Path, scene: Path, tmp_path: Path, alone: dict[str, bytes]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    for first, second in ((2, 1), (1, 2)):
        out = tmp_path / f"after{first}"
        with pytest.raises(KeyboardInterrupt):
            predict(options_for(model, scene, out, devices=first), Told(30, stop))
        rows = list((out / "map.gpkg.partial" / "rows").glob("row-*.z"))
        assert 2 <= len(rows) < 12
        predict(options_for(model, scene, out, devices=second, resume=True))
        assert contents(out) == alone


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_processes_are_ended_in_the_middle_of_their_work(
    model: Path, scene: Path, tmp_path: Path
) -> None:
    """Whoever stops does not wait for it; they may not even have loaded the model by then."""
    source = PredictorSource(str(model))
    work = RowWork(
        SceneDataset(Scene.open(scene), read_card(str(model)).ranges),
        size_px=64,
        overlap_px=16,
        n_classes=2,
        batch_size=1,
        folder=tmp_path,
    )
    is_told: list[int] = []

    def told(tiles: int) -> None:
        is_told.append(tiles)
        raise LeftError

    with (
        ProcessEngine(source, Compute(torch.device("cpu")), 1, 1) as engine,
        pytest.raises(LeftError, match=r"^$"),
    ):
        next(engine.rows(work, range(12), told))
    assert len(is_told) == 1
    assert len(work.journal.finished()) < 12
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_is_replaced(
    model: Path, scene: Path, tmp_path: Path, alone: dict[str, bytes]
) -> None:
    killed = []

    def kill_one() -> None:
        process = multiprocessing.active_children()[0]
        process.kill()
        killed.append(process.pid)

    predict(options_for(model, scene, tmp_path / "killed", devices=2), Told(20, kill_one))
    assert len(killed) == 1
    assert contents(tmp_path / "killed") == alone


def test_processes_that_are_killed_again_and_again_are_told_of(
    model: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = process_engine._Process.ask

    def ask_and_kill(process: Any, packed: bytes, number: int) -> None:
        asked(process, packed, number)
        if number == 11:
            process._process.kill()

    monkeypatch.setattr(process_engine._Process, "ask", ask_and_kill)
    out = tmp_path / "killed"
    with pytest.raises(WorkerError, match=r"ended before its time \(exit code -9\).*--resume"):
        predict(options_for(model, scene, out, devices=2))
    assert multiprocessing.active_children() == []
    assert list((out / "map.gpkg.partial" / "rows").glob("row-*.z"))


def test_the_scene_s_errors_come_from_the_processes_as_they_are(
    model: Path, scene: Path, tmp_path: Path
) -> None:
    content = bytearray(scene.read_bytes())
    scene.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(UnreadableFileError, match=r"scene\.tif cannot be read at rows"):
        predict(options_for(model, scene, tmp_path / "broken", devices=2))
    assert multiprocessing.active_children() == []


def test_a_model_that_cannot_be_used_is_told_before_any_process(
    model: Path, scene: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(model.read_bytes()[:-1000])
    with pytest.raises(ModelFileError, match=r"bad\.safetensors"):
        predict(options_for(bad, scene, tmp_path / "out", devices=2))


def test_nodes_are_told_names_that_hold_in_every_folder(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[PredictOptions] = []

    def find_scenes(_: Any, **__: Any) -> Any:
        raise InterruptedError

    def check(options: PredictOptions) -> PredictOptions:
        asked.append(from_anywhere(options))
        return asked[-1]

    here = sys.modules[predict.__module__]
    from_anywhere = here._from_anywhere
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(here, "find_scenes", find_scenes)
    monkeypatch.setattr(here, "_from_anywhere", check)
    names = ["a/*.tif", "https://host/b.tif", "/vsizip/c.zip/c.tif", 'NETCDF:"d.nc":e']
    for out, expected in (("maps/", "maps/"), ("map.gpkg", "map.gpkg"), (None, "")):
        options = make_options(
            PredictOptions,
            {"raster": names, "model": "m.safetensors", "out": out, "engine": "ray"},
            "t",
        )
        with pytest.raises(InterruptedError, match=r"^$"):
            predict(options)
        assert asked[-1].out == f"{tmp_path}/{expected}"
    assert asked[0].raster == (f"{tmp_path}/a/*.tif", *names[1:])
    assert asked[0].model == f"{tmp_path}/m.safetensors"


def test_a_cluster_s_address_needs_a_cluster(model: Path, scene: Path, tmp_path: Path) -> None:
    options = options_for(model, scene, tmp_path, address="10.0.0.1:6379")
    with pytest.raises(ConfigError, match=r"--address 10.0.0.1:6379 comes without --engine ray"):
        predict(options)


def test_more_gpus_than_there_are(
    model: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    options = options_for(model, scene, tmp_path, device="cuda", devices=2)
    with pytest.raises(DeviceError, match=r"--devices 2 finds 1 GPU\."):
        predict(options)


def test_without_ray_it_is_named(
    model: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "geocobot.inference.ray_engine", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'geocobot\[ray\]'"):
        predict(options_for(model, scene, tmp_path, engine="ray"))
