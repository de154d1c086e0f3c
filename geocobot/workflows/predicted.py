"""The map that is judged, whatever kind of file it is in: rows of classes, and of scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import ClassSpec, name_classes
from geocobot.config import EvaluateOptions
from geocobot.errors import ConfigError, GeocobotError, GridMismatchError
from geocobot.io.burnt import BurntShapes
from geocobot.io.class_raster import ClassRaster, holds_classes
from geocobot.io.files import find_labels, is_raster_file
from geocobot.io.mapped_polygons import MappedPolygons, read_mapped_polygons
from geocobot.io.opening import check_path, is_raster_name
from geocobot.io.raster_writer import BLOCK_PX
from geocobot.io.scene import Scene
from geocobot.io.score_file import ScoreFile
from geocobot.settings import read_yaml
from geocobot.steps import classify_steps
from geocobot.workflows.thresholds import with_thresholds

_LOG = logging.getLogger("geocobot.workflows")

MapKind: TypeAlias = Literal["scores", "classes", "polygons"]


@dataclass(frozen=True)
class MapRows:
    """Full-width rows of a map.

    Attributes:
        row_off: first row.
        labels: (h, W) class numbers of the map; `IGNORE` where it says nothing.
        steps: (K, h, W) scores as they are written, one plane per class of the map; None without
            scores.
    """

    row_off: int
    labels: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint8] | None = None


class Predicted(Protocol):
    """A map that is judged."""

    @property
    def kind(self) -> MapKind:
        """What it is."""

    @property
    def path(self) -> str:
        """Its file."""

    @property
    def scene(self) -> Scene:
        """The raster in whose pixels it is judged."""

    @property
    def classes(self) -> tuple[ClassSpec, ...]:
        """Its classes, with the thresholds in force."""

    def rows(self) -> Iterator[MapRows]:
        """All of it, top to bottom."""


@dataclass(frozen=True)
class PredictedScores:
    """A raster of scores.

    Attributes:
        file: of classes alone.
        classes: with the thresholds in force.
    """

    file: ScoreFile
    classes: tuple[ClassSpec, ...]
    kind: MapKind = "scores"

    @property
    def path(self) -> str:
        """The raster."""
        return self.file.path

    @property
    def scene(self) -> Scene:
        """The raster itself."""
        return self.file.scene

    def rows(self) -> Iterator[MapRows]:
        """All of it, top to bottom."""
        for strip in self.file.strips():
            labels = classify_steps(strip.steps, self.classes)
            yield MapRows(strip.row_off, labels, strip.steps)


@dataclass(frozen=True)
class PredictedClasses:
    """A raster of class numbers, or a mask.

    Attributes:
        file: the raster.
    """

    file: ClassRaster
    kind: MapKind = "classes"

    @property
    def path(self) -> str:
        """The raster."""
        return self.file.path

    @property
    def scene(self) -> Scene:
        """The raster itself."""
        return self.file.scene

    @property
    def classes(self) -> tuple[ClassSpec, ...]:
        """Those that it names, or that occur."""
        return self.file.classes

    def rows(self) -> Iterator[MapRows]:
        """All of it, top to bottom."""
        for strip in self.file.strips():
            yield MapRows(strip.row_off, strip.labels)


@dataclass(frozen=True)
class PredictedPolygons:
    """Polygons, burnt onto the pixels of a scene.

    Attributes:
        polygons: in their own CRS.
        classes: those that occur.
        scene: whose pixels they are judged in.
        burnt: the polygons there.
    """

    polygons: MappedPolygons
    classes: tuple[ClassSpec, ...]
    scene: Scene
    burnt: BurntShapes
    kind: MapKind = "polygons"

    @property
    def path(self) -> str:
        """The vector file."""
        return self.polygons.path

    def rows(self) -> Iterator[MapRows]:
        """All of it, top to bottom."""
        height, width = self.scene.grid.shape
        for row in range(0, height, BLOCK_PX):
            window = Window(0, row, width, min(BLOCK_PX, height - row))
            yield MapRows(row, self.burnt.read(window))


def open_predicted(options: EvaluateOptions) -> tuple[Predicted, Scene | None]:
    """Look at the map and at the scene that it shows.

    Returns:
        The map; the scene that says where there is data, where one is known.

    Raises:
        GeocobotError: the map is of no kind that can be judged, an option asks of it what it has
            not, or nothing tells in which pixels to judge it.
    """
    path = options.pred
    kind = _kind_of(path)
    _refuse_options(options, kind)
    if kind == "polygons":
        polygons = read_mapped_polygons(path, options.pred_layer, options.pred_class_field)
        scene, has_data = _scene_of_polygons(options)
        classes = name_classes(polygons.class_names)
        number_of = {spec.name: spec.number for spec in classes}
        burnt = polygons.on(scene.grid, scene.name, number_of)
        return PredictedPolygons(polygons, classes, scene, burnt), scene if has_data else None
    mapped: Predicted
    if kind == "scores":
        file = ScoreFile.open(path).of_classes()
        mapped = PredictedScores(file, with_thresholds(file.classes, options))
    else:
        mapped = PredictedClasses(ClassRaster.open(path))
    if options.raster is None:
        return mapped, None
    shown = _open_scene(options.raster, options.nodata)
    _check_same_grid(mapped.scene, shown)
    return mapped, shown


def _kind_of(path: str) -> MapKind:
    """What kind of map a file is.

    Raises:
        GeocobotError: it is not there, or cannot be opened.
    """
    if not is_raster_file(path):
        return "polygons"
    check_path(path, "--pred")
    return "classes" if holds_classes(path) else "scores"


def _open_scene(path: str, nodata: float | None) -> Scene:
    """The scene that was mapped."""
    check_path(path)
    return Scene.open(path, nodata=nodata)


def _refuse_options(options: EvaluateOptions, kind: MapKind) -> None:
    """Refuse what can be said of another kind of map alone."""
    asks: dict[str, MapKind] = {
        "threshold": "scores",
        "class_thresholds": "scores",
        "pred_layer": "polygons",
        "pred_class_field": "polygons",
    }
    for name, of_kind in asks.items():
        if of_kind != kind and getattr(options, name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')}",
                f"is given, and {options.pred} holds {kind}",
                f"It asks something of {of_kind}",
                f"Leave it out, or name the file of {of_kind} with --pred",
            )


def _scene_of_polygons(options: EvaluateOptions) -> tuple[Scene, bool]:
    """The raster in whose pixels polygons are judged, and whether it says where there is data.

    Raises:
        ConfigError: nothing tells which.
        GeocobotError: it cannot be opened.
    """
    if options.raster is not None:
        return _open_scene(options.raster, options.nodata), True
    recorded = _recorded_scene(options)
    if recorded is not None:
        return recorded, True
    paths = [path for s in find_labels(options.labels) for path in s.paths]
    if is_raster_name(paths[0]):
        return Scene.open(paths[0], bands=(1,), is_imagery=False), False
    raise ConfigError(
        options.pred,
        "has polygons, and nothing tells in which pixels to judge them",
        "A map is compared with labels pixel by pixel",
        "Name the scene that was mapped with --raster; several make one with: gdalbuildvrt",
    )


def _recorded_scene(options: EvaluateOptions) -> Scene | None:
    """The scene, or the scores, that the options beside polygons of geocobot's name, or None."""
    vector = Path(options.pred)
    record = vector.with_name(f"{vector.stem}_options.yaml")
    try:
        said = read_yaml(record)
    except GeocobotError:
        return None
    named = said.get("scores") or said.get("raster")
    if isinstance(named, list) and len(named) == 1:
        named = named[0]
    if not isinstance(named, str):
        return None
    places = (Path(named), vector.parent / Path(named).name)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return None
    _LOG.info("%s is judged in the pixels of %s, as %s says.", vector.name, found, record.name)
    if options.area is None and (said.get("area") or said.get("bbox")):
        _LOG.warning(
            "%s shows a part of %s, as %s says; what is true elsewhere counts as missed. Pass that "
            "part as --area.",
            vector.name,
            found.name,
            record.name,
        )
    if "scores" in said:
        return Scene.open(found, bands=(1,), is_imagery=False)
    nodata = options.nodata if options.nodata is not None else said.get("nodata")
    return Scene.open(found, nodata=nodata)


def _check_same_grid(mapped: Scene, scene: Scene) -> None:
    """Refuse a scene whose pixels are not those of the map."""
    a, b = mapped.grid, scene.grid
    is_same = a.shape == b.shape and a.crs == b.crs
    if is_same and np.allclose(a.bounds, b.bounds, rtol=0, atol=min(a.res_xy) / 100):
        return
    raise GridMismatchError(
        mapped.path,
        f"has {a.width} x {a.height} px, and {scene.path} {b.width} x {b.height} px of other "
        "places or sizes",
        "A raster is judged in its own pixels, and --raster says which of these have data",
        "Name the scene that it was made of, or leave --raster out",
    )
