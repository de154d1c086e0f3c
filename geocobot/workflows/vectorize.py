"""Scores or classes in, polygons out: the last stages of `geocobot predict`, for any raster."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from geocobot.ahead import ahead
from geocobot.config import VectorizeOptions
from geocobot.errors import BandError, ConfigError
from geocobot.io.class_raster import ClassRaster, holds_classes
from geocobot.io.opening import file_name
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.score_file import ScoreFile
from geocobot.io.styles import Origin
from geocobot.models.card import read_card
from geocobot.progress import Progress, SilentProgress, Task
from geocobot.settings import check_limits, to_yaml
from geocobot.tiling import ClassStrip, Strip
from geocobot.workflows.allocator import release_large_arrays
from geocobot.workflows.drawing import check_drawing, draw, tell_if_empty
from geocobot.workflows.mapped import (
    ClassTotal,
    describe_centerlines,
    describe_squaring,
    describe_totals,
)
from geocobot.workflows.moment import moment_now
from geocobot.workflows.open_targets import open_targets
from geocobot.workflows.origin import name_of_model
from geocobot.workflows.project import (
    class_layers,
    scene_layers,
    scenes_beside,
    score_layers,
    wants_project,
)
from geocobot.workflows.targets import Targets, check_targets
from geocobot.workflows.thresholds import with_thresholds

_SILENT = SilentProgress()
_MOST_THREADS = 8


@dataclass(frozen=True)
class VectorizeResult:
    """What was made of a raster of scores.

    Attributes:
        scores: the raster.
        polygons: the vector file.
        centerlines: the vector file that holds them, which may be the same; None without any.
        config: the options that gave the result.
        totals: one per class.
        seconds: from the first row to the finished file.
        project: QGIS project that shows them, or None.
    """

    scores: Path
    polygons: Path
    centerlines: Path | None
    config: Path
    totals: tuple[ClassTotal, ...]
    seconds: float
    project: Path | None = None

    @property
    def n_polygons(self) -> int:
        """Polygons of all classes."""
        return sum(t.polygons for t in self.totals)

    def summary(self) -> str:
        """What was written, where, how much and how long it took, in a few lines."""
        found = describe_totals(self.totals)
        lines = [
            f"{self.scores.name}: {self.n_polygons} polygons in {self.seconds:.1f} s{found}",
            *describe_squaring(self.totals),
            f"  polygons  {self.polygons}",
            *describe_centerlines(self.polygons, self.centerlines, self.totals),
            f"  options   {self.config}",
        ]
        return "\n".join([*lines, f"  project   {self.project}"] if self.project else lines)


def vectorize(options: VectorizeOptions, progress: Progress = _SILENT) -> VectorizeResult:
    """Trace a raster of scores or classes into polygons, as `predict` does while it maps.

    Memory does not grow with the raster's height. The files appear when they are whole.

    Args:
        options: which raster, how, and where to put it.
        progress: is told of every row.

    Raises:
        GeocobotError: an option or a file is not as needed.
    """
    start_s = time.perf_counter()
    check_limits(options)
    vector = Path(options.out or f"{Path(options.scores.partition('?')[0]).stem}.gpkg")
    with_project = wants_project(options)
    targets = Targets.of_polygons(
        vector, centerlines=options.centerlines, with_project=with_project
    )
    check_targets([targets], [options.scores, *filter(None, [options.model])])
    file = _open(options)
    origin = file.origin if isinstance(file, ScoreFile) else Origin()
    origin = replace(origin, license=options.license or origin.license)
    if options.model is not None:
        card = read_card(options.model)
        file = file.named_as(card.classes, options.model)
        origin = replace(origin, model=name_of_model(options.model, card))
    options = replace(options, separate=_separates(file, options))
    if isinstance(file, ScoreFile) and not options.separate:
        file = file.of_classes()
    classes = with_thresholds(file.classes, options)
    check_drawing(options, classes)
    release_large_arrays()
    with (
        open_targets(
            targets,
            file.grid,
            classes,
            overwrite=options.overwrite,
            origin=origin,
            moment=moment_now(),
        ) as files,
        progress.task(f"Tracing {file_name(file.path)}", file.grid.height) as task,
        closing(_ahead(file)) as strips,
    ):
        totals = draw(
            _counted(strips, task),
            file.grid,
            classes,
            options,
            files,
            scaling=file.scaling if isinstance(file, ScoreFile) else (),
            threads=_cores(),
        )
        files.write_config(to_yaml(replace(options, out=str(vector))))
        files.write_project(_below(file) if with_project else ())
    tell_if_empty(file.path, totals)
    return VectorizeResult(
        scores=Path(file.path),
        polygons=targets.polygons,
        centerlines=targets.with_centerlines,
        config=targets.config,
        totals=totals,
        seconds=time.perf_counter() - start_s,
        project=targets.project,
    )


def _open(options: VectorizeOptions) -> ScoreFile | ClassRaster:
    """The raster, which has scores where the options ask something of them."""
    if not holds_classes(options.scores):
        return ScoreFile.open(options.scores)
    given = {
        "threshold": options.threshold is not None,
        "class_thresholds": bool(options.class_thresholds),
        "high_threshold": options.high_threshold is not None,
        "bridge_gaps": bool(options.bridge_gaps),
    }
    for name, is_given in given.items():
        if is_given:
            raise ConfigError(
                f"--{name.replace('_', '-')}",
                f"is given, and {options.scores} holds class numbers",
                "It asks something of scores",
                "Leave it out, or name the raster of scores",
            )
    return ClassRaster.open(options.scores)


def _ahead(file: ScoreFile | ClassRaster) -> Generator[Strip | ClassStrip]:
    """The strips of a raster, each read while the one before is traced."""
    strips: Iterator[Strip | ClassStrip] = file.strips()
    return ahead(strips, 1)


def _below(file: ScoreFile | ClassRaster) -> Iterator[ProjectLayer]:
    """What lies below the polygons in a project: the raster, and its scenes if they are there."""
    if isinstance(file, ClassRaster):
        yield from class_layers(Path(file.path), file.grid.crs, file.classes)
        return
    scenes = scenes_beside(file.path, file.origin.scenes)
    yield from score_layers(Path(file.path), file.grid.crs, file.classes, visible=not scenes)
    yield from scene_layers(scenes)


def _cores() -> int:
    """CPU cores that this process may use, no more than blocks are worth holding in memory."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, _MOST_THREADS)


def _separates(file: ScoreFile | ClassRaster, options: VectorizeOptions) -> bool:
    """Whether polygons are cut apart.

    Raises:
        BandError: that is asked for, and no band tells where.
    """
    can = isinstance(file, ScoreFile) and file.separates
    if options.separate and not can:
        raise BandError(
            file.path,
            "has no band that tells objects apart",
            "--separate goes by the band that geocobot predict --save-scores adds for a model "
            "trained with --separate",
            "Train and map again with it, or leave it out",
        )
    return can if options.separate is None else options.separate


def _counted(strips: Iterable[Strip | ClassStrip], task: Task) -> Iterator[Strip | ClassStrip]:
    """Tell of the rows that pass by."""
    for strip in strips:
        yield strip
        task.advance(strip.height)
