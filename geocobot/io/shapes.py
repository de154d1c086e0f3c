"""Label geometry made fit to burn: cleaned, clipped to a scene, lines and points widened."""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import AzimuthalEquidistantConversion
from pyproj.exceptions import ProjError
from shapely import GeometryType

from geocobot.errors import CrsError
from geocobot.grid import Bounds, GeoGrid
from geocobot.ground import degrees_of
from geocobot.windows import grown

_LOG = logging.getLogger("geocobot.io")

LINES = (GeometryType.LINESTRING, GeometryType.LINEARRING)
POINTS = (GeometryType.POINT,)
"""Kinds of geometry that are widened before they burn, like `LINES`."""

_COLLECTIONS = (
    GeometryType.MULTIPOINT,
    GeometryType.MULTILINESTRING,
    GeometryType.MULTIPOLYGON,
    GeometryType.GEOMETRYCOLLECTION,
)
_MARGIN_PX = 2
_BOUNDLESS = 1e150


def clean_parts(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Split multi-geometries into single lines and polygons and mend what is broken.

    Args:
        frame: features as read, in any CRS.
        name: their name, for messages.

    Returns:
        Single two-dimensional points, lines and valid polygons. What had no geometry is left
        out, counted and logged.
    """
    usable = ~np.asarray(frame.geometry.isna() | frame.geometry.is_empty)
    frame = frame[usable]
    parts = frame.explode(ignore_index=True)
    while np.isin(shapely.get_type_id(parts.geometry.array), _COLLECTIONS).any():
        parts = parts.explode(ignore_index=True)
    shapes = shapely.force_2d(np.asarray(parts.geometry.array))
    kinds = shapely.get_type_id(shapes)
    finite = _all_finite(shapes)
    broken = finite & (kinds == GeometryType.POLYGON) & ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    drawn = finite & ~shapely.is_empty(shapes)
    _report(name, int((~usable).sum()), int((~drawn).sum()), int((broken & drawn).sum()))
    parts = parts.set_geometry(gpd.GeoSeries(shapes, index=parts.index, crs=parts.crs))
    # Mending may cut a polygon in two.
    return parts[drawn].explode(ignore_index=True)


def clip_to_scene(frame: gpd.GeoDataFrame, grid: GeoGrid) -> gpd.GeoDataFrame:
    """Cut features down to the neighborhood of a scene, so that a country's file stays fast.

    Args:
        frame: single points, lines and polygons in their own CRS, with the column `reach_m`: how
            far they will reach beyond their geometry.
        grid: of the scene.

    Returns:
        What lies on the scene or next to it, still in its own CRS.
    """
    if frame.empty:
        return frame
    bounds = neighborhood(grid, frame.crs, float(frame["reach_m"].max()))
    if bounds is None:
        return frame
    box = shapely.box(*bounds)
    shapely.prepare(box)
    shapes = np.asarray(frame.geometry.array)
    near = shapely.intersects(box, shapes)
    frame, shapes = frame[near], shapes[near]
    cut = ~shapely.contains_properly(box, shapes)
    kinds = shapely.get_dimensions(shapes)
    shapes[cut] = shapely.intersection(shapes[cut], box)
    clipped = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))
    parts = clipped.assign(_kind=kinds).explode(ignore_index=True)
    # A polygon that only touches the box leaves a line or a point behind.
    same = shapely.get_dimensions(np.asarray(parts.geometry.array)) == parts["_kind"]
    return parts[same].drop(columns="_kind").reset_index(drop=True)


def neighborhood(grid: GeoGrid, crs: CRS, reach_m: float) -> Bounds | None:
    """The scene's bounds in another CRS, grown by what reaches into it and two pixels.

    None where they cannot be told: the other CRS does not reach the scene, or the scene lies
    across its edge (the date line).
    """
    # Half as much again: pixels at the corners of a large scene cover less ground.
    margin_px = math.ceil(1.5 * reach_m / min(grid.ground_pixel_m)) + _MARGIN_PX
    return bounds_in(grid.bounds_of(grown(grid.window, margin_px)), grid.crs, crs)


def bounds_in(bounds: Bounds, crs: CRS, other: CRS) -> Bounds | None:
    """Bounds in another CRS, or None where it does not reach them or they cross its edge."""
    try:
        west, south, east, north = _way(crs, other).transform_bounds(*bounds, densify_pts=21)
    except ProjError:
        return None
    if not np.isfinite([west, south, east, north]).all() or west >= east or south >= north:
        return None
    return west, south, east, north


@lru_cache(maxsize=64)
def _way(crs: CRS, other: CRS) -> Transformer:
    """From one CRS to another; PROJ searches for some as long as many windows take to read."""
    return Transformer.from_crs(crs, other, always_xy=True)


def widen(frame: gpd.GeoDataFrame, grid: GeoGrid) -> Any:
    """Turn lines and points into areas of a true width on the ground.

    Buffered in an equidistant projection centred on the scene, so that neither degrees nor the
    stretched metres of EPSG:3857 count; at 100 km from the centre the width is off by less than
    0.01 %.

    Args:
        frame: single points, lines and polygons in the CRS of `grid`, with the column `reach_m`:
            half the full width of a line, the radius of a point's disc.
        grid: of the scene.

    Returns:
        Polygons, an array of the same length; polygons come back as they were.
    """
    shapes = np.asarray(frame.geometry.array).copy()
    thin = np.isin(shapely.get_type_id(shapes), LINES + POINTS)
    if thin.any():
        local = _local_crs(grid)
        placed = gpd.GeoSeries(shapes[thin], crs=grid.crs).to_crs(local)
        reach_m = frame["reach_m"].to_numpy(np.float64)[thin]
        shapes[thin] = placed.buffer(reach_m).to_crs(grid.crs).array
    return shapes


def to_pixels(shapes: Any, grid: GeoGrid) -> Any:
    """Turn coordinates into pixels of the grid, rounded to a millionth of one.

    Multiples of 2^-20 stay exact in float64 when a window's offset is subtracted, so that a
    polygon burns alike in every window.
    """
    return in_exact_pixels(shapely.transform(shapes, grid.pixels_of))


def in_exact_pixels(shapes: Any) -> Any:
    """Round coordinates in pixels to multiples of 2^-20, as `to_pixels` does."""
    return shapely.transform(shapes, lambda xy: np.rint(xy * 2**20) / 2**20)


def _local_crs(grid: GeoGrid) -> CRS:
    """An azimuthal equidistant CRS in metres at the middle of the grid, on the grid's datum."""
    west, south, east, north = grid.bounds
    middle = np.array([(west + east) / 2]), np.array([(south + north) / 2])
    lon, lat = degrees_of(grid.crs, *middle)
    conversion = AzimuthalEquidistantConversion(float(lat[0]), float(lon[0]))
    return ProjectedCRS(conversion, geodetic_crs=grid.crs.geodetic_crs)


def _all_finite(shapes: Any) -> npt.NDArray[np.bool_]:
    """Which shapes (N,) have no NaN among their coordinates, nor any whose square is infinite."""
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    finite = np.ones(len(shapes), dtype=np.bool_)
    finite[owner[~(np.abs(xy) < _BOUNDLESS).all(axis=1)]] = False
    return finite


def reproject(frame: gpd.GeoDataFrame, crs: CRS, name: str) -> gpd.GeoDataFrame:
    """Move features to another CRS; what it cannot place is left out, counted and logged.

    Args:
        frame: single points, lines and polygons in their own CRS.
        crs: where to move them.
        name: their name, for messages.

    Raises:
        CrsError: nothing leads from one CRS to the other.
    """
    try:
        moved = frame.to_crs(crs)
    except ProjError as error:
        raise CrsError(
            name,
            f"is in the CRS {frame.crs.name}, from which PROJ knows no way to {crs.name}",
            "geocobot places labels by their coordinates",
            "If the labels declare a wrong CRS, pass the right one with --labels-crs",
        ) from error
    placed = _all_finite(np.asarray(moved.geometry.array))
    if not placed.all():
        _LOG.warning("%s: %d features cannot be reprojected; left out.", name, (~placed).sum())
    return moved[placed].reset_index(drop=True)


def _report(name: str, without: int, unusable: int, repaired: int) -> None:
    """Say what was left out and what was mended."""
    if without:
        _LOG.warning("%s: %d features have no geometry; left out.", name, without)
    if unusable:
        _LOG.warning(
            "%s: %d features have no area or no finite coordinates; left out.", name, unusable
        )
    if repaired:
        _LOG.info("%s: %d invalid polygons were repaired.", name, repaired)
