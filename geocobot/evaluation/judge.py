"""All figures of pixels at once, from rows that stream by, of one scene or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt

from geocobot.classes import ClassSpec
from geocobot.evaluation.block_plan import BlockPlan
from geocobot.evaluation.blocks import BlockCounts, Uncertainty, joint_uncertainty
from geocobot.evaluation.boundaries import BoundaryCounts, ClassBoundary
from geocobot.evaluation.pixels import Confusion, PixelScores
from geocobot.evaluation.score_counts import Calibration, ScoreCounts, ScoreCurve


@dataclass(frozen=True)
class PixelReport:
    """How good a map is, pixel by pixel.

    Attributes:
        scores: IoU, F1, precision, recall, accuracy and the confusion matrix.
        boundaries: how well outlines agree, by class, and their mean.
        curves: precision and recall at every threshold, by class; empty without scores.
        calibration: how honest the scores are, by class; empty without scores.
        uncertainty: intervals of IoU and F1; None where there is nothing to draw blocks from.
    """

    scores: PixelScores
    boundaries: tuple[ClassBoundary, ...]
    curves: tuple[ScoreCurve, ...]
    calibration: tuple[Calibration, ...]
    uncertainty: Uncertainty | None


class PixelJudge:
    """Compares truth and prediction in full-width rows, top to bottom.

    No figure depends on how many rows come at once, and memory not on how many come in all.

    Args:
        classes: K classes to tell apart; everything else is background.
        plan: blocks for the intervals; what lies outside of its window must not be judged.

    Attributes:
        confusion: who was taken for whom, in the rows so far.
        blocks: the same by blocks.
        boundaries: how well outlines agree there.
        score_counts: scores of true and of other pixels there.
    """

    def __init__(self, classes: Sequence[ClassSpec], plan: BlockPlan) -> None:
        self._classes = tuple(classes)
        self.confusion = Confusion(classes)
        self._plan = plan
        self.blocks = BlockCounts(classes, plan.size, plan.side_hw)
        self.boundaries = BoundaryCounts(classes)
        self.score_counts = ScoreCounts(classes)
        self._row = 0

    def add(
        self,
        truth: npt.NDArray[np.uint8],
        prediction: npt.NDArray[np.uint8],
        judged: npt.NDArray[np.bool_],
        steps: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Compare the next rows.

        Args:
            truth: (h, W) class numbers; `IGNORE` is not judged.
            prediction: (h, W) class numbers; `IGNORE` counts as background.
            judged: (h, W), True where pixels are compared.
            steps: (K, h, W) scores as they are written, where there are any.

        Raises:
            ValueError: the shapes differ.
        """
        for block, rows, cols in self._plan.cells(self._row, len(truth)):
            part = (rows, cols)
            confusion = Confusion(self._classes)
            confusion.add(truth[part], prediction[part], judged[part])
            self.confusion += confusion
            self.blocks.add(block, confusion)
            if steps is not None:
                self.score_counts.add(truth[part], steps[:, rows, cols], judged[part])
        self.boundaries.add(truth, prediction, judged)
        self._row += len(truth)

    def report(self, pixel_m: tuple[float, float], seed: int) -> PixelReport:
        """Everything about the rows so far; none may follow.

        Args:
            pixel_m: width and height of a pixel on the ground.
            seed: of the bootstrap.
        """
        return joint_report([self], [pixel_m], seed)


def joint_report(
    judges: Sequence[PixelJudge], pixels_m: Sequence[tuple[float, float]], seed: int
) -> PixelReport:
    """Everything about several scenes together: pixels are added up, blocks drawn from all.

    Args:
        judges: one per scene, of the same classes; no rows may follow.
        pixels_m: width and height on the ground of a pixel of each scene.
        seed: of the bootstrap.

    Raises:
        ValueError: the classes differ.
    """
    confusion = reduce(add, (judge.confusion for judge in judges))
    boundaries = reduce(add, (judge.boundaries for judge in judges))
    scores = reduce(add, (judge.score_counts for judge in judges))
    has_scores = bool(scores.counts.any())
    return PixelReport(
        scores=confusion.scores(),
        boundaries=boundaries.scores(),
        curves=scores.curves() if has_scores else (),
        calibration=scores.calibration() if has_scores else (),
        uncertainty=joint_uncertainty([judge.blocks for judge in judges], pixels_m, seed),
    )
