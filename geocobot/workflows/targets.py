"""Where the results of a prediction go: names made from the scene's, all checked beforehand."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.errors import OutputError
from geocobot.io.centerlines import CenterlineWriter, centerlines_beside
from geocobot.io.opening import file_stem
from geocobot.io.polygons import PolygonWriter
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.vector_formats import check_format, parts_of, style_beside
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
        report: page that shows the map, or None.
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
    report: Path | None = None

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

    def with_report(self) -> Targets:
        """The same files and a page that shows them."""
        vector = self.polygons
        return replace(self, report=vector.with_name(f"{vector.stem}_report.html"))

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
        others = (self.style, *rasters, *lines, self.project, self.report)
        yield from (path for path in others if path is not None)
        yield self.config


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
    stems = _distinct([file_stem(raster) for raster in rasters], items)
    # On Windows A.tif and a.tif have one name.
    names = Counter(map(os.path.normcase, stems))
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
