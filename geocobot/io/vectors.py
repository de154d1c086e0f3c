"""Vector files as GDAL opens them: which layer, which fields, what can go wrong."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import geopandas as gpd
import pyogrio
from pyogrio.errors import CRSError as OgrCrsError
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from pyproj.exceptions import CRSError as ProjError
from shapely.errors import ShapelyError

from geocobot.errors import (
    ConfigError,
    FieldError,
    LayerError,
    MissingFileError,
    UnreadableFileError,
)
from geocobot.io.files import PARQUET_ENDINGS, VECTOR_FOLDER
from geocobot.io.opening import GDAL_NAME, check_encoding, file_name, file_stem
from geocobot.io.vector_errors import bad_crs, first_line, solid, unreadable
from geocobot.io.vector_paths import ogr_path

_LOG = logging.getLogger("geocobot.io")
_SHAPEFILE_CODE = 9994
_OTHER_ENCODING = "ISO-8859-1"  # what knows every byte
_UNKNOWN_KIND = "Unknown WKB type"
_UNREADABLE = (DataSourceError, DataLayerError, FeatureError, GeometryError)


@dataclass(frozen=True, kw_only=True)
class VectorSource:
    """Which vector file, and what of it.

    Attributes:
        path: file name, URL or GDAL name; GeoParquet too, if pyarrow is installed.
        layer: which layer to read; may be left out where only one has geometry.
        fields: the attributes to read along, each by the flag that asks for it; all others are
            left out.
        optional: attributes to read along where the file has them; empty where it has not.
        where: condition on the attributes in SQL.
        flag: what names the file on the command line.
        layer_flag: what names its layer there; None where nothing does.
    """

    path: str | Path
    layer: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    optional: Sequence[str] = ()
    where: str | None = None
    flag: str = "--labels"
    layer_flag: str | None = "--labels-layer"

    @property
    def columns(self) -> list[str]:
        """The attributes to read, each once."""
        return list(dict.fromkeys([*self.fields.values(), *self.optional]))


def read_vector(source: VectorSource) -> tuple[gpd.GeoDataFrame, str]:
    """Read one layer of a vector file.

    Args:
        source: which, and what of it.

    Returns:
        The features as they are in the file, with the attributes asked for, and their name: that
        of the layer where several have geometry, else that of the file.

    Raises:
        MissingFileError: there is no such file.
        UnreadableFileError: it is corrupt, no vector file, or GeoParquet without pyarrow, or its
            name is not UTF-8.
        CrsError: what it says of its CRS cannot be read.
        LayerError: the layer does not exist, or has to be named.
        FieldError: the layer has no such field.
        ConfigError: the condition is not SQL, or the format cannot be asked.
    """
    path = source.path
    _check_path(source)
    _check_whole(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if Path(path).suffix.lower() in PARQUET_ENDINGS:
            frame, name = _read_parquet(source), file_stem(path)
        else:
            frame, name = _read_ogr(source)
    for text in dict.fromkeys(str(w.message) for w in caught):
        _LOG.info("%s: %s", file_name(path), text)
    return frame, name


def _check_path(source: VectorSource) -> None:
    """Refuse what is not there and what is a folder; file geodatabases are folders and pass."""
    path, needed = source.path, f"{source.flag} names a vector file"
    check_encoding(path)
    if os.path.isdir(path) and Path(path).suffix.lower() != VECTOR_FOLDER:
        raise UnreadableFileError(path, "is a folder", needed, "Name the file in it")
    if not os.path.exists(path) and not GDAL_NAME.match(str(path)):
        raise MissingFileError(path, "does not exist", needed, "Check the path")


def _check_whole(path: str | Path) -> None:
    """Refuse a shapefile shorter than its header says: GDAL reads the rest as empty, silently.

    The header starts with 9994 and counts 16-bit words at byte 24, both big-endian (ESRI
    Shapefile Technical Description, 1998, table 1).
    """
    if Path(path).suffix.lower() != ".shp" or not os.path.isfile(path):
        return
    try:
        with Path(path).open("rb") as source:
            header = source.read(28)
            size = source.seek(0, os.SEEK_END)
    except OSError as error:
        raise unreadable(path, error) from error
    declared = 2 * int.from_bytes(header[24:28], "big")
    if int.from_bytes(header[:4], "big") == _SHAPEFILE_CODE and size < declared:
        raise UnreadableFileError(
            path,
            f"is truncated ({size} of {declared} bytes)",
            "geocobot needs every feature",
            "Copy or export it again from its source",
        )


def _read_ogr(source: VectorSource) -> tuple[gpd.GeoDataFrame, str]:
    """Read with GDAL; texts that are not in the encoding that the file names, in Windows' own."""
    try:
        return _decode_ogr(source, None)
    except UnicodeDecodeError:
        _LOG.warning(
            "%s: its texts are not UTF-8, as it says; they are read as %s. Look at the names of "
            "the classes.",
            file_name(source.path),
            _OTHER_ENCODING,
        )
        return _decode_ogr(source, _OTHER_ENCODING)


def _decode_ogr(source: VectorSource, encoding: str | None) -> tuple[gpd.GeoDataFrame, str]:
    """Read with GDAL, texts in an encoding; None for the one that the file names."""
    path = source.path
    try:
        chosen, name = _choose_layer(source)
        info = pyogrio.read_info(ogr_path(path), layer=chosen, encoding=encoding)
        if info["features"]:  # an empty GeoJSON has no fields either
            _check_fields(source, [str(f) for f in info["fields"]])
    except OgrCrsError as error:
        raise bad_crs(path, error) from error
    except _UNREADABLE as error:
        raise unreadable(path, error) from error
    try:
        frame = _read_features(source, chosen, encoding)
    except OgrCrsError as error:
        raise bad_crs(path, error) from error
    except UnicodeDecodeError:
        raise
    except (*_UNREADABLE, ValueError) as error:
        _check_condition(source, chosen, error)
        raise unreadable(path, error) from error
    return frame.reindex(columns=[*source.columns, frame.geometry.name]), name


def _read_features(source: VectorSource, layer: str, encoding: str | None) -> gpd.GeoDataFrame:
    """The features of a layer, broken geometry mended as far as it goes."""
    read = partial(
        pyogrio.read_dataframe,
        ogr_path(source.path),
        layer=layer,
        encoding=encoding,
        # GDAL finds nothing in a shapefile by a field that is not read.
        columns=source.columns if source.where is None else None,
        where=source.where,
        force_2d=True,
    )
    try:
        return read(on_invalid="raise")
    except ShapelyError as error:
        if _UNKNOWN_KIND in str(error):
            raise solid(source.path) from error
        return read(on_invalid="fix")


def _check_condition(source: VectorSource, layer: str, error: Exception) -> None:
    """Refuse a condition because of which a layer cannot be read.

    GDAL's drivers say it in different words and at different moments, so a layer that can be read
    without the condition is not to blame.
    """
    if source.where is None:
        return
    try:
        pyogrio.read_dataframe(ogr_path(source.path), layer=layer, columns=[])
    except (*_UNREADABLE, ValueError):
        return
    names = [str(f) for f in pyogrio.read_info(ogr_path(source.path), layer=layer)["fields"]]
    raise ConfigError(
        "--where",
        f"is {source.where!r}, which {file_name(source.path)} cannot be asked "
        f"({first_line(error)})",
        "It is a condition in SQL, such as \"year > 2019 AND kind = 'road'\"; "
        + (f"fields are {', '.join(names)}" if names else "the layer has no fields"),
        "Try it in QGIS first (Layer > Filter)",
    ) from error


def _choose_layer(source: VectorSource) -> tuple[str, str]:
    """The layer to read, and what to call it."""
    path, layer = source.path, source.layer
    listed = {str(n): kind for n, kind in pyogrio.list_layers(ogr_path(path))}
    spatial = [n for n, kind in listed.items() if kind is not None]
    names = ", ".join(spatial)
    if layer is not None and layer not in spatial:
        raise LayerError(
            path,
            f"has no layer {layer!r} with geometry",
            f"It has {names}" if spatial else "It has no layer with geometry at all",
            f"Choose one with {source.layer_flag}" if spatial else "Choose another file",
        )
    if not spatial:
        raise LayerError(
            path,
            "has no layer with geometry",
            f"{source.flag} names a file with features",
            "Choose another file, or save the table with its geometry in QGIS",
        )
    if layer is None and len(spatial) > 1:
        raise LayerError(
            path,
            f"has {len(spatial)} layers: {names}",
            "geocobot reads one of them",
            f"Choose one, such as {source.layer_flag} {spatial[0]}"
            if source.layer_flag
            else "Save the one that is meant as a file of its own, in QGIS (Export)",
        )
    chosen = layer or spatial[0]
    if len(listed) > len(spatial) == 1:
        _LOG.info("%s: reading layer %s, the only one with geometry.", file_name(path), spatial[0])
    return chosen, chosen if len(spatial) > 1 else file_stem(path)


def _read_parquet(source: VectorSource) -> gpd.GeoDataFrame:
    """Read GeoParquet, which the GDAL of the wheels does not know."""
    path = source.path
    if source.where is not None:
        raise ConfigError(
            "--where",
            f"cannot be asked of {file_name(path)}",
            "GDAL reads the features that meet the condition, and the GDAL that comes along "
            "knows no GeoParquet",
            "Save the labels as GeoPackage",
        )
    try:
        frame = gpd.read_parquet(path)
    except ImportError as error:
        raise UnreadableFileError(
            path,
            "is GeoParquet, and pyarrow is not installed",
            "geocobot reads GeoParquet with pyarrow",
            "Run: pip install pyarrow, or save the labels as GeoPackage",
        ) from error
    except ProjError as error:
        raise bad_crs(path, error) from error
    except (ValueError, OSError) as error:
        raise unreadable(path, error) from error
    geometry = frame.geometry.name
    _check_fields(source, [str(c) for c in frame.columns if c != geometry])
    return frame.reindex(columns=[*source.columns, geometry])


def _check_fields(source: VectorSource, known: Sequence[str]) -> None:
    """Refuse a field that the file does not have."""
    for flag, name in source.fields.items():
        if name not in known:
            raise FieldError(
                source.path,
                f"has no field {name!r}",
                f"Its fields are {', '.join(known)}" if known else "It has no fields at all",
                f"Choose one of them with {flag}" if known else f"Leave {flag} out",
            )
