"""Where pixels and coordinates meet: grids and their integer windows.

No other file turns coordinates into pixels or back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from affine import Affine
from pyproj import CRS
from rasterio.windows import Window

from geocobot.errors import GridError, GridMismatchError
from geocobot.ground import geod_of, ground_size_m
from geocobot.windows import intersect

__all__ = [
    "Bounds",
    "GeoGrid",
    "geod_of",
    "ground_size_m",
]

Bounds: TypeAlias = tuple[float, float, float, float]
"""West, south, east, north in units of the CRS."""

_SNAP_TOLERANCE_PX = 0.05
_NOISE_PX = 1e-6
_SHEAR_TOLERANCE = 1e-6


@dataclass(frozen=True)
class GeoGrid:
    """A north-up pixel grid on the earth.

    Attributes:
        crs: coordinate reference system of the transform.
        transform: (column, row) to (x, y); no rotation, no shear, x to the east, y to the north.
        shape: (height, width) in pixels.
    """

    crs: CRS
    transform: Affine
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse a transform that is not north-up."""
        if self.transform.a <= 0 or self.transform.e >= 0 or _is_sheared(self.transform):
            raise GridError(
                "grid",
                f"has the transform {tuple(self.transform)[:6]}",
                "A GeoGrid is north-up, without rotation or shear",
                "Build it with GeoGrid.north_up, or warp the raster first",
            )

    @classmethod
    def north_up(
        cls,
        crs: CRS,
        transform: Affine,
        shape: tuple[int, int],
        name: str,
        *,
        resampling: str = "cubic",
    ) -> tuple[GeoGrid, bool]:
        """Make a north-up grid from a raster's own transform.

        Args:
            crs: coordinate reference system of the raster.
            transform: the raster's transform; y may grow downwards the file (south-up).
            shape: (height, width) in pixels.
            name: the raster's name, for messages.
            resampling: gdalwarp's name for how a raster of its kind is warped, for messages.

        Returns:
            The grid, and whether the raster's rows have to be flipped to fit it.

        Raises:
            GridError: the transform is rotated, sheared, mirrored or degenerate.
        """
        if _is_sheared(transform):
            raise GridError(
                name,
                f"is rotated or sheared (transform {tuple(transform)[:6]})",
                "geocobot needs rows that run west to east",
                f"Warp it once with: gdalwarp -r {resampling} {name} north_up.tif",
            )
        if transform.a <= 0 or transform.e == 0:
            raise GridError(
                name,
                f"has the pixel size ({transform.a}, {transform.e})",
                "geocobot needs columns that run to the east and a size that is not zero",
                f"Warp it once with: gdalwarp -r {resampling} {name} north_up.tif",
            )
        if transform.e < 0:
            return cls(crs, transform, shape), False
        flipped = transform @ Affine.translation(0, shape[0]) @ Affine.scale(1, -1)
        return cls(crs, flipped, shape), True

    @property
    def height(self) -> int:
        """Rows."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.shape[1]

    @property
    def res_xy(self) -> tuple[float, float]:
        """Pixel size in units of the CRS, both positive."""
        return self.transform.a, -self.transform.e

    @property
    def window(self) -> Window:
        """The window that covers the whole grid."""
        return Window(0, 0, self.width, self.height)

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north of the whole grid."""
        return self.bounds_of(self.window)

    def bounds_of(self, window: Window) -> Bounds:
        """West, south, east, north of a window; it may overhang the grid."""
        west, north = self.transform @ (window.col_off, window.row_off)
        east, south = self.transform @ (
            window.col_off + window.width,
            window.row_off + window.height,
        )
        return west, south, east, north

    def window_for(self, bounds: Bounds) -> Window:
        """The integer window with these bounds; it may overhang the grid.

        Raises:
            GridMismatchError: the bounds are more than 0.05 px off the pixel grid.
        """
        west, south, east, north = bounds
        left, top = ~self.transform @ (west, north)
        right, bottom = ~self.transform @ (east, south)
        edges = np.array([left, top, right, bottom])
        whole = np.rint(edges)
        if np.abs(edges - whole).max() > _SNAP_TOLERANCE_PX:
            raise GridMismatchError(
                "bounds",
                f"{bounds} fall on the pixel edges {edges.tolist()}",
                "Windows are whole pixels of their grid",
                "Take the bounds from this grid, or resample the raster",
            )
        col, row, col_end, row_end = (int(v) for v in whole)
        return Window(col, row, col_end - col, row_end - row)

    def window_around(self, bounds: Bounds) -> Window | None:
        """The smallest window on the grid that covers the bounds, or None if they are outside.

        Bounds within a millionth of a pixel of an edge end at that edge.
        """
        return self.clip(self.window_over(bounds))

    def window_over(self, bounds: Bounds) -> Window:
        """The smallest window that covers the bounds; it may overhang the grid, or lie outside.

        Bounds within a millionth of a pixel of an edge end at that edge.
        """
        west, south, east, north = bounds
        left, top = ~self.transform @ (west, north)
        right, bottom = ~self.transform @ (east, south)
        col, row = int(np.floor(left + _NOISE_PX)), int(np.floor(top + _NOISE_PX))
        col_end, row_end = int(np.ceil(right - _NOISE_PX)), int(np.ceil(bottom - _NOISE_PX))
        return Window(col, row, col_end - col, row_end - row)

    def pixels_of(self, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Turn coordinates (N, 2) of the CRS into fractional (column, row), (N, 2)."""
        cols, rows = ~self.transform @ (xy[:, 0], xy[:, 1])
        return np.column_stack([cols, rows])

    def clip(self, window: Window) -> Window | None:
        """The part of a window that lies on the grid, or None if nothing does."""
        return intersect(window, self.window)

    def crop(self, window: Window) -> GeoGrid:
        """The grid of a window; it may overhang, its pixels stay aligned to this grid."""
        shift = Affine.translation(window.col_off, window.row_off)
        return GeoGrid(self.crs, self.transform @ shift, (int(window.height), int(window.width)))

    def rescaled(self, scale_xy: tuple[float, float]) -> GeoGrid:
        """The grid over the same ground whose pixels have another size.

        Args:
            scale_xy: width and height of its pixels in pixels of this grid.

        Returns:
            A grid with the same upper left corner; it overhangs this one by less than a pixel.
        """
        x, y = scale_xy
        cols, rows = (
            max(1, int(np.ceil(n - _NOISE_PX))) for n in (self.width / x, self.height / y)
        )
        return GeoGrid(self.crs, self.transform @ Affine.scale(x, y), (rows, cols))

    @cached_property
    def ground_pixel_m(self) -> tuple[float, float]:
        """Pixel width and height on the ground at the middle of the grid, in metres.

        Geodesic, so that degrees and the stretched metres of EPSG:3857 come out as on the ground.
        """
        return ground_size_m(self.crs, self.transform, self.height / 2, self.width / 2)

    @property
    def ground_pixel_m2(self) -> float:
        """Pixel area on the ground at the middle of the grid, in square metres."""
        x_m, y_m = self.ground_pixel_m
        return x_m * y_m


def _is_sheared(transform: Affine) -> bool:
    """Whether rows or columns drift by more than a millionth of a pixel per pixel."""
    drift = max(abs(transform.b), abs(transform.d))
    return bool(drift > _SHEAR_TOLERANCE * max(abs(transform.a), abs(transform.e)))
