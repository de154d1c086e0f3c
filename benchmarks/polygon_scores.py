"""Is the score of a polygon the share of its area that is truly of the class?

Usage: python benchmarks/polygon_scores.py [kampala_buildings vegas_roads] [--separate]
       [--minutes 2] [--seeds 0] [--out build/polygon_scores]

A model is trained on one part of a place (see places.py) without calibration. What the package
would fit to its validation blocks goes into a copy of the model file. Both map the part that was
never seen, by the command that a user would type, and their polygons are sorted by the score that
the file says of them. A folder that holds a trained model is not trained again.

Rows: polygons of a tenth of scores, how many, their area, their mean score and the share of their
pixels that is true, both by area; where labels are polygons, also the share of these polygons that
match one: the two cover half of what they cover together. Then, by area, the mean distance of score
and share over the rows (as in a reliability diagram) and over single polygons.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from calibration import Mapped, blocks_of
from places import PLACES, Place, cut_part
from rasterio.features import rasterize
from real_scenes import DATA, timed

from geocobot.evaluation.scaling_fit import fit_scaling, put_in_force
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.models.modelfile import load_model, save_model

_BINS = 10
_HALF = 0.5

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygons of a map, each beside the truth.

    Attributes:
        score: (N,) as the file says.
        share: (N,) of the pixels that are truly of the class.
        area: (N,) in pixels.
        right: (N,) whether it matches a labelled object; None where these are no polygons.
    """

    score: _Numbers
    share: _Numbers
    area: _Numbers
    right: npt.NDArray[np.bool_] | None

    @classmethod
    def read(cls, path: Path, raster: Path, labels: Path) -> Polygons:
        """Polygons of a file, judged by labels."""
        scene = Scene.open(raster)
        truth = read_labels([labels], LabelChoice()).on(scene.grid, scene.name)
        is_class = truth.read(scene.grid.window).classes == 1
        frame = gpd.read_file(path, layer=path.stem).to_crs(scene.grid.crs)
        number = rasterize(
            zip(frame.geometry, range(1, len(frame) + 1), strict=True),
            scene.grid.shape,
            transform=scene.grid.transform,
            dtype="int32",
        )
        area = np.bincount(number.ravel(), minlength=len(frame) + 1)[1:].astype(np.float64)
        true = np.bincount(number[is_class], minlength=len(frame) + 1)[1:]
        seen = area > 0
        share = true[seen] / area[seen]
        right = match(frame, labels, scene)
        return cls(
            frame["score"].to_numpy()[seen],
            share,
            area[seen],
            None if right is None else right[seen],
        )

    def rows(self) -> list[str]:
        """The table of these polygons, and how far they are off."""
        place = np.minimum((self.score * _BINS).astype(int), _BINS - 1)
        said, distances = [], []
        for tenth in np.unique(place):
            own = place == tenth
            area, n = self.area[own], int(own.sum())
            score, share = (np.average(v[own], weights=area) for v in (self.score, self.share))
            distances.append((abs(score - share), area.sum()))
            matched = "-" if self.right is None else f"{self.right[own].mean():.2f}"
            bounds = f"{tenth / _BINS:.1f} to {(tenth + 1) / _BINS:.1f}"
            part = area.sum() / self.area.sum()
            said.append(f"{bounds} | {n} | {part:.0%} | {score:.2f} | {share:.2f} | {matched}")
        off, weights = zip(*distances, strict=True)
        single = np.average(np.abs(self.score - self.share), weights=self.area)
        by_row = np.average(off, weights=weights)
        score, share = (np.average(v, weights=self.area) for v in (self.score, self.share))
        matched = "-" if self.right is None else f"{self.right.mean():.2f}"
        said.append(f"all | {len(self.score)} | 100% | {score:.2f} | {share:.2f} | {matched}")
        said.append(f"off by | | | {by_row:.3f} (rows) | {single:.3f} (polygons) |")
        return said


def match(frame: gpd.GeoDataFrame, labels: Path, scene: Scene) -> npt.NDArray[np.bool_] | None:
    """Which polygons (N,) match a label; None where labels are no polygons."""
    placed = gpd.read_file(labels).to_crs(scene.grid.crs).geometry.make_valid()
    if not set(placed.geom_type) <= {"Polygon", "MultiPolygon"}:
        return None
    whole = placed.intersection(shapely.box(*scene.grid.bounds))
    truth, drawn = np.asarray(whole.array), np.asarray(frame.geometry.array)
    i, j = shapely.STRtree(drawn).query(truth, predicate="intersects")
    common = shapely.area(shapely.intersection(truth[i], drawn[j]))
    united = shapely.area(truth[i]) + shapely.area(drawn[j]) - common
    found = np.zeros(len(drawn), dtype=np.bool_)
    found[j[common >= _HALF * united]] = True
    return found


def calibrated(model: Path, run: Path, learned: Path, labels: Path, folder: Path) -> Path:
    """A copy of a model file with what its validation blocks make of its scores."""
    segmenter, card = load_model(model)
    seen = Mapped.by(model, learned, labels, None, folder / "seen.gpkg")
    seen = replace(seen, logits=seen.logits[: len(card.classes)])
    counts = seen.counts(card.classes, blocks_of(run / "split.gpkg", seen.scene)).groups()
    fits = [fit_scaling(c.name, counts[:, :, k]) for k, c in enumerate(card.classes)]
    moved = [put_in_force(spec, fit) for spec, fit in zip(card.classes, fits, strict=True)]
    for spec, fit in moved:
        print(f"{fit.method}, {fit.scaling.in_words()}, threshold {spec.threshold:.3f}")
    path = folder / "calibrated.safetensors"
    classes, scaling = tuple(s for s, _ in moved), tuple(f.scaling for _, f in moved)
    save_model(path, segmenter, replace(card, classes=classes, scaling=scaling))
    return path


def measure(place: Place, folder: Path, minutes: float, seed: int, *, separate: bool) -> None:
    """Train on one part, map the other with both models and print what became of scores."""
    folder.mkdir(parents=True, exist_ok=True)
    learned, judged = (cut_part(part, folder) for part in (place.train, place.judged))
    run, labels = folder / "run", DATA / place.labels
    if not run.is_dir():
        how = ["--separate"] if separate else []
        timed(
            "train", "--raster", learned, "--labels", labels, "-o", run, "--no-calibrate",
            "--no-report", "--max-minutes", minutes, "--seed", seed, *how, "-q",
        )  # fmt: skip
    plain = run / "model.safetensors"
    models = {"as it is": plain, "scaled": calibrated(plain, run, learned, labels, folder)}
    for name, model in models.items():
        out = folder / f"{name.replace(' ', '_')}.gpkg"
        timed("predict", "--raster", judged, "--model", model, "-o", out, "-f", "--no-report", "-q")
        for row in Polygons.read(out, judged, labels).rows():
            print(f"| {name} | {row} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["kampala_buildings", "vegas_roads"])
    parser.add_argument("--separate", action="store_true", help="tell single objects apart")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each training")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--out", type=Path, default=Path("build/polygon_scores"))
    given = parser.parse_args()
    for name in given.names:
        for seed in given.seeds:
            print(f"\n{name}, seed {seed}{', --separate' if given.separate else ''}")
            print("| Scores | from | Polygons | Area | Score | True | Match |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            folder = given.out / f"{name}_{seed}{'_separate' if given.separate else ''}"
            measure(PLACES[name], folder, given.minutes, seed, separate=given.separate)


if __name__ == "__main__":
    main()
