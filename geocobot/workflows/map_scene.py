"""One scene through all stages, from its tiles to the finished files."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from geocobot.ahead import LeftError, ahead
from geocobot.data.dataset import SceneDataset
from geocobot.inference.blend import merge_rows
from geocobot.inference.blended_row import BlendedRow
from geocobot.inference.engines import Engine, finished_rows
from geocobot.inference.restore import restore
from geocobot.inference.rows import RowWork
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress, Task
from geocobot.tiling import Strip, overlap_px
from geocobot.workflows.allocator import release_large_arrays
from geocobot.workflows.centerlines import line_rows
from geocobot.workflows.drawing import draw, tell_if_empty
from geocobot.workflows.map_job import MapJob
from geocobot.workflows.map_report import MapFacts, map_page
from geocobot.workflows.mapped import SceneResult, describe_area_rate
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.memory import plan_rows_ahead
from geocobot.workflows.open_targets import open_targets
from geocobot.workflows.origin import origin_of
from geocobot.workflows.overview import Overview
from geocobot.workflows.project import scene_layers
from geocobot.workflows.thresholds import with_thresholds

_SILENT = SilentProgress()

_PACE_S = 30.0


def map_scene(
    job: MapJob,
    engine: Engine,
    card: ModelCard,
    run: MappingRun,
    *,
    compute: Compute,
    progress: Progress = _SILENT,
) -> SceneResult:
    """Map one scene in one pass; memory does not grow with its height.

    Args:
        job: the scene, opened with the bands of the model, and how to tile, clean and save.
        engine: computes the tile rows.
        card: what the model says of itself: classes, ranges, tile size.
        run: where the map grows.
        compute: where, and how exactly.
        progress: is told of every tile.
    """
    start_s = time.perf_counter()
    release_large_arrays()
    image_shape = (len(card.ranges), card.patch_px, card.patch_px)
    job = job.in_batches(lambda: run.begun_batch() or engine.fitting_batch(image_shape))
    options, scene = job.options, job.scene
    classes = with_thresholds(card.classes, options)
    identity = job.identity(card, compute, engine.threads)
    with (
        run.begun(identity) as place,
        closing(scene),
        open_targets(
            job.targets,
            job.native.grid,
            classes,
            overwrite=run.overwrite,
            scores_dtype=options.scores_dtype,
            separate=bool(options.separate),
            scaling=card.scaling,
            folder=place.files,
            when_whole=place.close,
            origin=origin_of(options.model, card, options.raster, options.license),
            moment=place.begun,
        ) as files,
    ):
        work = _work(job, card, place.journal.folder)
        tiles = len(work.plan.windows)
        depth = plan_rows_ahead(
            work,
            engine.batches,
            options.max_memory,
            separate=bool(options.separate),
            line_rows=line_rows(options, job.native.grid),
        )
        with (
            _pace(progress, job, tiles) as pace,
            closing(ahead(finished_rows(work, engine, pace.advance), depth)) as rows,
            closing(
                ahead(files.record(_strips(rows, work, scene)), depth, on_leave=pace.leave)
            ) as strips,
        ):
            overview = Overview(job.native.grid) if job.targets.report else None
            totals = draw(
                strips,
                job.native.grid,
                classes,
                options,
                files,
                scaling=card.scaling,
                overview=overview,
            )
        files.write_config(job.saved(identity))
        files.write_project(scene_layers([job.native]) if job.targets.project else ())
        result = job.result(totals, tiles=tiles, seconds=time.perf_counter() - start_s)
        if overview is not None:
            found = MapFacts(
                result=result,
                scene=job.native,
                classes=classes,
                options=options,
                card=card,
                compute=compute,
                overview=overview,
            )
            files.write_report(map_page(found))
    tell_if_empty(scene.name, totals)
    return result


class _Pace:
    """Counts tiles, says beside the bar how much land they are, and ends what nobody waits for.

    Args:
        task: shows the tiles.
        tile_km2: of the scene, per tile.
    """

    def __init__(self, task: Task, tile_km2: float) -> None:
        self._task = task
        self._tile_km2 = tile_km2
        self._done = 0
        self._past = deque([(time.monotonic(), 0)])
        self._is_left = threading.Event()

    def leave(self) -> None:
        """Have whoever makes tiles stop with the next one."""
        self._is_left.set()

    def advance(self, tiles: int) -> None:
        """Count finished tiles; the pace is that of the last half minute.

        Raises:
            LeftError: nobody waits for them any more.
        """
        if self._is_left.is_set():
            raise LeftError
        if not tiles:
            return
        self._done += tiles
        now_s = time.monotonic()
        self._past.append((now_s, self._done))
        while now_s - self._past[1][0] > _PACE_S:
            self._past.popleft()
        since_s, before = self._past[0]
        if now_s > since_s:
            km2_per_s = (self._done - before) * self._tile_km2 / (now_s - since_s)
            self._task.note(describe_area_rate(km2_per_s))
        self._task.advance(tiles)


@contextmanager
def _pace(progress: Progress, job: MapJob, tiles: int) -> Iterator[_Pace]:
    """Show a scene on its way."""
    with progress.task(f"Mapping {job.scene.name}", tiles) as task:
        yield _Pace(task, job.area_km2 / tiles)


def _work(job: MapJob, card: ModelCard, folder: Path) -> RowWork:
    """What is to be computed of a scene; finished rows go to a folder."""
    return RowWork(
        SceneDataset(job.scene, card.ranges),
        size_px=card.patch_px,
        overlap_px=overlap_px(job.options.overlap, card.patch_px),
        n_classes=len(card.classes) + bool(job.options.separate),
        batch_size=job.batch_size,
        folder=folder,
        workers=job.options.workers,
        exact=job.options.scores_dtype == "float32",
        scaling=card.scaling,
    )


def _strips(rows: Iterable[BlendedRow], work: RowWork, scene: Scene) -> Iterator[Strip]:
    """Finished rows in the pixels of the scene's file."""
    strips = merge_rows(rows, work.plan, work.scaling)
    return restore(strips, scene) if isinstance(scene, ResampledScene) else strips
