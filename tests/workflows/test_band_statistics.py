"""Statistics beside a run: measured once, and again where anything they follow from has changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geocobot.config import TrainOptions
from geocobot.errors import OutputError
from geocobot.io.scene import Scene
from geocobot.io.statistics import measure_ranges
from geocobot.workflows.band_statistics import keep_ranges, recall_ranges


@pytest.fixture
def options() -> TrainOptions:
    return TrainOptions(raster=("scene.tif",), labels=("roads.shp",))


def test_what_was_measured_is_known_again(
    scene_factory: Callable[..., Path], options: TrainOptions, tmp_path: Path
) -> None:
    scenes = [Scene.open(scene_factory(nodata=float("nan"), dtype="float32"))]
    path = tmp_path / "statistics.json"
    assert recall_ranges(path, scenes, options) is None
    ranges = measure_ranges(scenes)
    keep_ranges(path, scenes, options, ranges)
    assert recall_ranges(path, scenes, options) == ranges
    text = path.read_text()
    content = json.loads(text)
    assert [band["low"] for band in content["bands"]] == [r.low for r in ranges]
    path.write_text(text[:40])  # killed while it was written
    assert recall_ranges(path, scenes, options) is None


@pytest.mark.parametrize("change", ["file", "stretch", "seed", "bands", "nodata", "scenes"])
def test_a_change_makes_it_worthless(
    scene_factory: Callable[..., Path], options: TrainOptions, tmp_path: Path, change: str
) -> None:
    raster = scene_factory()
    scenes = [Scene.open(raster)]
    path = tmp_path / "statistics.json"
    keep_ranges(path, scenes, options, measure_ranges(scenes))
    if change == "file":
        os.utime(raster, ns=(1, 1))
    elif change == "stretch":
        options = replace(options, stretch="deviations")
    elif change == "seed":
        options = replace(options, seed=1)
    elif change == "bands":
        scenes = [Scene.open(raster, bands=[3, 2, 1])]
    elif change == "nodata":
        scenes = [Scene.open(raster, nodata=7)]
    else:
        scenes *= 2
    assert recall_ranges(path, scenes, options) is None


def test_a_remote_file_is_measured_again(
    scene_factory: Callable[..., Path], options: TrainOptions, tmp_path: Path
) -> None:
    scenes = [replace(Scene.open(scene_factory()), path="https://anna:pass@host/a.tif")]
    path = tmp_path / "statistics.json"
    keep_ranges(path, scenes, options, measure_ranges([Scene.open(scene_factory())]))
    assert recall_ranges(path, scenes, options) is None
    assert "pass" not in path.read_text()


def test_a_full_disk_is_told(
    scene_factory: Callable[..., Path],
    options: TrainOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    scenes = [Scene.open(scene_factory())]
    ranges = measure_ranges(scenes)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match=r"statistics.json cannot be written \(No space left on"):
        keep_ranges(tmp_path / "statistics.json", scenes, options, ranges)
