"""What more bands than three are worth: eight of WorldView-3, three of them, and a projection.

Usage: python benchmarks/bands.py [--rates 1e-2 ...] [--seeds 0 1 2] [--out build/bands]

Trains on the west of `vegas_multiclass` with its eight bands and judges the east, three classes.
The arms are the color bands, near infrared in place of red, and all eight, with several learning
rates of their projection. Every run is as `geocobot train` has it, default minutes and all.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from real_scenes import DATA, Case, judge, parts

import geocobot
from geocobot.models.modelfile import load_model

PLACE = Case("vegas_multiclass/scene_ms8.tif", "vegas_multiclass/labels.geojson", None)
FIELD = "label"

COLORS = (5, 3, 2)
INFRARED = (7, 3, 2)
ALL = (*COLORS, 1, 4, 6, 7, 8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-2])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("build/bands"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    arms = {"colors": (COLORS, None), "infrared": (INFRARED, None)}
    arms |= {f"all, rate {rate:g}": (ALL, rate) for rate in given.rates}
    for name, (bands, rate) in arms.items():
        found = [measure(bands, rate, seed, given.out) for seed in given.seeds]
        means = [statistics.mean(iou.values()) for iou in found]
        classes = ", ".join(f"{c} {statistics.mean(iou[c] for iou in found):.3f}" for c in found[0])
        each = " ".join(f"{mean:.3f}" for mean in means)
        print(f"{name:18s} mean IoU {statistics.mean(means):.3f} ({each}): {classes}", flush=True)


def measure(
    bands: tuple[int, ...], rate: float | None, seed: int, folder: Path
) -> dict[str, float]:
    """IoU per class of a map of the east."""
    west, east = parts(PLACE, folder)
    trained = geocobot.train(
        raster=west,
        labels=DATA / PLACE.labels,
        class_field=FIELD,
        bands=bands,
        projection_rate=rate,
        seed=seed,
        out=folder / "run",
        overwrite=True,
    )
    projection = load_model(trained.model)[0].projection
    if projection is not None:
        print(
            f"  largest weight of the projection: {projection.weight.abs().max():.2f}", flush=True
        )
    mapped = geocobot.predict(
        raster=east,
        model=trained.model,
        out=folder / "map.gpkg",
        overwrite=True,
        save_classes=True,
    )
    classes = mapped.scenes[0].classes
    assert classes is not None
    scores = judge(classes, east, DATA / PLACE.labels, FIELD)
    return {name: iou for name, iou in scores.items() if not name.endswith(" F1")}


if __name__ == "__main__":
    main()
