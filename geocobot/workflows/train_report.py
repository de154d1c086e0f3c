"""The report of a training: how good the model is, where not, and how it came about."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import shapely
import torch

from geocobot._version import __version__
from geocobot.classes import ClassSpec
from geocobot.config import TrainOptions
from geocobot.data.split import Split
from geocobot.evaluation.blocks import FEW_BLOCKS
from geocobot.inspection.sketch import Layer, block_layer, draw, label_layers, scene_layer
from geocobot.inspection.sketch import legend as sketch_legend
from geocobot.io.unfinished import write_text
from geocobot.models.precision import Compute
from geocobot.report.page import (
    Section,
    code,
    facts,
    finding,
    folded,
    paragraph,
    points,
    write_page,
)
from geocobot.settings import to_yaml
from geocobot.training.fit import FitResult
from geocobot.workflows.calibrate import Calibrated
from geocobot.workflows.defaults import choose_adapter
from geocobot.workflows.ground import Ground
from geocobot.workflows.power import describe_energy, describe_machine
from geocobot.workflows.quality import (
    answers,
    confusion_table,
    example_figures,
    example_swipe,
    figures_table,
    headline,
    legend,
    listed,
    score_charts,
)
from geocobot.workflows.training_curves import training_curves
from geocobot.workflows.validation import Verdict


@dataclass(frozen=True, kw_only=True)
class TrainFacts:
    """What the report tells of.

    Attributes:
        options: resolved.
        ground: scenes and labels.
        splits: one per scene.
        calibration: the classes with tuned thresholds, and how their logits are scaled.
        fitted: how training went.
        verdict: on the validation blocks.
        compute: where it was done.
        trained: weights that were learned.
        weights: all weights of the model.
        seconds: wall time of the whole run.
    """

    options: TrainOptions
    ground: Ground
    splits: Sequence[Split]
    calibration: Calibrated
    fitted: FitResult
    verdict: Verdict
    compute: Compute
    trained: int
    weights: int
    seconds: float

    @property
    def classes(self) -> Sequence[ClassSpec]:
        """With tuned thresholds."""
        return self.calibration.classes


def write_train_report(file: Path, found: TrainFacts, name: Path) -> None:
    """Write the page.

    Args:
        file: where to.
        found: what it tells of.
        name: what the file will be called, for messages.

    Raises:
        OutputError: it cannot be written.
    """
    scenes = listed([scene.name for scene in found.ground.scenes[:3]])
    more = len(found.ground.scenes) - 3
    title = headline(found.classes, f"{scenes}{f' and {more} more scenes' if more > 0 else ''}")
    examples = found.verdict.examples
    places = example_figures(examples, found.classes)
    typical = next((e for e in examples if e.kind == "typical"), None)
    slider = "" if typical is None else example_swipe(typical, found.classes)
    results = figures_table(found.verdict.pixels)
    sections = [
        Section("Results", results + confusion_table(found.verdict.pixels, found.classes)),
        Section("Examples", f"<p>{legend(found.classes)}</p>{slider}{places}" if places else ""),
        Section("Scores", score_charts(found.verdict.pixels, found.classes)),
        Section("Training", training_curves(found.fitted, found.classes)),
        Section("Data", _data(found)),
        Section("Limits", points(_limits(found))),
        Section("How it was made", _making(found)),
    ]
    page = write_page(title, _lead(found), sections)
    write_text(file, page, name)


def _lead(found: TrainFacts) -> str:
    """The question and the answer, and what to beware of."""
    names = listed([spec.name for spec in found.classes])
    question = f"How well does this model find {names} where nobody has drawn them?"
    return "\n".join(
        [
            paragraph(question, "lead"),
            *(paragraph(text, "lead") for text in _answer(found)),
            *(finding("warning", text) for text in _doubts(found)),
        ]
    )


def _answer(found: TrainFacts) -> list[str]:
    """What was found of each class, in words."""
    blocks = sum(len(split.val) for split in found.splits)
    given = " with a box around every object given" if found.options.prompt == "boxes" else ""
    said = [
        (
            f"On {blocks} block{'s' * (blocks != 1)} of the scene"
            f"{'s' * (len(found.splits) > 1)} that it was not trained on{given}:"
        )
    ]
    return said + answers(found.verdict.pixels)


def _doubts(found: TrainFacts) -> list[str]:
    """What makes the figures less certain than they look, most important first."""
    scores = found.verdict.pixels.scores
    said = [
        f"{name} was not learned: a map that has it everywhere would be as good."
        for name in scores.unlearned
    ]
    blocks = sum(len(split.val) for split in found.splits)
    if blocks < FEW_BLOCKS:
        said.append(
            f"Judged on {blocks} block{'s' * (blocks != 1)} only: the figures may be off by "
            "several hundredths. More labels make them surer, as does a scene of its own "
            "(--val-raster)."
        )
    return said


def _limits(found: TrainFacts) -> list[str]:
    """What the figures do not say, in plain words."""
    pixel_m = found.ground.scenes[0].grid.ground_pixel_m
    said = [
        (
            "Thresholds and the epoch that was kept were chosen on the same blocks that the "
            "figures come from, so they flatter the model a little. A scene that it has never "
            "seen is the honest test: geocobot evaluate."
        ),
        (
            f"It learned from pixels of {pixel_m[0]:.3g} x {pixel_m[1]:.3g} m. Where pixels are "
            "much larger or smaller, things look different to it."
        ),
        "What is not labelled counts as background"
        + (
            " within the labelled area."
            if found.options.labelled_area is not None
            else ", so that gaps in the labels teach it to leave things out, and count against it "
            "here where it finds them."
        ),
    ]
    if len(found.ground.scenes) == 1:
        said.insert(
            1,
            "It has seen one scene: other places, seasons, sensors and times of day may look "
            "different enough for it to fail there.",
        )
    return said


def _data(found: TrainFacts) -> str:
    """Map sketch and sizes of what it learned from."""
    layers: list[Layer] = [scene_layer(scene.grid for scene in found.ground.scenes)]
    layers += label_layers(found.ground.labels)
    blocks = [
        (scene.grid, shapely.box(*scene.grid.bounds_of(block)))
        for scene, split in zip(found.ground.scenes, found.splits, strict=True)
        for block in split.val
    ]
    layers.append(block_layer(blocks))
    sketch = draw(layers)
    shown = f"<p>{sketch_legend(layers)}</p>{sketch}" if sketch else ""
    train_m2 = val_m2 = 0.0
    for scene, split in zip(found.ground.scenes, found.splits, strict=True):
        pixel_m2 = math.prod(scene.grid.ground_pixel_m)
        train_m2 += split.train_area_px * pixel_m2
        val_m2 += sum(block.width * block.height for block in split.val) * pixel_m2
    first = found.ground.scenes[0]
    rows = {
        "Scenes": listed([scene.name for scene in found.ground.scenes]),
        "Labels": found.ground.labels.name,
        "Bands": listed([str(band) for band in first.bands]),
        "Training area": _hectares(train_m2),
        "Validation blocks": f"{len(blocks)}, {_hectares(val_m2)}",
        "Gap between them": f"{found.splits[0].gap_px} px",
    }
    return shown + facts(rows)


def _making(found: TrainFacts) -> str:
    """What was trained, on what machine, with which versions and options."""
    options, compute = found.options, found.compute
    # Without a GPU the processes of a node share its cores.
    each = options.devices if compute.device.type == "cuda" else torch.get_num_threads()
    units = each * options.nodes
    rows = {
        "Base": f"{options.base} ({options.start}), head {options.head}",
        "Adapter": _adapter(options),
        "Weights": f"{found.trained:,} of {found.weights:,} were trained",
        "Thresholds": ", ".join(f"{c.name} {c.threshold:.2g}" for c in found.classes),
        "Calibration": found.calibration.in_words(),
        "Where": describe_machine(compute),
        "Time": f"{found.seconds / 60:.1f} minutes",
        "Energy": describe_energy(compute, units, found.seconds),
        "Versions": f"geocobot {__version__}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}, {platform.system()}",
        "Checksum of the data": found.ground.fingerprint,
    }
    return facts(rows) + folded("All options", code(to_yaml(options)))


def _adapter(options: TrainOptions) -> str:
    """What was added to the base; without adapters it is trained in full, or not at all."""
    config = choose_adapter(options)
    if not config.has_sites:
        return config.method
    return f"{config.method}{' with COBOT' if config.cobot else ''}, rank {config.rank}"


def _hectares(m2: float) -> str:
    """An area for people."""
    return f"{m2 / 1e6:,.1f} km2" if m2 >= 1e7 else f"{m2 / 1e4:,.2f} ha"
