"""What the scores inside each polygon are like: exact, from counts of steps that add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

N_STEPS = 256
"""Different values of a score in steps."""

_LOW_SHARE = 0.1


@dataclass(frozen=True)
class ScoreStats:
    """Scores of polygons, in steps.

    Attributes:
        total: (N,) int64 sum over the pixels.
        low: (N,) uint8 10th percentile: the lowest score that at least a tenth do not exceed.
        peak: (N,) uint8 highest one.
    """

    total: npt.NDArray[np.int64]
    low: npt.NDArray[np.uint8]
    peak: npt.NDArray[np.uint8]

    @classmethod
    def of_counts(cls, counts: npt.NDArray[np.int64]) -> ScoreStats:
        """Of how often each step occurs, (N, `N_STEPS`), each row with one pixel at least."""
        total = counts @ np.arange(N_STEPS)
        up_to = np.cumsum(counts, axis=1, dtype=np.int64)
        low = (up_to <= _low_rank(up_to[:, -1])[:, None]).sum(axis=1)
        peak = N_STEPS - 1 - (counts[:, ::-1] > 0).argmax(axis=1)
        return cls(total, low.astype(np.uint8), peak.astype(np.uint8))

    @classmethod
    def of_all(cls, parts: Sequence[ScoreStats]) -> ScoreStats:
        """Those of several, in their order."""
        return cls(
            np.concatenate([one.total for one in parts]),
            np.concatenate([one.low for one in parts]),
            np.concatenate([one.peak for one in parts]),
        )

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> ScoreStats:
        """Those of some polygons."""
        return ScoreStats(self.total[chosen], self.low[chosen], self.peak[chosen])

    def __add__(self, other: ScoreStats) -> ScoreStats:
        """Those of more polygons, the other ones behind."""
        return ScoreStats.of_all([self, other])


@dataclass(frozen=True)
class SortedScores:
    """The scores of the pixels of pieces, sorted piece by piece.

    Attributes:
        steps: (M,) uint8, ascending within each piece.
        first: (N,) where each piece begins.
        after: (N,) where it ends.
    """

    steps: npt.NDArray[np.uint8]
    first: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, piece: npt.NDArray[np.int64], steps: npt.NDArray[np.uint8], n_pieces: int
    ) -> SortedScores:
        """Sort pixels.

        Args:
            piece: (M,) which piece a pixel belongs to.
            steps: (M,) its score.
            n_pieces: pieces in all, each with one pixel at least.
        """
        fits = n_pieces < np.iinfo(np.int32).max // N_STEPS
        keys: npt.NDArray[Any] = piece.astype(np.int32 if fits else np.int64)
        keys *= N_STEPS
        keys += steps
        keys.sort()
        after = np.cumsum(np.bincount(piece, minlength=n_pieces))
        first = np.concatenate([[0], after[:-1]]) if n_pieces else after
        return cls((keys & (N_STEPS - 1)).astype(np.uint8), first, after)

    def __getitem__(self, chosen: npt.NDArray[np.bool_]) -> SortedScores:
        """Those of some pieces."""
        return SortedScores(self.steps, self.first[chosen], self.after[chosen])

    def stats(self) -> ScoreStats:
        """What the scores of each piece are like."""
        up_to = np.concatenate([[0], np.cumsum(self.steps, dtype=np.int64)])
        low = self.steps[self.first + _low_rank(self.after - self.first)]
        return ScoreStats(up_to[self.after] - up_to[self.first], low, self.steps[self.after - 1])

    def counts(self, pieces: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How often each step occurs in some pieces, (P, `N_STEPS`)."""
        pixels = self.after[pieces] - self.first[pieces]
        row = np.repeat(np.arange(len(pieces)), pixels)
        place = np.arange(row.size) - np.repeat(np.cumsum(pixels) - pixels, pixels)
        steps = self.steps[np.repeat(self.first[pieces], pixels) + place]
        counts = np.bincount(row * N_STEPS + steps, minlength=len(pieces) * N_STEPS)
        return counts.reshape(-1, N_STEPS)


def _low_rank(pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place of the 10th percentile among so many sorted scores."""
    return np.asarray(_LOW_SHARE * (pixels - 1)).astype(np.int64)
