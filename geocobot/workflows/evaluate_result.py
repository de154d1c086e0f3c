"""What `geocobot evaluate` has found, as its caller gets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geocobot.classes import ClassSpec
from geocobot.evaluation.judge import PixelReport
from geocobot.workflows.figure_rows import boundary_rows, confusion_rows, figure_rows, share
from geocobot.workflows.object_report import ObjectReport
from geocobot.workflows.predicted import MapKind


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """How good a map is.

    Attributes:
        prediction: the map.
        kind: what it holds.
        labels: what it was compared with, in a few words.
        scene: raster in whose pixels it was judged.
        shape: rows and columns of these.
        pixel_m: width and height of one on the ground.
        classes: those compared, with the thresholds in force.
        pixels: figures pixel by pixel.
        unpredicted_px: pixels of a class of which the map says nothing: missed where a scene says
            that there is data, else not judged.
        objects: figures of objects and lines, where there are any.
        folder: of the evaluation, where one was asked for.
        figures: JSON with all of this, in the folder.
        config: the options that gave it, in the folder.
        report: page that shows it, in the folder.
        error_map: GeoPackage of what is right, false and missed, in the folder.
        seconds: wall time.
    """

    prediction: Path
    kind: MapKind
    labels: str
    scene: Path
    shape: tuple[int, int]
    pixel_m: tuple[float, float]
    classes: tuple[ClassSpec, ...]
    pixels: PixelReport
    unpredicted_px: int
    objects: ObjectReport | None = None
    folder: Path | None = None
    figures: Path | None = None
    config: Path | None = None
    report: Path | None = None
    error_map: Path | None = None
    seconds: float = 0.0

    def summary(self) -> str:
        """Tables of all figures."""
        height, width = self.shape
        x_m, y_m = self.pixel_m
        judged = self.pixels.scores.judged_px
        head = (
            f"{self.prediction.name} ({self.kind}) against {self.labels}: {judged:,} of "
            f"{height * width:,} pixels judged, {x_m:.3g} x {y_m:.3g} m each, "
            f"in {self.seconds:.1f} s"
        )
        lines = [
            head,
            *_pixel_lines(self.pixels),
            *_interval_lines(self.pixels),
            *_table(confusion_rows(self.pixels, self.classes)),
            *_table(boundary_rows(self.pixels.boundaries)),
            *_score_lines(self.pixels, self.classes),
            *_object_lines(self.objects),
        ]
        written = {"Report": self.report, "Errors": self.error_map}
        lines += [f"{name}: {path}" for name, path in written.items() if path is not None]
        return "\n".join(lines)


def _pixel_lines(report: PixelReport) -> list[str]:
    """Figures by class, and their means."""
    right = share(report.scores.accuracy)
    return [
        *_table(figure_rows(report)),
        f"  All pixels: {right} have their class or rightly none",
    ]


def _interval_lines(report: PixelReport) -> list[str]:
    """What the intervals are."""
    sure = report.uncertainty
    if sure is None:
        return []
    rows, cols = sure.block_px
    down_m, right_m = sure.block_m
    size = f"{cols} x {rows} px ({_metres(right_m)} x {_metres(down_m)} m)"
    line = (
        f"  In brackets: {100 * sure.level:.0f} % intervals, {sure.resamples:,} bootstrap draws "
        f"of {sure.blocks} blocks of {size}"
    )
    return [line]


def _score_lines(report: PixelReport, classes: Sequence[ClassSpec]) -> list[str]:
    """What the scores tell."""
    if not report.curves:
        return []
    heads = ["avg. precision", "threshold", "best", "IoU there", "F1 there"]
    rows = [["Scores", *heads, "ECE", "temperature", "ECE with it"]]
    rows += [
        [
            curve.name,
            share(curve.average_precision),
            f"{spec.threshold:.3g}",
            share(curve.best_threshold),
            share(curve.best_iou),
            share(curve.best_f1),
            share(calibration.expected_error),
            f"{calibration.temperature:.2f}",
            share(calibration.scaled_error),
        ]
        for spec, curve, calibration in zip(classes, report.curves, report.calibration, strict=True)
    ]
    return _table(rows)


def _object_lines(report: ObjectReport | None) -> list[str]:
    """Figures of objects and lines."""
    if report is None:
        return []
    lines = [line for rows in report.tables() for line in _table(rows)]
    return [*lines, f"  {report.left_out()}"] if report.left_out() else lines


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for k, row in enumerate(rows):
        name = row[0] if k == 0 else f"  {row[0]}"
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0] + 2), *cells]).rstrip())
    return lines


def _metres(length_m: float) -> str:
    """A length with three digits at least."""
    return f"{length_m:.3g}" if length_m < 1000 else f"{length_m:,.0f}"
