"""Write centerlines beside their polygons: a second layer, or a second file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.errors import CrsError
from geocobot.io.crs import is_on_earth
from geocobot.io.layer import Layer
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.styles import (
    Origin,
    centerline_style,
    embed_metadata,
    embed_styles,
    geopackage_layer,
    history,
    metadata_of,
    metadata_xml,
)
from geocobot.io.styles.document import document
from geocobot.io.unfinished import write_text
from geocobot.io.vector_errors import unreadable
from geocobot.io.vector_formats import style_beside
from geocobot.io.vector_paths import ogr_path
from geocobot.io.vector_sinks import WRITE_ERRORS, in_the_users_words, open_sink, written_at

_SCHEMA = {
    "class_id": "int64",
    "class_name": "str",
    "length_m": "float64",
    "width_m": "float64",
    "score": "float64",
}
_READ_ERRORS = (DataSourceError, DataLayerError, ValueError, OSError)
_DESCRIPTION = (
    "Centerlines mapped by geocobot. length_m: geodesic; width_m: mean width on the ground; "
    "score: mean score of the class along the line, 0 to 1."
)
_GEOMETRY_TYPE = "LineString"


def centerlines_beside(polygons: str | Path) -> Path | None:
    """The file of the centerlines; None for formats that hold them as a second layer."""
    path = Path(polygons)
    if path.suffix.lower() == ".gpkg":
        return None
    return path.with_name(f"{path.stem}_centerlines{path.suffix}")


def centerlines_layer(polygons: str | Path) -> str:
    """Name of the layer of centerlines, as QGIS shows it."""
    return geopackage_layer(f"{Path(polygons).stem}_centerlines")


class CenterlineWriter:
    """Writes all centerlines of a scene at once.

    Args:
        polygons: the vector file that they belong to, by its final name.
        crs: of the lines.
        classes: names, colors and thresholds for style and metadata.
        unfinished: where to write: the file of the polygons under its temporary name, which holds
            their layer already, or the file of `centerlines_beside` under its own, and then its
            style.
        origin: what the map was made of, for the metadata.
        moment: what a file says of when it was written.
    """

    def __init__(
        self,
        polygons: Path,
        crs: CRS,
        classes: Sequence[ClassSpec],
        *,
        unfinished: Sequence[Path],
        origin: Origin | None,
        moment: datetime,
    ) -> None:
        self._own = centerlines_beside(polygons)
        self._path = self._own or polygons
        self._classes = tuple(classes)
        self._unfinished = tuple(unfinished)
        self._origin = origin or Origin()
        facts = history(self._origin, classes, moment)
        name = centerlines_layer(polygons)
        self._layer = Layer(name, crs, _SCHEMA, _DESCRIPTION, facts, moment, _GEOMETRY_TYPE)

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Write them, with their style.

        Args:
            frame: columns class_id, class_name, length_m, width_m, score, and lines.

        Raises:
            OutputError: they cannot be written.
        """
        lines = self._layer.ordered(frame.astype(_SCHEMA))
        with in_the_users_words(self._path):
            if self._own is None:
                self._add_layer(lines)
            else:
                self._write_file(lines)
        if self._own is not None and (style := style_beside(self._own)) is not None:
            write_text(self._unfinished[1], document(self._style()), style)

    def project_layer(self) -> ProjectLayer:
        """The written lines as a layer of a QGIS project."""
        layer = self._layer
        is_geojson = self._path.suffix.lower() == ".geojson"
        return ProjectLayer(
            layer.name,
            str(self._path),
            CRS.from_epsg(4326) if is_geojson else layer.crs,
            {"default": self._style()},
            layer=layer.name if self._own is None else None,
            metadata=metadata_of(
                layer.name, self._classes, self._origin, layer.moment, layer.description
            ),
            is_vector=True,
        )

    def _write_file(self, lines: gpd.GeoDataFrame) -> None:
        """Write a file of lines; after an error nothing is left beside it."""
        sink = open_sink(self._unfinished[0], self._layer)
        try:
            if len(lines):
                sink.write(lines)
            sink.finish(len(lines))
        except BaseException:
            with suppress(*WRITE_ERRORS):
                sink.abandon()
            raise

    def _add_layer(self, lines: gpd.GeoDataFrame) -> None:
        """Add a layer, its style and its metadata to the GeoPackage of the polygons."""
        file, layer = self._unfinished[0], self._layer
        with written_at(layer.moment):
            pyogrio.write_dataframe(
                lines,
                file,
                layer=layer.name,
                driver="GPKG",
                geometry_type=layer.geometry_type,
                layer_options={"GEOMETRY_NAME": "geom", "DESCRIPTION": layer.description},
            )
            embed_styles(file, layer.name, {"classes": self._style()}, layer.moment)
        xml = metadata_xml(layer.name, self._classes, self._origin, layer.moment, layer.description)
        embed_metadata(file, layer.name, xml, layer.moment)

    def _style(self) -> Element:
        """How they look in QGIS."""
        return centerline_style(self._classes)


def read_lengths(polygons: Path) -> pd.DataFrame:
    """The columns class_id and length_m of the centerlines beside polygons.

    Raises:
        UnreadableFileError: they cannot be read any more.
    """
    path = centerlines_beside(polygons) or polygons
    columns = ["class_id", "length_m"]
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path, columns=columns)
        layer = centerlines_layer(polygons) if path == polygons else None
        frame: pd.DataFrame = pyogrio.read_dataframe(
            ogr_path(path), layer=layer, columns=columns, read_geometry=False
        )
    except _READ_ERRORS as error:
        raise unreadable(path, error) from error
    return frame.reindex(columns=columns)  # a GeoJSON without features has no columns


def read_centerlines(polygons: str | Path, layer: str | None = None) -> gpd.GeoDataFrame | None:
    """The centerlines beside polygons, with all their columns; None where there are none.

    Args:
        polygons: their file.
        layer: which of its layers they are; None for the one that is called after the file.

    Raises:
        CrsError: they have no CRS.
        UnreadableFileError: they cannot be read any more.
    """
    path = centerlines_beside(polygons) or Path(polygons)
    if not path.is_file():
        return None
    try:
        if path.suffix.lower() == ".parquet":
            frame: gpd.GeoDataFrame = gpd.read_parquet(path)
        else:
            own = None
            if path == Path(polygons):
                own = _layer_in(path, layer)
                if own is None:
                    return None
            frame = pyogrio.read_dataframe(ogr_path(path), layer=own)
    except _READ_ERRORS as error:
        raise unreadable(path, error) from error
    if len(frame) and (frame.crs is None or not is_on_earth(frame.crs)):
        raise CrsError(
            path,
            "has no CRS" if frame.crs is None else f"has the CRS {frame.crs.name}",
            "geocobot needs a geographic or projected one to place the centerlines",
            "Set it in QGIS and save again",
        )
    return frame if len(frame) else frame.reindex(columns=["class_name", "geometry"])


def _layer_in(path: Path, layer: str | None) -> str | None:
    """The layer of centerlines beside a layer of a GeoPackage, or beside that of its name."""
    there = set(pyogrio.list_layers(ogr_path(path))[:, 0].tolist())
    named = [] if layer is None else [geopackage_layer(f"{layer}_centerlines")]
    return next((name for name in [*named, centerlines_layer(path)] if name in there), None)
