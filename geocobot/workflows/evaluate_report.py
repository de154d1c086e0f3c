"""The report of an evaluation: how good the map is, where it is wrong, how sure that is."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
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
from geocobot.workflows.figure_rows import share
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
from geocobot.workflows.scene_figures import has_one_size, pixel_size, scene_rows, worst_first

_MOST_MAPS = 50
"""Maps that a report lists."""

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
    file: Path, result: EvaluateResult, pictures: Mapping[str, Pictures], options: str, name: Path
) -> None:
    """Write the page.

    Args:
        file: where to.
        result: what it tells of.
        pictures: of maps and labels of the scenes to show, by name, the worst first.
        options: the command's, as YAML.
        name: what the file will be called, for messages.

    Raises:
        OutputError: it cannot be written.
    """
    pixels, several = result.pixels, len(result.scenes) > 1
    tables = figures_table(pixels) + confusion_table(pixels, result.classes)
    objects = ""
    if result.objects is not None:
        objects = "".join(table(rows[0], rows[1:]) for rows in result.objects.tables())
        objects += paragraph(f"{result.objects.left_out()} {_OBJECT_TERMS}", "quiet")
    sections = [
        Section("Maps" if several else "Map", _maps(result, pictures)),
        Section("Results", tables),
        Section("Scenes", _scenes(result) if several else ""),
        Section("Objects", objects),
        Section("Outlines", boundary_table(pixels.boundaries) + _own_pixels(result)),
        Section("Scores", score_charts(pixels, result.classes)),
        Section("Limits", points(_limits(result))),
        Section("How it was made", _making(result) + folded("All options", code(options))),
    ]
    title = headline(result.classes, result.name)
    page = write_page(title, _lead(result), sections)
    write_text(file, page, name)


def _lead(result: EvaluateResult) -> str:
    """The question and the answer, and what to beware of."""
    names = listed([spec.name for spec in result.classes])
    area_ha = sum(scene.judged_ha for scene in result.scenes)
    maps = {scene.prediction for scene in result.scenes}
    n = len(result.scenes)
    place = f"over {area_ha:,.3g} ha" + (f" in {n} scenes" if n > 1 else "")
    said = [f"Compared with {result.labels} {place}:", *answers(result.pixels), *_range(result)]
    verb = "does" if len(maps) == 1 else "do"
    return "\n".join(
        [
            paragraph(f"How well {verb} {result.name} show {names}?", "lead"),
            *(paragraph(text, "lead") for text in said),
            *(finding("warning", text) for text in _doubts(result)),
        ]
    )


def _range(result: EvaluateResult) -> list[str]:
    """In which of several scenes the map is worst, and best."""
    known = [s for s in worst_first(result.scenes) if s.scores.mean_iou is not None]
    if len(known) < 2:
        return []
    worst, best = (f"{s.name} (IoU {share(s.scores.mean_iou)})" for s in (known[0], known[-1]))
    return [f"Worst in {worst}, best in {best}."]


def _scenes(result: EvaluateResult) -> str:
    """Figures of each scene."""
    head, *rows = scene_rows(result.scenes)
    said = (
        f"Intervals of a scene come from its own blocks, where it has {FEW_BLOCKS} or more. The "
        "figures of all scenes together count every pixel once: scenes of many pixels weigh more."
    )
    return table(head, rows) + paragraph(said, "quiet")


def _own_pixels(result: EvaluateResult) -> str:
    """What a pixel is where scenes have different ones."""
    if has_one_size(result.scenes):
        return ""
    said = f"Pixels are those of each scene ({pixel_size(result.scenes)})."
    return paragraph(said, "quiet")


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


def _maps(result: EvaluateResult, pictures: Mapping[str, Pictures]) -> str:
    """What was found, missed and wrongly mapped in each scene that is shown."""
    colors = {"found": RIGHT_RGB, "missed": MISSED_RGB, "mapped, and not there": FALSE_RGB}
    legend = " ".join(f"{swatch(f'rgb{rgb}')}{name}" for name, rgb in colors.items())
    ious = {scene.name: scene.scores.mean_iou for scene in result.scenes}
    parts = [f"<p>{legend}</p>"]
    if len(pictures) < len(ious):
        parts.append(paragraph(f"The {len(pictures)} worst of {len(ious)} scenes.", "quiet"))
    for name, shown in pictures.items():
        if len(ious) > 1:
            parts.append(f"<h3>{escape(name)}: IoU {share(ious[name])}</h3>")
        parts.append(_map(shown))
    return "".join(parts)


def _map(pictures: Pictures) -> str:
    """One scene, pixels first, then lines where there are any."""
    truth, prediction = pictures.truth.labels, pictures.prediction.labels
    step = pictures.truth.sampling.step
    shown = "" if step == 1 else f" One of {step} x {step} pixels is shown."
    errors = compared(truth, prediction, pictures.scene)
    parts = [_errors(errors, pictures.scene, "errors", shown)]
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
    return facts(
        {
            **_places(result),
            "Labels": result.labels,
            "Judged": f"{result.pixels.scores.judged_px:,} pixels",
            "Thresholds": _thresholds(result),
            **({} if result.error_map is None else {"Errors in QGIS": result.error_map.name}),
            "Time": f"{result.seconds:.1f} s",
            "Versions": f"geocobot {__version__}, Python {platform.python_version()}",
        }
    )


def _places(result: EvaluateResult) -> dict[str, str]:
    """Which map was judged in which pixels."""
    found = {}
    for number, scene in enumerate(result.scenes[:_MOST_MAPS], start=1):
        (height, width), (x_m, y_m) = scene.shape, scene.pixel_m
        mark = "" if len(result.scenes) == 1 else f" {number}"
        found[f"Map{mark}"] = f"{scene.prediction} ({result.kind})"
        size = f"{width:,} x {height:,}, {x_m:.3g} x {y_m:.3g} m"
        found[f"Pixels{mark}"] = f"those of {scene.scene}: {size}"
    if len(result.scenes) > _MOST_MAPS:
        found["And"] = f"{len(result.scenes) - _MOST_MAPS} more, in evaluation.json"
    return found


def _thresholds(result: EvaluateResult) -> str:
    """Above which score pixels count; where maps differ, from where to where."""
    if not result.pixels.curves:
        return "none, the map has no scores"
    said = []
    for k, spec in enumerate(result.classes):
        values = [scene.classes[k].threshold for scene in result.scenes]
        ends = [f"{min(values):.3g}", f"{max(values):.3g}"]
        said.append(f"{spec.name} {' to '.join(dict.fromkeys(ends))}")
    return ", ".join(said)
