"""Rasters to trace, and what they should come out as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import geopandas as gpd
import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
import rasterio.features
import shapely
from affine import Affine
from hypothesis import strategies as st
from pyproj import CRS

from geocobot.classes import ClassSpec, name_classes
from geocobot.grid import GeoGrid
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize

CLASSES = name_classes(["road", "roof"])
# Pixels of unequal sides that binary fractions hold exactly.
TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.25, 5_000_000)


def class_rasters(max_side: int = 12) -> st.SearchStrategy[np.ndarray]:
    """Small rasters of background, two classes and pixels without data."""
    return hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=max_side),
        elements=st.sampled_from([0, 0, 1, 1, 1, 2, 255]),
    )


def grid_of(labels: np.ndarray) -> GeoGrid:
    return GeoGrid(CRS.from_epsg(32633), TRANSFORM, labels.shape)


def cut(
    labels: np.ndarray,
    heights: Sequence[int],
    classes: Sequence[ClassSpec] = CLASSES,
    scores: np.ndarray | None = None,
) -> Iterator[Strip]:
    """Strips that classify as `labels`; the heights repeat."""
    if scores is None:
        planes = [np.where(labels == c.number, 0.75, 0.25) for c in classes]
        scores = np.stack(planes).astype(np.float32)
    row, i = 0, 0
    while row < labels.shape[0]:
        rows = slice(row, row + heights[i % len(heights)])
        yield Strip.of(row, scores[:, rows], labels[rows] != 255)
        row, i = rows.stop, i + 1


def trace(
    labels: np.ndarray,
    *,
    heights: Sequence[int] = (7,),
    block_rows: int = 512,
    grid: GeoGrid | None = None,
    **clean: float,
) -> gpd.GeoDataFrame:
    """All polygons of a class raster."""
    grid = grid or grid_of(labels)
    options = CleanOptions(**clean)
    frames = list(polygonize(cut(labels, heights), grid, CLASSES, options, block_rows=block_rows))
    if frames:
        return pd.concat(frames, ignore_index=True)
    return gpd.GeoDataFrame({"class_id": []}, geometry=[], crs=grid.crs)


def reference(labels: np.ndarray) -> list[tuple[int, shapely.Polygon]]:
    """Class and polygon of every component, by GDAL."""
    shapes = rasterio.features.shapes(labels, connectivity=4, transform=TRANSFORM)
    return [(int(v), shapely.geometry.shape(s)) for s, v in shapes if v in (1, 2)]


def polygons_of(frame: gpd.GeoDataFrame) -> np.ndarray:
    return np.asarray(frame.geometry)


def parse(picture: str) -> np.ndarray:
    """A class raster from rows of digits; dots are background, x is without data."""
    rows = picture.replace(".", "0").split()
    return np.array([[255 if c == "x" else int(c) for c in row] for row in rows], dtype=np.uint8)
