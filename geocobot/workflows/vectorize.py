"""Scores in, polygons out: the last stages of `geocobot predict`, for scores that are there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from geocobot.config import VectorizeOptions
from geocobot.errors import BandError
from geocobot.inference.ahead import ahead
from geocobot.io.score_file import ScoreFile
from geocobot.models.card import read_card
from geocobot.progress import Progress, SilentProgress, Task
from geocobot.settings import check_limits, to_yaml
from geocobot.tiling import Strip
from geocobot.workflows.allocator import release_large_arrays
from geocobot.workflows.drawing import draw, tell_if_empty
from geocobot.workflows.mapped import ClassTotal, describe_totals, with_threshold
from geocobot.workflows.moment import moment_now
from geocobot.workflows.targets import Targets, check_targets, open_targets

_SILENT = SilentProgress()


@dataclass(frozen=True)
class VectorizeResult:
    """What was made of a raster of scores.

    Attributes:
        scores: the raster.
        polygons: the vector file.
        config: the options that gave the result.
        totals: one per class.
        seconds: from the first row to the finished file.
    """

    scores: Path
    polygons: Path
    config: Path
    totals: tuple[ClassTotal, ...]
    seconds: float

    @property
    def n_polygons(self) -> int:
        """Polygons of all classes."""
        return sum(t.polygons for t in self.totals)

    def summary(self) -> str:
        """What was written, where, how much and how long it took, in a few lines."""
        found = describe_totals(self.totals)
        return "\n".join(
            [
                f"{self.scores.name}: {self.n_polygons} polygons in {self.seconds:.1f} s{found}",
                f"  polygons  {self.polygons}",
                f"  options   {self.config}",
            ]
        )


def vectorize(options: VectorizeOptions, progress: Progress = _SILENT) -> VectorizeResult:
    """Trace a raster of scores into polygons, as `predict` does while it maps.

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
    targets = Targets.of_polygons(vector)
    check_targets([targets], [options.scores, *filter(None, [options.model])])
    file = ScoreFile.open(options.scores)
    if options.model is not None:
        file = file.named_as(read_card(options.model).classes, options.model)
    options = replace(options, separate=_separates(file, options))
    if not options.separate:
        file = file.of_classes()
    classes = with_threshold(file.classes, options.threshold)
    release_large_arrays()
    with (
        open_targets(
            targets,
            file.grid,
            classes,
            overwrite=options.overwrite,
            moment=moment_now(),
        ) as files,
        progress.task(f"Tracing {Path(file.path).name}", file.grid.height) as task,
        closing(ahead(file.strips(), 1)) as strips,
    ):
        totals = draw(_counted(strips, task), file.grid, classes, options, files.polygons)
        files.write_config(to_yaml(replace(options, out=str(vector))))
    tell_if_empty(file.path, totals)
    return VectorizeResult(
        scores=Path(file.path),
        polygons=targets.polygons,
        config=targets.config,
        totals=totals,
        seconds=time.perf_counter() - start_s,
    )


def _separates(file: ScoreFile, options: VectorizeOptions) -> bool:
    """Whether polygons are cut apart.

    Raises:
        BandError: that is asked for, and no band tells where.
    """
    if options.separate and not file.separates:
        raise BandError(
            file.path,
            "has no band that tells objects apart",
            "--separate goes by the band that geocobot predict --save-scores adds for a model "
            "trained with --separate",
            "Train and map again with it, or leave it out",
        )
    return file.separates if options.separate is None else options.separate


def _counted(strips: Iterable[Strip], task: Task) -> Iterator[Strip]:
    """Tell of the rows that pass by."""
    for strip in strips:
        yield strip
        task.advance(strip.height)
