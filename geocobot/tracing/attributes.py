"""What each polygon says of itself: class, score, area and perimeter on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.steps import SCORE_SCALE
from geocobot.tracing.measures import grid_to_crs, measure_ragged
from geocobot.tracing.outlines import Outlines

COLUMNS = (
    "object_id",
    "class_id",
    "class_name",
    "score",
    "score_p10",
    "area_m2",
    "perimeter_m",
    "width_m",
)
"""Attributes of every polygon, in this order."""


def as_frame(outlines: Outlines, grid: GeoGrid, classes: Sequence[ClassSpec]) -> gpd.GeoDataFrame:
    """Place polygons on the map and give them their attributes.

    Args:
        outlines: polygons in pixels of the grid.
        grid: the scene's grid.
        classes: names of the class numbers.

    Returns:
        Columns object_id (int64; the place of the polygon's first pixel in reading order, from 1
        on, so that it does not depend on how the scene was gone through), class_id (int64),
        class_name, score (mean score of the class over the polygon's pixels, 0 to 1), score_p10
        (10th percentile of these scores), area_m2 and perimeter_m (geodesic; the perimeter counts
        holes too), width_m (see `widths`), and the polygons in the grid's CRS, outer rings
        counter-clockwise. Scores are NaN where none are known.
    """
    names = {spec.number: spec.name for spec in classes}
    polygons = outlines.polygons.ragged
    area_m2, perimeter_m = measure_ragged(polygons, grid)
    mean = low = np.full(len(area_m2), np.nan)
    if outlines.scores is not None:
        mean = outlines.scores.total / SCORE_SCALE / outlines.pixels
        low = outlines.scores.low / SCORE_SCALE
    return gpd.GeoDataFrame(
        {
            "object_id": 1 + outlines.first_px @ np.array([grid.width, 1]),
            "class_id": outlines.class_number.astype(np.int64),
            "class_name": pd.array([names[int(n)] for n in outlines.class_number], dtype="str"),
            "score": mean,
            "score_p10": low,
            "area_m2": area_m2,
            "perimeter_m": perimeter_m,
            "width_m": widths(area_m2, perimeter_m),
        },
        geometry=replace(polygons, xy=grid_to_crs(polygons.xy, grid)).oriented().build(),
        crs=grid.crs,
    )


def widths(
    area_m2: npt.NDArray[np.float64], perimeter_m: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Width of the rectangle that has a polygon's area and perimeter.

    Of a strip, bent, branched or closed in a ring, it is the mean width; of a building the shorter
    side. What is rounder than any rectangle is as wide as a square of its area.

    Args:
        area_m2: (N,) square metres.
        perimeter_m: (N,) metres, holes included.

    Returns:
        (N,) metres.
    """
    beyond_square = np.maximum(perimeter_m**2 - 16 * area_m2, 0)
    # 4 A / (P + ...) in place of (P - ...) / 4, which loses the digits of narrow strips.
    around_m = perimeter_m + np.sqrt(beyond_square)
    rectangle = 4 * area_m2 / np.where(around_m > 0, around_m, 1.0)
    return np.asarray(np.where(beyond_square > 0, rectangle, np.sqrt(area_m2)))
