"""Which scenes show the same ground, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from geocobot.evaluation.plane import on_plane, plane_around
from geocobot.grid import GeoGrid
from geocobot.ground import degrees_of

_PARTS = 32
"""Straight edges bend on their way to another CRS: each has so many pieces."""


@dataclass(frozen=True)
class SharedGround:
    """Ground that two scenes show.

    Attributes:
        first: position of one of them.
        second: position of the other one.
        area_m2: how much, as the rectangles of their pixels tell.
        share: the same as a share of the smaller scene.
    """

    first: int
    second: int
    area_m2: float
    share: float


def shared_ground(grids: Sequence[GeoGrid]) -> list[SharedGround]:
    """Pairs of grids that overlap by more than a pixel's width, the largest overlap first.

    Args:
        grids: of the scenes, each in its own CRS.
    """
    frames = [_outline(grid) for grid in grids]
    boxes = np.array([_degrees_box(frame) for frame in frames], dtype=object)
    left, right = shapely.STRtree(boxes).query(boxes, predicate="intersects")
    found = []
    for i, j in zip(left.tolist(), right.tolist(), strict=True):
        if i >= j:
            continue
        plane = plane_around([frames[i], frames[j]])
        a, b = (on_plane(frames[k], plane, "scene").geometry.iloc[0] for k in (i, j))
        both = shapely.intersection(a, b)
        pixel_m = max(*grids[i].ground_pixel_m, *grids[j].ground_pixel_m)
        if not shapely.is_empty(shapely.buffer(both, -pixel_m / 2)):
            area_m2 = float(shapely.area(both))
            found.append(SharedGround(i, j, area_m2, area_m2 / min(a.area, b.area)))
    return sorted(found, key=lambda shared: -shared.area_m2)


def _outline(grid: GeoGrid) -> gpd.GeoDataFrame:
    """The rectangle of a grid."""
    west, south, east, north = grid.bounds
    longest = max(east - west, north - south) / _PARTS
    box = shapely.segmentize(shapely.box(west, south, east, north), longest)
    return gpd.GeoDataFrame(geometry=[box], crs=grid.crs)


def _degrees_box(frame: gpd.GeoDataFrame) -> shapely.Geometry:
    """What lies around an outline, in degrees: finds those that may overlap."""
    x, y = shapely.get_coordinates(frame.geometry.to_numpy()).T
    lon, lat = degrees_of(frame.crs, x, y)
    # Datums differ by less than this.
    margin = 0.01
    return shapely.box(
        lon.min() - margin, lat.min() - margin, lon.max() + margin, lat.max() + margin
    )
