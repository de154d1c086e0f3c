"""A map and labels in, figures out: how good the map is, and how sure that is."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocobot.classes import IGNORE
from geocobot.config import EvaluateOptions
from geocobot.config.evaluate import MOST_OBJECT_PX
from geocobot.errors import ConfigError, EmptyLabelsError
from geocobot.evaluation.blocks import FEW_BLOCKS, MAX_BLOCKS, BlockPlan
from geocobot.evaluation.error_map import ErrorMap
from geocobot.evaluation.judge import PixelJudge, PixelReport
from geocobot.evaluation.numbers import as_numbers
from geocobot.io.error_map import error_map_layers, write_error_map
from geocobot.io.output import check_output_folder, new_folder
from geocobot.io.qgis.project import Project
from geocobot.io.quicklook import Sampling, quicklook
from geocobot.io.unfinished import write_text
from geocobot.progress import Progress, SilentProgress
from geocobot.secrecy import without_secrets
from geocobot.settings import check_limits, to_yaml
from geocobot.workflows.evaluate_report import Pictures, write_evaluate_report
from geocobot.workflows.evaluate_result import EvaluateResult
from geocobot.workflows.judged import Judged, open_judged
from geocobot.workflows.judged_objects import compare_objects
from geocobot.workflows.line_picture import line_picture
from geocobot.workflows.moment import moment_now
from geocobot.workflows.overview import Overview
from geocobot.workflows.project import scene_layers

_LOG = logging.getLogger("geocobot.workflows")

FIGURES_NAME, OPTIONS_NAME, REPORT_NAME = "evaluation.json", "options.yaml", "report.html"
ERRORS_NAME, PROJECT_NAME = "errors.gpkg", "errors.qgz"


def evaluate(options: EvaluateOptions, progress: Progress | None = None) -> EvaluateResult:
    """Compare a map with labels, pixel by pixel.

    Memory does not grow with the height of the map.

    Args:
        options: which map, which labels, and where to look.
        progress: is told of every row.

    Raises:
        GeocobotError: an option or a file is not as needed.
    """
    started = time.perf_counter()
    check_limits(options)
    if options.out is not None:
        check_output_folder(options.out, options.overwrite, FIGURES_NAME)
    judged = open_judged(options)
    truth, prediction = Overview(judged.grid), Overview(judged.grid)
    pixels, unpredicted_px = _judge_pixels(
        judged, options, progress or SilentProgress(), (truth, prediction)
    )
    wanted = _wants_objects(judged, options)
    compared = compare_objects(judged, options.min_area) if wanted else None
    result = EvaluateResult(
        prediction=Path(options.pred),
        kind=judged.mapped.kind,
        labels=judged.labels.name,
        scene=Path((judged.has_data or judged.mapped.scene).path),
        shape=judged.grid.shape,
        pixel_m=judged.grid.ground_pixel_m,
        classes=judged.matching.classes,
        pixels=pixels,
        unpredicted_px=unpredicted_px,
        objects=None if compared is None else compared.report,
        seconds=time.perf_counter() - started,
    )
    _tell_of_doubts(result, judged)
    if options.out is None:
        return result
    errors = None if compared is None else compared.errors
    scene, lines = _picture(judged, truth.sampling), None
    if errors is not None and errors.lines is not None:
        lines = line_picture(errors.lines, judged.grid, truth.sampling, scene)
    pictures = Pictures(truth, prediction, scene, lines)
    return _write(result, judged, pictures, errors, options)


def _wants_objects(judged: Judged, options: EvaluateOptions) -> bool:
    """Whether objects are compared; who has not said is told where they are not."""
    if options.objects is not None:
        return options.objects
    is_small = math.prod(judged.grid.shape) <= MOST_OBJECT_PX
    if not is_small:
        _LOG.info(
            "%s is large: its objects are not compared one by one. --objects does it, with all of "
            "them in memory.",
            Path(judged.mapped.path).name,
        )
    return is_small


def _picture(judged: Judged, sampling: Sampling) -> npt.NDArray[np.uint8] | None:
    """The scene that was mapped, where it is known and has the pixels that were judged."""
    scene = judged.has_data
    if scene is None or scene.grid != judged.grid:
        return None
    return quicklook(scene, sampling)


def _judge_pixels(
    judged: Judged,
    options: EvaluateOptions,
    progress: Progress,
    overviews: tuple[Overview, Overview],
) -> tuple[PixelReport, int]:
    """All figures of pixels, and of how many labelled ones the map says nothing.

    Raises:
        ConfigError: there would be too many blocks.
        EmptyLabelsError: no pixel that is judged has a class.
    """
    pixel_m = judged.grid.ground_pixel_m
    judge = PixelJudge(judged.matching.classes, _plan_blocks(judged, options))
    unpredicted_px = 0
    name = Path(judged.mapped.path).name
    row_off = 0
    with progress.task(f"Judging {name}", judged.grid.height) as task:
        for rows in judged.rows():
            shown = np.where(rows.judged, rows.truth, np.uint8(IGNORE)), rows.prediction
            for overview, labels in zip(overviews, shown, strict=True):
                overview.add(row_off, labels)
            row_off += rows.height
            judge.add(rows.truth, rows.prediction, rows.judged, rows.steps)
            unpredicted_px += rows.unsaid_px
            task.advance(rows.height)
    report = judge.report(pixel_m, options.seed)
    if not any(c.truth_px for c in report.scores.classes):
        raise EmptyLabelsError(
            judged.labels.name,
            f"labels no pixel of {name} that is judged: the features lie on nodata, outside of "
            "--area or --labelled-area, or are smaller than a pixel",
            "A map is judged by what is labelled",
            "Look at map and labels in QGIS",
        )
    return report, unpredicted_px


def _plan_blocks(judged: Judged, options: EvaluateOptions) -> BlockPlan:
    """The blocks that intervals are drawn from.

    Raises:
        ConfigError: there would be too many.
    """
    plan = BlockPlan.over(judged.window, judged.grid.ground_pixel_m, options.block_size)
    if plan.size > MAX_BLOCKS:
        raise ConfigError(
            "--block-size",
            f"is {options.block_size:g} m, which makes {plan.size:,} blocks",
            f"Up to {MAX_BLOCKS:,} are drawn from, and each has to be larger than the objects "
            "mapped",
            "Choose larger blocks, or leave it out",
        )
    return plan


def _tell_of_doubts(result: EvaluateResult, judged: Judged) -> None:
    """Say what makes figures less certain than they look."""
    sure = result.pixels.uncertainty
    blocks = 1 if sure is None else sure.blocks
    if blocks < FEW_BLOCKS:
        _LOG.warning(
            "%s: judged in %d block%s only%s. Judge a larger area, or choose smaller blocks with "
            "--block-size.",
            result.prediction.name,
            blocks,
            "" if blocks == 1 else "s",
            ", so that nothing tells how sure the figures are"
            if sure is None
            else ", so that the intervals are rough",
        )
    if result.unpredicted_px:
        _LOG.warning(
            "%s says nothing of %s pixels of what is labelled: they %s.",
            result.prediction.name,
            f"{result.unpredicted_px:,}",
            "are not judged; --raster tells which of them have data, and should have been mapped"
            if judged.has_data is None
            else "count as background where the scene has data",
        )


def _write(
    result: EvaluateResult,
    judged: Judged,
    pictures: Pictures,
    errors: ErrorMap | None,
    options: EvaluateOptions,
) -> EvaluateResult:
    """Write the folder.

    Raises:
        OutputError: it cannot be written.
    """
    assert options.out is not None
    folder = Path(options.out)
    figures, config, report = (folder / n for n in (FIGURES_NAME, OPTIONS_NAME, REPORT_NAME))
    error_map = folder / ERRORS_NAME
    result = replace(
        result,
        folder=folder,
        figures=figures,
        config=config,
        report=report,
        error_map=None if errors is None else error_map,
    )
    found = as_numbers(result)
    text = json.dumps(found, indent=1, default=str, ensure_ascii=False, allow_nan=False)
    with new_folder(folder, overwrite=options.overwrite, marker=FIGURES_NAME) as temporary:
        write_text(temporary / FIGURES_NAME, without_secrets(text), figures)
        write_text(temporary / OPTIONS_NAME, to_yaml(options), config)
        page = temporary / REPORT_NAME
        write_evaluate_report(page, result, pictures, to_yaml(options), report)
        if errors is not None:
            write_error_map(error_map, errors.layers, unfinished=temporary / ERRORS_NAME)
            project = folder / PROJECT_NAME
            layers = error_map_layers(error_map, judged.grid.crs, errors.layers)
            shown = [] if judged.has_data is None else scene_layers([judged.has_data])
            Project(
                result.prediction.stem, [*layers, *shown], judged.grid.crs, judged.grid.bounds
            ).write(temporary / PROJECT_NAME, project, moment_now())
    return result
