"""Cutting label patches: geocobot's index in memory against TorchGeo's `VectorDataset`.

Claim: at least 100 times as many patches per second from a file with 100,000 features, and the same
masks. TorchGeo reads the whole file again for every patch; geocobot reads it once, and what that
takes is in the table as well.

Usage: python benchmarks/label_patches.py [--features 100000] [--patch-px 512] [--rounds 5]
       [--patches 400]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.windows import Window
from torchgeo.datasets import VectorDataset

from geocobot.grid import GeoGrid
from geocobot.io.label_files import read_labels
from geocobot.io.label_raster import LabelRaster

_CRS = CRS.from_epsg(32633)
_PIXEL_M = 0.5
_ALWAYS = slice(pd.Timestamp.min, pd.Timestamp.max)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=int, default=100_000)
    parser.add_argument("--patch-px", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patches", type=int, default=400, help="of geocobot's, per round")
    given = parser.parse_args()
    side_px = round(65 * given.features**0.5)
    grid = GeoGrid(_CRS, Affine(_PIXEL_M, 0, 5e5, 0, -_PIXEL_M, 5e6), (side_px, side_px))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "houses.gpkg"
        houses(grid, given.features).to_file(path)
        compare(path, grid, given)


def houses(grid: GeoGrid, number: int) -> gpd.GeoDataFrame:
    """Rectangles of 6 to 20 m, turned at random."""
    rng = np.random.default_rng(0)
    west, south, east, north = grid.bounds
    x, y = rng.uniform(west, east, number), rng.uniform(south, north, number)
    half = rng.uniform(3, 10, (number, 2))
    angle = rng.uniform(0, np.pi, number)
    corners = half[:, None] * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = np.einsum("nci,jin->ncj", corners, turn) + np.stack([x, y], axis=1)[:, None]
    return gpd.GeoDataFrame(geometry=shapely.polygons(turned), crs=grid.crs)


def compare(path: Path, grid: GeoGrid, given: argparse.Namespace) -> None:
    """Both sides in turn; print medians, the ratio, and whether the masks are the same."""
    start = time.perf_counter()
    dataset = VectorDataset(path, res=_PIXEL_M)
    theirs_begun_s = time.perf_counter() - start
    start = time.perf_counter()
    raster = read_labels([path]).on(grid, "scene")
    raster.read(Window(0, 0, 1, 1))
    ours_begun_s = time.perf_counter() - start
    rng = np.random.default_rng(1)
    ours, theirs, differing = [], [], 0
    for _ in range(given.rounds):
        windows = draw_windows(grid, given.patch_px, given.patches, rng)
        start = time.perf_counter()
        masks = [raster.read(window).classes for window in windows]
        ours.append((time.perf_counter() - start) / len(windows))
        start = time.perf_counter()
        mask = torchgeo_mask(dataset, grid, windows[0])
        theirs.append(time.perf_counter() - start)
        differing += int((mask != masks[0]).sum())
    report(raster, differing, (ours_begun_s, theirs_begun_s), ours, theirs)


def report(
    raster: LabelRaster,
    differing: int,
    begun_s: tuple[float, float],
    ours: list[float],
    theirs: list[float],
) -> None:
    """Print the table."""
    ours_s, theirs_s = statistics.median(ours), statistics.median(theirs)
    print(f"Scene of {raster.grid.width} x {raster.grid.height} px")
    print("| | Begin, s | ms per patch | Patches per s |")
    print("| --- | --- | --- | --- |")
    for name, begin, each in (
        ("geocobot", begun_s[0], ours_s),
        ("TorchGeo", begun_s[1], theirs_s),
    ):
        print(f"| {name} | {begin:.2f} | {1000 * each:.2f} | {1 / each:,.1f} |")
    print(f"{theirs_s / ours_s:,.0f} times as many patches; {differing} pixels of masks differ")


def draw_windows(
    grid: GeoGrid, patch_px: int, number: int, rng: np.random.Generator
) -> list[Window]:
    """Random windows on the grid."""
    rows = rng.integers(0, grid.height - patch_px, number)
    cols = rng.integers(0, grid.width - patch_px, number)
    pairs = zip(cols.tolist(), rows.tolist(), strict=True)
    return [Window(col, row, patch_px, patch_px) for col, row in pairs]


def torchgeo_mask(dataset: VectorDataset, grid: GeoGrid, window: Window) -> np.ndarray:
    """The mask (H, W) that TorchGeo makes of a window."""
    west, south, east, north = grid.bounds_of(window)
    sample = dataset[west:east, south:north, _ALWAYS]
    return np.asarray(sample["mask"]).reshape(window.height, window.width)


if __name__ == "__main__":
    main()
