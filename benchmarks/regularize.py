"""Squared outlines: how near they come to true footprints, and how long 50,000 take.

Claim: footprints that were rasterized, traced and squared (`--regularize`) lie nearer to the truth
than the traced outlines, with a third of their vertices or fewer; squaring 50,000 buildings takes
less than half a minute of one core.

Usage: python benchmarks/regularize.py [--data ../shared/data] [--pixel 0.3 0.5] [--skip-city]

True footprints: every one above 8 m2 of four scenes is rasterized in UTM, traced and simplified by
0.5 m as by default, and once more squared. Compared are those with a polygon of their own.
`rio_buildings` took no part in choosing any constant. City: rectangles and Ls at random angles on
9,856 x 9,856 px of 0.3 m.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.features import rasterize
from shapely import affinity

from geocobot.classes import name_classes
from geocobot.grid import GeoGrid
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.tracing.squaring import SquaringTally

CASES = {
    "kampala_buildings": ("EPSG:32636", None),
    "vegas_multiclass": ("EPSG:32611", ("label", 1)),
    "atlanta_buildings": ("EPSG:32616", None),
    "rio_buildings/vectorData/geoJson": ("EPSG:31983", None),
}
CLASSES = name_classes(["building"])
SIDE, STEP = 224, 44


@dataclass(frozen=True)
class Traced:
    """Polygons of a raster, what squaring them cost, and the seconds of CPU."""

    polygons: npt.NDArray[np.object_]
    told: str
    seconds: float


def trace(labels: npt.NDArray[np.uint8], grid: GeoGrid, *, squared: bool) -> Traced:
    """Trace a raster of zeros and ones, simplified by 0.5 m."""
    chosen = frozenset({1}) if squared else frozenset()
    tally = SquaringTally(chosen)
    clean = CleanOptions(simplify_m=0.5, min_area_m2=4, square_classes=chosen)
    start_s = time.process_time()
    frames = polygonize(strips(labels), grid, CLASSES, clean, squaring=tally)
    polygons = np.asarray(pd.concat(frames).geometry)
    found = tally.of(1)
    return Traced(polygons, found.summary() if found else "", time.process_time() - start_s)


def strips(labels: npt.NDArray[np.uint8]) -> Iterator[Strip]:
    """Scores that are sure."""
    for row in range(0, len(labels), 512):
        part = labels[row : row + 512]
        scores = np.where(part, np.float32(0.75), np.float32(0.25))[None]
        yield Strip.of(row, scores, np.ones(part.shape, dtype=bool))


def footprints(folder: Path, crs: str, only: tuple[str, int] | None) -> npt.NDArray[np.object_]:
    """True outlines in metres."""
    files = sorted(folder.glob("*.geojson"))
    layers = [layer for layer in map(gpd.read_file, files) if len(layer)]
    labels = pd.concat(layer.to_crs(crs) for layer in layers)
    if only:
        labels = labels[labels[only[0]] == only[1]]
    flat = shapely.force_2d(labels.geometry.to_numpy())
    parts = shapely.get_parts(shapely.make_valid(flat))
    return parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 8)]


def mean_iou(polygons: npt.NDArray[np.object_], truths: npt.NDArray[np.object_]) -> float:
    """Mean IoU of the true footprints with a polygon of their own."""
    truth, found = shapely.STRtree(polygons).query(truths, predicate="intersects")
    common = shapely.area(shapely.intersection(truths[truth], polygons[found]))
    real = common > 1
    alone = np.bincount(found[real], minlength=len(polygons)) == 1
    pairs = pd.DataFrame({"truth": truth, "found": found, "common": common})[real & alone[found]]
    best = pairs.sort_values("common").groupby("truth").tail(1)
    both = shapely.area(truths[best["truth"]]) + shapely.area(polygons[best["found"]])
    return float((best["common"] / (both - best["common"])).mean())


def right_angles(polygons: npt.NDArray[np.object_]) -> float:
    """Share of corners, of those that turn by 5 degrees and more, that turn by 85 to 95."""
    turns = []
    for ring in shapely.get_rings(polygons):
        xy = np.array(ring.coords)[:-1]
        before, after = xy - np.roll(xy, 1, 0), np.roll(xy, -1, 0) - xy
        cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        turns.append(np.abs(np.degrees(np.arctan2(cross, (before * after).sum(axis=1)))))
    turned = np.concatenate(turns)
    return float((np.abs(turned[turned > 5] - 90) < 5).mean())


def compare(name: str, data: Path, pixel_m: float) -> None:
    """Print a scene's rows."""
    crs, only = CASES[name]
    truths = footprints(data / name, crs, only)
    west, south, east, north = shapely.total_bounds(truths)
    grid = GeoGrid(
        CRS.from_user_input(crs),
        Affine(pixel_m, 0, west - 5, 0, -pixel_m, north + 5),
        (int((north - south + 10) / pixel_m), int((east - west + 10) / pixel_m)),
    )
    labels = rasterize(truths, grid.shape, transform=grid.transform, dtype="uint8")
    for squared in (False, True):
        found = trace(labels, grid, squared=squared)
        print(
            f"{name} {pixel_m} m {'squared' if squared else 'traced '}  "
            f"IoU {mean_iou(found.polygons, truths):.3f}  "
            f"right angles {right_angles(found.polygons):.2f} (true {right_angles(truths):.2f})  "
            f"vertices {shapely.get_num_coordinates(found.polygons).sum()} "
            f"(true {shapely.get_num_coordinates(truths).sum()})  {found.told}"
        )


def city() -> None:
    """Print how long many buildings take."""
    dice = np.random.default_rng(0)
    shapes = []
    for row, column in np.ndindex(SIDE, SIDE):
        w, h = dice.uniform(8, 15, 2)
        house = shapely.box(-w, -h, w, h)
        if dice.random() < 0.5:
            house -= shapely.box(w * dice.uniform(-0.3, 0.4), h * dice.uniform(-0.3, 0.4), 20, 20)
        turned = affinity.rotate(house, dice.uniform(0, 90))
        shapes.append(affinity.translate(turned, (column + 0.5) * STEP, (row + 0.5) * STEP))
    labels = rasterize(shapes, (SIDE * STEP, SIDE * STEP), dtype="uint8")
    grid = GeoGrid(CRS.from_epsg(32633), Affine(0.3, 0, 5e5, 0, -0.3, 5e6), labels.shape)
    plain, squared = (trace(labels, grid, squared=squared) for squared in (False, True))
    print(
        f"{len(plain.polygons)} buildings: traced {plain.seconds:.1f} s, squared as well "
        f"{squared.seconds:.1f} s of CPU  {squared.told}"
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pixel", type=float, nargs="+", default=[0.3, 0.5])
    parser.add_argument("--skip-city", action="store_true")
    options = parser.parse_args()
    for name in CASES:
        for pixel_m in options.pixel:
            compare(name, options.data, pixel_m)
    if not options.skip_city:
        city()


if __name__ == "__main__":
    main()
