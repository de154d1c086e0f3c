"""Where rasters lie, and which of them a window of another grid meets, without a look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import CRS
from rasterio.windows import Window

from geocobot.grid import Bounds, GeoGrid
from geocobot.io.shapes import bounds_in
from geocobot.windows import grown

_MARGIN_PX = 1  # GDAL's places are an eighth of a pixel off at most


@dataclass(frozen=True, eq=False)
class Extents:
    """Extents of rasters, in CRSs of their own.

    Attributes:
        groups: for each CRS, the numbers (N,) of the rasters in it, and west, south, east, north
            (N, 4) of what one pixel around them takes in.
    """

    groups: tuple[tuple[CRS, npt.NDArray[np.int64], npt.NDArray[np.float64]], ...]

    @classmethod
    def of(cls, grids: Sequence[GeoGrid]) -> Extents:
        """Those of rasters, which are numbered from 0."""
        in_crs: dict[str, list[int]] = {}
        for number, grid in enumerate(grids):
            in_crs.setdefault(grid.crs.to_wkt(), []).append(number)
        around = [grid.bounds_of(grown(grid.window, _MARGIN_PX)) for grid in grids]
        return cls(
            tuple(
                (grids[found[0]].crs, np.array(found), np.array([around[n] for n in found]))
                for found in in_crs.values()
            )
        )

    def met_by(self, window: Window, grid: GeoGrid) -> list[int]:
        """Numbers of the rasters that may have something in a window, in their order.

        Args:
            window: integer pixels of `grid`.
            grid: any one.
        """
        bounds = grid.bounds_of(grown(window, _MARGIN_PX))
        numbers = [n[_meet(bounds_in(bounds, grid.crs, crs), b)] for crs, n, b in self.groups]
        return sorted(int(number) for found in numbers for number in found)


def _meet(bounds: Bounds | None, others: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which others (N, 4) the bounds meet; all where these cannot be told."""
    if bounds is None:
        return np.ones(len(others), dtype=np.bool_)
    west, south, east, north = others.T
    beside = (bounds[0] < east) & (west < bounds[2])
    return np.asarray(beside & (bounds[1] < north) & (south < bounds[3]))
