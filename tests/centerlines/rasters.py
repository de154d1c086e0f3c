"""Class rasters, and the centerlines that are drawn of them."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from pyproj import CRS

from geocobot.centerlines.trace import CenterlineTracer, LineOptions
from geocobot.classes import ClassSpec, name_classes
from geocobot.grid import GeoGrid
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize

CLASSES = name_classes(["road", "river"])
UTM = CRS.from_epsg(32633)
METRE = Affine(1, 0, 500_000, 0, -1, 5_000_000)


def grid_of(labels: np.ndarray, transform: Affine = METRE, crs: CRS = UTM) -> GeoGrid:
    return GeoGrid(crs, transform, labels.shape)


def trace(
    labels: np.ndarray,
    *,
    scores: np.ndarray | None = None,
    grid: GeoGrid | None = None,
    strip_rows: int = 64,
    block_rows: int = 512,
    rows: int | None = None,
    threads: int = 1,
    classes: Sequence[ClassSpec] = CLASSES,
    clean: CleanOptions | None = None,
    **options: object,
) -> gpd.GeoDataFrame:
    """Centerlines of a class raster; 255 is without data."""
    grid = grid or grid_of(labels)
    if scores is None:
        scores = np.stack([np.where(labels == c.number, 0.75, 0.25) for c in classes])
    scores = scores.astype(np.float32)
    tracer = CenterlineTracer(grid, classes, LineOptions(**options), rows=rows, threads=threads)
    strips = (
        Strip.of(row, scores[:, row : row + strip_rows], labels[row : row + strip_rows] != 255)
        for row in range(0, len(labels), strip_rows)
    )
    polygons = polygonize(
        strips,
        grid,
        classes,
        clean or CleanOptions(),
        block_rows=block_rows,
        threads=threads,
        watch=tracer.add,
        faint=tracer.leave_out,
    )
    for _ in polygons:
        pass
    return tracer.finish()


def draw(
    lines: Sequence[Sequence[tuple[float, float]]],
    width: float,
    shape: tuple[int, int],
    number: int = 1,
    cap_style: str = "round",
) -> np.ndarray:
    """A class raster of lines in pixels: pixels whose middle is within half the width."""
    area = shapely.union_all(
        [shapely.LineString(xy).buffer(width / 2, cap_style=cap_style) for xy in lines]
    )
    col, row = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    return np.where(shapely.contains_xy(area, col, row), number, 0).astype(np.uint8)


def in_pixels(frame: gpd.GeoDataFrame, transform: Affine = METRE) -> np.ndarray:
    """The lines, x = column, y = row."""
    back = ~transform

    def to_pixels(xy: np.ndarray) -> np.ndarray:
        return np.stack(back @ (xy[:, 0], xy[:, 1]), axis=1)

    return np.asarray(shapely.transform(np.asarray(frame.geometry), to_pixels))
