"""What to say of a vector file that cannot be read."""

from __future__ import annotations

from pathlib import Path

from geocobot.errors import CrsError, UnreadableFileError
from geocobot.io.vector_paths import as_given


def bad_crs(path: str | Path, error: Exception) -> CrsError:
    """What to do about a file that cannot be read because of what it says of its CRS."""
    return CrsError(
        path,
        f"declares a CRS that cannot be read ({first_line(error)})",
        "geocobot needs to know where labels lie",
        "Save them again in QGIS with the right CRS; beside a shapefile, delete the .prj file and "
        "pass --labels-crs",
    )


def solid(path: str | Path) -> UnreadableFileError:
    """What to do about solids, which GDAL knows and shapely does not; curves it makes straight."""
    return UnreadableFileError(
        path,
        "holds solids (triangulated or polyhedral surfaces)",
        "Labels are lines, polygons or points",
        f"Flatten them once with: ogr2ogr -nlt MULTIPOLYGON flat.gpkg {path}",
    )


def unreadable(path: str | Path, error: Exception) -> UnreadableFileError:
    """What the library said, in one sentence."""
    return UnreadableFileError(
        path,
        f"cannot be read ({first_line(error)})",
        "geocobot reads Shapefile, GeoPackage, GeoJSON, FlatGeobuf and what else GDAL knows",
        "Check that it is a vector file and complete; export it again from its source",
    )


def first_line(error: Exception) -> str:
    """The first of what a library said."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return as_given(line)
