"""Rows of a scene that centerlines are drawn from: classes and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.centerlines.paths import Paths
from geocobot.classes import ClassSpec
from geocobot.steps import SCORE_SCALE
from geocobot.tracing.block import Block


@dataclass(frozen=True)
class Rows:
    """Rows of the scene from `row_off` on: labels (n, W), scores of all classes (K, n, W)."""

    row_off: int
    labels: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.uint8]

    @classmethod
    def none(cls, n_classes: int, width: int) -> Rows:
        """No rows, at the top of the scene."""
        return cls(0, np.empty((0, width), np.uint8), np.empty((n_classes, 0, width), np.uint8))

    def followed_by(self, blocks: Sequence[Block], classes: Sequence[ClassSpec]) -> Rows:
        """With the rows of blocks below."""
        return Rows(
            self.row_off,
            np.concatenate([self.labels, *(block.classes for block in blocks)]),
            np.concatenate([self.planes, *(_planes_of(b, classes) for b in blocks)], axis=1),
        )

    def between(self, first: int, end: int) -> Rows:
        """Those of the rows from one to before another of the scene that are here."""
        rows = slice(max(first - self.row_off, 0), max(end - self.row_off, 0))
        return Rows(self.row_off + rows.start, self.labels[rows], self.planes[:, rows])

    def copied(self) -> Rows:
        """The same rows, keeping no others in memory."""
        return Rows(self.row_off, self.labels.copy(), self.planes.copy())

    def scores_at(
        self, paths: Paths, numbers: npt.NDArray[np.uint8], classes: Sequence[ClassSpec]
    ) -> npt.NDArray[np.uint8]:
        """Score (N,) of the class of each pixel of lines, in steps."""
        plane = np.zeros(256, dtype=np.int64)
        plane[[spec.number for spec in classes]] = np.arange(len(classes))
        return self.planes[plane[numbers], paths.row, paths.col]


def _planes_of(block: Block, classes: Sequence[ClassSpec]) -> npt.NDArray[np.uint8]:
    """Scores (K, h, W) of a block: where none are known, full ones for the class that is there."""
    if block.planes is not None:
        return block.planes
    return np.stack(
        [np.where(block.classes == s.number, np.uint8(SCORE_SCALE), np.uint8(0)) for s in classes]
    )
