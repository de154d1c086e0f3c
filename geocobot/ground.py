"""Sizes on the ground: what a pixel covers on the ellipsoid, whatever its CRS counts in."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geocobot.errors import CrsError

_POLE_DEGREES = 90.0 + 1e-6
_AXIS_PX = 8.0


def ground_size_m(crs: CRS, transform: Affine, row: float, col: float) -> tuple[float, float]:
    """Width and height on the ground of the pixel centred at (row, col), in metres.

    Raises:
        CrsError: the pixel has no place on the ellipsoid (the CRS does not fit the coordinates).
    """
    cols = np.array([col - 0.5, col + 0.5, col, col])
    rows = np.array([row, row, row - 0.5, row + 0.5])
    x = transform.a * cols + transform.c
    y = transform.e * rows + transform.f
    lon, lat = degrees_of(crs, x, y)
    # Degrees are not looked at by PROJ where there is nothing to transform.
    reached = np.isfinite([lon, lat]).all() and np.abs(lat).max() <= _POLE_DEGREES
    if reached:
        _, _, dist = geod_of(crs).inv(lon[[0, 2]], lat[[0, 2]], lon[[1, 3]], lat[[1, 3]])
        if min(dist) > 0:
            return float(dist[0]), float(dist[1])
    raise CrsError(
        "raster",
        f"has pixels at x {x[0]:.6g}, y {y[0]:.6g}, "
        + ("which have no size there" if reached else f"which its CRS {crs.name} does not reach"),
        "geocobot needs the place of a pixel on the earth",
        "Check the CRS in QGIS (Layer > Set CRS) and save again",
    )


def degrees_of(
    crs: CRS, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Longitude and latitude in degrees on the CRS's own datum and prime meridian.

    Args:
        crs: of the coordinates; tied to the earth.
        x: (N,) eastings or longitudes.
        y: (N,) northings or latitudes.
    """
    transformer, degrees_per_unit = _to_degrees(crs)
    lon, lat = transformer.transform(x, y)
    return lon * degrees_per_unit, lat * degrees_per_unit


@lru_cache(maxsize=8)
def _to_degrees(crs: CRS) -> tuple[Transformer, float]:
    """What brings coordinates to the CRS's own datum, and the degrees of a unit there."""
    geodetic = crs.geodetic_crs
    assert geodetic is not None, "Scene.open refuses local CRSs"
    # Old French systems count in grads.
    degrees_per_unit = float(np.degrees(geodetic.axis_info[0].unit_conversion_factor))
    return Transformer.from_crs(crs, geodetic, always_xy=True), degrees_per_unit


def geod_of(crs: CRS) -> Geod:
    """The ellipsoid of a CRS for geodesic lengths and areas; WGS 84 where it names none."""
    return crs.get_geod() or Geod(ellps="WGS84")


def local_axes(
    crs: CRS, transform: Affine, rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How far east and north one goes on the ground with a column and with a row.

    Around each place the map is taken as flat but not as undistorted: right angles on the ground
    are found in any CRS, in degrees as in projections that keep no angles.

    Args:
        crs: of the raster; tied to the earth.
        transform: of the raster.
        rows: (N,) of the places; whole numbers are edges of pixels.
        cols: (N,) of the places.

    Returns:
        (N, 2, 2) metres: `axes @ (cols, rows)` is (east, north); not finite where the CRS does not
        reach.
    """
    cols = cols[:, None] + np.array([-1.0, 1.0, 0.0, 0.0]) * _AXIS_PX
    rows = rows[:, None] + np.array([0.0, 0.0, -1.0, 1.0]) * _AXIS_PX
    x = transform.a * cols + transform.c
    y = transform.e * rows + transform.f
    lon, lat = (found.reshape(x.shape) for found in degrees_of(crs, x.ravel(), y.ravel()))
    is_there = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= _POLE_DEGREES)
    there = np.asarray(is_there.all(axis=1))
    lon, lat = np.where(there[:, None], lon, 0.0), np.where(there[:, None], lat, 0.0)
    starts, ends = (slice(None), [0, 2]), (slice(None), [1, 3])
    azimuth, _, dist = geod_of(crs).inv(lon[starts], lat[starts], lon[ends], lat[ends])
    angle, metres = np.radians(azimuth), dist / (2 * _AXIS_PX)
    axes = np.stack([metres * np.sin(angle), metres * np.cos(angle)], axis=1)
    return np.where(there[:, None, None], axes, np.nan)
