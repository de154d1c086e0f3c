"""What `geocobot evaluate` has found, as its caller gets it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geocobot.classes import ClassSpec
from geocobot.evaluation.blocks import Uncertainty
from geocobot.evaluation.judge import PixelReport
from geocobot.io.misplaced import in_words
from geocobot.workflows.figure_rows import boundary_rows, confusion_rows, figure_rows, share
from geocobot.workflows.object_report import ObjectReport
from geocobot.workflows.predicted import MapKind
from geocobot.workflows.scene_figures import SceneFigures, pixel_size, scene_rows


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """How good a map is, or several maps together.

    Attributes:
        kind: what it holds.
        labels: what it was compared with, in a few words.
        classes: those compared, with the thresholds in force; of several maps those of the first.
        scenes: where it was judged, and how good it is in each.
        pixels: figures pixel by pixel, of all scenes together.
        objects: figures of objects and lines, where there are any.
        folder: of the evaluation, where one was asked for.
        figures: JSON with all of this, in the folder.
        config: the options that gave it, in the folder.
        report: page that shows it, in the folder.
        error_map: GeoPackage of what is right, false and missed, in the folder.
        seconds: wall time.
    """

    kind: MapKind
    labels: str
    classes: tuple[ClassSpec, ...]
    scenes: tuple[SceneFigures, ...]
    pixels: PixelReport
    objects: ObjectReport | None = None
    folder: Path | None = None
    figures: Path | None = None
    config: Path | None = None
    report: Path | None = None
    error_map: Path | None = None
    seconds: float = 0.0

    @property
    def prediction(self) -> Path | None:
        """The map; None for several."""
        maps = {scene.prediction for scene in self.scenes}
        return maps.pop() if len(maps) == 1 else None

    @property
    def scene(self) -> Path | None:
        """Raster in whose pixels it was judged; None for several."""
        return self.scenes[0].scene if len(self.scenes) == 1 else None

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns of these; None for several."""
        return self.scenes[0].shape if len(self.scenes) == 1 else None

    @property
    def pixel_m(self) -> tuple[float, float] | None:
        """Width and height of one on the ground; None for several."""
        return self.scenes[0].pixel_m if len(self.scenes) == 1 else None

    @property
    def unpredicted_px(self) -> int:
        """Pixels of a class of which the map says nothing.

        They were missed where a scene says that there is data, else they are not judged.
        """
        return sum(scene.unpredicted_px for scene in self.scenes)

    @property
    def name(self) -> str:
        """The map, or the first maps, without folders."""
        return in_words(list(dict.fromkeys(scene.prediction.name for scene in self.scenes)))

    def summary(self) -> str:
        """Tables of all figures."""
        judged = self.pixels.scores.judged_px
        total = sum(math.prod(scene.shape) for scene in self.scenes)
        n = len(self.scenes)
        head = (
            f"{self.name} ({self.kind}) against {self.labels}: {judged:,} of "
            f"{total:,} pixels judged{f' in {n} scenes' if n > 1 else ''}, "
            f"{pixel_size(self.scenes)} each, in {self.seconds:.1f} s"
        )
        lines = [
            head,
            *_pixel_lines(self.pixels),
            *_interval_lines(self.pixels),
            *_table(scene_rows(self.scenes)),
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
    line = (
        f"  In brackets: {100 * sure.level:.0f} % intervals, {sure.resamples:,} bootstrap draws "
        f"of {sure.blocks} blocks of {_block_size(sure)}"
    )
    return [line]


def _block_size(sure: Uncertainty) -> str:
    """Width and height of a block; of several scenes those of a typical one."""
    down_m, right_m = sure.block_m
    on_ground = f"{_metres(right_m)} x {_metres(down_m)} m"
    in_scenes = f" in {sure.scenes} scenes" if sure.scenes > 1 else ""
    if sure.block_px is None:
        return f"about {on_ground}{in_scenes}"
    rows, cols = sure.block_px
    return f"{cols} x {rows} px ({on_ground}){in_scenes}"


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
