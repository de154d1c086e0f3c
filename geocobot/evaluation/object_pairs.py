"""Mapped and labelled objects of a class side by side: which match, in one scene or in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.evaluation.matching import HAIR, Overlaps, Shapes, match, ranks_by_shape
from geocobot.evaluation.object_scores import DetectionScore, PanopticScore, SizeScore
from geocobot.evaluation.precision import average_precision
from geocobot.evaluation.ratios import ratio

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Overlaps from which an object counts as found, those of COCO."""


@dataclass(frozen=True)
class Side:
    """Objects of a class, of the map or of the labels, as far as they lie in the judged area.

    Attributes:
        polygons: (N,) what lies there, on a plane in metres.
        is_partial: (N,) which of them lie there in small part, and are not judged.
        scores: (N,) how sure the map is of each; None where nothing says so.
    """

    polygons: Shapes
    is_partial: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64] | None = None

    def in_order(self) -> Side:
        """The same in an order that no file decides about: by shape, whole ones first."""
        order = np.lexsort((self.is_partial, ranks_by_shape(self.polygons)))
        scores = None if self.scores is None else self.scores[order]
        return Side(self.polygons[order], self.is_partial[order], scores)


@dataclass(frozen=True)
class Outcome:
    """What matches from an overlap on.

    Attributes:
        ious: (F,) overlaps of the objects found.
        is_found: (P,) which of the mapped objects these are.
        is_false: (P,) which of the mapped objects are no labelled ones.
        is_missed: (T,) which of the labelled objects were not mapped.
    """

    ious: npt.NDArray[np.float64]
    is_found: npt.NDArray[np.bool_]
    is_false: npt.NDArray[np.bool_]
    is_missed: npt.NDArray[np.bool_]


class ClassPair:
    """Mapped and labelled objects of a class in one scene, and their overlaps.

    Args:
        predicted: mapped.
        truth: labelled, on the same plane.
    """

    def __init__(self, predicted: Side, truth: Side) -> None:
        self.predicted, self.truth = predicted.in_order(), truth.in_order()
        overlaps = Overlaps.between(self.predicted.polygons, self.truth.polygons)
        # Below a half nothing asks for it.
        self._overlaps = overlaps.taken(overlaps.iou >= IOU_THRESHOLDS[0] - HAIR)

    def outcome(self, iou: float, *, above: bool = False) -> Outcome:
        """What matches where overlaps are at least so large, or larger, but for rounding.

        Objects that match one which lies in the judged area in small part are neither found nor
        wrong.
        """
        overlap = self._overlaps.iou
        enough = overlap > iou + HAIR if above else overlap >= iou - HAIR
        candidates = self._overlaps.taken(enough)
        matched = candidates.taken(match(candidates, self.predicted.scores))
        partial = (
            self.predicted.is_partial[matched.predicted] | self.truth.is_partial[matched.truth]
        )
        counted = matched.taken(~partial)
        is_false, is_missed = ~self.predicted.is_partial, ~self.truth.is_partial
        is_false[matched.predicted] = False
        is_missed[matched.truth] = False
        is_found = np.zeros(len(is_false), dtype=np.bool_)
        is_found[counted.predicted] = True
        return Outcome(counted.iou, is_found, is_false, is_missed)


def detection(pairs: Sequence[ClassPair], iou: float) -> DetectionScore:
    """Found, false and missed from an overlap on, in all scenes; the surest first in all of them.

    Args:
        pairs: one per scene.
        iou: the overlap.
    """
    outcomes = [pair.outcome(iou) for pair in pairs]
    found, false, missed = (
        sum(int(np.count_nonzero(getattr(o, name))) for o in outcomes)
        for name in ("is_found", "is_false", "is_missed")
    )
    asked = [
        (pair.predicted.scores, outcome)
        for pair, outcome in zip(pairs, outcomes, strict=True)
        if pair.predicted.scores is not None or len(pair.predicted.polygons)
    ]
    ranked = [(s[o.is_found | o.is_false], o) for s, o in asked if s is not None]
    precision = None
    if ranked and len(ranked) == len(asked):
        precision = average_precision(
            np.concatenate([scores for scores, _ in ranked]),
            np.concatenate([o.is_found[o.is_found | o.is_false] for _, o in ranked]),
            found + missed,
        )
    return DetectionScore(iou, found, false, missed, precision)


def panoptic(pairs: Sequence[ClassPair]) -> PanopticScore:
    """Quality of what overlaps by more than a half, so that matches are unique, in all scenes."""
    outcomes = [pair.outcome(IOU_THRESHOLDS[0], above=True) for pair in pairs]
    ious = np.concatenate([o.ious for o in outcomes])
    wrong = sum(int(o.is_false.sum()) + int(o.is_missed.sum()) for o in outcomes)
    n = len(ious)
    rq = ratio(n, n + wrong / 2)
    sq = float(ious.mean()) if n else None
    return PanopticScore(sq, rq, None if rq is None else rq * (sq or 0.0))


def sizes(pairs: Sequence[ClassPair], edges_m2: Sequence[float]) -> tuple[SizeScore, ...]:
    """Counts and areas by size class, in all scenes.

    Args:
        pairs: one per scene.
        edges_m2: where size classes begin and end, ascending.
    """
    outcomes = [pair.outcome(IOU_THRESHOLDS[0]) for pair in pairs]
    predicted_m2, is_predicted = _areas([pair.predicted for pair in pairs])
    truth_m2, is_truth = _areas([pair.truth for pair in pairs])
    is_false = np.concatenate([o.is_false for o in outcomes])
    is_missed = np.concatenate([o.is_missed for o in outcomes])
    scores = []
    for low, high in pairwise(edges_m2):
        p = (predicted_m2 >= low) & (predicted_m2 < high)
        t = (truth_m2 >= low) & (truth_m2 < high)
        scores.append(
            SizeScore(
                low_m2=low,
                high_m2=high,
                truth=int((t & is_truth).sum()),
                predicted=int((p & is_predicted).sum()),
                truth_m2=float(truth_m2[t & is_truth].sum()),
                predicted_m2=float(predicted_m2[p & is_predicted].sum()),
                missed=int((t & is_missed).sum()),
                false=int((p & is_false).sum()),
            )
        )
    return tuple(scores)


def _areas(sides: Sequence[Side]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Areas in square metres, and which of them count."""
    areas = np.concatenate([shapely.area(side.polygons) for side in sides])
    return np.asarray(areas), ~np.concatenate([side.is_partial for side in sides])
