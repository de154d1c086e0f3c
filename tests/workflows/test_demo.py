from __future__ import annotations

import html
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import torch

from geocobot.classes import ClassSpec, name_classes
from geocobot.config import DemoOptions, PredictOptions, TrainOptions
from geocobot.errors import CheckpointError, ConfigError, DeviceError, OutputError
from geocobot.io.label_files import read_labels
from geocobot.io.scene import Scene
from geocobot.io.scores import ScoreWriter
from geocobot.settings import to_yaml
from geocobot.synthetic.place import make_place, write_place
from geocobot.tiling import Strip
from geocobot.workflows import demo as workflow
from geocobot.yaml_file import read_yaml

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CLASSES = name_classes(["roads"])


@dataclass
class Trained:
    model: Path
    classes: tuple[ClassSpec, ...]


@dataclass
class Mapped:
    polygons: Path
    scores: Path


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A small place, and stages that know the truth up to `shift` pixels."""
    seen: dict[str, Any] = {"shift": 0}

    def train(options: TrainOptions, _progress: object, *, resumable: bool) -> Trained:
        seen["train"] = options
        seen["resumable"] = resumable
        run = Path(str(options.out))
        run.mkdir()
        (run / "config.yaml").write_text(to_yaml(options), encoding="utf-8")
        (run / "report.html").write_text(html.escape(to_yaml(options)), encoding="utf-8")
        (run / "statistics.json").write_text(json.dumps(options.raster), encoding="utf-8")
        return Trained(run / "model.safetensors", CLASSES)

    def predict(options: PredictOptions, _progress: object) -> Any:
        seen["predict"] = options
        out = Path(str(options.out))
        scene = Scene.open(options.raster[0])
        roads = Path(options.raster[0]).with_name("roads.gpkg")
        truth = read_labels((str(roads),)).on(scene.grid, scene.name).read(scene.grid.window)
        found = Mapped(out, out.with_suffix(".tif"))
        scores = np.roll(truth.classes, seen["shift"], axis=0)[None] * np.float32(0.9)
        with ScoreWriter(found.scores, scene.grid, CLASSES) as writer:
            writer.write(Strip.of(0, scores, np.ones(scene.grid.shape, bool)))
        return type("Result", (), {"scenes": [found]})

    monkeypatch.setattr(workflow, "train", train)
    monkeypatch.setattr(workflow, "predict", predict)
    monkeypatch.setattr(workflow, "make_place", lambda seed: make_place(seed, (240, 480), 0.5))
    return seen


def test_the_demo_learns_from_the_west_and_maps_the_east(
    tmp_path: Path, stand_ins: dict[str, Any]
) -> None:
    options = DemoOptions(out=str(tmp_path / "demo"), max_minutes=1.5, seed=2, device="cpu")
    result = workflow.demo(options)
    trained, mapped = stand_ins["train"], stand_ins["predict"]
    assert Path(trained.raster[0]).name == result.train_scene.name == "scene_train.tif"
    assert Path(mapped.raster[0]).name == result.unseen_scene.name == "scene_unseen.tif"
    assert (trained.max_minutes, trained.seed, trained.device) == (1.5, 2, "cpu")
    assert mapped.save_scores
    west, east = (Scene.open(str(p)).grid.bounds for p in (result.train_scene, result.unseen_scene))
    assert east[0] - west[2] == pytest.approx(32.0)


def test_everything_lies_in_the_folder_under_its_final_name(
    tmp_path: Path, stand_ins: dict[str, Any]
) -> None:
    result = workflow.demo(DemoOptions(out=str(tmp_path / "demo")))
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]
    for path in (result.train_scene, result.unseen_scene, result.roads, result.picture):
        assert path.parent == tmp_path / "demo"
        assert path.is_file()
    assert result.model == tmp_path / "demo" / "run" / "model.safetensors"
    saved = read_yaml(tmp_path / "demo" / "run" / "config.yaml")
    assert saved["raster"] == [str(result.train_scene)]
    assert read_yaml(tmp_path / "demo" / "demo.yaml")["seed"] == 0
    assert stand_ins["train"].labels[0] != str(result.roads)


@pytest.mark.parametrize("name", ["it's: mine", "d\u00e9mo", 'R&D "1"'])
def test_what_is_written_names_the_files_whatever_the_folder_is_called(
    tmp_path: Path, stand_ins: dict[str, Any], name: str
) -> None:
    result = workflow.demo(DemoOptions(out=str(tmp_path / name)))
    saved = read_yaml(tmp_path / name / "run" / "config.yaml")
    assert saved["raster"] == [str(result.train_scene)]
    assert saved["labels"] == [str(result.roads)]
    assert saved["out"] == str(tmp_path / name / "run")
    assert saved["base"] == "auto"
    run = tmp_path / name / "run"
    report = html.unescape((run / "report.html").read_text("utf-8"))
    assert f"\n- {result.train_scene}\n" in report
    assert ".part" not in report
    assert json.loads((run / "statistics.json").read_text()) == [str(result.train_scene)]


def test_nobody_is_told_to_resume_a_run_that_goes_with_the_demo(
    tmp_path: Path, stand_ins: dict[str, Any]
) -> None:
    workflow.demo(DemoOptions(out=str(tmp_path / "demo")))
    assert stand_ins["resumable"] is False


@pytest.mark.parametrize(("shift", "least", "most"), [(0, 1.0, 1.0), (6, 0.3, 0.9)])
def test_the_iou_compares_with_the_true_roads(
    tmp_path: Path, stand_ins: dict[str, Any], shift: int, least: float, most: float
) -> None:
    stand_ins["shift"] = shift
    result = workflow.demo(DemoOptions(out=str(tmp_path / "demo"), seed=1))
    assert least <= result.iou <= most
    assert result.f1 == pytest.approx(2 * result.iou / (1 + result.iou))


def test_the_summary_ends_with_iou_minutes_and_paths(
    tmp_path: Path, stand_ins: dict[str, Any]
) -> None:
    stand_ins["shift"] = 0
    result = workflow.demo(DemoOptions(out=str(tmp_path / "demo")))
    text = result.summary()
    assert "IoU 1.000" in text
    for path in (result.polygons, result.scores, result.picture, result.model):
        assert str(path) in text


@pytest.mark.usefixtures("stand_ins")
def test_an_existing_demo_is_replaced_only_when_asked(tmp_path: Path) -> None:
    workflow.demo(DemoOptions(out=str(tmp_path / "demo")))
    with pytest.raises(OutputError, match="exists already"):
        workflow.demo(DemoOptions(out=str(tmp_path / "demo")))
    workflow.demo(DemoOptions(out=str(tmp_path / "demo"), overwrite=True, seed=1))
    assert read_yaml(tmp_path / "demo" / "demo.yaml")["seed"] == 1


@pytest.mark.usefixtures("stand_ins")
def test_a_folder_that_is_no_demo_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(OutputError, match=r"no demo\.yaml"):
        workflow.demo(DemoOptions(out=str(tmp_path), overwrite=True))
    assert (tmp_path / "thesis.txt").is_file()


def test_a_mount_point_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "volume")
    monkeypatch.setattr(workflow, "make_place", None)
    with pytest.raises(OutputError, match="volume is a mount point"):
        workflow.demo(DemoOptions(out=str(tmp_path / "volume")))
    assert [p.name for p in tmp_path.iterdir()] == ["volume"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_minutes": 0.0}, "--max-minutes is 0"),
        ({"seed": -1}, "--seed is -1"),
        pytest.param(
            {"device": "cuda"},
            "--device cuda finds no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_what_cannot_work_is_refused_before_the_place_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(workflow, "make_place", None)
    with pytest.raises((ConfigError, DeviceError), match=message):
        workflow.demo(DemoOptions(out=str(tmp_path / "demo"), **change))


@pytest.mark.usefixtures("stand_ins")
def test_a_failed_demo_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_options: TrainOptions, _progress: object, **_: object) -> Trained:
        raise CheckpointError("tiny", "is gone", "It is needed", "Bring it back")

    monkeypatch.setattr(workflow, "train", fail)
    with pytest.raises(CheckpointError, match="tiny is gone"):
        workflow.demo(DemoOptions(out=str(tmp_path / "demo")))
    assert not list(tmp_path.iterdir())


def load_forest() -> ModuleType:
    """The baseline that every figure of the benchmarks is compared with."""
    spec = importlib.util.spec_from_file_location("forest", BENCHMARKS / "forest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_forest_that_sees_colors_alone_does_not_find_the_roads(tmp_path: Path) -> None:
    """The demo is no color threshold in disguise, at whatever score the forest is cut."""
    forest = load_forest()
    files = write_place(make_place(0), tmp_path)
    labels = read_labels((str(files.roads),))
    trained = forest.train_forest(Scene.open(str(files.train_scene)), labels, 0)
    scene = Scene.open(str(files.unseen_scene))
    patch = scene.read(scene.grid.window)
    truth = labels.on(scene.grid, scene.name).read(scene.grid.window).classes.ravel() == 1
    scores = trained.predict_proba(forest.features(patch.image))[:, 1]

    def iou(cut: float) -> float:
        found = scores > cut
        return float((found & truth).sum() / (found | truth).sum())

    assert max(iou(cut) for cut in np.arange(0.1, 0.9, 0.05)) < 0.45


@pytest.mark.slow
@pytest.mark.alone
def test_the_demo_finds_the_roads_it_never_saw(tmp_path: Path) -> None:
    result = workflow.demo(DemoOptions(out=str(tmp_path / "demo"), device="cpu"))
    assert result.iou >= 0.60
    found = gpd.read_file(result.polygons, layer=result.polygons.stem)
    assert len(found) > 0
    assert found.crs.to_epsg() == 32632
    assert result.model.is_file()
    assert result.scores.is_file()
    assert result.picture.is_file()
