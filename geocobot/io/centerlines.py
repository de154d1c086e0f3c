"""Write centerlines beside their polygons: a second layer, or a second file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError, FieldError

from geocobot.errors import OutputError
from geocobot.io.polygons import written_at
from geocobot.io.styles import geopackage_layer
from geocobot.io.unfinished import reveal
from geocobot.io.vector_errors import unreadable

_SCHEMA = {
    "class_id": "int64",
    "class_name": "str",
    "length_m": "float64",
    "width_m": "float64",
    "score": "float64",
}
_READ_ERRORS = (DataSourceError, DataLayerError, ValueError)
_WRITE_ERRORS = (DataSourceError, DataLayerError, FieldError, OSError)
_DESCRIPTION = (
    "Centerlines mapped by geocobot. length_m: geodesic; width_m: mean width on the ground; "
    "score: mean score of the class along the line, 0 to 1."
)


def centerlines_beside(polygons: str | Path) -> Path | None:
    """The file of the centerlines; None for formats that hold them as a second layer."""
    path = Path(polygons)
    if path.suffix.lower() == ".gpkg":
        return None
    return path.with_name(f"{path.stem}_centerlines{path.suffix}")


def centerlines_layer(polygons: str | Path) -> str:
    """Name of the layer of centerlines, as QGIS shows it."""
    return geopackage_layer(f"{Path(polygons).stem}_centerlines")


def write_centerlines(
    frame: gpd.GeoDataFrame,
    polygons: Path,
    unfinished: Path,
    moment: datetime | None = None,
) -> None:
    """Write all centerlines of a scene at once.

    Args:
        frame: columns class_id, class_name, length_m, width_m, score, and lines.
        polygons: the vector file that they belong to, by its final name.
        unfinished: where to write: that file under its temporary name, which holds the layer of
            polygons already, or the file of `centerlines_beside` under its own.
        moment: what a GeoPackage says of when it was written; default now.

    Raises:
        OutputError: they cannot be written.
    """
    lines = frame.astype(_SCHEMA)[[*_SCHEMA, frame.geometry.name]]
    target = centerlines_beside(polygons) or polygons
    layer = centerlines_layer(polygons)
    try:
        with written_at(moment or datetime.now(UTC)):
            _WRITERS[target.suffix.lower()](lines, unfinished, layer)
    except _WRITE_ERRORS as error:
        raise OutputError(
            target,
            f"cannot be written ({reveal(str(error), target)})",
            "geocobot needs a folder with write permission and free space",
            "Check the disk, or choose another --out",
        ) from error


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
            path, layer=layer, columns=columns, read_geometry=False
        )
    except _READ_ERRORS as error:
        raise unreadable(path, error) from error
    return frame.reindex(columns=columns)  # a GeoJSON without features has no columns


def _write_gpkg(lines: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    """Add a layer."""
    pyogrio.write_dataframe(
        lines,
        path,
        layer=layer,
        driver="GPKG",
        geometry_type="LineString",
        layer_options={"GEOMETRY_NAME": "geom", "DESCRIPTION": _DESCRIPTION},
    )


def _write_flatgeobuf(lines: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    """Write a file with a spatial index, which an empty one cannot have."""
    pyogrio.write_dataframe(
        lines,
        path,
        layer=layer,
        driver="FlatGeobuf",
        geometry_type="LineString",
        layer_options={"SPATIAL_INDEX": "YES" if len(lines) else "NO"},
    )


def _write_geojson(lines: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    """Write in WGS 84 degrees."""
    pyogrio.write_dataframe(
        lines,
        path,
        layer=layer,
        driver="GeoJSON",
        geometry_type="LineString",
        layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "9"},
    )


def _write_parquet(lines: gpd.GeoDataFrame, path: Path, layer: str) -> None:  # noqa: ARG001
    """Write a file, which has no layers."""
    lines.to_parquet(path, index=False, write_covering_bbox=True)


_WRITERS: dict[str, Callable[[gpd.GeoDataFrame, Path, str], None]] = {
    ".gpkg": _write_gpkg,
    ".fgb": _write_flatgeobuf,
    ".geojson": _write_geojson,
    ".parquet": _write_parquet,
}
