"""Lines of areas that are not drawn because they score too low."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.lines import Lines
from geocobot.tracing.ragged import PolygonArray, Ragged

_MOST_CORNERS = 2**20
"""More corners of areas do not wait: those above the rows that are done are compared with lines."""


class FaintAreas:
    """Takes faint areas and tells which lines are of them.

    Few corners of areas are kept: of those that no line to come can lie in, only the ends of the
    lines that do.

    Args:
        width: of the scene, in pixels.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._waiting: list[Ragged] = []
        self._corners = 0
        self._lock = threading.Lock()
        self._ends = np.empty(0, dtype=np.int64)

    def add(self, areas: PolygonArray) -> None:
        """Take outlines along the pixels, in pixels of the scene; from any thread."""
        with self._lock:
            self._waiting.append(areas.ragged)
            self._corners += len(areas.ragged.xy)

    @property
    def are_many(self) -> bool:
        """Whether so many wait that they should be compared with lines."""
        return self._corners > _MOST_CORNERS

    def mark(self, ends: npt.NDArray[np.int64], end_row: int) -> None:
        """Compare the areas above a row with the ends of all lines there.

        Args:
            ends: flat indices of their pixels.
            end_row: areas that reach below it wait on.
        """
        with self._lock:
            if not self._waiting:
                return
            areas = Ragged.concatenated(self._waiting)
            is_above = areas.bounds[:, 3] <= end_row
            self._waiting = [areas[~is_above]]
            self._corners = len(self._waiting[0].xy)
        row, column = np.divmod(ends, self._width)
        pixels = shapely.points(np.stack([column, row], axis=1) + 0.5)
        _, within = shapely.STRtree(pixels).query(areas[is_above].build(), "contains")
        self._ends = np.union1d(self._ends, ends[within])

    def without(self, lines: Lines) -> Lines:
        """Those that do not begin and end in faint areas."""
        return lines.take(np.flatnonzero(~np.isin(lines.nodes, self._ends).all(axis=1)))
