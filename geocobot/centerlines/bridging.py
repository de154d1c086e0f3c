"""Gaps between lines, found rows by rows and closed at the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geocobot.centerlines.attaching import attach
from geocobot.centerlines.gaps import Gap, GapFinder, bridge
from geocobot.centerlines.lines import Lines
from geocobot.centerlines.network import Network
from geocobot.centerlines.pruning import join_junctions
from geocobot.centerlines.rows import Rows
from geocobot.centerlines.sides import Ends, Side, SideFinder, Surroundings
from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.tracing.pixel_sizes import RowSizes


class Bridges:
    """Gaps between lines, and what closes them.

    Args:
        grid: the scene's grid.
        classes: of the planes of scores.
        most_m: gaps up to so long are closed.
        sizes: of the pixels, by row.
    """

    def __init__(
        self, grid: GeoGrid, classes: Sequence[ClassSpec], most_m: float, sizes: RowSizes
    ) -> None:
        self._width, self._sizes = grid.width, sizes
        self._ends = GapFinder(classes, most_m, sizes, grid.width)
        self._sides = SideFinder(classes, most_m, sizes, grid.shape)
        self.rows_above = max(self._ends.reach_px, self._sides.rows_above)
        """Rows that have to be known above those that are new."""
        self._gaps: list[Gap] = []
        self._before: list[Side] = []
        self._lines = np.empty((0, grid.width), dtype=np.uint8)

    def add(self, ends: Ends, rows: Rows, lines: npt.NDArray[np.uint8], first: int) -> None:
        """Find the gaps of the next rows: of their ends, with their lines and those above."""
        measured = np.stack([ends.px, ends.number, ends.radius], axis=1)
        self._gaps += self._ends.add(measured, first, rows.labels, rows.planes, rows.row_off)
        known = np.concatenate([self._lines, lines])[-len(rows.labels) :]
        self._before += self._sides.add(
            ends, Surroundings(rows.row_off, rows.labels, known, rows.planes)
        )
        self._lines = known[-self.rows_above :].copy()

    def close(self, lines: Lines) -> Lines:
        """Lines with bridges: from ends to ends first, then from ends to sides."""
        if not self._gaps and not self._before:
            return lines
        network = Network(lines, self._width)
        bridge(network, self._gaps, self._sizes)
        attach(network, self._before, self._sizes)
        return join_junctions(network.as_lines())
