"""How much scores tell: precision and recall at every threshold, and whether they are honest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.classes import IGNORE, ClassSpec
from geocobot.evaluation.ratios import ratio
from geocobot.evaluation.temperature import fit_temperature
from geocobot.steps import NODATA, SCORE_SCALE, sigmoid

N_BINS = 15
"""Bins of the reliability diagram, as many as Guo et al. have (arXiv 1706.04599)."""

_CERTAIN = 0.25 / SCORE_SCALE
"""What a score of 0 stands for, and 1 less this for a score of 1: the middle of what is rounded."""


@dataclass(frozen=True)
class ScoreCurve:
    """Precision and recall of a class at every threshold, each class against all others.

    Attributes:
        name: the class.
        thresholds: ascending; a pixel is of the class where its score is larger.
        precision: share of the predicted pixels that are true, at each threshold; None where none
            is predicted.
        recall: share of the true pixels that are predicted, at each threshold; None where none is
            true.
        average_precision: mean of the precision over the recall, as a sum over all different
            scores; None where no pixel is of the class.
        best_threshold: the one with the largest F1 and IoU, the middle one of several; None where
            no pixel is of the class.
        best_f1: F1 there.
        best_iou: IoU there.
    """

    name: str
    thresholds: tuple[float, ...]
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    average_precision: float | None
    best_threshold: float | None
    best_f1: float | None
    best_iou: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """Pixels of similar scores.

    Attributes:
        low: smallest score of the bin.
        high: largest, which belongs to the next bin except for 1.
        pixels: how many.
        mean_score: of these; None without any.
        share_true: how many of these are of the class, as a share; None without any.
    """

    low: float
    high: float
    pixels: int
    mean_score: float | None
    share_true: float | None


@dataclass(frozen=True)
class Calibration:
    """Whether scores are probabilities.

    Attributes:
        name: the class.
        expected_error: mean distance of scores and shares of true pixels, over the bins by their
            pixels (expected calibration error); None where nothing was judged.
        bins: the reliability diagram.
        temperature: what logits have to be divided by to be as honest as they can be on these
            pixels; above 1 where scores are too sure.
        scaled_error: the expected error after that, on the same pixels.
    """

    name: str
    expected_error: float | None
    bins: tuple[ReliabilityBin, ...]
    temperature: float
    scaled_error: float | None


class ScoreCounts:
    """Counts the scores of true and of other pixels of each class, window by window.

    Args:
        classes: K classes.
    """

    def __init__(self, classes: Sequence[ClassSpec]) -> None:
        self._classes = tuple(classes)
        self.counts = np.zeros((len(self._classes), 2, SCORE_SCALE + 1), dtype=np.int64)

    def add(
        self,
        truth: npt.NDArray[np.uint8],
        steps: npt.NDArray[np.uint8],
        judged: npt.NDArray[np.bool_],
    ) -> None:
        """Count one window.

        Args:
            truth: (h, w) class numbers.
            steps: (K, h, w) scores as they are written; `NODATA` counts as 0.
            judged: (h, w), True where pixels are compared; `IGNORE` in the truth is not.
        """
        known = judged & (truth != IGNORE)
        numbers = truth[known]
        for k, (spec, plane) in enumerate(zip(self._classes, steps, strict=True)):
            is_class = numbers == spec.number
            cells = plane[known] + np.uint16(NODATA + 1) * is_class
            found = np.bincount(cells, minlength=2 * (NODATA + 1)).reshape(2, NODATA + 1)
            found[:, 0] += found[:, NODATA]
            self.counts[k] += found[:, : SCORE_SCALE + 1]

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        """Both counts together.

        Raises:
            ValueError: the classes differ.
        """
        if self._classes != other._classes:
            raise ValueError("scores of different classes do not add up")
        total = ScoreCounts(self._classes)
        total.counts = self.counts + other.counts
        return total

    def curves(self) -> tuple[ScoreCurve, ...]:
        """Precision and recall of each class."""
        return tuple(
            _curve(spec.name, counts)
            for spec, counts in zip(self._classes, self.counts, strict=True)
        )

    def calibration(self) -> tuple[Calibration, ...]:
        """How honest the scores of each class are."""
        return tuple(
            _calibration(spec.name, counts)
            for spec, counts in zip(self._classes, self.counts, strict=True)
        )


def _curve(name: str, counts: npt.NDArray[np.int64]) -> ScoreCurve:
    """The curve of one class.

    Args:
        name: of the class.
        counts: (2, 255) other and true pixels of each score.
    """
    false, hit = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    n_true = int(hit[0])
    predicted = hit + false
    precision = np.divide(hit, predicted, out=np.zeros(len(hit)), where=predicted > 0)
    average = float((precision * counts[1]).sum() / n_true) if n_true else None
    # Between two scores: which of them a threshold excludes does not depend on rounding.
    thresholds = (np.arange(1, SCORE_SCALE + 1) - 0.5) / SCORE_SCALE
    best: tuple[float | None, float | None, float | None] = (None, None, None)
    if n_true:
        f1 = 2 * hit[1:] / (n_true + predicted[1:])
        chosen = _middle_of_best(f1)
        value = float(f1[chosen])
        best = (float(thresholds[chosen]), value, value / (2 - value))
    pairs = zip(hit[1:].tolist(), predicted[1:].tolist(), strict=True)
    return ScoreCurve(
        name=name,
        thresholds=tuple(thresholds.tolist()),
        precision=tuple(ratio(*pair) for pair in pairs),
        recall=tuple(ratio(h, n_true) for h in hit[1:].tolist()),
        average_precision=average,
        best_threshold=best[0],
        best_f1=best[1],
        best_iou=best[2],
    )


def _middle_of_best(values: npt.NDArray[np.float64]) -> int:
    """The middle of the first run of positions with the largest value."""
    first = int(values.argmax())
    run = values[first:] == values[first]
    length = len(run) if run.all() else int(run.argmin())
    return first + (length - 1) // 2


def _calibration(name: str, counts: npt.NDArray[np.int64]) -> Calibration:
    """The calibration of one class.

    Args:
        name: of the class.
        counts: (2, 255) other and true pixels of each score.
    """
    scores = np.arange(SCORE_SCALE + 1) / SCORE_SCALE
    inner = scores.clip(_CERTAIN, 1 - _CERTAIN)
    logits = np.log(inner / (1 - inner))
    temperature = fit_temperature(logits, counts[1], counts[0])
    bins = reliability(scores, counts)
    scaled = reliability(sigmoid(logits / temperature).astype(np.float64), counts)
    return Calibration(name, expected_error(bins), bins, temperature, expected_error(scaled))


def reliability(
    scores: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
) -> tuple[ReliabilityBin, ...]:
    """Sort pixels into bins of equal width.

    Args:
        scores: (N,) 0 to 1.
        counts: (2, N) other and true pixels of each score.
    """
    place = np.minimum((scores * N_BINS).astype(np.int64), N_BINS - 1)
    pixels = counts.sum(axis=0)
    sums = [
        np.bincount(place, weights=weights, minlength=N_BINS).tolist()
        for weights in (pixels, pixels * scores, counts[1])
    ]
    return tuple(
        ReliabilityBin(
            low=b / N_BINS,
            high=(b + 1) / N_BINS,
            pixels=int(n),
            mean_score=total / n if n else None,
            share_true=true / n if n else None,
        )
        for b, (n, total, true) in enumerate(zip(*sums, strict=True))
    )


def expected_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """Expected calibration error of a reliability diagram (Guo et al., arXiv 1706.04599, eq. 3)."""
    total = sum(b.pixels for b in bins)
    distances = (
        b.pixels * abs(b.mean_score - b.share_true)
        for b in bins
        if b.mean_score is not None and b.share_true is not None
    )
    return sum(distances) / total if total else None
