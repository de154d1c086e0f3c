"""Scenes in, polygons out: the stages of `geocobot predict`, composed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from geocobot.adapters.merge import merge
from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions
from geocobot.data.dataset import SceneDataset
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
from geocobot.inference.blend import BlendedRow, blend_rows, merge_rows
from geocobot.inference.journal import RowJournal
from geocobot.inference.restore import restore
from geocobot.inference.tiles import (
    Predictor,
    TileLogits,
    load_tiles,
    plan_tiles,
    predict_tiles,
)
from geocobot.io.area import MAPPED_AREA, read_area
from geocobot.io.cut import check_bounds
from geocobot.io.files import find_scenes
from geocobot.io.fitting import check_resolution, open_scene_for
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard, read_card
from geocobot.models.modelfile import load_model
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress, Task
from geocobot.settings import check_limits, to_yaml
from geocobot.tiling import TilePlan
from geocobot.vectorize.polygonize import CleanOptions, polygonize
from geocobot.workflows.allocator import release_large_arrays
from geocobot.workflows.device import choose_compute
from geocobot.workflows.map_job import MapJob
from geocobot.workflows.mapped import ClassTotal, Failure, PredictResult, SceneResult, Tally
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.targets import check_targets, choose_targets, open_targets

__all__ = ["ClassTotal", "PredictResult", "SceneResult", "map_scene", "predict"]

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
    scenes = find_scenes(options.raster, asset=options.asset)
    rasters = scenes.paths
    targets = choose_targets(
        rasters,
        options.out,
        save_scores=options.save_scores,
        save_classes=options.save_classes,
        items=scenes.items,
    )
    inputs = [*options.raster, *rasters, options.model, *filter(None, [options.checkpoint])]
    check_targets(targets, inputs)
    claim = partial(MappingRun.claim, resume=options.resume, overwrite=options.overwrite)
    runs = [None if options.resume else claim(target) for target in targets]
    compute = choose_compute(options.device, options.precision)
    card = read_card(options.model)
    _refuse_prompts(card, options.model)
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
    found |= _map_all(to_do, options, compute, progress, n_scenes=len(rasters))
    failures = {k: error for k, error in found.items() if isinstance(error, GeocobotError)}
    results = [result for result in found.values() if isinstance(result, SceneResult)]
    if failures and not results:
        raise failures[min(failures)]
    told = tuple(Failure(rasters[k], str(failures[k])) for k in sorted(failures))
    return PredictResult(tuple(results), time.perf_counter() - start_s, told)


def _map_all(
    to_do: Sequence[tuple[int, MapJob, MappingRun]],
    options: PredictOptions,
    compute: Compute,
    progress: Progress,
    *,
    n_scenes: int,
) -> dict[int, SceneResult | GeocobotError]:
    """Load the model and map scenes; by their positions among all, what came of each."""
    found: dict[int, SceneResult | GeocobotError] = {}
    if not to_do:
        return found
    segmenter, card = load_model(options.model, checkpoint=options.checkpoint, progress=progress)
    if card.segmenter.adapter.merges:
        merge(segmenter.encoder, keep=False)
    for k, job, run in to_do:
        try:
            found[k] = map_scene(job, segmenter, card, run, compute=compute, progress=progress)
        except _OF_A_SCENE as error:
            found[k] = _unless_alone(error, n_scenes)
    return found


def map_scene(
    job: MapJob,
    segmenter: Predictor,
    card: ModelCard,
    run: MappingRun,
    *,
    compute: Compute,
    progress: Progress = _SILENT,
) -> SceneResult:
    """Map one scene in one pass; memory does not grow with its height.

    Args:
        job: the scene, opened with the bands of the model, and how to tile, clean and save.
        segmenter: the model, or anything that makes logits of images.
        card: what the model says of itself: classes, ranges, tile size.
        run: where the map grows.
        compute: where, and how exactly.
        progress: is told of every tile.
    """
    start_s = time.perf_counter()
    release_large_arrays()
    options, scene = job.options, job.scene
    classes = _with_threshold(card.classes, options.threshold)
    dataset = SceneDataset(scene, card.ranges)
    plan = plan_tiles(
        dataset, size_px=card.patch_px, overlap_px=round(options.overlap * card.patch_px)
    )
    tally = Tally(classes)
    with (
        run.begun(job.identity(card, compute)) as place,
        progress.task(f"Mapping {scene.name}", len(plan.windows)) as task,
        closing(scene),
        open_targets(
            job.targets,
            job.native.grid,
            classes,
            overwrite=run.overwrite,
            folder=place.files,
            moment=place.begun,
        ) as files,
    ):
        loader = partial(
            load_tiles,
            dataset,
            plan,
            batch_size=options.batch_size,
            workers=options.workers,
            pin_memory=compute.device.type == "cuda",
        )
        predicted = partial(predict_tiles, segmenter, compute=compute, n_classes=len(classes))
        rows = _rows(plan, place.journal, lambda missing: predicted(loader(rows=missing)), task)
        strips = merge_rows(rows, plan)
        if isinstance(scene, ResampledScene):
            strips = restore(strips, scene)
        for frame in polygonize(files.record(strips), job.native.grid, classes, _cleaning(options)):
            files.polygons.append(frame)
            tally.add(frame)
        files.write_config(to_yaml(options))
        place.close()
    if not any(t.polygons for t in tally.totals()):
        _LOG.warning(
            "%s: no polygon. No pixel scored above the threshold, or --min-area dropped all.",
            scene.name,
        )
    return job.result(
        tally.totals(), tiles=len(plan.windows), seconds=time.perf_counter() - start_s
    )


def _rows(
    plan: TilePlan,
    journal: RowJournal,
    predicted: Callable[[Sequence[int]], Iterable[TileLogits]],
    task: Task,
) -> Iterator[BlendedRow]:
    """All tile rows, top to bottom: those that are kept, and the others as they are computed.

    Args:
        plan: of the scene.
        journal: what is computed is kept there.
        predicted: the tiles of some rows.
        task: is told of every tile.
    """
    layout = list(plan.rows())
    kept = journal.finished()
    missing = [number for number in range(len(layout)) if number not in kept]
    computed = blend_rows(_counted(predicted(missing), task), plan, missing)
    for number, row in enumerate(layout):
        if number in kept:
            task.advance(len(row.windows))
            yield journal.recall(number)
        else:
            found = next(computed)
            journal.keep(number, found)
            yield found
    next(computed, None)  # which says if tiles are left over


def _open_scenes(
    rasters: Sequence[str], card: ModelCard, options: PredictOptions
) -> list[Scene | GeocobotError]:
    """The scenes as the model is to see them, or why they cannot be mapped."""
    if options.resolution is not None:
        check_resolution(options.resolution, card.ground_pixel_m, options.model)
    area = None if options.area is None else read_area(options.area, MAPPED_AREA)
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


def _counted(tiles: Iterable[TileLogits], task: Task) -> Iterator[TileLogits]:
    """Tell of every tile that passes by."""
    for tile in tiles:
        yield tile
        task.advance()


def _with_threshold(classes: Sequence[ClassSpec], threshold: float | None) -> tuple[ClassSpec, ...]:
    """The classes with the threshold asked for, or their own."""
    if threshold is None:
        return tuple(classes)
    return tuple(replace(c, threshold=threshold) for c in classes)


def _cleaning(options: PredictOptions) -> CleanOptions:
    """How the polygons are cleaned."""
    return CleanOptions(
        min_area_m2=options.min_area,
        simplify_m=options.simplify,
        close_holes_m2=options.close_holes,
    )
