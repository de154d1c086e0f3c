"""Figures of pixels as tables of texts, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from geocobot.classes import ClassSpec
from geocobot.evaluation.blocks import Interval
from geocobot.evaluation.boundaries import ClassBoundary
from geocobot.evaluation.judge import PixelReport

Rows: TypeAlias = list[list[str]]
"""A headline, then a row for each class; its name comes first."""

_MOST_CONFUSED = 9


def figure_rows(report: PixelReport) -> Rows:
    """Figures by class, and their means, with intervals."""
    scores, sure = report.scores, report.uncertainty
    nothing: tuple[Interval | None, ...] = (None,) * len(scores.classes)
    iou, f1 = (nothing, nothing) if sure is None else (sure.iou, sure.f1)
    rows = [["Pixels", "IoU", "F1", "precision", "recall", "accuracy", "true px", "mapped px"]]
    rows += [
        [
            c.name,
            with_interval(c.iou, iou[k]),
            with_interval(c.f1, f1[k]),
            *map(share, (c.precision, c.recall, c.accuracy)),
            f"{c.truth_px:,}",
            f"{c.predicted_px:,}",
        ]
        for k, c in enumerate(scores.classes)
    ]
    if len(scores.classes) > 1:
        mean_iou, mean_f1 = (None, None) if sure is None else (sure.mean_iou, sure.mean_f1)
        means = (scores.mean_precision, scores.mean_recall, scores.mean_accuracy)
        whole = with_interval(scores.mean_iou, mean_iou), with_interval(scores.mean_f1, mean_f1)
        rows.append(["mean", *whole, *map(share, means), "", ""])
    return rows


def confusion_rows(report: PixelReport, classes: Sequence[ClassSpec]) -> Rows:
    """Who was taken for whom, in percent of the truth; nothing of one class or of very many."""
    names = ["nothing", *(spec.name for spec in classes)]
    if not 2 < len(names) <= _MOST_CONFUSED:
        return []
    rows = [["Mapped as (%)", *names]]
    for name, counts in zip(names, report.scores.confusion, strict=True):
        total = sum(counts)
        rows.append([name, *(f"{100 * n / total:.1f}" if total else "-" for n in counts)])
    return rows


def boundary_rows(boundaries: Sequence[ClassBoundary]) -> Rows:
    """How well outlines agree; of at least one class, and of several also their mean."""
    shown = boundaries if len(boundaries) > 2 else boundaries[:1]
    distances = [score.distance_px for score in shown[0].scores]
    rows = [["Outlines", *(f"{name} {d} px" for name in ("IoU", "F1") for d in distances)]]
    rows += [
        [b.name, *(share(s.iou) for s in b.scores), *(share(s.f1) for s in b.scores)] for b in shown
    ]
    return rows


def share(value: float | None) -> str:
    """A share with three digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def with_interval(value: float | None, interval: Interval | None) -> str:
    """A share with its interval."""
    if interval is None:
        return share(value)
    return f"{share(value)} ({interval.low:.3f}-{interval.high:.3f})"
