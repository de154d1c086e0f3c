"""The folder of an evaluation: figures, options, report, error map and project."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from geocobot.config import EvaluateOptions
from geocobot.evaluation.error_map import ErrorMap
from geocobot.evaluation.numbers import as_numbers
from geocobot.grid import Bounds
from geocobot.io.error_map import error_map_layers, write_error_map
from geocobot.io.output import new_folder
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.qgis.project import Project
from geocobot.io.shapes import bounds_in
from geocobot.io.unfinished import write_text
from geocobot.secrecy import without_secrets
from geocobot.settings import to_yaml
from geocobot.workflows.compared_scenes import common_crs
from geocobot.workflows.evaluate_report import Pictures, write_evaluate_report
from geocobot.workflows.evaluate_result import EvaluateResult
from geocobot.workflows.judged import Judged
from geocobot.workflows.moment import moment_now
from geocobot.workflows.project import scene_layers

FIGURES_NAME, OPTIONS_NAME, REPORT_NAME = "evaluation.json", "options.yaml", "report.html"
ERRORS_NAME, PROJECT_NAME = "errors.gpkg", "errors.qgz"


def write_evaluation(
    result: EvaluateResult,
    judged: Sequence[Judged],
    pictures: Mapping[str, Pictures],
    errors: ErrorMap | None,
    options: EvaluateOptions,
) -> EvaluateResult:
    """Write the folder.

    Args:
        result: all figures.
        judged: the scenes.
        pictures: of the scenes to show, by name, the worst first.
        errors: what is right and what is not; None where nobody has looked.
        options: of the command, with a folder.

    Returns:
        The result with the files.

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
            layers = error_map_layers(error_map, common_crs(judged), errors.layers)
            project = _project(result, judged, layers)
            project.write(temporary / PROJECT_NAME, folder / PROJECT_NAME, moment_now())
    return result


def _project(
    result: EvaluateResult, judged: Sequence[Judged], layers: Sequence[ProjectLayer]
) -> Project:
    """What QGIS shows: layers of errors over all scenes."""
    crs = common_crs(judged)
    shown = {one.has_data.path: one.has_data for one in judged if one.has_data is not None}
    title = result.name if result.prediction is None else result.prediction.stem
    return Project(title, [*layers, *scene_layers(list(shown.values()))], crs, _around(judged))


def _around(judged: Sequence[Judged]) -> Bounds:
    """What lies around all scenes, in their common CRS."""
    crs = common_crs(judged)
    found = [
        one.grid.bounds if one.grid.crs == crs else bounds_in(one.grid.bounds, one.grid.crs, crs)
        for one in judged
    ]
    west, south, east, north = zip(*(bounds for bounds in found if bounds is not None), strict=True)
    return min(west), min(south), max(east), max(north)
