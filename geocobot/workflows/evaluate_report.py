"""The report of an evaluation: how good the map is, where it is wrong, how sure that is."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocobot._version import __version__
from geocobot.evaluation.blocks import FEW_BLOCKS
from geocobot.evaluation.lines import BUFFER_M
from geocobot.io.styles.errors import FALSE_RGB, MISSED_RGB, RIGHT_RGB
from geocobot.io.unfinished import write_text
from geocobot.report.page import (
    Section,
    code,
    facts,
    figure,
    finding,
    folded,
    paragraph,
    points,
    swatch,
    table,
    write_page,
)
from geocobot.report.pictures import embedded, image, swipe
from geocobot.workflows.evaluate_result import EvaluateResult
from geocobot.workflows.overview import Overview, compared
from geocobot.workflows.quality import (
    answers,
    boundary_table,
    confusion_table,
    figures_table,
    headline,
    listed,
    score_charts,
)

_OBJECT_TERMS = (
    "An object counts as found where it shares half of what it and its label cover together (IoU "
    "0.5), one to one; F1 by overlap is the mean from 0.5 to 0.95. PQ: panoptic quality, SQ x RQ. "
    "Completeness, correctness: share of the labelled, and of the mapped length, within "
    f"{BUFFER_M:g} m of the "
    "other; APLS: likeness of the ways that the roads offer."
)


@dataclass(frozen=True)
class Pictures:
    """What was compared, small.

    Attributes:
        truth: what is labelled, where it was judged.
        prediction: the map.
        scene: (h, w, 3) RGB of the same places; None where there is none to show.
        lines: (h, w, 3) errors of lines, over the scene; None without lines.
    """

    truth: Overview
    prediction: Overview
    scene: npt.NDArray[np.uint8] | None
    lines: npt.NDArray[np.uint8] | None = None


def write_evaluate_report(
    file: Path, result: EvaluateResult, pictures: Pictures, options: str, name: Path
) -> None:
    """Write the page.

    Args:
        file: where to.
        result: what it tells of.
        pictures: of the map and the labels.
        options: the command's, as YAML.
        name: what the file will be called, for messages.

    Raises:
        OutputError: it cannot be written.
    """
    pixels = result.pixels
    tables = figures_table(pixels) + confusion_table(pixels, result.classes)
    objects = ""
    if result.objects is not None:
        objects = "".join(table(rows[0], rows[1:]) for rows in result.objects.tables())
        objects += paragraph(f"{result.objects.left_out()} {_OBJECT_TERMS}", "quiet")
    sections = [
        Section("Map", _map(pictures)),
        Section("Results", tables),
        Section("Objects", objects),
        Section("Outlines", boundary_table(pixels.boundaries)),
        Section("Scores", score_charts(pixels, result.classes)),
        Section("Limits", points(_limits(result))),
        Section("How it was made", _making(result) + folded("All options", code(options))),
    ]
    title = headline(result.classes, result.prediction.name)
    page = write_page(title, _lead(result), sections)
    write_text(file, page, name)


def _lead(result: EvaluateResult) -> str:
    """The question and the answer, and what to beware of."""
    names = listed([spec.name for spec in result.classes])
    area_ha = result.pixels.scores.judged_px * result.pixel_m[0] * result.pixel_m[1] / 1e4
    said = [f"Compared with {result.labels} over {area_ha:,.3g} ha:", *answers(result.pixels)]
    return "\n".join(
        [
            paragraph(f"How well does {result.prediction.name} show {names}?", "lead"),
            *(paragraph(text, "lead") for text in said),
            *(finding("warning", text) for text in _doubts(result)),
        ]
    )


def _doubts(result: EvaluateResult) -> list[str]:
    """What makes the figures less certain than they look."""
    scores, sure = result.pixels.scores, result.pixels.uncertainty
    said = [f"A map that has {name} everywhere would be as good." for name in scores.unlearned]
    blocks = 1 if sure is None else sure.blocks
    if blocks < FEW_BLOCKS:
        said.append(
            f"Judged in {blocks} block{'s' * (blocks != 1)} only, so that the intervals are rough "
            "or missing."
        )
    if result.unpredicted_px:
        said.append(f"The map says nothing of {result.unpredicted_px:,} pixels that are labelled.")
    return said


def _map(pictures: Pictures) -> str:
    """What was found, missed and wrongly mapped: pixels, and lines where there are any."""
    truth, prediction = pictures.truth.labels, pictures.prediction.labels
    step = pictures.truth.sampling.step
    shown = "" if step == 1 else f" One of {step} x {step} pixels is shown."
    colors = {"found": RIGHT_RGB, "missed": MISSED_RGB, "mapped, and not there": FALSE_RGB}
    legend = " ".join(f"{swatch(f'rgb{rgb}')}{name}" for name, rgb in colors.items())
    errors = compared(truth, prediction, pictures.scene)
    parts = [f"<p>{legend}</p>", _errors(errors, pictures.scene, "errors", shown)]
    if pictures.lines is not None:
        marks = " Diamonds: breaks and false links."
        parts.append(_errors(pictures.lines, pictures.scene, "errors of lines", marks))
    return "".join(parts)


def _errors(
    errors: npt.NDArray[np.uint8], scene: npt.NDArray[np.uint8] | None, name: str, more: str
) -> str:
    """A picture of errors, under a slider where the scene is there."""
    said = "what was found, missed and wrongly mapped"
    if scene is None:
        return figure(image(embedded(errors), said), f"{name.capitalize()}.{more}")
    slider = swipe(
        embedded(scene), embedded(errors), said=("the scene", said), name=f"scene and {name}"
    )
    return figure(slider, f"Move the slider: the scene on its left, {name} on its right.{more}")


def _limits(result: EvaluateResult) -> list[str]:
    """What the figures do not say, in plain words."""
    said = [
        (
            "Labels are taken for the truth: where they are shifted, old or incomplete, the map "
            "looks worse than it is."
        ),
        (
            "The figures hold for what was judged. Other places, seasons and sensors may look "
            "different."
        ),
    ]
    if result.pixels.curves:
        said.append(
            "Best thresholds and temperatures are those of these pixels, and a little less good "
            "elsewhere."
        )
    return said


def _making(result: EvaluateResult) -> str:
    """What was compared, and how."""
    height, width = result.shape
    x_m, y_m = result.pixel_m
    return facts(
        {
            "Map": f"{result.prediction} ({result.kind})",
            "Labels": result.labels,
            "Pixels": f"those of {result.scene}: {width:,} x {height:,}, {x_m:.3g} x {y_m:.3g} m",
            "Judged": f"{result.pixels.scores.judged_px:,} pixels",
            "Thresholds": ", ".join(f"{c.name} {c.threshold:.3g}" for c in result.classes)
            if result.pixels.curves
            else "none, the map has no scores",
            **({} if result.error_map is None else {"Errors in QGIS": result.error_map.name}),
            "Time": f"{result.seconds:.1f} s",
            "Versions": f"geocobot {__version__}, Python {platform.python_version()}",
        }
    )
