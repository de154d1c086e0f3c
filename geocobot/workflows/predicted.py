"""The map that is judged, whatever kind of file it is in: rows of classes, and of scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import ClassSpec, name_classes
from geocobot.config import EvaluateOptions
from geocobot.errors import ConfigError, GridMismatchError
from geocobot.grid import GeoGrid
from geocobot.io.burnt import BurntShapes
from geocobot.io.class_raster import ClassRaster, holds_classes
from geocobot.io.files import is_raster_file
from geocobot.io.mapped_polygons import MappedPolygons, read_mapped_polygons
from geocobot.io.opening import check_path
from geocobot.io.raster_writer import BLOCK_PX
from geocobot.io.scene import Scene
from geocobot.io.score_file import ScoreFile
from geocobot.steps import classify_steps
from geocobot.workflows.map_pairs import MapPair
from geocobot.workflows.map_parts import parts_of_map
from geocobot.workflows.shown_scenes import open_shown, scenes_of_polygons
from geocobot.workflows.thresholds import with_thresholds

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
        separates: whether the raster tells touching objects apart, which is not judged here.
    """

    file: ScoreFile
    classes: tuple[ClassSpec, ...]
    separates: bool = False
    kind: MapKind = "scores"

    @property
    def path(self) -> str:
        """The raster."""
        return self.file.path

    @property
    def scene(self) -> Scene:
        """The raster itself."""
        return self.file.scene

    def within(self, part: Scene) -> PredictedScores:
        """The same in a part of the raster."""
        return replace(self, file=replace(self.file, scene=part))

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

    def within(self, part: Scene) -> PredictedClasses:
        """The same in a part of the raster."""
        return replace(self, file=replace(self.file, scene=part))

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


def open_predicted(pair: MapPair, options: EvaluateOptions) -> list[tuple[Predicted, Scene | None]]:
    """Look at a map and at the scenes that it shows.

    Args:
        pair: names them.
        options: how they are to be read.

    Returns:
        The map in the pixels of each scene where it holds polygons, else in its own; beside it the
        scene that says where there is data, where one is known.

    Raises:
        GeocobotError: the map is of no kind that can be judged, an option asks of it what it has
            not, or nothing tells in which pixels to judge it.
    """
    path = pair.pred
    kind = _kind_of(path)
    _refuse_options(options, pair, kind)
    if kind == "polygons":
        return list(_on_scenes(pair, options))
    mapped: PredictedScores | PredictedClasses
    if kind == "scores":
        file = ScoreFile.open(path)
        thresholds = with_thresholds(file.classes, options)
        mapped = PredictedScores(file.of_classes(), thresholds, file.separates)
    else:
        mapped = PredictedClasses(ClassRaster.open(path))
    if not pair.rasters:
        return [(mapped, None)]
    scenes = [open_shown(raster, options.nodata) for raster in pair.rasters]
    if len(scenes) == 1:
        _check_same_grid(mapped.scene, scenes[0])
        return [(mapped, scenes[0])]
    parts = parts_of_map(mapped.scene, scenes)
    return [(mapped.within(part), scene) for part, scene in parts]


def _on_scenes(
    pair: MapPair, options: EvaluateOptions
) -> Iterator[tuple[PredictedPolygons, Scene | None]]:
    """Polygons in the pixels of each scene that they show.

    Raises:
        OverlapError: there are polygons, and none of them lies on any of the scenes.
    """
    polygons = read_mapped_polygons(pair.pred, options.pred_layer, options.pred_class_field)
    scenes, has_data = scenes_of_polygons(pair, options)
    classes = name_classes(polygons.class_names)
    number_of = {spec.name: spec.number for spec in classes}
    for scene, burnt in zip(scenes, polygons.on_each(scenes, number_of), strict=True):
        yield PredictedPolygons(polygons, classes, scene, burnt), scene if has_data else None


def _kind_of(path: str) -> MapKind:
    """What kind of map a file is.

    Raises:
        GeocobotError: it is not there, or cannot be opened.
    """
    if not is_raster_file(path):
        return "polygons"
    check_path(path, "--pred")
    return "classes" if holds_classes(path) else "scores"


def _refuse_options(options: EvaluateOptions, pair: MapPair, kind: MapKind) -> None:
    """Refuse what can be said of another kind of map alone, or of a scene."""
    path = pair.pred
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
                f"is given, and {path} holds {kind}",
                f"It asks something of {of_kind}",
                f"Leave it out, or name the file of {of_kind} with --pred",
            )
    if options.nodata is not None and kind != "polygons" and not pair.rasters:
        raise ConfigError(
            "--nodata",
            f"is given without --raster, and {path} is a raster",
            "It says which value of the scene is no data; a map in pixels says that itself",
            "Name the scene with --raster, or leave it out",
        )


def has_same_pixels(a: GeoGrid, b: GeoGrid) -> bool:
    """Whether two grids are one, but for rounding."""
    is_same = a.shape == b.shape and a.crs == b.crs
    return is_same and np.allclose(a.bounds, b.bounds, rtol=0, atol=min(a.res_xy) / 100)


def _check_same_grid(mapped: Scene, scene: Scene) -> None:
    """Refuse a scene whose pixels are not those of the map."""
    a, b = mapped.grid, scene.grid
    if has_same_pixels(a, b):
        return
    raise GridMismatchError(
        mapped.path,
        f"has {a.width} x {a.height} px, and {scene.path} {b.width} x {b.height} px of other "
        "places or sizes",
        "A raster is judged in its own pixels, and --raster says which of these have data",
        "Name the scene that it was made of, or leave --raster out",
    )
