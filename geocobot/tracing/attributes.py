"""What each polygon says of itself: class, score, area and perimeter on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.ground import degrees_of, geod_of
from geocobot.tracing.seams import Outlines

COLUMNS = ("class_id", "class_name", "score", "area_m2", "perimeter_m")
"""Attributes of every polygon, in this order."""

# A straight map line and the geodesic between its ends part by L^2 tan(latitude) / 8R at most:
# 7 cm for 1 km at 70 degrees.
_LONGEST_EDGE_M = 1000.0


def as_frame(outlines: Outlines, grid: GeoGrid, classes: Sequence[ClassSpec]) -> gpd.GeoDataFrame:
    """Place polygons on the map and give them their attributes.

    Args:
        outlines: polygons in pixels of the grid.
        grid: the scene's grid.
        classes: names of the class numbers.

    Returns:
        Columns class_id (int64), class_name, score (mean score of the class over the polygon's
        pixels, 0 to 1), area_m2 and perimeter_m (geodesic; the perimeter counts holes too), and
        the polygons in the grid's CRS, outer rings counter-clockwise.
    """
    names = {spec.number: spec.name for spec in classes}
    area_m2, perimeter_m = measure(outlines.geometry, grid)
    polygons = shapely.orient_polygons(
        shapely.transform(outlines.geometry, lambda px: _to_crs(px, grid))
    )
    return gpd.GeoDataFrame(
        {
            "class_id": outlines.class_number.astype(np.int64),
            "class_name": pd.array([names[int(n)] for n in outlines.class_number], dtype="str"),
            "score": outlines.score_sum / outlines.pixels,
            "area_m2": area_m2,
            "perimeter_m": perimeter_m,
        },
        geometry=polygons,
        crs=grid.crs,
    )


def measure(
    polygons: npt.NDArray[np.object_], grid: GeoGrid
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Geodesic area and perimeter on the ellipsoid of the grid's CRS.

    Args:
        polygons: (N,) polygons in pixels of the grid.
        grid: the scene's grid.

    Returns:
        (N,) square metres, holes taken off, and (N,) metres, holes included.
    """
    if not polygons.size:
        return np.empty(0), np.empty(0)
    longest_px = _LONGEST_EDGE_M / max(grid.ground_pixel_m)
    west, south, east, north = shapely.bounds(polygons).T
    is_long = np.maximum(east - west, north - south) > longest_px
    dense = polygons.copy()
    dense[is_long] = shapely.segmentize(polygons[is_long], longest_px)
    _, closed, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(dense)
    ring_m2, ring_m = _measure_rings(_to_lon_lat(closed, grid), ring_offsets, grid.crs)
    # The first ring of each polygon is its outer one.
    ring_m2[np.setdiff1d(np.arange(ring_m2.size), polygon_offsets[:-1])] *= -1
    starts = polygon_offsets[:-1]
    return np.add.reduceat(ring_m2, starts), np.add.reduceat(ring_m, starts)


def _measure_rings(
    lon_lat: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64], crs: CRS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Area and perimeter of closed rings, both positive."""
    geod = geod_of(crs)
    lon, lat = np.ascontiguousarray(lon_lat[:, 0]), np.ascontiguousarray(lon_lat[:, 1])
    measures = [
        geod.polygon_area_perimeter(lon[start:end], lat[start:end])
        for start, end in pairwise(offsets.tolist())
    ]
    area, perimeter = np.array(measures).T
    return np.abs(area), perimeter


def _to_crs(px: npt.NDArray[np.float64], grid: GeoGrid) -> npt.NDArray[np.float64]:
    """Columns and rows to coordinates of the grid's CRS."""
    x = grid.transform.a * px[:, 0] + grid.transform.c
    y = grid.transform.e * px[:, 1] + grid.transform.f
    return np.stack([x, y], axis=1)


def _to_lon_lat(px: npt.NDArray[np.float64], grid: GeoGrid) -> npt.NDArray[np.float64]:
    """Columns and rows to longitude and latitude on the grid's own datum."""
    xy = _to_crs(px, grid)
    return np.stack(degrees_of(grid.crs, xy[:, 0], xy[:, 1]), axis=1)
