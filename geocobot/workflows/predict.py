"""Scenes in, polygons out: the stages of `geocobot predict`, composed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from geocobot.config import PredictOptions
from geocobot.errors import ConfigError, GeocobotError, ModelFileError
from geocobot.inference.engines import Engine
from geocobot.io.files import Scenes, find_scenes
from geocobot.io.mapped_area import find_area
from geocobot.io.opening import absolute
from geocobot.models.card import ModelCard, read_card
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import check_limits
from geocobot.tiling import overlap_px
from geocobot.workflows.drawing import check_drawing
from geocobot.workflows.engine import choose_machine, open_engine
from geocobot.workflows.map_job import MapJob
from geocobot.workflows.map_scene import map_scene
from geocobot.workflows.mapped import ClassTotal, Failure, PredictResult, SceneResult
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.opened import OF_A_SCENE, open_scenes, unless_alone
from geocobot.workflows.project import wants_project
from geocobot.workflows.targets import Targets, check_targets, choose_targets
from geocobot.workflows.thresholds import with_thresholds

__all__ = ["ClassTotal", "PredictResult", "SceneResult", "predict"]

_SILENT = SilentProgress()


def predict(options: PredictOptions, progress: Progress = _SILENT) -> PredictResult:
    """Map scenes with a trained model.

    Everything that can be wrong with options, scenes and outputs is found out before the model
    is loaded. The files of a scene appear together when all of them are finished. An interrupted
    map keeps its finished tile rows in `<result>.partial`, and goes on there with `resume`. Of
    several scenes those that cannot be mapped are told of at the end; where `out` is one file for
    several, they are mapped as one.

    Args:
        options: what to map, with what, and where to put it.
        progress: is told of every tile.

    Raises:
        GeocobotError: an option, the machine, or all scenes are not as needed.
    """
    start_s = time.perf_counter()
    check_limits(options)
    _refuse_unsaved(options)
    if options.engine == "ray":
        options = _from_anywhere(options)
    if options.area is not None:
        options = replace(options, area=find_area(options.area))
    scenes = find_scenes(options.raster, asset=options.asset)
    rasters = scenes.paths
    targets = _name_targets(options, scenes)
    claim = partial(MappingRun.claim, resume=options.resume, overwrite=options.overwrite)
    runs = [None if options.resume else claim(target) for target in targets]
    compute, threads = choose_machine(options)
    card = read_card(options.model)
    _refuse_prompts(card, options.model)
    check_drawing(options, with_thresholds(card.classes, options))
    options = replace(options, separate=_separates(card, options))
    overlap_px(options.overlap, card.patch_px)
    opened = open_scenes(rasters, card, options, progress, joined=_joined_name(rasters, targets))
    jobs = [
        None if scene is None else MapJob.of(scene, target, options, compute)
        for scene, target in zip(opened.scenes, targets, strict=True)
    ]
    made = [job.recall(card) if job and options.resume else None for job in jobs]
    if options.resume:
        runs = [None if result else claim(t) for result, t in zip(made, targets, strict=True)]
    to_do = [
        (k, job, run) for k, (job, run) in enumerate(zip(jobs, runs, strict=True)) if job and run
    ]
    failures = dict(opened.failures)
    found = {k: result for k, result in enumerate(made) if result}
    if to_do:
        with open_engine(options, compute, threads, progress) as engine:
            mapped = _map_all(to_do, engine, card, compute, progress, n_targets=len(targets))
        failures |= {k: e for k, e in mapped.items() if isinstance(e, GeocobotError)}
        found |= {k: r for k, r in mapped.items() if isinstance(r, SceneResult)}
    results = [found[k] for k in sorted(found)]
    if failures and not results:
        raise failures[min(failures)]
    told = tuple(Failure(rasters[k], str(failures[k])) for k in sorted(failures))
    return PredictResult(tuple(results), time.perf_counter() - start_s, told)


def _from_anywhere(options: PredictOptions) -> PredictOptions:
    """The same files by names that do not depend on the folder in which a node works."""
    out = options.out or ""
    return replace(
        options,
        raster=tuple(map(absolute, options.raster)),
        area=options.area and tuple(map(absolute, options.area)),
        model=absolute(options.model),
        checkpoint=options.checkpoint and absolute(options.checkpoint),
        # A slash at the end says that it is a folder.
        out=absolute(out) + ("/" if out.endswith(("/", "\\")) or not out else ""),
    )


def _name_targets(options: PredictOptions, scenes: Scenes) -> tuple[Targets, ...]:
    """The files to come, none of which is among those read."""
    targets = choose_targets(
        scenes.paths,
        options.out,
        save_scores=options.save_scores,
        save_classes=options.save_classes,
        centerlines=options.centerlines,
        items=scenes.items,
    )
    if wants_project(options):
        targets = tuple(target.with_project() for target in targets)
    if options.report:
        targets = tuple(target.with_report() for target in targets)
    inputs = [*options.raster, *scenes.paths, *(options.area or ()), options.model]
    check_targets(targets, [*inputs, *filter(None, [options.checkpoint])])
    return targets


def _map_all(
    to_do: Sequence[tuple[int, MapJob, MappingRun]],
    engine: Engine,
    card: ModelCard,
    compute: Compute,
    progress: Progress,
    *,
    n_targets: int,
) -> dict[int, SceneResult | GeocobotError]:
    """Map scenes; by their positions among all, what came of each."""
    found: dict[int, SceneResult | GeocobotError] = {}
    for k, job, run in to_do:
        try:
            found[k] = map_scene(job, engine, card, run, compute=compute, progress=progress)
        except OF_A_SCENE as error:
            found[k] = unless_alone(error, n_targets)
    return found


def _joined_name(rasters: Sequence[str], targets: Sequence[Targets]) -> str | None:
    """What several scenes are called together that are mapped into one file; None for others."""
    is_joined = len(targets) < len(rasters)
    return targets[0].polygons.stem if is_joined else None


def _refuse_unsaved(options: PredictOptions) -> None:
    """Refuse to say how scores are saved that are not."""
    if options.scores_dtype != PredictOptions.scores_dtype and not options.save_scores:
        raise ConfigError(
            "--scores-dtype",
            f"is {options.scores_dtype}, and no scores are saved",
            "It says what the numbers in the scores raster are",
            "Add --save-scores, or leave it out",
        )


def _separates(card: ModelCard, options: PredictOptions) -> bool:
    """Whether polygons are cut apart.

    Raises:
        ModelFileError: that is asked for, and the model cannot tell where.
    """
    can = card.segmenter.head.separate
    if options.separate and not can:
        raise ModelFileError(
            options.model,
            "has not learned to tell objects apart",
            "--separate goes by what a model learns with geocobot train --separate",
            "Train it again with --separate, or leave it out",
        )
    return can if options.separate is None else options.separate


def _refuse_prompts(card: ModelCard, model: str) -> None:
    """Refuse a model that has to be told where the objects are."""
    if card.segmenter.head.prompt == "boxes":
        raise ModelFileError(
            model,
            "was trained with --prompt boxes",
            "It draws objects whose boxes are given, and a scene without labels has none; it is "
            "there to be compared with the published method",
            "To map scenes, train without --prompt boxes",
        )
