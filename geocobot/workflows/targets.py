"""Where the results of a prediction go: names made from the scene's, all checked beforehand."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import geopandas as gpd
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.config.values import ScoresDtype
from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.centerlines import CenterlineWriter, centerlines_beside
from geocobot.io.opening import GDAL_NAME
from geocobot.io.output import new_files
from geocobot.io.polygons import PolygonWriter
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.qgis.project import Project
from geocobot.io.scores import ClassWriter, ScoreWriter
from geocobot.io.styles import Origin, class_raster_qml
from geocobot.io.unfinished import write_text
from geocobot.io.vector_formats import check_format, parts_of, style_beside
from geocobot.steps import classify_steps
from geocobot.tiling import Strip
from geocobot.workflows.moment import moment_now
from geocobot.workflows.project import class_layers, score_layers


@dataclass(frozen=True)
class Targets:
    """The files of one scene.

    Attributes:
        polygons: vector file; its extension is the format.
        style: QGIS style beside it, or None where the file carries its own.
        scores: scores raster, or None.
        classes: class raster, or None.
        classes_style: QGIS style beside it, or None.
        config: YAML with the options that gave the result.
        project: QGIS project that shows all of them, or None.
        centerlines: vector file of the centerlines, or None where it is that of the polygons or
            there are none.
        centerlines_style: QGIS style beside it, or None.
        with_centerlines: the vector file that holds the centerlines; None without any.
    """

    polygons: Path
    style: Path | None
    scores: Path | None
    classes: Path | None
    classes_style: Path | None
    config: Path
    project: Path | None = None
    centerlines: Path | None = None
    centerlines_style: Path | None = None
    with_centerlines: Path | None = None

    @classmethod
    def of_polygons(
        cls, vector: Path, *, centerlines: bool = False, with_project: bool = False
    ) -> Targets:
        """Polygons without rasters, with centerlines or not."""
        targets = _beside(vector, save_scores=False, save_classes=False, centerlines=centerlines)
        return targets.with_project() if with_project else targets

    def with_project(self) -> Targets:
        """The same files and a QGIS project."""
        return replace(self, project=self.polygons.with_suffix(".qgz"))

    @property
    def partial(self) -> Path:
        """Folder in which the files grow until they are whole."""
        return self.polygons.with_name(f"{self.polygons.name}.partial")

    def layers(
        self,
        polygons: PolygonWriter,
        lines: CenterlineWriter,
        crs: CRS,
        classes: Sequence[ClassSpec],
    ) -> Iterator[ProjectLayer]:
        """The results as layers of a QGIS project, the one on top first."""
        if self.with_centerlines is not None:
            yield lines.project_layer()
        yield polygons.project_layer()
        if self.classes is not None:
            yield from class_layers(self.classes, crs, classes)
        if self.scores is not None:
            yield from score_layers(self.scores, crs, classes)

    def paths(self) -> Iterator[Path]:
        """Every file that will be written."""
        yield self.polygons
        yield from parts_of(self.polygons)
        rasters = (self.scores, self.classes, self.classes_style)
        lines = (self.centerlines, *parts_of(self.centerlines or ""), self.centerlines_style)
        others = (self.style, *rasters, *lines, self.project)
        yield from (path for path in others if path is not None)
        yield self.config


@dataclass(frozen=True)
class OpenTargets:
    """The files of one scene under their temporary names, open for writing.

    Attributes:
        polygons: takes frames of polygons.
        sinks: take strips, one per raster.
        write_config: takes the text of the YAML file.
        write_project: takes the layers that lie below the results, and writes the QGIS project,
            if there is to be one; all polygons are there by then.
        write_centerlines: takes all centerlines at once.
    """

    polygons: PolygonWriter
    sinks: tuple[Callable[[Strip], None], ...]
    write_config: Callable[[str], None]
    write_project: Callable[[Iterable[ProjectLayer]], None]
    write_centerlines: Callable[[gpd.GeoDataFrame], None]

    def record(self, strips: Iterable[Strip]) -> Iterator[Strip]:
        """Write strips to the rasters as they pass by."""
        for strip in strips:
            for sink in self.sinks:
                sink(strip)
            yield strip


def choose_targets(
    rasters: Sequence[str],
    out: str | None,
    *,
    save_scores: bool,
    save_classes: bool,
    centerlines: bool = False,
    items: Sequence[str | None] | None = None,
) -> tuple[Targets, ...]:
    """Name the files of every scene, or those of all together.

    Args:
        rasters: the scenes' paths.
        out: a vector file, in which all scenes are mapped as one, or a folder (one that exists,
            or a name that ends in a slash or has no extension); default the current folder.
        save_scores: whether there will be a scores raster.
        save_classes: whether there will be a class raster.
        centerlines: whether there will be centerlines.
        items: id of the STAC item of each scene, or None; names the results of scenes whose files
            have the same name.

    Raises:
        OutputError: two scenes have the same name.
    """
    folder = Path() if out is None else Path(out)
    is_folder = (
        out is None or os.path.isdir(folder) or out.endswith(("/", "\\")) or not folder.suffix
    )
    beside = partial(
        _beside, save_scores=save_scores, save_classes=save_classes, centerlines=centerlines
    )
    if not is_folder:
        return (beside(folder),)
    stems = _distinct([_stem(raster) for raster in rasters], items)
    names = Counter(stems)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise OutputError(
            f"{name}_pred.gpkg",
            f"would hold the results of {count} rasters named {name}",
            "Results are named after their rasters",
            "Predict them one after the other, each with its own --out, or all into one file",
        )
    return tuple(beside(folder / f"{stem}_pred.gpkg") for stem in stems)


def _distinct(stems: Sequence[str], items: Sequence[str | None] | None) -> list[str]:
    """Names of scenes, or their items' ids where several scenes have the same."""
    taken = Counter(stems)
    return [
        re.sub(r"[^\w.-]", "_", item) if item and taken[stem] > 1 else stem
        for stem, item in zip(stems, items or [None] * len(stems), strict=True)
    ]


def _stem(raster: str) -> str:
    """The scene's name; what follows the `?` of a URL may be a secret."""
    return Path(raster.partition("?")[0] if GDAL_NAME.match(raster) else raster).stem


def _beside(vector: Path, *, save_scores: bool, save_classes: bool, centerlines: bool) -> Targets:
    """Name everything after the vector file."""
    lines = centerlines_beside(vector) if centerlines else None
    classes = vector.with_name(f"{vector.stem}_classes.tif") if save_classes else None
    return Targets(
        polygons=vector,
        style=style_beside(vector),
        scores=vector.with_name(f"{vector.stem}_scores.tif") if save_scores else None,
        classes=classes,
        classes_style=classes and style_beside(classes),
        config=vector.with_name(f"{vector.stem}_options.yaml"),
        centerlines=lines,
        centerlines_style=None if lines is None else style_beside(lines),
        with_centerlines=(lines or vector) if centerlines else None,
    )


def check_targets(targets: Sequence[Targets], inputs: Sequence[str]) -> None:
    """Find out before the work starts whether the results may go there.

    Raises:
        OutputError: a file is itself an input, or the vector format is unknown.
    """
    for target in targets:
        check_format(target.polygons)
    read = {os.path.realpath(i) for i in inputs}
    for path in (p for t in targets for p in t.paths()):
        if os.path.realpath(path) in read:
            raise OutputError(
                path,
                "is one of the inputs",
                "geocobot never writes over what it reads",
                "Choose another --out",
            )


@contextmanager
def open_targets(
    targets: Targets,
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    *,
    overwrite: bool,
    scores_dtype: ScoresDtype = "uint8",
    separate: bool = False,
    folder: Path | None = None,
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
        folder: where they are written until they are whole; default beside their places.
        origin: what they say of what they were made of.
        moment: what they say of when they were written; default now.

    Raises:
        OutputError: a file exists and may not be replaced, or cannot be written.
    """
    moment = moment or moment_now()
    with ExitStack() as stack:
        # Opened before the writers, so that every writer is closed before the first rename.
        paths = tuple(targets.paths())
        temporary = stack.enter_context(new_files(paths, overwrite=overwrite, folder=folder))
        unfinished = dict(zip(paths, temporary, strict=True))
        vectors = (targets.polygons, targets.style)
        polygons = stack.enter_context(
            PolygonWriter(
                targets.polygons,
                grid.crs,
                classes,
                targets.polygons.stem,
                unfinished=[unfinished[path] for path in vectors if path is not None],
                origin=origin,
                moment=moment,
            )
        )
        places = (targets.centerlines or targets.polygons, targets.centerlines_style)
        lines = CenterlineWriter(
            targets.polygons,
            grid.crs,
            classes,
            unfinished=[unfinished[path] for path in places if path is not None],
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
            )
            sinks.append(stack.enter_context(scores).write)
        if (path := targets.classes) is not None:
            raster = ClassWriter(path, grid, classes, unfinished=unfinished[path])
            stack.enter_context(raster)
            n = len(classes)
            sinks.append(lambda s: raster.write(s.row_off, classify_steps(s.steps[:n], classes)))
        if (path := targets.classes_style) is not None:
            write_text(unfinished[path], class_raster_qml(classes), path)
        config = unfinished[targets.config]

        def write_project(below: Iterable[ProjectLayer]) -> None:
            if (path := targets.project) is not None:
                layers = [*targets.layers(polygons, lines, grid.crs, classes), *below]
                bounds = polygons.bounds or grid.bounds
                project = Project(path.stem, layers, grid.crs, bounds)
                project.write(unfinished[path], path, moment)

        yield OpenTargets(
            polygons,
            tuple(sinks),
            lambda text: write_text(config, text, targets.config),
            write_project,
            lines.write,
        )
