"""Polygons of a map that was made before, geocobot's own or anybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataSourceError

from geocobot.errors import CrsError, FieldError, GeometryError, OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.burnt import BurntShapes
from geocobot.io.centerlines import centerlines_layer
from geocobot.io.crs import crs_label, is_on_earth
from geocobot.io.misplaced import in_words
from geocobot.io.opening import file_name, file_stem
from geocobot.io.scene import Scene
from geocobot.io.shapes import clean_parts, clip_to_scene, reproject, to_pixels
from geocobot.io.styles import geopackage_layer
from geocobot.io.values import named_features, refuse_too_many, sorted_names
from geocobot.io.vector_paths import ogr_path
from geocobot.io.vectors import VectorSource, read_vector

_OWN_FIELD = "class_name"


@dataclass(frozen=True)
class MappedPolygons:
    """Polygons of a map, not yet tied to a scene.

    Attributes:
        frame: single polygons with the column `class_name`, in one CRS; none where nothing was
            found.
        path: the file.
        class_names: of the classes that occur, sorted.
    """

    frame: gpd.GeoDataFrame
    path: str
    class_names: tuple[str, ...]

    def on_each(
        self, scenes: Sequence[Scene], number_of: Mapping[str, int]
    ) -> tuple[BurntShapes, ...]:
        """The polygons in the pixels of scenes; of several over a pixel the last one counts.

        Args:
            scenes: on some of which there may be none.
            number_of: the number of each class.

        Raises:
            OverlapError: there are polygons, and none of them lies on any of the scenes.
        """
        placed = tuple(self._on(scene.grid, number_of) for scene in scenes)
        if len(self.frame) and not any(len(burnt.shapes) for burnt in placed):
            crs = {crs_label(scene.grid.crs): None for scene in scenes}
            raise OverlapError(
                file_name(self.path),
                f"has {len(self.frame)} polygons, and none of them lies on "
                f"{in_words([scene.name for scene in scenes])} ({in_words(list(crs))})",
                "A map is judged in the pixels of the scene that it shows",
                "Check in QGIS that they lie on each other, and name the scene with --raster",
            )
        return placed

    def _on(self, grid: GeoGrid, number_of: Mapping[str, int]) -> BurntShapes:
        """The polygons in the pixels of one scene."""
        near = reproject(clip_to_scene(self.frame, grid), grid.crs, file_name(self.path))
        shapes = to_pixels(np.asarray(near.geometry.array), grid)
        hits = shapely.intersects(shapely.box(0, 0, grid.width, grid.height), shapes)
        numbers = near["class_name"].map(number_of).to_numpy(np.uint8)
        return BurntShapes(shapes[hits], numbers[hits])


def read_mapped_polygons(path: str, layer: str | None, class_field: str | None) -> MappedPolygons:
    """Read the polygons of a map.

    Args:
        path: vector file.
        layer: which of its layers, where it has several.
        class_field: the attribute that names their class; None for `class_name`, or, where they
            do not have it, one class with the name of the file.

    Raises:
        CrsError: it has no CRS.
        FieldError: there are too many classes.
        GeometryError: there are lines or points in it.
        GeocobotError: whatever `read_vector` and `named_features` find.
    """
    frame = _read(path, layer or _own_layer(path), class_field)
    if frame.crs is None or not is_on_earth(frame.crs):
        raise CrsError(
            path,
            "has no CRS" if frame.crs is None else f"has the CRS {frame.crs.name}",
            "geocobot needs a geographic or projected one to place the polygons",
            "Set it in QGIS and save again",
        )
    parts = clean_parts(frame, file_name(path))
    flat = shapely.get_dimensions(np.asarray(parts.geometry.array)) == 2
    if not flat.all():
        raise GeometryError(
            path,
            f"has {int((~flat).sum())} lines or points",
            "--pred names areas: polygons, or a raster",
            "Choose the layer of polygons with --pred-layer, or widen lines in QGIS (Buffer)",
        )
    names = parts["class_name"].to_numpy()
    polygons = gpd.GeoDataFrame(
        {"class_name": names, "reach_m": 0.0}, geometry=parts.geometry.to_numpy(), crs=parts.crs
    )
    classes = sorted_names(names)
    refuse_too_many(classes, path, "Choose another --pred-class-field, or group the values first")
    return MappedPolygons(polygons, path, tuple(classes))


def _own_layer(path: str) -> str | None:
    """The polygons in a GeoPackage that `PolygonWriter` wrote with centerlines beside them."""
    if Path(path).suffix.lower() != ".gpkg" or not Path(path).is_file():
        return None
    try:
        names = set(pyogrio.list_layers(ogr_path(path))[:, 0].tolist())
    except DataSourceError:
        return None
    own = geopackage_layer(file_stem(path))
    return own if {own, centerlines_layer(path)} <= names else None


def _read(path: str, layer: str | None, class_field: str | None) -> gpd.GeoDataFrame:
    """Features with the column `class_name`."""
    field = class_field or _OWN_FIELD
    source = VectorSource(
        path=path,
        layer=layer,
        fields={"--pred-class-field": field},
        flag="--pred",
        layer_flag="--pred-layer",
    )
    try:
        frame, _ = read_vector(source)
    except FieldError:
        if class_field is not None:
            raise
        plain = VectorSource(path=path, layer=layer, flag="--pred", layer_flag="--pred-layer")
        frame, name = read_vector(plain)
        return frame.assign(class_name=name)
    return named_features(frame, field, path)
