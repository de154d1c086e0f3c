"""Polygons none of whose pixels scores enough: they are not drawn, and somebody is told."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geocobot.steps import scores_of
from geocobot.tracing.outlines import Outlines
from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.score_stats import ScoreStats
from geocobot.tracing.trace import Pieces


@dataclass(frozen=True)
class Hysteresis:
    """Tells sure polygons from faint ones.

    Attributes:
        high_threshold: some pixel of a sure polygon scores more than this; 0 where all are sure.
        squared: numbers of the classes whose outlines are squared.
        softened: whether outlines leave the pixels.
        faint: is handed the outlines of faint polygons along the pixels, from any thread.
    """

    high_threshold: float
    squared: Collection[int]
    softened: bool
    faint: Callable[[PolygonArray], None] | None = None

    def with_traced(self, pieces: Pieces) -> Pieces:
        """Pieces with the outlines along the pixels of those that need them later."""
        kept = np.isin(pieces.class_number, list(self.squared))
        is_told = self.faint is not None and self.high_threshold > 0
        if is_told and self.softened and pieces.scores is not None:
            kept |= self._is_faint(pieces.scores.stats())
        if not kept.any():
            return pieces
        traced = pieces.geometry.copy()
        traced[~kept] = None
        return replace(pieces, traced=traced)

    def sure(self, outlines: Outlines) -> Outlines:
        """Complete polygons without faint ones."""
        if self.high_threshold <= 0 or outlines.scores is None:
            return outlines
        is_faint = self._is_faint(outlines.scores)
        if self.faint is not None and is_faint.any():
            faint = outlines.take(np.flatnonzero(is_faint))
            self.faint(PolygonArray(faint.traced) if self.softened else faint.polygons)
        sure = outlines.take(np.flatnonzero(~is_faint))
        sure.traced[~np.isin(sure.class_number, list(self.squared))] = None
        return sure

    def _is_faint(self, scores: ScoreStats) -> npt.NDArray[np.bool_]:
        """Of which (N,) no pixel scores enough."""
        return np.asarray(scores_of(scores.peak) <= np.float32(self.high_threshold))
