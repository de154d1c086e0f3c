"""Give specks of the class raster to what surrounds them, before it is traced."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.grid import GeoGrid
from geocobot.tracing.components import Components
from geocobot.tracing.pixel_sizes import RowSizes

MAX_SPECK_ROWS = 128
"""A patch higher than this is no speck, which bounds the rows that have to be known around it."""

_LABELS = 256


@dataclass(frozen=True)
class SpeckRemoval:
    """Which patches are specks.

    A speck is a 4-connected patch of one class, or of background, that covers less than `max_m2`
    on the ground. It takes the class of those of its neighbors that are no specks, and of several
    the one with which it has the longest border, of equally long ones the lowest number. A speck
    that has none, among other specks or pixels without data, becomes background.

    Attributes:
        grid: the scene's grid.
        max_m2: patches smaller than this are specks; 0 leaves all.
    """

    grid: GeoGrid
    max_m2: float

    @cached_property
    def _sizes(self) -> RowSizes:
        """Of the grid's pixels."""
        return RowSizes(self.grid)

    @property
    def reach(self) -> int:
        """Rows above and below a row that decide it: those of a speck and of its neighbor."""
        if self.max_m2 <= 0:
            return 0
        return 2 * (min(self._sizes.most_rows(self.max_m2), MAX_SPECK_ROWS) + 1)

    def removed(self, labels: npt.NDArray[np.uint8], row_off: int) -> npt.NDArray[np.uint8]:
        """The class raster without specks.

        Args:
            labels: (n, W) class numbers of consecutive rows, `BACKGROUND` and `IGNORE` among them.
            row_off: row of the scene that they start with.

        Returns:
            (n, W) class numbers; those within `reach` rows of the first and the last row are right
            where the scene ends there.
        """
        components = Components.of(labels)
        small = self._small(components, labels.shape, row_off)
        becomes = components.class_number.copy()
        becomes[small] = BACKGROUND
        speck, neighbor = _borders(components, small, labels.shape)
        # Sorted by speck and class, then by how long the border with the class is.
        keys, lengths = np.unique(
            speck * _LABELS + components.class_number[neighbor], return_counts=True
        )
        owner, class_number = np.divmod(keys, _LABELS)
        order = np.lexsort([-class_number, lengths, owner])
        last = np.append(owner[order][1:] != owner[order][:-1], True)[: order.size]
        winner = order[last]
        becomes[owner[winner]] = class_number[winner]
        cleaned: npt.NDArray[np.uint8] = components.raster(becomes)
        return cleaned

    def _small(
        self, components: Components, shape: tuple[int, ...], row_off: int
    ) -> npt.NDArray[np.bool_]:
        """Which components (N,) are specks; none that may go on above or below the rows."""
        height = shape[0]
        row_m2 = self._sizes.areas_m2(row_off + np.arange(height))
        area_m2 = components.total(np.broadcast_to(row_m2[:, None], shape))
        _, first, _, last = components.bounds().T
        is_whole = (first > 0) | (row_off == 0)
        is_whole &= (last < height - 1) | (row_off + height == self.grid.height)
        is_low = last - first < MAX_SPECK_ROWS
        return np.asarray(
            (area_m2 < self.max_m2) & is_whole & is_low & (components.class_number != IGNORE)
        )


def _borders(
    components: Components, small: npt.NDArray[np.bool_], shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pixels' edges between specks and what has data and is none: (E,) specks, (E,) neighbors."""
    width = shape[1]
    flat = np.flatnonzero(components.raster(small))
    own = components.at(flat)
    row, col = np.divmod(flat, width)
    specks, neighbors = [], []
    for is_inside, step in (
        (col > 0, -1),
        (col < width - 1, 1),
        (row > 0, -width),
        (row < shape[0] - 1, width),
    ):
        other = components.at(flat[is_inside] + step)
        takes = ~small[other] & (components.class_number[other] != IGNORE)
        specks.append(own[is_inside][takes])
        neighbors.append(other[takes])
    return np.concatenate(specks), np.concatenate(neighbors)
