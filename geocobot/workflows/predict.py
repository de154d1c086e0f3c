"""Scenes in, polygons out: the stages of `geocobot predict`, composed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from geocobot.adapters.merge import merge
from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions
from geocobot.data.dataset import SceneDataset
from geocobot.errors import ModelFileError
from geocobot.inference.blend import blend
from geocobot.inference.restore import restore
from geocobot.inference.tiles import Predictor, TileLogits, plan_tiles, predict_tiles
from geocobot.io.files import find_rasters
from geocobot.io.fitting import check_resolution, open_scene_for
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard, read_card
from geocobot.models.modelfile import load_model
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress, Task
from geocobot.settings import check_limits, to_yaml
from geocobot.vectorize.polygonize import CleanOptions, polygonize
from geocobot.workflows.allocator import release_large_arrays
from geocobot.workflows.device import choose_compute
from geocobot.workflows.mapped import ClassTotal, PredictResult, SceneResult, Tally
from geocobot.workflows.targets import Targets, check_targets, choose_targets, open_targets

__all__ = ["ClassTotal", "PredictResult", "SceneResult", "map_scene", "predict"]

_LOG = logging.getLogger("geocobot.workflows")

_SILENT = SilentProgress()


def predict(options: PredictOptions, progress: Progress = _SILENT) -> PredictResult:
    """Map scenes with a trained model.

    Everything that can be wrong with options, scenes and outputs is found out before the model
    is loaded. The files of a scene appear together when all of them are finished.

    Args:
        options: what to map, with what, and where to put it.
        progress: is told of every tile.

    Raises:
        GeocobotError: an option, a file or the machine is not as needed.
    """
    start_s = time.perf_counter()
    check_limits(options)
    rasters = find_rasters(options.raster)
    targets = choose_targets(
        rasters,
        options.out,
        save_scores=options.save_scores,
        save_classes=options.save_classes,
    )
    inputs = [*rasters, options.model, *filter(None, [options.checkpoint])]
    check_targets(targets, inputs, overwrite=options.overwrite)
    compute = choose_compute(options.device, options.precision)
    card = read_card(options.model)
    _refuse_prompts(card, options.model)
    scenes = _open_scenes(rasters, card, options)
    segmenter, card = load_model(options.model, checkpoint=options.checkpoint, progress=progress)
    if card.segmenter.adapter.merges:
        merge(segmenter.encoder, keep=False)
    results = tuple(
        map_scene(scene, segmenter, card, target, options, compute=compute, progress=progress)
        for scene, target in zip(scenes, targets, strict=True)
    )
    return PredictResult(results, time.perf_counter() - start_s)


def map_scene(
    scene: Scene,
    segmenter: Predictor,
    card: ModelCard,
    targets: Targets,
    options: PredictOptions,
    *,
    compute: Compute,
    progress: Progress = _SILENT,
) -> SceneResult:
    """Map one scene in one pass; memory does not grow with its height.

    Args:
        scene: opened with the bands of the model.
        segmenter: the model, or anything that makes logits of images.
        card: what the model says of itself: classes, ranges, tile size.
        targets: where the results go.
        options: how to tile, clean and save; `raster`, `model`, `out`, `device` and `precision` are
            not read.
        compute: where, and how exactly.
        progress: is told of every tile.
    """
    start_s = time.perf_counter()
    release_large_arrays()
    classes = _with_threshold(card.classes, options.threshold)
    native = scene.native if isinstance(scene, ResampledScene) else scene
    dataset = SceneDataset(scene, card.ranges)
    loader, plan = plan_tiles(
        dataset,
        size_px=card.patch_px,
        overlap_px=round(options.overlap * card.patch_px),
        batch_size=options.batch_size,
        workers=options.workers,
        pin_memory=compute.device.type == "cuda",
    )
    tally = Tally(classes)
    with (
        progress.task(f"Mapping {scene.name}", len(plan.windows)) as task,
        closing(scene),
        open_targets(targets, native.grid, classes, overwrite=options.overwrite) as files,
    ):
        tiles = predict_tiles(segmenter, loader, compute, n_classes=len(classes))
        strips = blend(_counted(tiles, task), plan)
        if isinstance(scene, ResampledScene):
            strips = restore(strips, scene)
        for frame in polygonize(files.record(strips), native.grid, classes, _cleaning(options)):
            files.polygons.append(frame)
            tally.add(frame)
        files.write_config(to_yaml(_resolved(options, scene, targets, compute)))
    if not any(t.polygons for t in tally.totals()):
        _LOG.warning(
            "%s: no polygon. No pixel scored above the threshold, or --min-area dropped all.",
            scene.name,
        )
    return SceneResult(
        raster=Path(scene.path),
        polygons=targets.polygons,
        scores=targets.scores,
        classes=targets.classes,
        config=targets.config,
        totals=tally.totals(),
        tiles=len(plan.windows),
        seconds=time.perf_counter() - start_s,
    )


def _open_scenes(rasters: Sequence[str], card: ModelCard, options: PredictOptions) -> list[Scene]:
    """The scenes as the model is to see them."""
    if options.resolution is not None:
        check_resolution(options.resolution, card.ground_pixel_m, options.model)
    return [
        open_scene_for(
            raster,
            card.ranges,
            card.ground_pixel_m,
            bands=options.bands,
            nodata=options.nodata,
            resampling=card.resampled or options.resolution is not None,
        )
        for raster in rasters
    ]


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


def _resolved(
    options: PredictOptions, scene: Scene, targets: Targets, compute: Compute
) -> PredictOptions:
    """The options with everything that was found out, for this scene alone."""
    return replace(
        options,
        raster=(scene.path,),
        out=str(targets.polygons),
        bands=scene.bands,
        device="cuda" if compute.device.type == "cuda" else "cpu",
        precision=compute.precision,
    )
