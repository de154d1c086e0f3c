"""How features get into files: some formats grow, others are converted at the end."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import geopandas as gpd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FieldError

from geocobot.errors import OutputError
from geocobot.io.layer import SHORT_NAMES, Layer
from geocobot.io.rtree import LateIndex, can_build
from geocobot.io.styles import geopackage_layer
from geocobot.io.unfinished import delete_file, reveal

WRITE_ERRORS = (DataSourceError, DataLayerError, FieldError, OSError)
"""What is raised where a file cannot be written."""

_CHECKED_ROWS = 1_000_000
_GEOJSON_DECIMALS = "9"  # a tenth of a millimetre
_LOST = "parts of it did not reach the disk"


class Sink(Protocol):
    """Takes features, and makes a file of them.

    Each method raises one of `WRITE_ERRORS` if the file cannot be written.
    """

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Append features, with the columns of the layer in its order."""

    def finish(self, count: int) -> None:
        """Make the file whole; so many features were written."""

    def abandon(self) -> None:
        """Let go of the file, which is deleted next."""


class GeoPackageSink:
    """Grows with every frame, in a transaction each; its spatial index is built at the end.

    Args:
        file: where to write.
        layer: what is written.
        indexed: whether it gets a spatial index.
    """

    def __init__(self, file: Path, layer: Layer, *, indexed: bool = True) -> None:
        self._file = file
        self._layer = layer
        self.name = geopackage_layer(layer.name)
        """What the layer is called in the file."""
        creation = {
            # QGIS 3.22 warns about GeoPackage 1.4, which GDAL writes by default.
            "dataset_options": {"VERSION": "1.3"},
            "layer_options": {
                "GEOMETRY_NAME": "geom",
                "SPATIAL_INDEX": "YES" if indexed else "NO",
                "DESCRIPTION": layer.description,
            },
        }
        self._add(layer.empty(), append=False, **creation)
        # Where SQLite does not allow it, GDAL's index grows with the features.
        self._index = LateIndex(file, self.name) if indexed and can_build() else None

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Append features in one transaction."""
        self._add(frame, append=True)
        if self._index is not None:
            self._index.add(shapely.bounds(frame.geometry.to_numpy()))

    def finish(self, count: int) -> None:
        """Build the spatial index."""
        if self._index is not None:
            self._index.build(count)

    def abandon(self) -> None:
        """Nothing is open."""

    def _add(self, frame: gpd.GeoDataFrame, **options: Any) -> None:
        """Add features, or create the layer."""
        with written_at(self._layer.moment):
            pyogrio.write_dataframe(
                frame,
                self._file,
                layer=self.name,
                driver="GPKG",
                geometry_type=self._layer.geometry_type,
                **options,
            )


class ShapefileSink:
    """Grows with every frame; fields have short names, see `SHORT_NAMES`.

    Args:
        file: where the .shp goes, and its parts beside it.
        layer: what is written.
    """

    def __init__(self, file: Path, layer: Layer) -> None:
        self._file = file
        self._layer = layer
        # The driver would go on to 4 GB, which some readers cannot read.
        self._add(layer.empty(), append=False, layer_options={"2GB_LIMIT": "YES"})

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Append features."""
        self._add(frame, append=True)

    def finish(self, count: int) -> None:
        """Read it back: the driver does not say when the last bytes find no room."""
        check_count(self._file, count)
        if any(is_cut_off(self._file.with_suffix(s)) for s in (".shp", ".shx", ".dbf")):
            raise OSError(_LOST)

    def abandon(self) -> None:
        """Nothing is open."""

    def _add(self, frame: gpd.GeoDataFrame, **options: Any) -> None:
        """Add features, or create the files."""
        pyogrio.write_dataframe(
            frame.rename(columns=SHORT_NAMES),
            self._file,
            driver="ESRI Shapefile",
            geometry_type=self._layer.geometry_type,
            encoding="UTF-8",
            **options,
        )


class ConvertedSink:
    """Formats that cannot grow: features wait in a GeoPackage and are converted at the end.

    Args:
        file: where to write; what waits lies beside it with the extension .gpkg.
        layer: what is written.
        driver: GDAL's name of the format.
        options: of the driver.
    """

    def __init__(self, file: Path, layer: Layer, driver: str, options: Mapping[str, str]) -> None:
        self._file = file
        self._layer = layer
        self._driver = driver
        self._options = dict(options)
        self._waiting = file.with_suffix(".gpkg")
        try:
            self._stage = GeoPackageSink(self._waiting, layer, indexed=False)
        except BaseException:
            self.abandon()
            raise

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Let features wait."""
        self._stage.write(frame)

    def finish(self, count: int) -> None:
        """Stream what waits into the format, and read it back.

        These drivers do not say when the last bytes of a file find no room.
        """
        options = self._options
        if self._driver == "FlatGeobuf":
            options = options | {"SPATIAL_INDEX": "YES" if count else "NO"}
        name = self._stage.name
        with pyogrio.open_arrow(self._waiting, layer=name, use_pyarrow=False) as (meta, stream):
            pyogrio.write_arrow(
                stream,
                self._file,
                layer=self._layer.name,
                driver=self._driver,
                geometry_name=meta["geometry_name"],
                geometry_type=self._layer.geometry_type,
                crs=meta["crs"],
                layer_options=options,
            )
        check_count(self._file, count)
        self._waiting.unlink()

    def abandon(self) -> None:
        """Drop what waits."""
        delete_file(self._waiting)


def open_sink(file: Path, layer: Layer) -> Sink:
    """Begin a file in the format that its extension says.

    Args:
        file: where to write.
        layer: what will be written.

    Raises:
        OSError: or another of `WRITE_ERRORS`: it cannot be written.
    """
    suffix = file.suffix.lower()
    if suffix == ".gpkg":
        return GeoPackageSink(file, layer)
    if suffix == ".shp":
        return ShapefileSink(file, layer)
    if suffix == ".fgb":
        titles = {"TITLE": layer.name, "DESCRIPTION": layer.text}
        return ConvertedSink(file, layer, "FlatGeobuf", titles)
    if suffix == ".geojson":
        options = {"RFC7946": "YES", "COORDINATE_PRECISION": _GEOJSON_DECIMALS}
        return ConvertedSink(file, layer, "GeoJSON", options | {"DESCRIPTION": layer.text})
    from geocobot.io.geoparquet import ParquetSink

    return ParquetSink(file, layer)


def check_count(file: Path, count: int) -> None:
    """Read the geometry of a finished file, some of it at a time.

    Raises:
        OSError: it does not hold as many features as were written.
    """
    found = 0
    try:
        while found < count:
            ids, _ = pyogrio.read_bounds(file, skip_features=found, max_features=_CHECKED_ROWS)
            found += len(ids)
            if not len(ids):
                break
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise OSError(_LOST) from error
    if found != count or pyogrio.read_info(file)["features"] not in {count, -1}:
        raise OSError(_LOST)


def check_layer(file: Path, layer: str, frame: gpd.GeoDataFrame) -> None:
    """Count the features of a finished layer of a GeoPackage, and what its index has of them.

    GDAL builds the index last, and does not say when it finds no room.

    Args:
        file: of version 1.3, geometry in the column `geom`.
        layer: its name in the file.
        frame: what was written.

    Raises:
        OSError: they are not all there.
    """
    drawn = int((~(frame.geometry.isna() | frame.geometry.is_empty)).sum())
    wanted = {layer: len(frame)} | ({f"rtree_{layer}_geom": drawn} if drawn else {})
    try:
        with closing(sqlite3.connect(file)) as db:
            for table, count in wanted.items():
                name = table.replace('"', '""')
                found = db.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608
                if found != (count,):
                    raise OSError(_LOST)
    except sqlite3.Error as error:
        raise OSError(_LOST) from error


def is_cut_off(file: Path) -> bool:
    """Whether a part of a shapefile is shorter than its first bytes say, or these are missing."""
    with file.open("rb") as opened:
        head = opened.read(28)
    if file.suffix == ".dbf":
        rows, head_bytes, row_bytes = struct.unpack_from("<IHH", head, 4)
        if not head_bytes:
            return True
        needed_bytes = head_bytes + rows * row_bytes
    else:
        needed_bytes = 2 * struct.unpack_from(">I", head, 24)[0]
    return bool(file.stat().st_size < needed_bytes)


@contextmanager
def in_the_users_words(path: Path) -> Iterator[None]:
    """Turn what GDAL says of a file that cannot be written into an error.

    Args:
        path: its final name, for the message.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
    except WRITE_ERRORS as error:
        raise OutputError(
            path,
            f"cannot be written ({reveal(str(error), path)})",
            "geocobot needs a folder with write permission and free space",
            "Check the disk, or choose another --out",
        ) from error


@contextmanager
def written_at(moment: datetime) -> Iterator[None]:
    """Let GDAL write this moment into GeoPackages, in place of its own clock.

    They have no names of their own yet, so that SQLite need not wait for the disk after every
    batch: whoever gives them names waits once (`Unfinished.reach_disk`).
    """
    options = {
        "OGR_CURRENT_DATE": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "OGR_SQLITE_SYNCHRONOUS": "OFF",
    }
    before = {name: pyogrio.get_gdal_config_option(name) for name in options}
    pyogrio.set_gdal_config_options(options)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)
