"""The report of a map: what was found where, with what, and what is not known of it."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from geocobot._version import __version__
from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions
from geocobot.io.fitting import are_alike
from geocobot.io.opening import file_name
from geocobot.io.quicklook import quicklook
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard
from geocobot.models.precision import Compute
from geocobot.report.page import (
    Section,
    code,
    facts,
    figure,
    finding,
    folded,
    paragraph,
    points,
    table,
    write_page,
)
from geocobot.report.pictures import embedded, image, swipe
from geocobot.settings import to_yaml
from geocobot.workflows.engine import threads_of_each
from geocobot.workflows.mapped import ClassTotal, SceneResult, describe_area_rate
from geocobot.workflows.overview import Overview, colored
from geocobot.workflows.power import describe_energy, describe_machine
from geocobot.workflows.quality import headline, legend, listed


@dataclass(frozen=True, kw_only=True)
class MapFacts:
    """What the report tells of.

    Attributes:
        result: what was written.
        scene: in the pixels of its file.
        classes: with the thresholds in force.
        options: resolved.
        card: of the model.
        compute: where it was done.
        overview: of the classes before they were traced.
    """

    result: SceneResult
    scene: Scene
    classes: tuple[ClassSpec, ...]
    options: PredictOptions
    card: ModelCard
    compute: Compute
    overview: Overview


def map_page(found: MapFacts) -> str:
    """The page, as HTML."""
    title = headline(found.classes, file_name(found.result.raster))
    sections = [
        Section("Map", _map(found)),
        Section("What was found", _totals(found)),
        Section("Limits", points(_limits(found))),
        Section("How it was made", _making(found)),
    ]
    return write_page(title, _lead(found), sections)


def _lead(found: MapFacts) -> str:
    """What was mapped, and how good the model was where it could be judged."""
    result = found.result
    area_m2 = result.area_km2 * 1e6
    said = [f"Where are {listed([c.name for c in found.classes])} in {file_name(result.raster)}?"]
    for total in result.totals:
        share = f", {total.area_m2 / area_m2:.1%} of the scene" if area_m2 else ""
        lines = f", {total.length_m / 1000:,.2f} km of centerlines" if total.lines else ""
        polygons = f"{total.polygons:,} polygon{'s' * (total.polygons != 1)}"
        said.append(f"{total.name}: {polygons}, {_area(total.area_m2)}{share}{lines}.")
    parts = [paragraph(text, "lead") for text in said]
    if not result.n_polygons:
        parts.append(
            finding("warning", "Nothing was found: no pixel scored above its class's threshold.")
        )
    judged = {
        name.removeprefix("iou "): value
        for name, value in found.card.metrics.items()
        if name.startswith("iou ")
    }
    if judged:
        figures = ", ".join(f"{name} {value:.2f}" for name, value in judged.items())
        text = (
            f"How good the model was on the validation blocks of its training, as IoU: {figures}. "
            "How good this map is, only labels of this scene can tell: geocobot evaluate."
        )
        parts.append(finding("note", text))
    return "\n".join(parts)


def _map(found: MapFacts) -> str:
    """The classes over the scene, under a slider where there is a picture of it."""
    overview = found.overview
    below = quicklook(found.scene, overview.sampling)
    drawn = embedded(colored(overview.labels, found.classes, below))
    step = overview.sampling.step
    shown = "" if step == 1 else f" One of {step} x {step} pixels is shown."
    note = f"Classes before they were traced and cleaned.{shown}"
    head = f"<p>{legend(found.classes)}</p>"
    if below is None:
        return head + figure(image(drawn, "the classes"), note)
    slider = swipe(embedded(below), drawn, said=("the scene", "the map"), name="scene and map")
    return head + figure(
        slider, f"Move the slider: the scene on its left, the map on its right. {note}"
    )


def _totals(found: MapFacts) -> str:
    """Counts, areas and lengths by class, and where the files are."""
    has_lines = any(total.lines for total in found.result.totals)
    head = ["", "polygons", "area", "mean area", *(["centerlines", "length"] if has_lines else [])]
    rows = [_total_row(total, has_lines=has_lines) for total in found.result.totals]
    result = found.result
    files = {
        "Polygons": result.polygons,
        "Centerlines": result.centerlines,
        "Scores": result.scores,
        "Classes": result.classes,
        "QGIS project": result.project,
    }
    named = {name: path.name for name, path in files.items() if path is not None}
    return table(head, rows) + facts(named)


def _total_row(total: ClassTotal, *, has_lines: bool) -> list[str]:
    """A class in the table."""
    mean = _area(total.area_m2 / total.polygons) if total.polygons else "-"
    lines = [f"{total.lines:,}", f"{total.length_m / 1000:,.2f} km"] if has_lines else []
    return [total.name, f"{total.polygons:,}", _area(total.area_m2), mean, *lines]


def _limits(found: MapFacts) -> list[str]:
    """What the map does not say, in plain words."""
    said = [
        (
            "Nobody has checked this map. What is missed and what is wrongly mapped cannot be seen "
            "from it."
        ),
        (
            "A model finds what looks like what it was shown. Places, seasons, sensors and times "
            "of day that look different are where it fails first."
        ),
    ]
    own, learned = found.scene.grid.ground_pixel_m, found.card.ground_pixel_m
    if not are_alike(own, learned):
        said.append(
            f"The model learned from pixels of {learned[0]:.3g} x {learned[1]:.3g} m; those of "
            f"this scene are {own[0]:.3g} x {own[1]:.3g} m, and were made as large for it."
        )
    dropped = []
    if found.options.min_area:
        dropped.append(f"polygons under {found.options.min_area:g} m2 were dropped")
    if found.options.close_holes:
        dropped.append(f"holes under {found.options.close_holes:g} m2 filled")
    if found.options.simplify:
        dropped.append(f"outlines simplified by {found.options.simplify:g} m")
    if dropped:
        said.append(f"Cleaning: {listed(dropped)}.")
    return said


def _making(found: MapFacts) -> str:
    """With what model and options, where, when and how long."""
    result, card, options = found.result, found.card, found.options
    grid = found.scene.grid
    pixel = f"{grid.ground_pixel_m[0]:.3g} x {grid.ground_pixel_m[1]:.3g} m"
    on_gpu = found.compute.device.type == "cuda"
    units = options.devices * (1 if on_gpu else threads_of_each(options))
    rows = {
        "Scene": f"{grid.width:,} x {grid.height:,} px of {pixel}, {result.area_km2:,.4g} km2, "
        f"{grid.crs.name}",
        "Model": f"{options.model}, base {card.segmenter.base}, made by geocobot "
        f"{card.geocobot_version}",
        "Thresholds": ", ".join(f"{c.name} {c.threshold:.2g}" for c in found.classes),
        "Calibration": _calibration(card),
        "Tiles": f"{result.tiles:,} of {card.patch_px} px",
        "Where": describe_machine(found.compute),
        "Time": f"{result.seconds:,.1f} s"
        + (f", {describe_area_rate(result.area_km2 / result.seconds)}" if result.seconds else ""),
        "Energy": describe_energy(found.compute, units, result.seconds),
        "Versions": f"geocobot {__version__}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}, {platform.system()}",
    }
    return facts(rows) + folded("All options", code(to_yaml(options)))


def _calibration(card: ModelCard) -> str:
    """What the logits of each class go through before they are scores."""
    scaled = zip(card.classes, card.scaling, strict=False)
    said = [f"{c.name} {s.in_words()}" for c, s in scaled]
    return ", ".join(said) or "none, scores are as the network gives them"


def _area(m2: float) -> str:
    """An area for people."""
    if m2 >= 1e6:
        return f"{m2 / 1e6:,.2f} km2"
    return f"{m2 / 1e4:,.2f} ha" if m2 >= 1e4 else f"{m2:,.1f} m2"
