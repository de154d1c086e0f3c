"""Sizes of pixels on the ground, row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocobot.grid import GeoGrid
from geocobot.ground import ground_size_m

_MEASURED_ROWS = 33


class RowSizes:
    """Width and height of the pixels in the middle column, in metres, by row.

    They are measured at some rows and interpolated between them.

    Args:
        grid: the scene's grid.
    """

    def __init__(self, grid: GeoGrid) -> None:
        # Middles of pixels: half a pixel beyond the first or last row may lie beyond a pole.
        self._rows = np.linspace(0.5, grid.height - 0.5, _MEASURED_ROWS)
        sizes = [ground_size_m(grid.crs, grid.transform, r, grid.width / 2) for r in self._rows]
        self._x_m, self._y_m = np.array(sizes).T

    @property
    def least_m(self) -> float:
        """The shortest side of a pixel."""
        return min(self.least_xy_m)

    @property
    def least_xy_m(self) -> tuple[float, float]:
        """The smallest width and the smallest height of a pixel."""
        return float(self._x_m.min()), float(self._y_m.min())

    def areas_m2(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Ground area (N,) of a pixel in each of these rows, in square metres."""
        return np.asarray(self.at(rows.astype(np.float64) + 0.5).prod(axis=-1))

    def most_rows(self, area_m2: float) -> int:
        """Rows that a 4-connected patch smaller than this can reach across at most."""
        return int(area_m2 / (self._x_m * self._y_m).min()) + 1

    def at(self, y: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Width and height (..., 2) of pixels at these rows."""
        rows = np.asarray(y)
        sides = [np.interp(rows, self._rows, side) for side in (self._x_m, self._y_m)]
        return np.stack(sides, axis=-1)
