"""Polygons of a map that was made before, geocobot's own or anybody's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from pyogrio.errors import DataSourceError

from geocobot.errors import CrsError, FieldError, GeometryError, OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.burnt import BurntShapes
from geocobot.io.centerlines import centerlines_layer, read_centerlines
from geocobot.io.crs import crs_label, is_on_earth
from geocobot.io.misplaced import in_words
from geocobot.io.opening import file_name, file_stem
from geocobot.io.scene import Scene
from geocobot.io.shapes import clean_parts, clip_to_scene, reproject, to_pixels
from geocobot.io.styles import geopackage_layer
from geocobot.io.values import named_features, refuse_too_many, sorted_names
from geocobot.io.vector_paths import ogr_path
from geocobot.io.vectors import VectorSource, read_vector

_LOG = logging.getLogger("geocobot.io")
_OWN_FIELD = "class_name"
_SCORE = "score"
_FIELD_FLAG = "--pred-class-field"


@dataclass(frozen=True)
class MappedPolygons:
    """Polygons of a map, not yet tied to a scene.

    Attributes:
        frame: single polygons with the columns `class_name` and, where the file says how sure the
            map is of each, `score`, in one CRS; none where nothing was found.
        path: the file.
        class_names: of the classes that occur, sorted.
        class_field: the attribute that names them; None where the name of the file does.
        layer: which of the layers of the file they are, where somebody has said so.
        called: what they call each class that geocobot called otherwise, as far as that is one.
    """

    frame: gpd.GeoDataFrame
    path: str
    class_names: tuple[str, ...]
    class_field: str | None = None
    layer: str | None = None
    called: Mapping[str, str] = field(default_factory=dict)

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

    def centerlines(self) -> gpd.GeoDataFrame | None:
        """The centerlines beside them, with the column `class_name`; None for none to be compared.

        Lines have the classes of the polygons: by the same attribute, or where they do not have it
        by what the polygons call their classes.

        Raises:
            CrsError: they have no CRS.
            FieldError: their attribute is empty.
            UnreadableFileError: they cannot be read any more.
        """
        lines = read_centerlines(self.path, self.layer)
        if lines is None or not len(lines):
            return lines
        if self.class_field is None:
            return lines.assign(class_name=self.class_names[0] if self.class_names else "")
        if self.class_field in lines:
            return named_features(lines, self.class_field, self.path, _FIELD_FLAG)
        own = set(lines[_OWN_FIELD].dropna()) if _OWN_FIELD in lines else set()
        if not own or not own <= self.called.keys():
            _LOG.warning(
                "%s: its centerlines do not have %s, and the polygons do not tell what theirs are "
                "called there: lines are not compared. Add it to the lines in QGIS.",
                file_name(self.path),
                self.class_field,
            )
            return None
        return lines.assign(class_name=lines[_OWN_FIELD].map(self.called))

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
    frame, named_by = _read(path, layer or _own_layer(path), class_field)
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
    columns = {"class_name": names, "reach_m": 0.0} | _scores(parts, class_field, path)
    polygons = gpd.GeoDataFrame(columns, geometry=parts.geometry.to_numpy(), crs=parts.crs)
    classes = sorted_names(names)
    refuse_too_many(classes, path, "Choose another --pred-class-field, or group the values first")
    return MappedPolygons(polygons, path, tuple(classes), named_by, layer, _called(parts))


def _scores(parts: gpd.GeoDataFrame, class_field: str | None, path: str) -> dict[str, Any]:
    """The column `score`; none where it is something else, or a polygon has no value in it."""
    found = parts[_SCORE]
    if class_field == _SCORE or is_bool_dtype(found) or not is_numeric_dtype(found):
        return {}
    scores = found.to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(scores)
    if known.all():
        return {_SCORE: scores}
    if known.any():
        _LOG.info(
            "%s: %d of %d polygons have no score; none is used.",
            file_name(path),
            int((~known).sum()),
            len(known),
        )
    return {}


def _called(parts: gpd.GeoDataFrame) -> dict[str, str]:
    """What the polygons call each class that the column `own_name` calls otherwise."""
    pairs = parts[["own_name", "class_name"]].dropna().drop_duplicates()
    pairs = pairs[~pairs["own_name"].duplicated(keep=False)]
    return dict(zip(pairs["own_name"], pairs["class_name"], strict=True))


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


def _read(
    path: str, layer: str | None, class_field: str | None
) -> tuple[gpd.GeoDataFrame, str | None]:
    """Features with the columns `class_name` and `own_name`, and the attribute that names them."""
    by = class_field or _OWN_FIELD
    source = VectorSource(
        path=path,
        layer=layer,
        fields={_FIELD_FLAG: by},
        optional=(_SCORE, _OWN_FIELD),
        flag="--pred",
        layer_flag="--pred-layer",
    )
    try:
        frame, _ = read_vector(source)
    except FieldError:
        if class_field is not None:
            raise
        frame, name = read_vector(replace(source, fields={}))
        return frame.assign(class_name=name, own_name=None), None
    return named_features(frame.assign(own_name=frame[_OWN_FIELD]), by, path, _FIELD_FLAG), by
