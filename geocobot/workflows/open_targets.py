"""The files of a result under their temporary names, open for writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from geocobot.classes import ClassSpec
from geocobot.config.values import ScoresDtype
from geocobot.grid import GeoGrid
from geocobot.io.centerlines import CenterlineWriter
from geocobot.io.output import new_files
from geocobot.io.polygons import PolygonWriter
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.qgis.project import Project
from geocobot.io.scores import ClassWriter, ScoreWriter
from geocobot.io.styles import Origin, class_raster_qml
from geocobot.io.unfinished import write_text
from geocobot.scaling import Scaling
from geocobot.steps import classify_steps
from geocobot.tiling import Strip
from geocobot.workflows.moment import moment_now
from geocobot.workflows.targets import Targets


@dataclass(frozen=True, eq=False)
class OpenTargets:
    """The files of one scene under their temporary names, open for writing.

    Attributes:
        targets: their names.
        unfinished: the temporary name of every file.
        grid: of the scene.
        classes: with the thresholds in force.
        moment: what they say of when they were written.
        polygons: takes frames of polygons.
        lines: takes all centerlines at once.
        sinks: take strips, one per raster.
    """

    targets: Targets
    unfinished: Mapping[Path, Path]
    grid: GeoGrid
    classes: Sequence[ClassSpec]
    moment: datetime
    polygons: PolygonWriter
    lines: CenterlineWriter
    sinks: tuple[Callable[[Strip], None], ...]

    def record(self, strips: Iterable[Strip]) -> Iterator[Strip]:
        """Write strips to the rasters as they pass by."""
        for strip in strips:
            for sink in self.sinks:
                sink(strip)
            yield strip

    def write_config(self, text: str) -> None:
        """Write the YAML file."""
        self._write_text(self.targets.config, text)

    def write_report(self, page: str) -> None:
        """Write the page, if there is to be one."""
        if (path := self.targets.report) is not None:
            self._write_text(path, page)

    def write_project(self, below: Iterable[ProjectLayer]) -> None:
        """Write the QGIS project, if there is to be one; all polygons are there by then.

        Args:
            below: layers that lie below the results.
        """
        if (path := self.targets.project) is not None:
            own = self.targets.layers(self.polygons, self.lines, self.grid.crs, self.classes)
            bounds = self.polygons.bounds or self.grid.bounds
            project = Project(path.stem, [*own, *below], self.grid.crs, bounds)
            project.write(self.unfinished[path], path, self.moment)

    def _write_text(self, path: Path, text: str) -> None:
        """Write a whole file."""
        write_text(self.unfinished[path], text, path)


@contextmanager
def open_targets(
    targets: Targets,
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    *,
    overwrite: bool,
    scores_dtype: ScoresDtype = "uint8",
    separate: bool = False,
    scaling: Sequence[Scaling] = (),
    folder: Path | None = None,
    when_whole: Callable[[], None] | None = None,
    origin: Origin | None = None,
    moment: datetime | None = None,
) -> Iterator[OpenTargets]:
    """Open all files of a scene; at the end all get their names, or none is left.

    Args:
        targets: their names.
        grid: of the scene.
        classes: with the thresholds in force.
        overwrite: whether existing files may be replaced.
        scores_dtype: of the scores raster; strips have exact scores for float32.
        separate: whether strips have a plane of the insides of single objects.
        scaling: what has been done to the scores of the classes; none where nothing is known.
        folder: where they are written until they are whole; default beside their places.
        when_whole: called when all are written, and get their names next.
        origin: what they say of what they were made of.
        moment: what they say of when they were written; default now.

    Raises:
        OutputError: a file exists and may not be replaced, or cannot be written.
    """
    moment = moment or moment_now()
    with ExitStack() as stack:
        # Opened before the writers, so that every writer is closed before the first rename.
        paths = tuple(targets.paths())
        temporary = stack.enter_context(
            new_files(paths, overwrite=overwrite, folder=folder, when_whole=when_whole)
        )
        unfinished = dict(zip(paths, temporary, strict=True))
        polygons = PolygonWriter(
            targets.polygons,
            grid.crs,
            classes,
            targets.polygons.stem,
            unfinished=_those(unfinished, targets.polygons, targets.style),
            origin=origin,
            moment=moment,
        )
        stack.enter_context(polygons)
        lines_path = targets.centerlines or targets.polygons
        lines = CenterlineWriter(
            targets.polygons,
            grid.crs,
            classes,
            unfinished=_those(unfinished, lines_path, targets.centerlines_style),
            origin=origin,
            moment=moment,
        )
        sinks: list[Callable[[Strip], None]] = []
        if (path := targets.scores) is not None:
            scores = ScoreWriter(
                path,
                grid,
                classes,
                unfinished=unfinished[path],
                dtype=scores_dtype,
                origin=origin,
                separate=separate,
                scaling=scaling,
            )
            sinks.append(stack.enter_context(scores).write)
        if (path := targets.classes) is not None:
            sinks.append(stack.enter_context(_class_sink(path, grid, classes, unfinished[path])))
        if (path := targets.classes_style) is not None:
            write_text(unfinished[path], class_raster_qml(classes), path)
        yield OpenTargets(targets, unfinished, grid, classes, moment, polygons, lines, tuple(sinks))


def _those(unfinished: Mapping[Path, Path], *paths: Path | None) -> list[Path]:
    """The temporary names of the files that there are to be."""
    return [unfinished[path] for path in paths if path is not None]


@contextmanager
def _class_sink(
    path: Path, grid: GeoGrid, classes: Sequence[ClassSpec], unfinished: Path
) -> Iterator[Callable[[Strip], None]]:
    """What writes the classes of strips."""
    n = len(classes)
    with ClassWriter(path, grid, classes, unfinished=unfinished) as raster:
        yield lambda strip: raster.write(strip.row_off, classify_steps(strip.steps[:n], classes))
