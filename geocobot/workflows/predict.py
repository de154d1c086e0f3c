"""Scenes in, polygons out: the stages of `geocobot predict`, composed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from geocobot.config import PredictOptions
from geocobot.errors import (
    BandError,
    CrsError,
    GeocobotError,
    GridError,
    MissingFileError,
    ModelFileError,
    OverlapError,
    PixelSizeError,
    UnreadableFileError,
)
from geocobot.inference.engines import Engine
from geocobot.io.cut import check_bounds
from geocobot.io.files import find_scenes
from geocobot.io.fitting import check_resolution, open_scene_for
from geocobot.io.mapped_area import find_area, read_mapped_area
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard, read_card
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import check_limits
from geocobot.tiling import overlap_px
from geocobot.workflows.engine import choose_machine, open_engine
from geocobot.workflows.map_job import MapJob
from geocobot.workflows.map_scene import map_scene
from geocobot.workflows.mapped import ClassTotal, Failure, PredictResult, SceneResult
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.targets import check_targets, choose_targets

__all__ = ["ClassTotal", "PredictResult", "SceneResult", "predict"]

_LOG = logging.getLogger("geocobot.workflows")

_SILENT = SilentProgress()

# What is wrong with a scene, and not with the model, the machine or the command.
_OF_A_SCENE = (
    BandError,
    CrsError,
    GridError,
    MissingFileError,
    OverlapError,
    PixelSizeError,
    UnreadableFileError,
)


def predict(options: PredictOptions, progress: Progress = _SILENT) -> PredictResult:
    """Map scenes with a trained model.

    Everything that can be wrong with options, scenes and outputs is found out before the model
    is loaded. The files of a scene appear together when all of them are finished. An interrupted
    map keeps its finished tile rows in `<result>.partial`, and goes on there with `resume`. Of
    several scenes those that cannot be mapped are told of at the end.

    Args:
        options: what to map, with what, and where to put it.
        progress: is told of every tile.

    Raises:
        GeocobotError: an option, the machine, or all scenes are not as needed.
    """
    start_s = time.perf_counter()
    check_limits(options)
    if options.area is not None:
        options = replace(options, area=find_area(options.area))
    scenes = find_scenes(options.raster, asset=options.asset)
    rasters = scenes.paths
    targets = choose_targets(
        rasters,
        options.out,
        save_scores=options.save_scores,
        save_classes=options.save_classes,
        items=scenes.items,
    )
    inputs = [*options.raster, *rasters, *(options.area or ()), options.model, options.checkpoint]
    check_targets(targets, [name for name in inputs if name is not None])
    claim = partial(MappingRun.claim, resume=options.resume, overwrite=options.overwrite)
    runs = [None if options.resume else claim(target) for target in targets]
    compute, threads = choose_machine(options)
    card = read_card(options.model)
    _refuse_prompts(card, options.model)
    overlap_px(options.overlap, card.patch_px)
    opened = _open_scenes(rasters, card, options)
    jobs = [
        MapJob.of(scene, target, options, compute) if isinstance(scene, Scene) else None
        for scene, target in zip(opened, targets, strict=True)
    ]
    made = [job.recall(card.classes) if job and options.resume else None for job in jobs]
    if options.resume:
        runs = [None if result else claim(t) for result, t in zip(made, targets, strict=True)]
    to_do = [
        (k, job, run) for k, (job, run) in enumerate(zip(jobs, runs, strict=True)) if job and run
    ]
    found = dict(enumerate(opened)) | {k: result for k, result in enumerate(made) if result}
    if to_do:
        with open_engine(options, compute, threads, progress) as engine:
            found |= _map_all(to_do, engine, card, compute, progress, n_scenes=len(rasters))
    failures = {k: error for k, error in found.items() if isinstance(error, GeocobotError)}
    results = [result for result in found.values() if isinstance(result, SceneResult)]
    if failures and not results:
        raise failures[min(failures)]
    told = tuple(Failure(rasters[k], str(failures[k])) for k in sorted(failures))
    return PredictResult(tuple(results), time.perf_counter() - start_s, told)


def _map_all(
    to_do: Sequence[tuple[int, MapJob, MappingRun]],
    engine: Engine,
    card: ModelCard,
    compute: Compute,
    progress: Progress,
    *,
    n_scenes: int,
) -> dict[int, SceneResult | GeocobotError]:
    """Map scenes; by their positions among all, what came of each."""
    found: dict[int, SceneResult | GeocobotError] = {}
    for k, job, run in to_do:
        try:
            found[k] = map_scene(job, engine, card, run, compute=compute, progress=progress)
        except _OF_A_SCENE as error:
            found[k] = _unless_alone(error, n_scenes)
    return found


def _open_scenes(
    rasters: Sequence[str], card: ModelCard, options: PredictOptions
) -> list[Scene | GeocobotError]:
    """The scenes as the model is to see them, or why they cannot be mapped."""
    if options.resolution is not None:
        check_resolution(options.resolution, card.ground_pixel_m, options.model)
    area = None if options.area is None else read_mapped_area(options.area)
    bounds = None if options.bbox is None else check_bounds(options.bbox)
    opened: list[Scene | GeocobotError] = []
    for raster in rasters:
        try:
            scene = open_scene_for(
                raster,
                card.ranges,
                card.ground_pixel_m,
                bands=options.bands,
                nodata=options.nodata,
                area=area,
                bounds=bounds,
                resampling=card.resampled or options.resolution is not None,
            )
        except _OF_A_SCENE as error:
            opened.append(_unless_alone(error, len(rasters)))
        else:
            opened.append(scene)
    return opened


def _unless_alone(error: GeocobotError, n_scenes: int) -> GeocobotError:
    """What is wrong with one of many scenes: said at once, and told when the others are done."""
    if n_scenes == 1:
        raise error
    _LOG.warning("%s", error)
    return error


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
