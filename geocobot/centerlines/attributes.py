"""What each line says of itself: class, length and width on the ground, score."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from geocobot.centerlines.lines import Lines
from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.ground import degrees_of, geod_of
from geocobot.steps import SCORE_SCALE
from geocobot.tracing.measures import grid_to_crs

COLUMNS = ("class_id", "class_name", "length_m", "width_m", "score")
"""Attributes of every line, in this order."""

# A straight map line and the geodesic between its ends part by little over such a length.
_LONGEST_M = 1000.0


def as_frame(
    geometry: npt.NDArray[np.object_],
    lines: Lines,
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
) -> gpd.GeoDataFrame:
    """Place lines on the map and give them their attributes.

    Args:
        geometry: (N,) lines in pixels of the grid.
        lines: (N,) what is known of each.
        grid: the scene's grid.
        classes: names of the class numbers.

    Returns:
        Columns class_id (int64), class_name, length_m (geodesic), width_m (mean width on the
        ground), score (mean score of the class along the line, 0 to 1), and the lines in the
        grid's CRS.
    """
    names = {spec.number: spec.name for spec in classes}
    numbers = lines.class_number.tolist()
    return gpd.GeoDataFrame(
        {
            "class_id": np.array(numbers, dtype=np.int64),
            "class_name": pd.array([names[n] for n in numbers], dtype="str"),
            "length_m": _lengths_m(geometry, grid),
            "width_m": lines.width_sum / lines.width_n,
            "score": lines.score_sum / lines.score_n / SCORE_SCALE,
        },
        geometry=np.asarray(shapely.transform(geometry, lambda px: grid_to_crs(px, grid))),
        crs=grid.crs,
    )


def _lengths_m(geometry: npt.NDArray[np.object_], grid: GeoGrid) -> npt.NDArray[np.float64]:
    """Geodesic lengths (N,) on the ellipsoid of the grid's CRS."""
    if not geometry.size:
        return np.empty(0)
    dense = shapely.segmentize(geometry, _LONGEST_M / max(grid.ground_pixel_m))
    px, line = shapely.get_coordinates(dense, return_index=True)
    xy = grid_to_crs(px, grid)
    lon, lat = degrees_of(grid.crs, xy[:, 0], xy[:, 1])
    within = line[1:] == line[:-1]
    _, _, steps_m = geod_of(grid.crs).inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    lengths_m = np.zeros(len(geometry))
    np.add.at(lengths_m, line[1:][within], steps_m[within])
    return lengths_m
