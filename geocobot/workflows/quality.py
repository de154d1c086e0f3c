"""How good a map is, as parts of a page: tables, curves, examples, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from geocobot.classes import ClassSpec
from geocobot.evaluation.blocks import Interval
from geocobot.evaluation.boundaries import ClassBoundary
from geocobot.evaluation.judge import PixelReport
from geocobot.evaluation.pixels import ClassScore
from geocobot.evaluation.score_counts import Calibration, ScoreCurve
from geocobot.report.charts import Mark, Series, line_chart
from geocobot.report.page import charts, figure, paragraph, swatch, table
from geocobot.report.pictures import embedded, image, swipe
from geocobot.workflows.examples import Example
from geocobot.workflows.figure_rows import boundary_rows, confusion_rows, figure_rows
from geocobot.workflows.picture import as_rgb, tinted

_PICTURE_PX = 640
_SHEET_PX = 1100
_EVEN = Series("scores that are probabilities", (0, 1), (0, 1), "#7f8c8d", dashed=True)
_MOST_SAID = 6


def figures_table(report: PixelReport) -> str:
    """IoU, F1, precision and recall of each class, and their means, with intervals."""
    head, *rows = figure_rows(report)
    return table(head, rows) + _what_they_mean(report)


def _what_they_mean(report: PixelReport) -> str:
    """The terms, and where the intervals come from."""
    terms = (
        "Precision: of what was mapped, the share that is true. Recall: of what is true, the share "
        "that was mapped. IoU: what is both, as a share of what is either; F1: the harmonic mean "
        "of precision and recall. Pixels without a label are not judged."
    )
    sure = report.uncertainty
    if sure is None:
        drawn = "There is one block only, so nothing tells how sure the figures are."
    else:
        drawn = (
            f"In brackets: {100 * sure.level:.0f} % intervals from {sure.resamples:,} bootstrap "
            f"draws of {sure.blocks} blocks of {sure.block_m[1]:.3g} x {sure.block_m[0]:.3g} m"
            f"{f' in {sure.scenes} scenes' if sure.scenes > 1 else ''}."
        )
    return paragraph(f"{terms} {drawn}", "quiet")


def confusion_table(report: PixelReport, classes: Sequence[ClassSpec]) -> str:
    """Who was taken for whom, in percent of the truth; nothing of one class or of very many."""
    head, *rows = confusion_rows(report, classes) or [[]]
    return table(head, rows)


def boundary_table(boundaries: Sequence[ClassBoundary]) -> str:
    """How well outlines agree within some pixels; nothing where nobody has measured."""
    if not boundaries:
        return ""
    said = (
        "How well outlines agree, whatever lies within them: both maps are reduced to what is so "
        "close to an outline, and compared there (IoU); F1 is of outlines that have one of the "
        "other map so close by."
    )
    head, *rows = boundary_rows(boundaries)
    return table(head, rows) + paragraph(said, "quiet")


def score_charts(report: PixelReport, classes: Sequence[ClassSpec]) -> str:
    """Precision over recall with the threshold in force, and how honest the scores are."""
    colors = {spec.name: spec.color for spec in classes}
    found = []
    curves = [_curve_series(curve, colors[curve.name]) for curve in report.curves]
    marks = [m for c, s in zip(report.curves, classes, strict=False) for m in _in_force(c, s)]
    drawn = line_chart(
        curves,
        x_title="recall",
        y_title="precision",
        x_range=(0, 1),
        y_range=(0, 1),
        marks=marks if len(curves) == 1 else (),
    )
    if drawn:
        said = "Precision and recall at every threshold"
        found.append(
            figure(drawn, f"{said}{'; the circle is the one in force' * (len(curves) == 1)}.")
        )
    honest = [_reliability_series(c, colors[c.name]) for c in report.calibration]
    drawn = line_chart(
        [*honest, _EVEN] if honest else (),
        x_title="score",
        y_title="share that is true",
        x_range=(0, 1),
        y_range=(0, 1),
    )
    if drawn:
        found.append(figure(drawn, _on_honesty(report.calibration)))
    return charts(found)


def _curve_series(curve: ScoreCurve, color: str) -> Series:
    """Precision by recall."""
    return Series(curve.name, _numbers(curve.recall), _numbers(curve.precision), color)


def _in_force(curve: ScoreCurve, spec: ClassSpec) -> list[Mark]:
    """Where on a curve the class's threshold is."""
    if not curve.thresholds:
        return []
    at = int(np.abs(np.array(curve.thresholds) - spec.threshold).argmin())
    recall, precision = curve.recall[at], curve.precision[at]
    if recall is None or precision is None:
        return []
    return [Mark(recall, precision, f"threshold {spec.threshold:.2g}")]


def _reliability_series(calibration: Calibration, color: str) -> Series:
    """Share of true pixels by score."""
    bins = [b for b in calibration.bins if b.pixels]
    return Series(
        calibration.name,
        _numbers([b.mean_score for b in bins]),
        _numbers([b.share_true for b in bins]),
        color,
    )


def _on_honesty(calibration: Sequence[Calibration]) -> str:
    """What the diagram of scores tells."""
    said = [
        f"{c.name}: off by {c.expected_error:.3f} on average"
        for c in calibration
        if c.expected_error is not None
    ]
    return f"Above the dashed line scores are too low, below it too high. {'; '.join(said)}."


def example_figures(examples: Sequence[Example], classes: Sequence[ClassSpec]) -> str:
    """Places side by side: image, labels, map; the first one with a slider over the image."""
    parts = []
    for example in examples:
        row = example.row
        base = as_rgb(row.image)
        panels = [base, *(tinted(base, layer, classes) for layer in row.layers)]
        gap = np.full((base.shape[0], max(2, base.shape[1] // 60), 3), 255, np.uint8)
        joined = np.concatenate([part for p in panels for part in (p, gap)][:-1], axis=1)
        sheet = embedded(_enlarged(joined, _SHEET_PX), longest_px=_SHEET_PX)
        said = f"{example.kind.capitalize()}, IoU {example.iou:.2f}: image, labels, map"
        parts.append(figure(image(sheet, said), f"{said}."))
    return "".join(parts)


def example_swipe(example: Example, classes: Sequence[ClassSpec]) -> str:
    """One place under a slider: the image on its left, the map on its right."""
    base = as_rgb(example.row.image)
    predicted = example.row.predicted
    assert predicted is not None, "examples are mapped"
    before = embedded(_enlarged(base, _PICTURE_PX), quality=88)
    after = embedded(_enlarged(tinted(base, predicted, classes), _PICTURE_PX), quality=88)
    names = ", ".join(spec.name for spec in classes)
    slider = swipe(before, after, said=("the image", f"the map: {names}"), name="image and map")
    return figure(slider, "Move the slider: image on the left, map on the right of it.")


def _enlarged(picture: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.uint8]:
    """A small picture with its pixels repeated, so that it is not blurred."""
    times = max(1, side_px // max(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def legend(classes: Sequence[ClassSpec]) -> str:
    """Which color is which class."""
    return "".join(
        f'<span style="margin-right:1.2em">{swatch(c.color)}{escape(c.name)}</span>'
        for c in classes
    )


def answers(report: PixelReport) -> list[str]:
    """How well each class was found, in words; of many classes of a few, and their mean."""
    scores, sure = report.scores, report.uncertainty
    said = [
        in_words(score, None if sure is None else sure.iou[k])
        for k, score in enumerate(scores.classes[:_MOST_SAID])
    ]
    if len(scores.classes) > _MOST_SAID and scores.mean_iou is not None:
        said.append(f"Mean IoU of all {len(scores.classes)} classes: {scores.mean_iou:.2f}.")
    return said


def headline(classes: Sequence[ClassSpec], place: str) -> str:
    """What a page is about."""
    names = listed([spec.name for spec in classes])
    return f"{names[:1].upper()}{names[1:]} in {place}"


def in_words(score: ClassScore, interval: Interval | None) -> str:
    """How well a class was found."""
    name = score.name
    if score.iou is None:
        return f"There are no {name}, and none were mapped."
    found = (
        "None is there" if score.recall is None else f"Of the {name}, {score.recall:.0%} was found"
    )
    true = (
        "nothing was mapped"
        if score.precision is None
        else f"of what was mapped as {name}, {score.precision:.0%} is true"
    )
    like = ""
    if interval is not None:
        like = f"; other places like these would give {interval.low:.2f} to {interval.high:.2f}"
    return f"{found}; {true} (IoU {score.iou:.2f}{like})."


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _numbers(values: Sequence[float | None]) -> list[float]:
    """Numbers, NaN where there are none."""
    return [float("nan") if v is None else v for v in values]
