"""Train on one part of a real scene, judge another part, beside a per-pixel random forest.

Usage: python benchmarks/real_scenes.py [vegas_roads vegas_multiclass kampala_buildings]
       [--minutes M] [--resolution METRES] [--start random] [--seed 0] [--out build/real_scenes]

Every stage is the command that a user would type, in a process of its own, so that minutes and
peak memory are the user's. Ours and the forest see the same training pixels and are judged on
the same unseen pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from forest import judge_forest
from rasterio.windows import Window

from geocobot.evaluation.pixels import Confusion
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """One real scene with its labels and the parts to train on and to judge.

    Attributes:
        scene: raster to train on; its west half where `judged` is None.
        labels: label file.
        judged: raster to judge; the east half of `scene` where None.
        flags: what the user adds to `geocobot train`.
    """

    scene: str
    labels: str
    judged: str | None
    flags: tuple[str, ...] = ()


CASES = {
    "vegas_roads": Case("vegas_roads/scene.tif", "vegas_roads/roads.geojson", None),
    "vegas_multiclass": Case(
        "vegas_multiclass/scene_rgb8.tif",
        "vegas_multiclass/labels.geojson",
        None,
        ("--class-field", "label"),
    ),
    "kampala_buildings": Case(
        "kampala_buildings/scene_a.tif",
        "kampala_buildings/labels.geojson",
        "kampala_buildings/scene_b.tif",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES))
    parser.add_argument("--minutes", type=float, help="of training, in place of the default")
    parser.add_argument("--resolution", type=float, help="of the pixels that the model sees")
    parser.add_argument("--start", choices=["pretrained", "random"], default="pretrained")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/real_scenes"))
    given = parser.parse_args()
    for name in given.names:
        how = ["--start", given.start]
        how += [] if given.minutes is None else ["--max-minutes", given.minutes]
        how += [] if given.resolution is None else ["--resolution", given.resolution]
        report(name, measure(CASES[name], given.out / name, how, given.seed))


def measure(case: Case, folder: Path, how: Sequence[object], seed: int) -> dict[str, object]:
    """Run one case, with more flags for the training, and return its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    train_on, judged = parts(case, folder)
    labels = DATA / case.labels
    run = folder / "run"
    train = timed(
        "train", "--raster", train_on, "--labels", labels, "-o", run, "-f",
        "--seed", seed, *how, *case.flags,
    )  # fmt: skip
    predict = timed(
        "predict", "--raster", judged, "--model", run / "model.safetensors", "-f",
        "-o", folder / "map.gpkg", "--save-classes", "--save-scores",
    )  # fmt: skip
    field = case.flags[1] if case.flags else None
    ours = judge(folder / "map_classes.tif", judged, labels, field)
    forest = judge_forest(train_on, judged, labels, class_field=field, seed=seed)
    return {"ours": ours, "forest": forest, "train": train, "predict": predict}


def parts(case: Case, folder: Path) -> tuple[Path, Path]:
    """The raster to train on and the raster to judge."""
    scene = DATA / case.scene
    if case.judged is not None:
        return scene, DATA / case.judged
    with rasterio.open(scene) as source:
        half = source.width // 2
        west = crop(source, Window(0, 0, half, source.height), folder / "west.tif")
        east = crop(
            source, Window(half, 0, source.width - half, source.height), folder / "east.tif"
        )
    return west, east


def crop(source: rasterio.DatasetReader, window: Window, path: Path) -> Path:
    """Write a window of a raster with its georeference and color interpretation."""
    profile = source.profile | {
        "driver": "GTiff",
        "width": window.width,
        "height": window.height,
        "transform": source.window_transform(window),
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(source.read(window=window))
        target.colorinterp = source.colorinterp
    return path


def timed(*command: object) -> dict[str, float]:
    """Run a geocobot command; minutes and peak memory in GiB."""
    start = time.perf_counter()
    words = [sys.executable, "-m", "geocobot", *map(str, command)]
    process = subprocess.Popen(words)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed with {status}")
    return {"minutes": (time.perf_counter() - start) / 60, "peak_gib": usage.ru_maxrss / 2**20}


def judge(classes: Path, judged: Path, labels: Path, field: str | None) -> dict[str, float]:
    """IoU and F1 per class of a class raster against the labels."""
    scene = Scene.open(judged)
    truth = read_labels([labels], LabelChoice(class_field=field))
    raster = truth.on(scene.grid, scene.name)
    confusion = Confusion(truth.classes)
    with rasterio.open(classes) as mapped:
        confusion.add(
            raster.read(scene.grid.window).classes,
            mapped.read(1),
            scene.read(scene.grid.window).valid,
        )
    scores = confusion.scores()
    return {s.name: s.iou for s in scores.classes} | {f"{s.name} F1": s.f1 for s in scores.classes}


def report(name: str, figures: dict[str, object]) -> None:
    """Print one case as JSON: easy to read, easy to keep."""
    rounded = json.loads(json.dumps(figures), parse_float=lambda v: round(float(v), 4))
    print(json.dumps({name: rounded}, indent=1, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
