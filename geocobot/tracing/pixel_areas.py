"""How much ground the pixels of each row cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocobot.grid import GeoGrid
from geocobot.ground import ground_size_m

_ROWS_MEASURED = 9


def row_areas_m2(grid: GeoGrid, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Ground area of a pixel in each row, between rows measured at fixed places.

    Args:
        grid: the scene's grid.
        rows: (N,) numbers of rows.

    Returns:
        (N,) square metres.
    """
    # Middles of pixels: half a pixel beyond the first or last row may lie beyond a pole.
    measured = np.linspace(0.5, grid.height - 0.5, _ROWS_MEASURED)
    column = grid.width / 2
    areas = [np.prod(ground_size_m(grid.crs, grid.transform, row, column)) for row in measured]
    return np.asarray(np.interp(rows + 0.5, measured, areas))


def most_rows(grid: GeoGrid, area_m2: float) -> int:
    """Rows that a 4-connected patch smaller than this can reach across at most."""
    return int(area_m2 / row_areas_m2(grid, np.arange(grid.height)).min()) + 1
