"""The main job on a made-up place: learn from its west, map its east, say how good that is."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geocobot.classes import ClassSpec, classify
from geocobot.config import DemoOptions, PredictOptions, TrainOptions
from geocobot.evaluation.pixels import ClassScore, Confusion
from geocobot.io.label_files import read_labels
from geocobot.io.mounts import check_no_mount
from geocobot.io.output import new_folder
from geocobot.io.scene import Scene
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import check_limits, to_yaml
from geocobot.steps import SCORE_SCALE
from geocobot.synthetic.place import PlaceFiles, make_place, write_place
from geocobot.workflows.device import choose_device
from geocobot.workflows.picture import Row, draw_rows
from geocobot.workflows.predict import predict
from geocobot.workflows.train import train
from geocobot.yaml_file import dump_yaml, read_yaml

CONFIG_NAME = "demo.yaml"
PICTURE_NAME = "picture.png"

_SILENT = SilentProgress()
_PICTURE_ROWS = 768


@dataclass(frozen=True)
class DemoResult:
    """What the demo left behind.

    Attributes:
        folder: of everything below.
        train_scene: GeoTIFF that was learned from.
        unseen_scene: GeoTIFF that was mapped.
        roads: true roads of both, GeoPackage.
        model: the model file.
        polygons: roads that were found in the unseen scene, GeoPackage.
        scores: their scores, GeoTIFF.
        picture: image, true and found roads of the unseen scene, PNG.
        iou: intersection over union of true and found roads there.
        f1: harmonic mean of precision and recall there.
        minutes: wall time of everything.
    """

    folder: Path
    train_scene: Path
    unseen_scene: Path
    roads: Path
    model: Path
    polygons: Path
    scores: Path
    picture: Path
    iou: float
    f1: float
    minutes: float

    def summary(self) -> str:
        """How good it is, what was written, where, how long it took, and what to do next."""
        return "\n".join(
            [
                f"Unseen part: IoU {self.iou:.3f}, F1 {self.f1:.3f}, in {self.minutes:.1f} minutes",
                f"  polygons  {self.polygons}",
                f"  scores    {self.scores}",
                f"  picture   {self.picture}",
                f"  scene     {self.unseen_scene}",
                f"  model     {self.model}",
                "Open the polygons over the scene in QGIS. The same with your own data:",
                "  geocobot train --raster scene.tif --labels roads.shp",
            ]
        )


def demo(options: DemoOptions, progress: Progress = _SILENT) -> DemoResult:
    """Make a place, train on its west, map its east and compare with the truth.

    Everything runs through the same workflows as a user's own data.

    Args:
        options: where to write, how long to train, which place.
        progress: is told of every stage.

    Raises:
        GeocobotError: an option makes no sense, there is no such device, or the folder exists
            and may not be replaced or cannot be written.
    """
    started = time.perf_counter()
    check_limits(options)
    choose_device(options.device)
    target = Path(options.out)
    check_no_mount(target)
    with new_folder(target, overwrite=options.overwrite, marker=CONFIG_NAME) as folder:
        with progress.task("Making a place", 1) as task:
            files = write_place(make_place(options.seed), folder)
            task.advance()
        result = _learn_and_map(options, files, folder, progress)
        (folder / CONFIG_NAME).write_text(to_yaml(options), encoding="utf-8")
        _name_final_paths(folder, target.resolve())
    minutes = (time.perf_counter() - started) / 60
    return _moved(replace(result, minutes=minutes), folder, target)


def _learn_and_map(
    options: DemoOptions, files: PlaceFiles, folder: Path, progress: Progress
) -> DemoResult:
    """Train, predict and judge; minutes are left at 0."""
    trained = train(
        TrainOptions(
            raster=(str(files.train_scene),),
            labels=(str(files.roads),),
            out=str(folder / "run"),
            max_minutes=options.max_minutes,
            seed=options.seed,
            device=options.device,
        ),
        progress,
        resumable=False,
    )
    mapped = predict(
        PredictOptions(
            raster=(str(files.unseen_scene),),
            model=str(trained.model),
            out=str(folder / "roads_found.gpkg"),
            save_scores=True,
            device=options.device,
        ),
        progress,
    ).scenes[0]
    assert mapped.scores is not None
    picture = folder / PICTURE_NAME
    score = judge(files, mapped.scores, trained.classes, picture)
    return DemoResult(
        folder=folder,
        train_scene=files.train_scene,
        unseen_scene=files.unseen_scene,
        roads=files.roads,
        model=trained.model,
        polygons=mapped.polygons,
        scores=mapped.scores,
        picture=picture,
        iou=score.iou or 0.0,
        f1=score.f1 or 0.0,
        minutes=0.0,
    )


def judge(
    files: PlaceFiles, scores: Path, classes: Sequence[ClassSpec], picture: Path
) -> ClassScore:
    """Compare the roads found in the unseen scene with the true ones, and draw both.

    Args:
        files: of the place.
        scores: scores raster of the unseen scene.
        classes: the one class of the model, with its threshold.
        picture: PNG to write.
    """
    scene = Scene.open(str(files.unseen_scene))
    patch = scene.read(scene.grid.window)
    truth = read_labels((str(files.roads),)).on(scene.grid, scene.name).read(scene.grid.window)
    bands = range(1, len(classes) + 1)
    mapped = Scene.open(str(scores), bands=bands).read(scene.grid.window)
    share = mapped.image.astype(np.float32) / np.float32(SCORE_SCALE)
    predicted = classify(share, mapped.valid, classes)
    confusion = Confusion(classes)
    confusion.add(truth.classes, predicted, patch.valid)
    shown = slice(0, _PICTURE_ROWS)
    image = patch.image[:, shown].astype(np.float32) / np.float32(255)
    row = Row(image, truth.classes[shown], predicted[shown])
    draw_rows([row], classes, picture)
    return confusion.scores().classes[0]


def _name_final_paths(folder: Path, target: Path) -> None:
    """Let options, figures and reports name the files where they end up, not where they were made.

    The folder's hidden name holds a token, so that nothing else looks like it.
    """
    for path in folder.rglob("*.yaml"):
        content = {
            name: [_renamed(v, folder, target) for v in value]
            if isinstance(value, list)
            else _renamed(value, folder, target)
            for name, value in read_yaml(path).items()
        }
        path.write_text(dump_yaml(content), encoding="utf-8")
    for path in folder.rglob("*.json"):
        _replace(path, _in_json(folder), _in_json(target))
    for path in folder.rglob("*.html"):
        _replace(path, html.escape(str(folder)), html.escape(str(target)))


def _renamed(value: Any, folder: Path, target: Path) -> Any:
    """A path below the folder as one below the target; anything else as it is."""
    below = isinstance(value, str) and Path(value).is_relative_to(folder)
    return str(target / Path(value).relative_to(folder)) if below else value


def _in_json(path: Path) -> str:
    """A path as it is within a text in JSON."""
    return json.dumps(str(path))[1:-1]


def _replace(path: Path, was: str, is_now: str) -> None:
    """Replace a text in a file."""
    path.write_text(path.read_text("utf-8").replace(was, is_now), encoding="utf-8")


def _moved(result: DemoResult, folder: Path, target: Path) -> DemoResult:
    """The result with its paths in the finished folder."""
    moved: dict[str, Any] = {
        name: target / value.relative_to(folder) if isinstance(value, Path) else value
        for name, value in vars(result).items()
    }
    return replace(result, **moved)
