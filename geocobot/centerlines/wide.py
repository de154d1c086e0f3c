"""Count the areas that are too wide for a centerline, across the seams of windows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from geocobot.tracing.components import Components, connected


class WidePlaces:
    """Takes rows from top to bottom, and counts what is connected in them.

    Attributes:
        counts: places by class number.
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._last = np.zeros(0, dtype=np.uint8)
        # The place of each pixel of that row.
        self._place = np.zeros(0, dtype=np.int64)

    def add(self, cores: npt.NDArray[np.uint8]) -> None:
        """Count in the next rows.

        Args:
            cores: (n, W) class numbers where an area is too wide, 0 elsewhere.
        """
        width = cores.shape[1]
        if not cores.any():
            self._last, self._place = np.zeros(width, np.uint8), np.zeros(width, np.int64)
            return
        found = Components.of(cores)
        self.counts.update(found.class_number[found.class_number > 0].tolist())
        rows = np.arange(width), np.arange(width) + (len(cores) - 1) * width
        first, last = (found.at(px) for px in rows)
        n = len(found)
        root = np.arange(n)
        if self._last.size:
            meet = np.flatnonzero((self._last == cores[0]) & (cores[0] > 0))
            old, at = np.unique(self._place[meet], return_inverse=True)
            nodes = n + old.size
            root = connected(nodes, first[meet], n + at)
            merged = np.flatnonzero(root != np.arange(nodes))
            number = np.concatenate([found.class_number, np.zeros(old.size, np.uint8)])
            number[n + at] = cores[0][meet]
            self.counts.subtract(number[merged].tolist())
        self._last, self._place = cores[-1].copy(), root[last]
