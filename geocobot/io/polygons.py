"""Write polygons chunk by chunk: GeoPackage, FlatGeobuf, GeoParquet, GeoJSON, Shapefile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.grid import Bounds
from geocobot.io.layer import SHORT_NAMES, Layer
from geocobot.io.output import new_files
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.styles import (
    Origin,
    describe,
    embed_metadata,
    embed_styles,
    geopackage_layer,
    history,
    metadata_of,
    metadata_xml,
    polygon_styles,
    qml_of,
)
from geocobot.io.unfinished import write_text
from geocobot.io.vector_errors import unreadable
from geocobot.io.vector_formats import check_format, parts_of, style_beside
from geocobot.io.vector_paths import ogr_path
from geocobot.io.vector_sinks import WRITE_ERRORS, Sink, in_the_users_words, open_sink, written_at

logger = logging.getLogger("geocobot.io")

BATCH_ROWS = 10_000
"""Polygons that wait in memory until they are written, in one transaction."""

_SCHEMA = {
    "object_id": "int64",
    "class_id": "int64",
    "class_name": "str",
    "score": "float64",
    "score_p10": "float64",
    "area_m2": "float64",
    "perimeter_m": "float64",
    "width_m": "float64",
}
_READ_ERRORS = (DataSourceError, DataLayerError, ValueError, OSError)


def read_areas(path: Path) -> pd.DataFrame:
    """The columns class_id and area_m2 of a file that `PolygonWriter` wrote.

    Raises:
        UnreadableFileError: it cannot be read any more.
    """
    columns = ["class_id", "area_m2"]
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path, columns=columns)
        layer = geopackage_layer(path.stem) if path.suffix.lower() == ".gpkg" else None
        frame: pd.DataFrame = pyogrio.read_dataframe(
            ogr_path(path), layer=layer, columns=columns, read_geometry=False
        )
    except _READ_ERRORS as error:
        raise unreadable(path, error) from error
    return frame.reindex(columns=columns)  # a GeoJSON without features has no columns


class PolygonWriter:
    """Writes the polygons of one scene; the file appears when the `with` block ends well.

    GeoPackage (version 1.3), GeoParquet and Shapefile grow with every batch. The other formats
    cannot grow: their polygons wait in a GeoPackage beside the output and are converted at the
    end. A GeoPackage carries its styles and metadata; beside the others lies a .qml file. GeoJSON
    is written in WGS 84 (RFC 7946).

    Args:
        path: the file to come; its extension chooses the format.
        crs: of the polygons.
        classes: names, colors and thresholds for style and metadata.
        layer: name of the layer, as QGIS shows it (see `geopackage_layer`).
        style_path: where the style goes, for formats that cannot carry it; default beside the
            file, see `style_beside`.
        overwrite: whether existing files may be replaced.
        unfinished: where to write the file, then its style, if somebody else gives them their
            names; further parts of the file go beside it (`parts_of`); messages name `path`.
        origin: what the map was made of, for the metadata.
        moment: what a file says of when it was written; default now.

    Raises:
        OutputError: see `check_format`.
    """

    def __init__(
        self,
        path: str | Path,
        crs: CRS,
        classes: Sequence[ClassSpec],
        layer: str,
        *,
        style_path: str | Path | None = None,
        overwrite: bool = False,
        unfinished: Sequence[Path] = (),
        origin: Origin | None = None,
        moment: datetime | None = None,
    ) -> None:
        check_format(path)
        self._path = Path(path)
        self._classes = tuple(classes)
        self._origin = origin or Origin()
        moment = moment or datetime.now(UTC)
        facts = history(self._origin, classes, moment)
        self._layer = Layer(layer, crs, _SCHEMA, describe(classes), facts, moment)
        self._style_path = style_beside(path) if style_path is None else Path(style_path)
        if self._path.suffix.lower() == ".gpkg":
            self._style_path = None
        self._overwrite = overwrite
        self._unfinished = tuple(unfinished)
        self._waiting: list[gpd.GeoDataFrame] = []
        self._stack = ExitStack()
        self._corners = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self.count = 0
        """Polygons taken so far."""

    @property
    def bounds(self) -> Bounds | None:
        """West, south, east and north of the polygons taken so far; None before the first."""
        if not self.count:
            return None
        west, south, east, north = (float(corner) for corner in self._corners)
        return west, south, east, north

    def __enter__(self) -> Self:
        """Create an empty layer under a temporary name.

        Raises:
            OutputError: the file exists and may not be replaced, or cannot be written.
        """
        self._tell_of_limits()
        styles = [self._style_path] if self._style_path is not None else []
        paths = [self._path, *styles, *parts_of(self._path)]
        with ExitStack() as stack:
            unfinished = self._unfinished or stack.enter_context(
                new_files(paths, overwrite=self._overwrite)
            )
            self._target = unfinished[0]
            self._style_target = unfinished[1] if styles else None
            with in_the_users_words(self._path):
                self._sink: Sink = open_sink(self._target, self._layer)
            self._stack = stack.pop_all()
        return self

    def append(self, frame: gpd.GeoDataFrame) -> None:
        """Take polygons.

        Args:
            frame: the columns of `tracing.attributes.COLUMNS` and polygons in the writer's CRS.

        Raises:
            OutputError: the file cannot be written.
        """
        if not len(frame):
            return
        self._waiting.append(frame)
        self.count += len(frame)
        corners = frame.total_bounds
        self._corners[:2] = np.minimum(self._corners[:2], corners[:2])
        self._corners[2:] = np.maximum(self._corners[2:], corners[2:])
        if sum(len(f) for f in self._waiting) >= BATCH_ROWS:
            self._flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the file and give it its name, or delete it after an error."""
        if kind is not None:
            self._abandon()
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            try:
                self._flush()
                with in_the_users_words(self._path):
                    self._finish()
            except BaseException:
                self._abandon()
                raise
            if self._style_target is not None and self._style_path is not None:
                style = qml_of(self._classes, self._columns())
                write_text(self._style_target, style, self._style_path)

    def project_layer(self) -> ProjectLayer:
        """The finished file as a layer of a QGIS project."""
        suffix = self._path.suffix.lower()
        layer = self._layer
        return ProjectLayer(
            layer.name,
            str(self._path),
            CRS.from_epsg(4326) if suffix == ".geojson" else layer.crs,
            polygon_styles(self._classes, self._columns()),
            layer=geopackage_layer(layer.name) if suffix == ".gpkg" else None,
            metadata=metadata_of(layer.name, self._classes, self._origin, layer.moment),
            is_vector=True,
        )

    def _flush(self) -> None:
        """Write what waits, in one transaction."""
        frames, self._waiting = self._waiting, []
        if frames:
            with in_the_users_words(self._path):
                self._sink.write(self._layer.ordered(pd.concat(frames, ignore_index=True)))

    def _finish(self) -> None:
        """Make the file whole; what carries its style gets it, and its metadata."""
        self._sink.finish(self.count)
        if self._style_path is None:
            name, moment = geopackage_layer(self._layer.name), self._layer.moment
            xml = metadata_xml(self._layer.name, self._classes, self._origin, moment)
            embed_metadata(self._target, name, xml, moment)
            with written_at(moment):
                styles = polygon_styles(self._classes, self._columns())
                embed_styles(self._target, name, styles, moment)

    def _abandon(self) -> None:
        """Close the file, which is deleted next."""
        with suppress(*WRITE_ERRORS):
            self._sink.abandon()

    def _columns(self) -> dict[str, str]:
        """What the file calls each attribute."""
        is_short = self._path.suffix.lower() == ".shp"
        return {n: SHORT_NAMES.get(n, n) if is_short else n for n in self._layer.schema}

    def _tell_of_limits(self) -> None:
        """Say what a format does to the polygons."""
        suffix = self._path.suffix.lower()
        if suffix == ".geojson" and self._layer.crs.to_epsg() != 4326:
            logger.info(
                "%s is written in WGS 84 degrees (EPSG:4326), as GeoJSON asks for, not in %s.",
                self._path.name,
                self._layer.crs.name,
            )
        if suffix == ".shp":
            short = [
                f"{n} becomes {SHORT_NAMES[n]}" for n in self._layer.schema if n in SHORT_NAMES
            ]
            logger.warning(
                "%s: a Shapefile has names of 10 characters (%s), 2 GB at most, an approximate "
                "CRS and one style. .gpkg has none of these limits.",
                self._path.name,
                ", ".join(short),
            )
