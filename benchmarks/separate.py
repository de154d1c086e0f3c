"""Objects found on a dense settlement, with and without cutting apart those that touch.

Usage: python benchmarks/separate.py [--seeds 0 1] [--epochs 8] [--out build/separate]

Trains on Kampala's `scene_a` with and without `--separate` and maps `scene_b`, by the commands
that a user would type. Polygons are drawn of each map's scores in three ways: as they are, cut by
the regions' own distance transform, and cut by what was learned. A polygon is right that overlaps
a labelled building by half of what both cover together; no building has two of those.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import shapely
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, maximum_filter
from skimage.morphology import h_maxima

from geocobot.config import PredictOptions
from geocobot.evaluation.pixels import Confusion
from geocobot.io.label_files import read_labels
from geocobot.io.scene import Scene
from geocobot.io.score_file import ScoreFile
from geocobot.steps import SCORE_SCALE, classify_steps
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "kampala_buildings"
LABELS, LEARNED, JUDGED = (DATA / n for n in ("labels.geojson", "scene_a.tif", "scene_b.tif"))

HALF = 0.5
LEAST_M2 = 1.0
PEAK_PX = 12
"""How far the middle of an object stands out, where the distance transform tells."""

Polygons = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Found:
    """How many objects of a map are right."""

    labelled: int
    drawn: int
    right: int

    @property
    def row(self) -> str:
        """Count, precision, recall and F1, as cells of a table."""
        precision, recall = self.right / max(1, self.drawn), self.right / self.labelled
        f1 = 2 * self.right / (self.drawn + self.labelled)
        return f"{self.drawn} | {precision:.3f} | {recall:.3f} | {f1:.3f}"


def buildings() -> Polygons:
    """Labelled buildings as far as the judged scene shows them."""
    with rasterio.open(JUDGED) as raster:
        crs, seen = raster.crs, shapely.box(*raster.bounds)
    placed = gpd.read_file(LABELS).to_crs(crs).geometry.make_valid()
    parts = placed.intersection(seen).explode(ignore_index=True)
    return np.asarray(parts[parts.area > LEAST_M2].array)


def judge(drawn: Polygons, truth: Polygons) -> Found:
    """Match objects; an overlap of half allows one partner at most."""
    i, j = shapely.STRtree(drawn).query(truth, predicate="intersects")
    common = shapely.area(shapely.intersection(truth[i], drawn[j]))
    united = shapely.area(truth[i]) + shapely.area(drawn[j]) - common
    return Found(len(truth), len(drawn), int((common >= HALF * united).sum()))


def as_they_are(file: ScoreFile) -> Iterator[Strip]:
    """The scores of classes alone."""
    return file.of_classes().strips()


def by_distance(file: ScoreFile) -> Iterator[Strip]:
    """With insides that stand out in the distance transform of what is above the threshold."""
    steps = np.concatenate([strip.steps for strip in file.of_classes().strips()], axis=1)
    depth = distance_transform_edt(classify_steps(steps, file.classes) == 1)
    peaks = h_maxima(np.minimum(2 * depth, SCORE_SCALE).astype(np.uint8), 2 * PEAK_PX)
    peaks = maximum_filter(peaks, 3) > 0  # large enough to count
    slopes = np.minimum(depth, SCORE_SCALE // 2 - 1)
    yield Strip(0, np.concatenate([steps, np.where(peaks, SCORE_SCALE, slopes)[None].astype("u1")]))


def by_what_was_learned(file: ScoreFile) -> Iterator[Strip]:
    """With the plane of the model."""
    return file.strips()


WAYS: dict[str, Callable[[ScoreFile], Iterator[Strip]]] = {
    "nothing": as_they_are,
    "distance transform": by_distance,
    "learned": by_what_was_learned,
}


def draw(file: ScoreFile, way: str) -> Polygons:
    """Polygons as `geocobot predict` draws them by default."""
    clean = CleanOptions(min_area_m2=PredictOptions.min_area, simplify_m=PredictOptions.simplify)
    if way == "distance transform":  # its insides are peaks, and no areas
        clean = replace(clean, min_area_m2=0.0)
    strips = WAYS[way](file)
    frames = polygonize(strips, file.grid, file.classes, clean, separate=way != "nothing")
    frame = pd.concat(list(frames))
    return np.asarray(frame[frame["area_m2"] >= PredictOptions.min_area].geometry.array)


def pixel_iou(file: ScoreFile) -> float:
    """IoU of the class, by pixels."""
    scene = Scene.open(JUDGED)
    truth = read_labels([LABELS]).on(scene.grid, scene.name).read(scene.grid.window).classes
    steps = np.concatenate([strip.steps for strip in file.of_classes().strips()], axis=1)
    confusion = Confusion(file.classes)
    confusion.add(truth, classify_steps(steps, file.classes), np.ones(truth.shape, dtype=np.bool_))
    return confusion.scores().mean_iou or 0.0


def picture(ways: dict[str, Polygons], path: Path) -> None:
    """Outlines over the scene, side by side."""
    with rasterio.open(JUDGED) as raster:
        ground = Image.fromarray(np.moveaxis(raster.read([1, 2, 3]), 0, -1))
        to_pixels = ~raster.transform
    sheet = Image.new("RGB", (ground.width * len(ways), ground.height))
    for k, polygons in enumerate(ways.values()):
        panel = ground.copy()
        pen = ImageDraw.Draw(panel)
        for ring in shapely.get_rings(polygons):
            pen.line([to_pixels * xy for xy in ring.coords], fill="#ffee00", width=3)
        sheet.paste(panel, (k * ground.width, 0))
    sheet.save(path)


def command(*words: object) -> None:
    """Do what a user would type."""
    subprocess.run([sys.executable, "-m", "geocobot", *map(str, words), "-q"], check=True)


def mapped(folder: Path, seed: int, epochs: int, *, separate: bool) -> ScoreFile:
    """Train, unless that is done, and map; the scores."""
    run = folder / f"{'separate' if separate else 'plain'}_seed{seed}"
    if not run.exists():
        how = ["--separate"] if separate else []
        how += ["--epochs", epochs, "--seed", seed, "--workers", 0, "--out", run]
        command("train", "--raster", LEARNED, "--labels", LABELS, *how)
    out = folder / f"{run.name}.gpkg"
    model = run / "model.safetensors"
    command("predict", "--raster", JUDGED, "--model", model, "--save-scores", "-f", "-o", out)
    return ScoreFile.open(folder / f"{run.name}_scores.tif")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("build/separate"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    truth = buildings()
    print(f"{len(truth)} buildings\n")
    print("| Seed | Trained | Cut by | Pixel IoU | Objects | Precision | Recall | F1 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for seed in given.seeds:
        for separate in (False, True):
            file = mapped(given.out, seed, given.epochs, separate=separate)
            ways = {w: draw(file, w) for w in WAYS if separate or w != "learned"}
            iou, how = pixel_iou(file), "with `--separate`" if separate else "as usual"
            for way, polygons in ways.items():
                found = judge(polygons, truth)
                print(f"| {seed} | {how} | {way} | {iou:.3f} | {found.row} |", flush=True)
            picture(ways, given.out / f"{'separate' if separate else 'plain'}_seed{seed}.png")


if __name__ == "__main__":
    main()
