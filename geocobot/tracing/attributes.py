"""What each polygon says of itself: class, score, area and perimeter on the ground."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.tracing.measures import grid_to_crs, measure
from geocobot.tracing.seams import Outlines

COLUMNS = ("class_id", "class_name", "score", "area_m2", "perimeter_m")
"""Attributes of every polygon, in this order."""


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
        shapely.transform(outlines.geometry, lambda px: grid_to_crs(px, grid))
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
