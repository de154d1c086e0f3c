"""Fill small holes in the class raster before it is traced."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.grid import GeoGrid
from geocobot.tracing.components import Components
from geocobot.tracing.pixel_sizes import RowSizes

MAX_HOLE_ROWS = 1024
"""A hole higher than this is not filled, which bounds the rows that have to be looked ahead."""


@dataclass(frozen=True)
class HoleFilling:
    """Which holes are filled.

    A hole is a 4-connected piece of background whose bordering pixels all are of one class.
    A hole that borders on a second class, on pixels without data or on the edge of the scene
    stays; so does one higher than `MAX_HOLE_ROWS`. An island of the same class inside a hole
    grows into one polygon with what surrounds it.

    Attributes:
        grid: the scene's grid.
        max_m2: holes smaller than this on the ground are filled; 0 fills none.
    """

    grid: GeoGrid
    max_m2: float

    @cached_property
    def _sizes(self) -> RowSizes:
        """Of the grid's pixels."""
        return RowSizes(self.grid)

    @property
    def rows_ahead(self) -> int:
        """Rows below a block that have to be known, so that each of its holes is seen whole."""
        if self.max_m2 <= 0:
            return 0
        return min(self._sizes.most_rows(self.max_m2), MAX_HOLE_ROWS) + 2

    def fill(
        self, labels: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], row_off: int
    ) -> None:
        """Fill in place what can be seen whole.

        A hole that reaches up into `above` was decided with the rows above; one that reaches
        the last row is decided with the rows to come.

        Args:
            labels: (n, W) class numbers, `BACKGROUND` and `IGNORE` among them.
            above: (1, W) final row above, or (0, W) at the top of the scene.
            row_off: row of the scene that `labels` starts with.
        """
        if self.max_m2 <= 0:
            return
        stacked = np.concatenate([above, labels])
        components = Components.of(stacked)
        height, width = stacked.shape
        row_m2 = self._sizes.areas_m2(row_off - len(above) + np.arange(height))
        area_m2 = components.total(np.broadcast_to(row_m2[:, None], stacked.shape))
        first_row = components.first_px // width
        small = (
            (components.class_number == BACKGROUND)
            & (area_m2 < self.max_m2)
            & (_last_rows(components, width) - first_row < MAX_HOLE_ROWS)
        )
        low, high = _bordering_classes(stacked, components, small)
        fills = small & (low == high) & (low != IGNORE)
        new_class = np.where(fills, low, components.class_number).astype(np.uint8)
        filled = components.raster(new_class)
        labels[:] = filled[len(above) :]


def _last_rows(components: Components, width: int) -> npt.NDArray[np.int64]:
    """Last row of each component."""
    last = np.zeros(len(components), dtype=np.int64)
    np.maximum.at(last, components.component_of_run, components.run_start // width)
    return last


def _bordering_classes(
    labels: npt.NDArray[np.uint8], components: Components, chosen: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Smallest and largest class that 4-borders on each chosen background component.

    The edge of the raster counts as `IGNORE`.
    """
    framed = np.pad(labels, 1, constant_values=IGNORE)
    flat = np.flatnonzero(components.raster(chosen))
    component = components.at(flat)
    low = np.full(len(components), IGNORE, dtype=np.uint8)
    high = np.zeros(len(components), dtype=np.uint8)
    row, col = np.divmod(flat, labels.shape[1])
    for row_step, col_step in ((0, 1), (1, 0), (1, 2), (2, 1)):
        neighbor = framed[row + row_step, col + col_step]
        outside = neighbor != BACKGROUND
        np.minimum.at(low, component[outside], neighbor[outside])
        np.maximum.at(high, component[outside], neighbor[outside])
    return low, high
