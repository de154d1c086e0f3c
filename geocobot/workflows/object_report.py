"""How well objects and roads were found, as tables of texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from geocobot.evaluation.lines import LineScores
from geocobot.evaluation.object_scores import ObjectScores, SizeScore
from geocobot.workflows.figure_rows import Rows, share


@dataclass(frozen=True)
class ObjectReport:
    """Figures of objects and of lines.

    Attributes:
        objects: of the classes whose labels are areas; None without any.
        lines: of the classes whose labels are lines; None without any, or without centerlines
            beside the map.
    """

    objects: ObjectScores | None
    lines: LineScores | None

    def object_rows(self) -> Rows:
        """A headline and a row for each class; nothing without objects."""
        if self.objects is None:
            return []
        head = ["Objects", "true", "mapped", "found", "precision", "recall", "F1", "F1 by overlap"]
        rows = [[*head, "PQ", "SQ", "RQ"]]
        for c in self.objects.classes:
            half = c.by_iou[0]
            by_overlap = [score.f1 for score in c.by_iou if score.f1 is not None]
            mean = sum(by_overlap) / len(by_overlap) if by_overlap else None
            counts = (half.found + half.missed, half.found + half.false, half.found)
            shares = (half.precision, half.recall, half.f1, mean)
            panoptic = (c.panoptic.pq, c.panoptic.sq, c.panoptic.rq)
            rows.append([c.name, *(f"{n:,}" for n in counts), *map(share, (*shares, *panoptic))])
        return rows

    def size_rows(self) -> Rows:
        """A headline and a row for each class and size that occurs; nothing without objects."""
        if self.objects is None:
            return []
        head = ["By size", "true", "mapped", "missed", "false", "true area", "mapped area"]
        rows = [
            [
                f"{c.name}, {_size(size)}",
                *(f"{n:,}" for n in (size.truth, size.predicted, size.missed, size.false)),
                f"{size.truth_m2:,.0f} m2",
                f"{size.predicted_m2:,.0f} m2",
            ]
            for c in self.objects.classes
            for size in c.sizes
            if size.truth or size.predicted
        ]
        return [head, *rows] if rows else []

    def line_rows(self) -> Rows:
        """A headline and a row for each class; nothing without lines."""
        if self.lines is None:
            return []
        head = ["Lines", "true", "mapped", "completeness", "correctness", "quality", "APLS"]
        rows = [[*head, "breaks", "false links"]]
        rows += [
            [
                c.name,
                f"{c.truth_m / 1000:,.2f} km",
                f"{c.predicted_m / 1000:,.2f} km",
                *map(share, (c.completeness, c.correctness, c.quality, c.apls.value)),
                f"{c.breaks:,}",
                f"{c.false_links:,}",
            ]
            for c in self.lines.classes
        ]
        return rows

    def left_out(self) -> str:
        """What was not judged, and why; empty where all was."""
        if self.objects is None:
            return ""
        sides = {"labelled": self.objects.truth_left_out, "mapped": self.objects.predicted_left_out}
        said = [f"{n:,} {side}" for side, n in sides.items() if n]
        if not said:
            return ""
        return f"Not judged, because less than half of each is seen: {' and '.join(said)} objects."

    def tables(self) -> Sequence[Rows]:
        """All that have rows."""
        return [t for t in (self.object_rows(), self.size_rows(), self.line_rows()) if t]


def _size(size: SizeScore) -> str:
    """A size class in words."""
    if math.isinf(size.high_m2):
        return f"{size.low_m2:,.0f} m2 and more"
    return f"{size.low_m2:,.0f} to {size.high_m2:,.0f} m2"
