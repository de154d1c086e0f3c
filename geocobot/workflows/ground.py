"""What is known before training: scenes, labels, where both are, and a checksum of it all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

from geocobot.bands import BandRange
from geocobot.classes import BACKGROUND
from geocobot.config.evaluate import EvaluateOptions
from geocobot.config.inputs import InputOptions
from geocobot.data.split import Validation
from geocobot.data.survey import Survey, survey_scene
from geocobot.errors import ConfigError, EmptyLabelsError
from geocobot.io.area import read_area
from geocobot.io.files import find_rasters
from geocobot.io.fitting import bring_together, fit_bands
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.labels import LabelRaster, Labels
from geocobot.io.misplaced import in_words
from geocobot.io.opening import check_path
from geocobot.io.scene import Scene
from geocobot.io.source import enough_bands
from geocobot.io.statistics import fixed_ranges, measure_ranges
from geocobot.io.widths import Widths
from geocobot.progress import Progress
from geocobot.workflows.given import choose_validation

_log = logging.getLogger("geocobot.workflows")

MUCH_BLACK = 0.05
"""Share of a scene that is 0 in every band; shadows and water hardly ever are."""


BandRanges: TypeAlias = tuple[BandRange, ...]


@dataclass(frozen=True)
class Inputs:
    """Scenes and labels, opened and placed, before anything is counted.

    Attributes:
        scenes: what to learn from.
        labels: all label files together.
        rasters: labels on each scene's grid.
        validation: windows of each scene to validate in, a scene that is not to learn from as a
            whole; None leaves it to the labels.
        n_learned: how many of the scenes, the first ones, are to learn from; None for all.
    """

    scenes: tuple[Scene, ...]
    labels: Labels
    rasters: tuple[LabelRaster, ...]
    validation: Validation | None = None
    n_learned: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ground(Inputs):
    """Scenes with everything that is known of them before training.

    Attributes:
        surveys: labelled pixels of each scene.
        ranges: one per band and data type.
    """

    surveys: tuple[Survey, ...]
    ranges: tuple[BandRange, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what was learned from: grids, value ranges and labelled geometry."""
        digest = hashlib.sha256()
        for scene, survey in zip(self.scenes, self.surveys, strict=True):
            grid = scene.grid
            place = (grid.crs.to_wkt(), tuple(grid.transform)[:6], grid.shape, scene.bands)
            digest.update(repr(place).encode())
            digest.update(survey.table.tobytes())
        digest.update(json.dumps([asdict(r) for r in self.ranges]).encode())
        digest.update(self.labels.digest())
        digest.update(repr(self.validation).encode())
        return digest.hexdigest()


def read_inputs(options: InputOptions) -> Inputs:
    """Open the scenes and place the labels on them; reads no pixel of a scene.

    Raises:
        GeocobotError: scenes, labels or bands cannot be used.
    """
    scenes, n_learned = open_scenes(options)
    return place_labels(scenes, n_learned, read_chosen_labels(options, scenes), options.val_area)


def open_scenes(options: InputOptions) -> tuple[tuple[Scene, ...], int]:
    """Open the scenes; those to learn from come first, and the number says how many they are.

    Raises:
        GeocobotError: scenes or bands cannot be used.
    """
    bands = enough_bands(options.bands)
    learned = find_rasters(options.raster, asset=options.asset)
    judged = find_rasters(options.val_raster or (), "--val-raster", options.asset)
    _refuse_both(learned, judged)
    for path in judged:
        check_path(path, "--val-raster")
    scenes = tuple(
        Scene.open(path, bands=bands, nodata=options.nodata) for path in (*learned, *judged)
    )
    return bring_together(scenes, options.resolution), len(learned)


def read_chosen_labels(options: InputOptions | EvaluateOptions, scenes: Sequence[Scene]) -> Labels:
    """Read the labels as the options say.

    Raises:
        GeocobotError: they cannot be used.
    """
    return read_labels(
        options.labels,
        _label_choice(options),
        area=None if options.labelled_area is None else read_area(options.labelled_area),
        boundary_px=options.ignore_boundary,
        scene=scenes[0],
    )


def place_labels(
    scenes: tuple[Scene, ...], n_learned: int, labels: Labels, val_area: Sequence[str] | None
) -> Inputs:
    """Place labels on scenes.

    Args:
        scenes: those to learn from first.
        n_learned: how many these are.
        labels: of all of them.
        val_area: files with polygons to validate in.

    Raises:
        OverlapError: nothing of labels or polygons lies on the scenes.
    """
    validation = choose_validation(scenes, n_learned, val_area)
    return Inputs(scenes, labels, labels.on_each(scenes), validation, n_learned)


def _refuse_both(learned: Sequence[str], judged: Sequence[str]) -> None:
    """Refuse to validate with what is learned from."""
    both = {os.path.realpath(path) for path in learned} & {os.path.realpath(p) for p in judged}
    if both:
        raise ConfigError(
            "--val-raster",
            f"names {min(both)}, which --raster names as well",
            "What is learned from cannot tell how good the map of other places is",
            "Leave it out of one of them, or draw where to validate and pass that as --val-area",
        )


def _label_choice(options: InputOptions | EvaluateOptions) -> LabelChoice:
    """What the options say of the label files."""
    return LabelChoice(
        layer=options.labels_layer,
        crs=options.labels_crs,
        widths=Widths(
            line_width_m=options.line_width,
            width_field=options.width_field,
            point_radius_m=options.point_radius,
        ),
        class_field=options.class_field,
        classes=options.classes,
        where=options.where,
    )


def choose_ranges(scenes: Sequence[Scene], options: InputOptions, seed: int) -> BandRanges:
    """Which values are dark and bright, measured or as they are given.

    Args:
        scenes: to learn from.
        options: say how.
        seed: of the draw of pixels that are measured.

    Raises:
        BandError: no scene has a pixel with data, or they differ in bands.
        ConfigError: the given values are none.
    """
    if options.value_range is None:
        return measure_ranges(scenes, seed, options.stretch)
    return fixed_ranges(scenes, options.value_range)


def survey_ground(
    inputs: Inputs, seed: int, progress: Progress, ranges: BandRanges | None = None
) -> Ground:
    """Read every scene once, and look where the labels are.

    Args:
        inputs: scenes and labels.
        seed: of the draw of pixels that are measured.
        progress: is told of every block.
        ranges: one per band and data type, where they are not to be measured as percentiles.

    Raises:
        UnreadableFileError: a scene cannot be read to its end.
        BandError: no scene has a pixel with data, or they differ in bands.
        EmptyLabelsError: no pixel with data is labelled.
    """
    scenes, rasters = inputs.scenes, inputs.rasters
    ranges = ranges or measure_ranges(scenes[: inputs.n_learned], seed)
    for scene in scenes:
        fit_bands(scene, ranges)
    surveys = tuple(
        survey_scene(scene, raster, progress) for scene, raster in zip(scenes, rasters, strict=True)
    )
    ground = Ground(
        scenes=scenes,
        labels=inputs.labels,
        rasters=rasters,
        validation=inputs.validation,
        n_learned=inputs.n_learned,
        surveys=surveys,
        ranges=ranges,
    )
    _check_labelled(ground)
    _tell_of_black(ground)
    return ground


def _tell_of_black(ground: Ground) -> None:
    """Say which scenes are black to a good part: that is a border, which nobody declared."""
    shares = {
        scene.name: 100 * survey.black_px / (scene.grid.height * scene.grid.width)
        for scene, survey in zip(ground.scenes, ground.surveys, strict=True)
    }
    black = {name: share for name, share in shares.items() if share >= 100 * MUCH_BLACK}
    if black:
        least, most = f"{min(black.values()):.0f}", f"{max(black.values()):.0f}"
        _log.warning(
            "%s: %s %% of %s pixels are 0 in every band and count as data; if nothing was taken "
            "there, pass --nodata 0.",
            in_words(list(black)),
            least if least == most else f"{least} to {most}",
            "its" if len(black) == 1 else "their",
        )


def _check_labelled(ground: Ground) -> None:
    """Refuse labels that cover no pixel with data; warn of classes and scenes that have none."""
    found = [set(survey.class_numbers) - {BACKGROUND} for survey in ground.surveys]
    if not any(found):
        or_outside = "" if ground.labels.area is None else ", lie outside --labelled-area"
        if ground.labels.boundary_px:
            or_outside += ", are nothing but boundary (--ignore-boundary)"
        raise EmptyLabelsError(
            ground.labels.name,
            f"labels no pixel with data on {in_words([s.name for s in ground.scenes])}: the "
            f"features lie on nodata{or_outside}, only touch the edge or are smaller than a pixel",
            "Training needs labelled pixels",
            "Look at scene and labels in QGIS; a wrong nodata value is corrected with --nodata",
        )
    absent = [c.name for c in ground.labels.classes if not any(c.number in f for f in found)]
    if absent:
        _log.warning(
            "%s: no pixel with data is labelled %s; the model cannot learn what it never sees.",
            ground.labels.name,
            in_words(absent),
        )
    outside = [survey.name for survey in ground.surveys if not survey.class_numbers]
    if outside:
        _log.warning(
            "%s: no pixel with data lies in the labelled area; nothing is learned from there.",
            in_words(outside),
        )
    bare = [survey.name for survey in ground.surveys if survey.class_numbers == (BACKGROUND,)]
    if bare:
        _log.warning(
            "%s: no pixel with data is labelled; all of them count as background.", in_words(bare)
        )
