"""Pixel scores of a map: counts that stream, IoU, F1, precision, recall and accuracy from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.classes import IGNORE, ClassSpec
from geocobot.evaluation.ratios import mean, ratio


@dataclass(frozen=True)
class ClassScore:
    """How well one class was found.

    Attributes:
        name: the class.
        iou: intersection over union; None where neither truth nor prediction has the class.
        f1: harmonic mean of precision and recall; None where `iou` is.
        precision: share of the predicted pixels that are true; None where none was predicted.
        recall: share of the true pixels that were predicted; None where none is true.
        truth_px: pixels of the class in the truth.
        predicted_px: pixels of the class in the prediction.
        accuracy: share of all judged pixels that are rightly of the class or rightly not; None
            where none was judged.
    """

    name: str
    iou: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    truth_px: int
    predicted_px: int
    accuracy: float | None = None


@dataclass(frozen=True)
class PixelScores:
    """How well a map agrees with the truth.

    Attributes:
        classes: one score per class, in the order of the classes.
        mean_iou: mean over the classes that have an IoU; None where none has.
        mean_f1: mean over the classes that have an F1; None where none has.
        judged_px: pixels that were compared.
        mean_precision: mean over the classes that have a precision; None where none has.
        mean_recall: mean over the classes that have a recall; None where none has.
        mean_accuracy: mean of the classes' accuracy; None where nothing was judged.
        accuracy: share of the judged pixels that have their class, or rightly none; None where
            nothing was judged.
        confusion: pixels by truth (rows) and by prediction (columns): background, then the
            classes in their order.
    """

    classes: tuple[ClassScore, ...]
    mean_iou: float | None
    mean_f1: float | None
    judged_px: int
    mean_precision: float | None = None
    mean_recall: float | None = None
    mean_accuracy: float | None = None
    accuracy: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Classes that a map which has them everywhere would find at least as well."""
        return tuple(
            c.name
            for c in self.classes
            if c.iou is not None and 0 < c.truth_px < self.judged_px
            if c.iou <= c.truth_px / self.judged_px
        )


class Confusion:
    """Counts who was taken for whom, window by window.

    Two confusions of the same classes add up with `+`, so that windows may be counted apart.

    Args:
        classes: what to tell apart; everything else is background.
    """

    def __init__(self, classes: Sequence[ClassSpec]) -> None:
        self.classes = tuple(classes)
        size = len(self.classes) + 1
        self.counts: npt.NDArray[np.int64] = np.zeros((size, size), dtype=np.int64)
        self._position = np.zeros(256, dtype=np.int64)
        for position, spec in enumerate(self.classes, start=1):
            self._position[spec.number] = position

    def add(
        self,
        truth: npt.NDArray[np.uint8],
        prediction: npt.NDArray[np.uint8],
        valid: npt.NDArray[np.bool_],
    ) -> None:
        """Count one window.

        Pixels that are not valid, and those whose truth is `IGNORE`, do not count. A pixel that
        has a truth but was not predicted (`IGNORE`) counts as background: leaving a place out is
        no way to a better score.

        Args:
            truth: (H, W) class numbers.
            prediction: (H, W) class numbers.
            valid: (H, W), True where there is data.

        Raises:
            ValueError: the shapes differ.
        """
        if not truth.shape == prediction.shape == valid.shape:
            raise ValueError(
                f"truth {truth.shape}, prediction {prediction.shape} and valid {valid.shape} "
                "cover different windows"
            )
        judged = valid & (truth != IGNORE)
        size = len(self.classes) + 1
        pairs = self._position[truth[judged]] * size + self._position[prediction[judged]]
        self.counts += np.bincount(pairs, minlength=size * size).reshape(size, size)

    def __add__(self, other: Confusion) -> Confusion:
        """Both counts together.

        Raises:
            ValueError: the classes differ.
        """
        if self.classes != other.classes:
            raise ValueError("confusions of different classes do not add up")
        total = Confusion(self.classes)
        total.counts = self.counts + other.counts
        return total

    def scores(self) -> PixelScores:
        """Scores of everything counted so far."""
        classes = tuple(self._score(k, spec) for k, spec in enumerate(self.classes, start=1))
        return PixelScores(
            classes=classes,
            mean_iou=mean(c.iou for c in classes),
            mean_f1=mean(c.f1 for c in classes),
            judged_px=int(self.counts.sum()),
            mean_precision=mean(c.precision for c in classes),
            mean_recall=mean(c.recall for c in classes),
            mean_accuracy=mean(c.accuracy for c in classes),
            accuracy=ratio(int(self.counts.trace()), int(self.counts.sum())),
            confusion=tuple(tuple(row) for row in self.counts.tolist()),
        )

    def _score(self, position: int, spec: ClassSpec) -> ClassScore:
        """One class against all the others."""
        hit = int(self.counts[position, position])
        truth = int(self.counts[position].sum())
        predicted = int(self.counts[:, position].sum())
        judged = int(self.counts.sum())
        return ClassScore(
            name=spec.name,
            iou=ratio(hit, truth + predicted - hit),
            f1=ratio(2 * hit, truth + predicted),
            precision=ratio(hit, predicted),
            recall=ratio(hit, truth),
            truth_px=truth,
            predicted_px=predicted,
            accuracy=ratio(judged - truth - predicted + 2 * hit, judged),
        )
