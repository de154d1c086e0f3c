"""Formats of vector results: which there are, and which files belong to each."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from geocobot.errors import OutputError

VECTOR_FORMATS = {
    ".gpkg": "GeoPackage",
    ".fgb": "FlatGeobuf",
    ".parquet": "GeoParquet",
    ".geojson": "GeoJSON",
    ".shp": "Shapefile",
}
"""Formats by the extension that chooses them."""

_SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg")


def check_format(path: str | Path) -> None:
    """Find out before the work starts whether a vector file can be written.

    Raises:
        OutputError: the extension is unknown, or that of a Shapefile in capitals, or the format
            needs a package that is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in VECTOR_FORMATS:
        raise OutputError(
            path,
            f"has the extension {suffix!r}" if suffix else "has no extension",
            f"The extension chooses the format: {', '.join(VECTOR_FORMATS)}",
            "Choose one of them; .gpkg carries its style with it",
        )
    if suffix == ".shp" and Path(path).suffix != suffix:
        raise OutputError(
            path,
            f"ends in {Path(path).suffix}",
            "GDAL writes the parts of a Shapefile in small letters, and looks for them in those of "
            "the name",
            f"Call it {Path(path).with_suffix(suffix).name}",
        )
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise OutputError(
            path,
            "cannot be written without pyarrow",
            "GeoParquet needs the package pyarrow",
            'Run pip install "geocobot[parquet]", or choose .gpkg',
        )


def parts_of(path: str | Path) -> tuple[Path, ...]:
    """Further files that make up a vector file, in their places; most formats need none."""
    target = Path(path)
    if target.suffix.lower() != ".shp":
        return ()
    return tuple(target.with_suffix(suffix) for suffix in _SHAPEFILE_PARTS)


def style_beside(path: str | Path) -> Path | None:
    """Where the style goes that QGIS loads with a file; None for those that carry their own."""
    target = Path(path)
    return None if target.suffix.lower() == ".gpkg" else target.with_suffix(".qml")
