"""Areas drawn with polygons: where labels are complete, where to validate, what to map."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geocobot.errors import CrsError, EmptyLabelsError, GeometryError
from geocobot.grid import GeoGrid
from geocobot.io.burnt import BurntShapes
from geocobot.io.crs import is_on_earth
from geocobot.io.files import find_vectors, is_raster_file
from geocobot.io.opening import file_name
from geocobot.io.shapes import clean_parts, clip_to_scene, reproject, to_pixels
from geocobot.io.vectors import VectorSource, read_vector

LABELLED_AREA, VALIDATION_AREA, MAPPED_AREA = "--labelled-area", "--val-area", "--area"

_MEANING = {
    LABELLED_AREA: "is where every object is labelled",
    VALIDATION_AREA: "is where the model is validated, not trained",
    MAPPED_AREA: "is what is to be mapped",
}


@dataclass(frozen=True)
class Area:
    """Polygons, not yet tied to a scene.

    Attributes:
        frames: single polygons, one frame per file, each in its own CRS.
        files: their names without folders, for messages.
    """

    frames: tuple[gpd.GeoDataFrame, ...]
    files: tuple[str, ...]

    def on(self, grid: GeoGrid) -> BurntShapes:
        """The polygons that reach a scene, as 1; none where all lie elsewhere."""
        shapes = [
            to_pixels(np.asarray(near.geometry.array), grid)
            for name, frame in zip(self.files, self.frames, strict=True)
            for near in [reproject(clip_to_scene(frame, grid), grid.crs, name)]
        ]
        placed = np.concatenate(shapes)
        scene_box = shapely.box(0, 0, grid.width, grid.height)
        near = placed[shapely.intersects(scene_box, placed)]
        return BurntShapes(near, np.ones(len(near), dtype=np.uint8))


def read_area(given: Sequence[str | Path], flag: str = LABELLED_AREA) -> Area:
    """Read the polygons of an area.

    Args:
        given: vector files of any format and CRS, folders and patterns; at least one.
        flag: what names them on the command line: `LABELLED_AREA` or one of its kin.

    Raises:
        CrsError: a file has no CRS.
        EmptyLabelsError: a file has no polygon.
        GeometryError: there are lines or points among them, or a file is a raster.
        GeocobotError: whatever `find_vectors` and `read_vector` find.
    """
    sets = find_vectors([str(name) for name in given], flag)
    paths = [path for s in sets for path in s.paths]
    frames = tuple(_read_polygons(path, flag) for path in paths)
    return Area(frames, tuple(file_name(path) for path in paths))


def _read_polygons(path: str, flag: str) -> gpd.GeoDataFrame:
    """The polygons of one file."""
    if os.path.exists(path) and is_raster_file(path):
        raise GeometryError(
            path,
            "is a raster",
            f"{flag} is drawn with polygons, and {_MEANING[flag]}",
            f"Trace it once with: gdal_polygonize.py -mask {path} {path} area.gpkg",
        )
    frame, _ = read_vector(VectorSource(path=path, flag=flag, layer_flag=None))
    if frame.crs is None or not is_on_earth(frame.crs):
        raise CrsError(
            path,
            "has no CRS" if frame.crs is None else f"has the CRS {frame.crs.name}",
            "geocobot needs a geographic or projected one to place the area",
            "Set it in QGIS and save again",
        )
    parts = clean_parts(frame, file_name(path))
    if parts.empty:
        raise EmptyLabelsError(
            path,
            "has no polygon",
            f"{flag} {_MEANING[flag]}",
            "Draw around it in QGIS, or leave the option out",
        )
    flat = shapely.get_dimensions(np.asarray(parts.geometry.array)) == 2
    if not flat.all():
        raise GeometryError(
            path,
            f"has {int((~flat).sum())} lines or points",
            f"{flag} is drawn with polygons, and {_MEANING[flag]}",
            "Draw around it in QGIS",
        )
    shapes = parts.geometry.to_numpy()
    return gpd.GeoDataFrame(
        pd.DataFrame({"reach_m": 0.0}, parts.index), geometry=shapes, crs=parts.crs
    )
