"""How well outlines agree, within a few pixels: boundary IoU and boundary F1.

Only boundaries between judged pixels count: neither the edge of the scene nor the edge of what is
known is an outline of anything. Distances are between the centers of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.classes import BACKGROUND, IGNORE, ClassSpec
from geocobot.evaluation.ratios import mean, ratio

DISTANCES_PX = (1, 2, 4)
"""How far from an outline a pixel still belongs to it."""

_HALO_PX = max(DISTANCES_PX) + 1
"""Rows and columns around a pixel that say whether it is near the other map's outline."""

_CHUNK_PX = 2048
"""Columns that are compared at once, so that temporaries stay small in wide scenes."""

_BAND_BOTH, _BAND_EITHER, _RIGHT, _FOUND = range(4)


@dataclass(frozen=True)
class BoundaryScore:
    """How well the outlines of a class agree at one distance.

    Attributes:
        distance_px: how far from an outline pixels count.
        iou: intersection over union of the bands of the class's pixels within that distance of
            another class (boundary IoU: Cheng et al., arXiv 2103.16562); None where neither
            map has any.
        f1: harmonic mean of precision and recall; None where neither map has an outline.
        precision: share of the predicted outline within that distance of a true one; None without
            a predicted outline.
        recall: share of the true outline within that distance of a predicted one; None without a
            true outline.
    """

    distance_px: int
    iou: float | None
    f1: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class ClassBoundary:
    """How well the outlines of a class agree.

    Attributes:
        name: the class, or "mean".
        scores: one per distance, nearest first.
    """

    name: str
    scores: tuple[BoundaryScore, ...]


class BoundaryCounts:
    """Compares outlines in full-width rows that follow each other, of any height.

    A few rows are held back until those below them are there; what is counted does not depend on
    how the rows come.

    Args:
        classes: whose outlines are compared.
    """

    def __init__(self, classes: Sequence[ClassSpec]) -> None:
        self._classes = tuple(classes)
        # Class, distance, and the four counts; then pixels of the outlines of both maps.
        self._counts = np.zeros((len(self._classes), len(DISTANCES_PX), 4), dtype=np.int64)
        self._outlines = np.zeros((len(self._classes), 2), dtype=np.int64)
        self._held: npt.NDArray[np.uint8] | None = None
        self._done = 0

    def add(
        self,
        truth: npt.NDArray[np.uint8],
        prediction: npt.NDArray[np.uint8],
        judged: npt.NDArray[np.bool_],
    ) -> None:
        """Take the next rows.

        Args:
            truth: (h, W) class numbers.
            prediction: (h, W) class numbers; `IGNORE` counts as background.
            judged: (h, W), True where pixels are compared; `IGNORE` in the truth is not.
        """
        known = judged & (truth != IGNORE)
        predicted = np.where(prediction == IGNORE, np.uint8(BACKGROUND), prediction)
        rows = np.where(known, np.stack([truth, predicted]), np.uint8(IGNORE))
        held = rows if self._held is None else np.concatenate([self._held, rows], axis=1)
        self._count(held, max(self._done, held.shape[1] - _HALO_PX))

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        """Both counts together; no rows may follow on either side.

        Raises:
            ValueError: the classes differ.
        """
        if self._classes != other._classes:
            raise ValueError("outlines of different classes do not add up")
        total = BoundaryCounts(self._classes)
        for part in (self, other):
            part._finish()
            total._counts += part._counts
            total._outlines += part._outlines
        return total

    def scores(self) -> tuple[ClassBoundary, ...]:
        """Scores of each class, and their mean; no rows may follow."""
        self._finish()
        classes = [
            ClassBoundary(spec.name, tuple(self._score(k, i) for i in range(len(DISTANCES_PX))))
            for k, spec in enumerate(self._classes)
        ]
        return (*classes, _mean_boundary(classes))

    def _finish(self) -> None:
        """Count what was held back."""
        if self._held is not None:
            self._count(self._held, self._held.shape[1])
            self._held = None

    def _count(self, held: npt.NDArray[np.uint8], until: int) -> None:
        """Count the rows up to one, and hold back what later rows may need.

        Args:
            held: (2, h, W) truth and prediction, the rows before those to count included.
            until: first row that is not counted yet.
        """
        rows = slice(self._done, until)
        if until > self._done:
            for cols, inner in _chunks(held.shape[2]):
                self._count_chunk(held[:, :, cols], (rows, inner))
        first = max(0, until - _HALO_PX)
        self._held, self._done = held[:, first:].copy(), until - first

    def _count_chunk(self, maps: npt.NDArray[np.uint8], core: tuple[slice, slice]) -> None:
        """Count the core of (2, h, w) truth and prediction."""
        known = maps[0] != IGNORE
        there = np.bincount(maps.ravel(), minlength=IGNORE + 1)
        for k, spec in enumerate(self._classes):
            if not there[spec.number]:
                continue
            truth, prediction = maps == spec.number
            true_near, predicted_near = _within(known & ~truth), _within(known & ~prediction)
            true_line, predicted_line = truth & true_near[0], prediction & predicted_near[0]
            near_true, near_predicted = _within(true_line), _within(predicted_line)
            self._outlines[k] += [_number(true_line[core]), _number(predicted_line[core])]
            for i in range(len(DISTANCES_PX)):
                true_band = (truth & true_near[i])[core]
                predicted_band = (prediction & predicted_near[i])[core]
                self._counts[k, i] += [
                    _number(true_band & predicted_band),
                    _number(true_band | predicted_band),
                    _number((predicted_line & near_true[i])[core]),
                    _number((true_line & near_predicted[i])[core]),
                ]

    def _score(self, k: int, i: int) -> BoundaryScore:
        """The score of one class at one distance."""
        counts = self._counts[k, i].tolist()
        true_px, predicted_px = self._outlines[k].tolist()
        precision, recall = ratio(counts[_RIGHT], predicted_px), ratio(counts[_FOUND], true_px)
        both = (precision or 0.0) + (recall or 0.0)
        product = 2 * (precision or 0.0) * (recall or 0.0)
        f1 = product / both if both else (0.0 if true_px + predicted_px else None)
        iou = ratio(counts[_BAND_BOTH], counts[_BAND_EITHER])
        return BoundaryScore(DISTANCES_PX[i], iou, f1, precision, recall)


def _mean_boundary(classes: Sequence[ClassBoundary]) -> ClassBoundary:
    """The mean over the classes that have a score."""
    columns = zip(*(c.scores for c in classes), strict=True)
    scores = tuple(
        BoundaryScore(
            distance_px,
            *(
                mean(getattr(score, name) for score in column)
                for name in ("iou", "f1", "precision", "recall")
            ),
        )
        for distance_px, column in zip(DISTANCES_PX, columns, strict=True)
    )
    return ClassBoundary("mean", scores)


def _chunks(width: int) -> Iterator[tuple[slice, slice]]:
    """Columns with a margin, and which of them are not margin."""
    for left in range(0, width, _CHUNK_PX):
        first, right = max(0, left - _HALO_PX), min(width, left + _CHUNK_PX)
        yield slice(first, min(width, right + _HALO_PX)), slice(left - first, right - first)


def _rings() -> tuple[tuple[tuple[int, int], ...], ...]:
    """Steps (down, right) to the pixels that each distance adds to the one before."""
    reach = range(-max(DISTANCES_PX), max(DISTANCES_PX) + 1)
    within = [
        {(down, right) for down in reach for right in reach if 0 < down**2 + right**2 <= d**2}
        for d in DISTANCES_PX
    ]
    before = [set[tuple[int, int]](), *within]
    return tuple(tuple(sorted(a - b)) for a, b in zip(within, before, strict=False))


_RINGS = _rings()


def _within(marked: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]]:
    """Where (h, w) a marked pixel is within each of the distances."""
    near = marked.copy()
    found = []
    for ring in _RINGS:
        if marked.any():
            for down, right in ring:
                here, there = zip(_shifted(down), _shifted(right), strict=True)
                near[here] |= marked[there]
        found.append(near.copy())
    return found


def _shifted(step: int) -> tuple[slice, slice]:
    """Where a pixel is along an axis, and where the one a step farther is."""
    if step >= 0:
        return slice(None, -step or None), slice(step, None)
    return slice(-step, None), slice(None, step)


def _number(marked: npt.NDArray[np.bool_]) -> int:
    """How many pixels are marked."""
    return int(np.count_nonzero(marked))
