"""Are scores probabilities, before and after what `geocobot train --calibrate` fits?

Usage: python benchmarks/calibration.py [vegas_roads vegas_multiclass kampala_buildings]
       [--minutes 1.5] [--seeds 0 1] [--out build/calibration]

A model is trained on one part of a scene (see real_scenes.py) without calibration. What the package
would fit is fitted to its validation blocks and judged where it was not: on blocks left out of the
fit, and on the part of the scene, or the other scene, that the model never saw. A folder that holds
a trained model is not trained again.

Columns: expected calibration error (15 bins) of scores as they are, by temperature alone, by
temperature and bias (Platt), and by what the package chooses of these, then the Brier score and the
IoU of the map before and after; the threshold moves along, so that the maps of a single class are
the same. Then the error on blocks left out of the fit, and how far the scores of polygons are from
the share of their pixels that is true, on average over their area.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window
from real_scenes import CASES, DATA, Case, parts, timed
from scipy import ndimage

from geocobot.classes import ClassSpec
from geocobot.evaluation.pixels import Confusion
from geocobot.evaluation.scaling_fit import (
    LogitCounts,
    ScalingFit,
    fit_scaling,
    most_likely,
    put_in_force,
)
from geocobot.evaluation.score_counts import expected_error, reliability
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.models.card import read_card
from geocobot.scaling import UNSCALED, Scaling, scaled_steps
from geocobot.steps import LOGIT_STEPS, as_steps, classify_steps, scores_of


@dataclass(frozen=True, eq=False)
class Mapped:
    """A scene with what a model says of it.

    Attributes:
        scene: opened.
        logits: (K, H, W) int16 in steps.
        valid: (H, W) bool.
        truth: (H, W) uint8 class numbers.
    """

    scene: Scene
    logits: npt.NDArray[np.int16]
    valid: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.uint8]

    @classmethod
    def by(cls, model: Path, raster: Path, labels: Path, field: str | None, out: Path) -> Mapped:
        """Map a raster, with all digits of the scores."""
        timed(
            "predict", "--raster", raster, "--model", model, "-o", out, "-f", "--no-report",
            "--save-scores", "--scores-dtype", "float32",
        )  # fmt: skip
        scene = Scene.open(raster)
        with rasterio.open(out.with_name(f"{out.stem}_scores.tif")) as file:
            scores = file.read().astype(np.float64)
        valid = np.isfinite(scores).all(axis=0)
        inner = np.where(valid, scores, 0.5).clip(1e-7, 1 - 1e-7)
        logits = as_steps(np.log(inner / (1 - inner)).astype(np.float32), valid)
        truth = read_labels([labels], LabelChoice(class_field=field)).on(scene.grid, scene.name)
        return cls(scene, logits, valid, truth.read(scene.grid.window).classes)

    def counts(self, classes: Sequence[ClassSpec], blocks: Sequence[Window]) -> LogitCounts:
        """Counted logits of windows."""
        counts = LogitCounts(classes)
        for window in blocks:
            part = window.toslices()
            counts.add(self.truth[part], self.logits[:, *part], self.valid[part])
        return counts

    def iou(self, classes: Sequence[ClassSpec], scaling: Sequence[Scaling]) -> list[float]:
        """IoU of each class of the map."""
        confusion = Confusion(classes)
        labels = classify_steps(scaled_steps(self.logits, scaling), classes)
        confusion.add(self.truth, labels, self.valid)
        return [score.iou or 0.0 for score in confusion.scores().classes]

    def honesty(self, k: int, number: int, scaling: Scaling) -> tuple[float, float]:
        """Expected calibration error and Brier score of a class."""
        logits = self.logits[k][self.valid] / LOGIT_STEPS
        scores = 0.5 + 0.5 * np.tanh(0.5 * scaling.of(logits))
        is_class = (self.truth[self.valid] == number).astype(np.int64)
        error = expected_error(reliability(scores, np.stack([1 - is_class, is_class])))
        return error or 0.0, float(((scores - is_class) ** 2).mean())

    def of_polygons(
        self, k: int, classes: Sequence[ClassSpec], scaling: Sequence[Scaling]
    ) -> float:
        """Distance of scores from shares of true pixels, over the connected parts of a class."""
        steps = scaled_steps(self.logits, scaling)
        number = classes[k].number
        parts, n_parts = ndimage.label(classify_steps(steps, classes) == number)
        part = parts[parts > 0]
        score = np.bincount(part, scores_of(steps[k])[parts > 0], n_parts + 1)
        true = np.bincount(part, self.truth[parts > 0] == number, n_parts + 1)
        return float(np.abs(score - true).sum() / max(1, len(part)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(CASES))
    parser.add_argument("--minutes", type=float, default=1.5, help="of each training")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--out", type=Path, default=Path("build/calibration"))
    given = parser.parse_args()
    head = "as it is|temperature|Platt|chosen|which|Brier|after|IoU|after|left out|after"
    head += "|polygons|after"
    print(f"| Unseen part, seed | class | {head.replace('|', ' | ')} |")
    print("|---" * 15 + "|")
    for name in given.names:
        for seed in given.seeds:
            folder = given.out / f"{name}_{seed}"
            for row in measure(CASES[name], folder, given.minutes, seed):
                print(f"| {name} {seed} | {' | '.join(row)} |", flush=True)


def measure(case: Case, folder: Path, minutes: float, seed: int) -> Iterator[list[str]]:
    """Train on one part, fit on its validation blocks, judge the other part: a row per class."""
    folder.mkdir(parents=True, exist_ok=True)
    train_on, judged = parts(case, folder)
    labels, field = DATA / case.labels, case.flags[1] if case.flags else None
    run = folder / "run"
    if not run.is_dir():
        timed(
            "train", "--raster", train_on, "--labels", labels, "-o", run, "--no-calibrate",
            "--no-report", "--max-minutes", minutes, "--seed", seed, *case.flags,
        )  # fmt: skip
    model = run / "model.safetensors"
    classes = read_card(model).classes
    seen = Mapped.by(model, train_on, labels, field, folder / "seen.gpkg")
    unseen = Mapped.by(model, judged, labels, field, folder / "unseen.gpkg")
    groups = seen.counts(classes, blocks_of(run / "split.gpkg", seen.scene)).groups()
    fits = [fit_scaling(c.name, groups[:, :, k]) for k, c in enumerate(classes)]
    moved = [put_in_force(spec, fit) for spec, fit in zip(classes, fits, strict=True)]
    before = unseen.iou(classes, ())
    in_force = [spec for spec, _ in moved], [fit.scaling for _, fit in moved]
    after = unseen.iou(*in_force)
    for k, (spec, (_, fit)) in enumerate(zip(classes, moved, strict=True)):
        found = [unseen.honesty(k, spec.number, s) for s in tried(groups[:, :, k], fit)]
        yield [
            spec.name,
            *(f"{error:.4f}" for error, _ in found),
            f"{fit.method} / {fit.scaling.temperature:.2f} {fit.scaling.bias:+.2f}",
            *(f"{found[at][1]:.4f}" for at in (0, -1)),
            *(f"{iou[k]:.4f}" for iou in (before, after)),
            *(f"{error or 0:.4f}" for error in (fit.error_before, fit.error_after)),
            f"{unseen.of_polygons(k, classes, ()):.4f}",
            f"{unseen.of_polygons(k, *in_force):.4f}",
        ]


def tried(groups: npt.NDArray[np.int64], fit: ScalingFit) -> list[Scaling]:
    """None, temperature, Platt, and the chosen one; of pixels (G, 2, bins) by group of blocks."""
    used = groups[groups.any(axis=(1, 2))]
    both = [most_likely(used.sum(axis=0), len(used), has_bias) for has_bias in (False, True)]
    return [UNSCALED, *both, fit.scaling]


def blocks_of(split: Path, scene: Scene) -> list[Window]:
    """The validation blocks of a run, in pixels of its scene."""
    areas = gpd.read_file(split).to_crs(scene.grid.crs)
    boxes = areas[areas["role"] == "validation"].geometry.explode().bounds
    windows = (scene.grid.window_for(tuple(box)) for box in boxes.to_numpy())
    return [w for window in windows if (w := scene.grid.clip(window)) is not None]


if __name__ == "__main__":
    main()
