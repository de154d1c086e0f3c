"""What color alone can tell: a per-pixel random forest on the same labels.

The baseline of every figure in benchmarks/README.md. It sees the raw band values of one pixel at
a time, the labelled pixels of the whole training raster, and no neighbourhood.

Usage: python benchmarks/forest.py TRAIN.tif JUDGED.tif LABELS [CLASS_FIELD]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier

from geocobot.classes import IGNORE
from geocobot.evaluation.pixels import Confusion
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.labels import Labels
from geocobot.io.scene import Scene
from geocobot.io.widths import Widths

TREES = 100
MIN_LEAF_PX = (
    20  # on single pixels smaller leaves learn the noise: 0.02 IoU worse, ten times slower
)
MAX_TRAINING_PX = 300_000  # of three values each: enough for any forest, in a minute or two
ROWS_AT_ONCE = 512


def judge_forest(
    train_on: Path,
    judged: Path,
    labels: Path,
    *,
    class_field: str | None = None,
    line_width_m: float | None = None,
    seed: int = 0,
) -> dict[str, float | None]:
    """Train a forest on one raster and judge it on another.

    Args:
        train_on: raster whose valid pixels are learned from.
        judged: raster whose valid pixels are judged; the same bands.
        labels: vector file that covers both.
        class_field: attribute whose values are the classes.
        line_width_m: full width of labelled lines.
        seed: of the sample and of the forest.

    Returns:
        Class name to IoU, and "<class> F1" to F1.
    """
    truth = read_labels(
        [labels],
        LabelChoice(class_field=class_field, widths=Widths(line_width_m=line_width_m)),
    )
    forest = train_forest(Scene.open(train_on), truth, seed)
    scores = map_and_judge(forest, Scene.open(judged), truth).scores()
    return {s.name: s.iou for s in scores.classes} | {f"{s.name} F1": s.f1 for s in scores.classes}


def train_forest(scene: Scene, labels: Labels, seed: int) -> RandomForestClassifier:
    """Fit a forest to a sample of a scene's labelled pixels."""
    patch = scene.read(scene.grid.window)
    classes = labels.on(scene.grid, scene.name).read(scene.grid.window).classes
    labelled = np.flatnonzero(patch.valid & (classes != IGNORE))
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(labelled)[:MAX_TRAINING_PX]
    forest = RandomForestClassifier(
        TREES, min_samples_leaf=MIN_LEAF_PX, n_jobs=-1, random_state=seed
    )
    return forest.fit(features(patch.image)[chosen], classes.ravel()[chosen])


def map_and_judge(forest: RandomForestClassifier, scene: Scene, labels: Labels) -> Confusion:
    """Classify every pixel of a scene and count it against the labels."""
    patch = scene.read(scene.grid.window)
    truth = labels.on(scene.grid, scene.name).read(scene.grid.window).classes
    confusion = Confusion(labels.classes)
    for row in range(0, scene.grid.height, ROWS_AT_ONCE):
        rows = slice(row, row + ROWS_AT_ONCE)
        mapped = forest.predict(features(patch.image[:, rows]))
        confusion.add(
            truth[rows], mapped.reshape(truth[rows].shape).astype(np.uint8), patch.valid[rows]
        )
    return confusion


def features(image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Turn (C, H, W) into one row of raw band values per pixel."""
    return image.reshape(len(image), -1).T


if __name__ == "__main__":
    train, judge, vector, *field = sys.argv[1:]
    print(
        json.dumps(
            judge_forest(
                Path(train), Path(judge), Path(vector), class_field=field[0] if field else None
            ),
            indent=1,
        )
    )
