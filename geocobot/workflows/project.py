"""The QGIS project of a result: its polygons on top, rasters below, scenes at the bottom."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions, VectorizeOptions
from geocobot.errors import GeocobotError
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.remote import is_remote
from geocobot.io.scene import Scene
from geocobot.io.stretch import shown_ranges
from geocobot.io.styles.raster import class_raster_style, scene_style, score_raster_style

_LOG = logging.getLogger("geocobot.workflows")


def wants_project(options: PredictOptions | VectorizeOptions) -> bool:
    """Whether a result gets a project: if asked for, or where it has several vector layers.

    QGIS asks which layer of a file to open; a project shows all.
    """
    return options.centerlines if options.qgis_project is None else options.qgis_project


def class_layers(path: Path, crs: CRS, classes: Sequence[ClassSpec]) -> list[ProjectLayer]:
    """The class raster; hidden, since the polygons show the same."""
    styles = {"default": class_raster_style(classes)}
    return [ProjectLayer(path.stem, str(path), crs, styles, visible=False)]


def score_layers(
    path: Path, crs: CRS, classes: Sequence[ClassSpec], *, visible: bool = False
) -> list[ProjectLayer]:
    """The scores of each class.

    Args:
        path: of the raster, with a band for each class.
        crs: of its pixels.
        classes: in the order of the bands.
        visible: whether the first class is shown at first.
    """
    return [
        ProjectLayer(
            f"Scores of {spec.name}",
            str(path),
            crs,
            {"default": score_raster_style(band)},
            visible=visible and band == 1,
        )
        for band, spec in enumerate(classes, start=1)
    ]


def scene_layers(scenes: Sequence[Scene]) -> Iterator[ProjectLayer]:
    """What was mapped, file by file.

    Args:
        scenes: of one file or several; their values are sampled where they are no bytes.
    """
    for scene in scenes:
        ranges = shown_ranges(scene)
        for part in scene.parts:
            bands, shown = _shown_bands(part.bands), ranges
            styles = {"default": scene_style(bands, shown and shown[: len(bands)], part.alpha)}
            yield ProjectLayer(part.name, part.path, part.grid.crs, styles)


def scenes_beside(scores: str, names: Sequence[str]) -> list[Scene]:
    """The scenes that a raster of scores was made of, as far as they lie in its folder.

    Args:
        scores: path of the raster.
        names: of the scenes' files.
    """
    if is_remote(scores):
        return []
    found = []
    for name in names:
        path = Path(scores).parent / Path(name).name
        if path.is_file():
            try:
                found.append(Scene.open(path))
            except GeocobotError as error:
                _LOG.warning("%s is left out of the QGIS project: %s", name, error)
    return found


def _shown_bands(bands: Sequence[int]) -> tuple[int, ...]:
    """Red, green and blue, or one band where there are not three."""
    shown = tuple(bands[:3])
    return shown if len(set(shown)) > 1 and len(shown) == 3 else shown[:1]
