"""Vector files as GDAL opens them: which layer, which fields, what can go wrong."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
from pyogrio.errors import CRSError as OgrCrsError
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from pyproj import CRS
from pyproj.exceptions import CRSError as ProjError

from geocobot.errors import CrsError, FieldError, LayerError, MissingFileError, UnreadableFileError
from geocobot.io.source import GDAL_NAME, open_dataset

_LOG = logging.getLogger("geocobot.io")
_SHAPEFILE_CODE = 9994
_MAX_SHOWN = 80
_PARQUET = {".parquet", ".geoparquet", ".pq"}


def read_vector(
    path: str | Path, *, layer: str | None = None, field: str | None = None
) -> tuple[gpd.GeoDataFrame, str]:
    """Read one layer of a vector file.

    Args:
        path: file name, URL or GDAL name; GeoParquet too, if pyarrow is installed.
        layer: which layer to read; may be left out where only one has geometry.
        field: the attribute to read along; all others are left out.

    Returns:
        The features as they are in the file, with `field`, and their name: that of the layer
        where several have geometry, else that of the file.

    Raises:
        MissingFileError: there is no such file.
        UnreadableFileError: it is corrupt, no vector file, or GeoParquet without pyarrow.
        CrsError: what it says of its CRS cannot be read.
        LayerError: the layer does not exist, or has to be named.
        FieldError: the layer has no such field.
    """
    _check_path(path)
    _check_whole(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if Path(path).suffix.lower() in _PARQUET:
            frame, name = _read_parquet(path, field), Path(path).stem
        else:
            frame, name = _read_ogr(path, layer, field)
    for text in dict.fromkeys(str(w.message) for w in caught):
        _LOG.info("%s: %s", Path(path).name, text)
    return frame, name


def parse_crs(text: str) -> CRS:
    """Make a CRS from "EPSG:4326", WKT, a PROJ string, or the name of a raster that has it.

    Raises:
        CrsError: it is none of these, or has no place on the earth.
    """
    crs = _named_crs(text)
    if crs is None and os.path.isfile(text):
        with open_dataset(text) as source:
            crs = None if source.crs is None else CRS.from_user_input(source.crs)
    if crs is not None and is_on_earth(crs):
        return crs
    raise CrsError(
        "--labels-crs",
        f"is {_short(text)}, which is no CRS" + (" of a place on the earth" if crs else ""),
        "geocobot takes a code such as EPSG:4326, WKT, or a raster file whose CRS it is",
        "Look the code up in QGIS (Layer > Layer Properties > Information)",
    )


def is_on_earth(crs: CRS) -> bool:
    """Whether a CRS has two horizontal axes on an ellipsoid: no site plan, no height alone."""
    return crs.is_geographic or crs.is_projected


def _named_crs(text: str) -> CRS | None:
    """The CRS that a code or a definition stands for, or None."""
    try:
        return CRS.from_user_input(text)
    except ProjError:
        return None


def _short(text: str) -> str:
    """A text in quotes, the middle of a long one left out."""
    if len(text) <= _MAX_SHOWN:
        return repr(text)
    return f"{text[: _MAX_SHOWN // 2]!r} ... {text[-_MAX_SHOWN // 2 :]!r}"


def _check_path(path: str | Path) -> None:
    """Refuse what is not there and what is a folder; file geodatabases are folders and pass."""
    if os.path.isdir(path) and Path(path).suffix.lower() != ".gdb":
        raise UnreadableFileError(
            path, "is a folder", "--labels names a vector file", "Name the file in it"
        )
    if not os.path.exists(path) and not GDAL_NAME.match(str(path)):
        raise MissingFileError(
            path, "does not exist", "--labels names a vector file", "Check the path"
        )


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
        raise _unreadable(path, error) from error
    declared = 2 * int.from_bytes(header[24:28], "big")
    if int.from_bytes(header[:4], "big") == _SHAPEFILE_CODE and size < declared:
        raise UnreadableFileError(
            path,
            f"is truncated ({size} of {declared} bytes)",
            "geocobot needs every feature",
            "Copy or export it again from its source",
        )


def _read_ogr(
    path: str | Path, layer: str | None, field: str | None
) -> tuple[gpd.GeoDataFrame, str]:
    """Read with GDAL."""
    try:
        chosen, name = _choose_layer(path, layer)
        fields = [str(f) for f in pyogrio.read_info(path, layer=chosen)["fields"]]
        _check_field(path, field, fields)
        frame = pyogrio.read_dataframe(
            path,
            layer=chosen,
            columns=[] if field is None else [field],
            force_2d=True,
            on_invalid="fix",
        )
    except OgrCrsError as error:
        raise _bad_crs(path, error) from error
    except (DataSourceError, DataLayerError, FeatureError, GeometryError) as error:
        raise _unreadable(path, error) from error
    return frame, name


def _choose_layer(path: str | Path, layer: str | None) -> tuple[str, str]:
    """The layer to read, and what to call it."""
    listed = {str(n): kind for n, kind in pyogrio.list_layers(path)}
    spatial = [n for n, kind in listed.items() if kind is not None]
    names = ", ".join(spatial)
    if layer is not None and layer not in spatial:
        raise LayerError(
            path,
            f"has no layer {layer!r} with geometry",
            f"It has {names}" if spatial else "It has no layer with geometry at all",
            "Choose one with --labels-layer" if spatial else "Choose another file",
        )
    if not spatial:
        raise LayerError(
            path,
            "has no layer with geometry",
            "Labels are lines or polygons",
            "Choose another file, or save the table with its geometry in QGIS",
        )
    if layer is None and len(spatial) > 1:
        raise LayerError(
            path,
            f"has {len(spatial)} layers: {names}",
            "geocobot reads one of them",
            f"Choose one, such as --labels-layer {spatial[0]}",
        )
    chosen = layer or spatial[0]
    if len(listed) > len(spatial) == 1:
        _LOG.info("%s: reading layer %s, the only one with geometry.", Path(path).name, spatial[0])
    return chosen, chosen if len(spatial) > 1 else Path(path).stem


def _read_parquet(path: str | Path, field: str | None) -> gpd.GeoDataFrame:
    """Read GeoParquet, which the GDAL of the wheels does not know."""
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
        raise _bad_crs(path, error) from error
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    geometry = frame.geometry.name
    _check_field(path, field, [str(c) for c in frame.columns if c != geometry])
    return frame[[geometry] if field is None else [field, geometry]]


def _check_field(path: str | Path, field: str | None, fields: list[str]) -> None:
    """Refuse a field that the file does not have."""
    if field is not None and field not in fields:
        raise FieldError(
            path,
            f"has no field {field!r}",
            f"Its fields are {', '.join(fields)}" if fields else "It has no fields at all",
            "Choose one of them with --class-field" if fields else "Leave --class-field out",
        )


def _bad_crs(path: str | Path, error: Exception) -> CrsError:
    """What to do about a file that cannot be read because of what it says of its CRS."""
    return CrsError(
        path,
        f"declares a CRS that cannot be read ({str(error).strip().splitlines()[0].rstrip('.')})",
        "geocobot needs to know where labels lie",
        "Save them again in QGIS with the right CRS; beside a shapefile, delete the .prj file and "
        "pass --labels-crs",
    )


def _unreadable(path: str | Path, error: Any) -> UnreadableFileError:
    """What the library said, in one sentence."""
    return UnreadableFileError(
        path,
        f"cannot be read ({str(error).strip().splitlines()[0].rstrip('.')})",
        "geocobot reads Shapefile, GeoPackage, GeoJSON, FlatGeobuf and what else GDAL knows",
        "Check that it is a vector file and complete; export it again from its source",
    )
