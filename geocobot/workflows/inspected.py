"""Scenes and labels taken through the stages of a training, as far as they go."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from geocobot.config import TrainOptions
from geocobot.data.module import SceneDataModule
from geocobot.data.split import Split, split_scenes
from geocobot.errors import (
    BandError,
    CrsError,
    EmptyLabelsError,
    GeometryError,
    GridError,
    OverlapError,
    PixelSizeError,
    SplitError,
)
from geocobot.inspection.findings import Findings
from geocobot.inspection.shift import Shift, estimate_shift
from geocobot.io.labels import Labels
from geocobot.io.scene import Scene
from geocobot.models.precision import Compute
from geocobot.progress import Progress
from geocobot.workflows.defaults import (
    choose_base,
    choose_head,
    choose_start,
    fill_in,
    limit_epochs,
)
from geocobot.workflows.device import choose_compute
from geocobot.workflows.forecast import Forecast, forecast
from geocobot.workflows.ground import (
    Ground,
    choose_ranges,
    open_scenes,
    place_labels,
    read_chosen_labels,
    survey_ground,
)

_POINTLESS = (
    BandError,
    CrsError,
    EmptyLabelsError,
    GeometryError,
    GridError,
    OverlapError,
    PixelSizeError,
    SplitError,
)
"""What makes training pointless as the data are, unless an option is to blame; other errors are
slips of the command."""


@dataclass
class Inspected:
    """What has been found so far; what comes after a stage that failed is missing.

    Attributes:
        findings: what is to be said.
        scenes: opened.
        n_learned: how many of them, the first ones, are to learn from.
        labels: read.
        ground: labels on the scenes, counted.
        splits: one per scene.
        shift: of the labels.
        forecast: of time and memory.
    """

    findings: Findings = field(default_factory=Findings)
    scenes: tuple[Scene, ...] = ()
    n_learned: int = 0
    labels: Labels | None = None
    ground: Ground | None = None
    splits: tuple[Split, ...] = ()
    shift: Shift | None = None
    forecast: Forecast | None = None


def inspect(options: TrainOptions, progress: Progress) -> Inspected:
    """Go through the stages of a training as far as they go.

    Args:
        options: of that training.
        progress: is told of every block that is read.

    Raises:
        GeocobotError: a slip of the command; what is wrong with the data is a finding.
    """
    found = Inspected()
    try:
        _go_through(options, found, progress)
    except _POINTLESS as error:
        if error.subject.startswith("--"):
            raise
        found.findings.say("stop", str(error))
    return found


def _go_through(options: TrainOptions, found: Inspected, progress: Progress) -> None:
    """Open, read, place, count, measure, split, try out."""
    compute = choose_compute(options.device, "auto")
    with found.findings.listening(logging.INFO):
        found.scenes, found.n_learned = open_scenes(options)
        found.labels = read_chosen_labels(options, found.scenes)
        inputs = place_labels(found.scenes, found.n_learned, found.labels, options.val_area)
        started = time.perf_counter()
        ranges = choose_ranges(found.scenes[: found.n_learned], options, options.seed)
        found.ground = survey_ground(inputs, options.seed, progress, ranges)
        surveyed_s = time.perf_counter() - started
    found.shift = _clearest_shift(found.ground)
    with found.findings.listening(logging.WARNING):
        _plan(options, found, compute, surveyed_s)


def _clearest_shift(ground: Ground) -> Shift | None:
    """The shift on the scene that has most places to measure it at, certain ones first."""
    shifts = [
        estimate_shift(*parts)
        for parts in zip(ground.scenes, ground.rasters, ground.surveys, strict=True)
    ]
    known = [shift for shift in shifts if shift is not None]
    return max(known, key=lambda shift: (shift.is_certain, shift.windows), default=None)


def _plan(options: TrainOptions, found: Inspected, compute: Compute, surveyed_s: float) -> None:
    """Fill in what the options leave open, split, and say what it takes."""
    ground = found.ground
    assert ground is not None
    options = choose_head(choose_start(choose_base(options, compute.device)))
    epochs_given = options.epochs is not None
    options = fill_in(options, compute.device, ground.surveys, ground.validation)
    assert options.patch_size is not None
    assert options.batch_size is not None
    found.splits = split_scenes(ground.surveys, options.patch_size, options.seed, ground.validation)
    datamodule = SceneDataModule(
        ground.scenes,
        ground.ranges,
        ground.rasters,
        found.splits,
        ground.surveys,
        batch_size=options.batch_size,
        seed=options.seed,
        crop_px=options.crop_size,
    )
    if not epochs_given:
        options = limit_epochs(options, datamodule.views_per_epoch)
    found.forecast = forecast(
        options,
        compute,
        found.scenes,
        datamodule,
        n_classes=len(ground.labels.classes),
        surveyed_s=surveyed_s,
    )
