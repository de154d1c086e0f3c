"""How well objects were found: each by itself, whatever its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.evaluation.matching import Overlaps, Shapes, match
from geocobot.evaluation.object_scores import (
    DetectionScore,
    ObjectClassScores,
    ObjectScores,
    PanopticScore,
    SizeScore,
)
from geocobot.evaluation.plane import on_plane
from geocobot.evaluation.precision import average_precision
from geocobot.evaluation.ratios import mean, ratio

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Overlaps from which an object counts as found, those of COCO."""

SIZE_EDGES_M2 = (0.0, 20.0, 100.0, 500.0, 2500.0, math.inf)
"""Where size classes begin and end: sheds and cars, houses, large houses, halls, and the rest."""

LEAST_INSIDE = 0.5
"""Of its area: an object with less of it in the judged area is not judged."""


@dataclass(frozen=True)
class Objects:
    """Polygons to be compared.

    Attributes:
        polygons: (N,) valid ones, on a plane in metres.
        classes: (N,) their class numbers.
        scores: (N,) how sure the map is of each; None where nothing says so.
    """

    polygons: Shapes
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64] | None = None

    @classmethod
    def of(cls, frame: gpd.GeoDataFrame, plane: CRS, name: str) -> Objects:
        """Take the polygons of features.

        Args:
            frame: single parts with the column class_id and, of a map, score, in their own CRS;
                lines and points among them are no objects.
            plane: see `plane_around`.
            name: of the file, for messages.

        Raises:
            CrsError: nothing leads from their CRS to the plane.
        """
        placed = on_plane(frame, plane, name).explode(ignore_index=True)
        placed = placed[placed.geom_type == "Polygon"]
        scores = placed["score"].to_numpy(np.float64) if "score" in placed else None
        if scores is not None and not np.isfinite(scores).all():
            scores = None
        return cls(placed.geometry.to_numpy(), placed["class_id"].to_numpy(np.int64), scores)

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.polygons)

    def taken(self, chosen: npt.NDArray[np.bool_]) -> Objects:
        """Some of them."""
        scores = None if self.scores is None else self.scores[chosen]
        return Objects(self.polygons[chosen], self.classes[chosen], scores)


def score_objects(
    predicted: Objects,
    truth: Objects,
    classes: Sequence[ClassSpec],
    *,
    area: shapely.Geometry | None = None,
    size_edges_m2: Sequence[float] = SIZE_EDGES_M2,
) -> ObjectScores:
    """Compare mapped objects with labelled ones.

    Objects match within their class, one to one, see `match`. Where an area is judged, what lies
    outside is cut off both; an object most of which was cut off counts neither as found nor as
    missed nor as false, and neither does what it matches.

    Args:
        predicted: mapped, with scores or without.
        truth: labelled, on the same plane.
        classes: to be judged.
        area: on the same plane, where labels are complete; None for everywhere.
        size_edges_m2: where size classes begin and end, ascending.
    """
    inside = _cut(predicted, area), _cut(truth, area)
    pairs = [_ClassPair(*(side.of(spec.number) for side in inside)) for spec in classes]
    parts = [
        ObjectClassScores(
            name=spec.name,
            by_iou=tuple(pair.detection(iou) for iou in IOU_THRESHOLDS),
            panoptic=pair.panoptic(),
            sizes=pair.sizes(size_edges_m2),
        )
        for spec, pair in zip(classes, pairs, strict=True)
    ]
    return ObjectScores(
        classes=tuple(parts),
        mean_f1=mean(p.by_iou[0].f1 for p in parts),
        mean_f1_by_iou=mean(mean(d.f1 for d in p.by_iou) for p in parts),
        mean_pq=mean(p.panoptic.pq for p in parts),
        truth_left_out=sum(int(pair.truth.is_partial.sum()) for pair in pairs),
        predicted_left_out=sum(int(pair.predicted.is_partial.sum()) for pair in pairs),
    )


@dataclass(frozen=True)
class _Cut:
    """Objects as far as they lie in the judged area, and which of them lie there in small part."""

    objects: Objects
    is_partial: npt.NDArray[np.bool_]

    def of(self, number: int) -> _Cut:
        """Those of one class."""
        chosen = self.objects.classes == number
        return _Cut(self.objects.taken(chosen), self.is_partial[chosen])


def _cut(objects: Objects, area: shapely.Geometry | None) -> _Cut:
    """Cut objects by the judged area; what does not reach it is gone."""
    if area is None or not len(objects):
        return _Cut(objects, np.zeros(len(objects), dtype=np.bool_))
    shapely.prepare(area)
    polygons = objects.polygons.copy()
    cut = ~shapely.contains_properly(area, polygons)
    before = shapely.area(polygons)
    polygons[cut] = shapely.intersection(polygons[cut], area)
    share = shapely.area(polygons) / before
    reached = share > 0
    kept = Objects(polygons, objects.classes, objects.scores).taken(reached)
    return _Cut(kept, share[reached] < LEAST_INSIDE)


class _ClassPair:
    """Mapped and labelled objects of one class, and their overlaps."""

    def __init__(self, predicted: _Cut, truth: _Cut) -> None:
        self.predicted, self.truth = predicted, truth
        overlaps = Overlaps.between(predicted.objects.polygons, truth.objects.polygons)
        # Below a half nothing asks for it.
        self._overlaps = overlaps.taken(overlaps.iou >= IOU_THRESHOLDS[0])

    def detection(self, iou: float) -> DetectionScore:
        """Found, false and missed from an overlap on."""
        matched = self._matched(self._overlaps.iou >= iou)
        is_false, is_missed = self._unmatched(matched)
        found = self._counted(matched)
        scores = self.predicted.objects.scores
        precision = None
        if scores is not None:
            is_found = np.zeros(len(scores), dtype=np.bool_)
            is_found[found.predicted] = True
            said = is_found | is_false
            n_truth = len(found.iou) + int(is_missed.sum())
            precision = average_precision(scores[said], is_found[said], n_truth)
        return DetectionScore(
            iou, len(found.iou), int(is_false.sum()), int(is_missed.sum()), precision
        )

    def panoptic(self) -> PanopticScore:
        """Quality of what overlaps by more than a half, so that matches are unique."""
        matched = self._matched(self._overlaps.iou > IOU_THRESHOLDS[0])
        is_false, is_missed = self._unmatched(matched)
        ious = self._counted(matched).iou
        n, half_wrong = len(ious), (int(is_false.sum()) + int(is_missed.sum())) / 2
        rq = ratio(n, n + half_wrong)
        sq = float(ious.mean()) if n else None
        return PanopticScore(sq, rq, None if rq is None else rq * (sq or 0.0))

    def sizes(self, edges_m2: Sequence[float]) -> tuple[SizeScore, ...]:
        """Counts and areas by size class."""
        matched = self._matched(self._overlaps.iou >= IOU_THRESHOLDS[0])
        is_false, is_missed = self._unmatched(matched)
        predicted_m2, is_predicted = _areas(self.predicted)
        truth_m2, is_truth = _areas(self.truth)
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

    def _matched(self, chosen: npt.NDArray[np.bool_]) -> Overlaps:
        """The matches among some of the overlaps."""
        candidates = self._overlaps.taken(chosen)
        return candidates.taken(match(candidates, self.predicted.objects.scores))

    def _counted(self, matched: Overlaps) -> Overlaps:
        """Matches of two objects that both lie in the judged area, for the most part."""
        partial = (
            self.predicted.is_partial[matched.predicted] | self.truth.is_partial[matched.truth]
        )
        return matched.taken(~partial)

    def _unmatched(self, matched: Overlaps) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which mapped and which labelled objects match nothing, and lie in the judged area."""
        alone_predicted, alone_truth = ~self.predicted.is_partial, ~self.truth.is_partial
        alone_predicted[matched.predicted] = False
        alone_truth[matched.truth] = False
        return alone_predicted, alone_truth


def _areas(cut: _Cut) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Areas in square metres, and which of them count."""
    return np.asarray(shapely.area(cut.objects.polygons)), ~cut.is_partial
