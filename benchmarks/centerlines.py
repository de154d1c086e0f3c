"""Centerlines: how near they come to reference lines that were drawn with a width, and their cost.

Claim: half of what is drawn lies within 0.5 px of the reference.

Usage: python benchmarks/centerlines.py SCENE LINES
       python benchmarks/centerlines.py --side PX [--without]

The first rasterizes lines with a width, draws the centerlines of the raster and compares both. The
second draws them on a made-up network of streets and prints the time and the peak of memory;
`--without` draws polygons alone.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from affine import Affine
from pyproj import CRS

from geocobot.centerlines.trace import CenterlineTracer, LineOptions
from geocobot.classes import name_classes
from geocobot.grid import GeoGrid
from geocobot.io.scene import Scene
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize

ROADS = name_classes(["road"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", nargs="?")
    parser.add_argument("lines", nargs="?")
    parser.add_argument("--side", type=int, help="of the made-up raster, in pixels")
    parser.add_argument("--without", action="store_true", help="polygons only")
    options = parser.parse_args()
    if options.side:
        time_streets(options.side, with_lines=not options.without)
    else:
        for width_m in (2.4, 4.8, 7.2):
            for simplify_m in (0.0, 0.5):
                compare(options.scene, options.lines, width_m, simplify_m)


def compare(scene_path: str, lines_path: str, width_m: float, simplify_m: float) -> None:
    """Print how far drawn and given lines are apart."""
    grid = Scene.open(scene_path).grid
    given = in_pixels(gpd.read_file(lines_path).to_crs(grid.crs).geometry, grid)
    pixel_m = np.array(grid.ground_pixel_m)
    ground = shapely.transform(given, lambda xy: xy * pixel_m)
    area = shapely.transform(
        shapely.union_all(shapely.buffer(ground, width_m / 2)), lambda xy: xy / pixel_m
    )
    burnt = rasterio.features.rasterize([(area, 1)], out_shape=grid.shape, dtype="uint8")
    tracer = CenterlineTracer(grid, ROADS, LineOptions(simplify_m=simplify_m))
    strip = Strip.of(0, burnt[None].astype(np.float32), np.ones(grid.shape, dtype=bool))
    for _ in polygonize([strip], grid, ROADS, CleanOptions(), watch=tracer.add):
        pass
    frame = tracer.finish()
    drawn = in_pixels(frame.geometry, grid)
    reference = shapely.intersection(
        shapely.union_all(given), shapely.box(0, 0, grid.width, grid.height)
    )
    points = shapely.points(shapely.get_coordinates(shapely.segmentize(drawn, 1.0)))
    away = shapely.distance(points, reference)
    length_m = shapely.length(shapely.transform(reference, lambda xy: xy * pixel_m))
    found_m = np.average(frame["width_m"], weights=frame["length_m"])
    print(
        f"width {width_m} m, simplified by {simplify_m} m: {len(frame)} lines, distance to the "
        f"reference {np.median(away):.2f} px (median), {np.percentile(away, 95):.2f} px (95th "
        f"percentile); length {frame['length_m'].sum() / length_m:.3f} of the reference's; "
        f"width {found_m:.2f} m ({found_m / width_m - 1:+.1%})"
    )


def in_pixels(lines: gpd.GeoSeries, grid: GeoGrid) -> np.ndarray:
    """Lines with x = column, y = row."""
    back = ~grid.transform
    return np.asarray(
        shapely.transform(
            np.asarray(lines), lambda xy: np.stack(back @ (xy[:, 0], xy[:, 1]), axis=1)
        )
    )


def time_streets(side: int, *, with_lines: bool) -> None:
    """Print what a scene of made-up streets costs."""
    grid = GeoGrid(CRS.from_epsg(32633), Affine(0.3, 0, 5e5, 0, -0.3, 5e6), (side, side))
    tracer = CenterlineTracer(grid, ROADS, LineOptions(simplify_m=0.5, bridge_gaps_m=10.0))
    start = time.perf_counter()
    watch = tracer.add if with_lines else None
    clean = CleanOptions(min_area_m2=10.0, simplify_m=0.5)
    count = sum(len(f) for f in polygonize(streets(side), grid, ROADS, clean, watch=watch))
    lines = tracer.finish() if with_lines else []
    seconds = time.perf_counter() - start
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{side} x {side} px: {count} polygons, {len(lines)} lines, {seconds:.1f} s, "
        f"peak {peak_mib:.0f} MiB"
    )


def streets(side: int, rows: int = 512) -> Iterator[Strip]:
    """Winding streets 12 to 30 px wide, about every 150 px, with a gap here and there."""
    col = np.arange(side)
    for first in range(0, side, rows):
        row = np.arange(first, min(first + rows, side))[:, None]
        place = col + 12 * np.sin(row / 90) + 7 * np.sin(col / 57)
        half_px = 6 + 9 * (np.sin(place // 150 * 7) > 0)
        across = (np.abs(place % 150 - 75) < half_px) & (row % 1000 > 8)
        along = np.abs((row + 12 * np.sin(col / 130)) % 190 - 95) < 8
        scores = np.where(across | along, 0.8, 0.3).astype(np.float32)[None]
        yield Strip.of(first, scores, np.ones(scores.shape[1:], dtype=bool))


if __name__ == "__main__":
    main()
