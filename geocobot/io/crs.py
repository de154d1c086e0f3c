"""Coordinate reference systems: as users name them, and as messages do."""

from __future__ import annotations

import os

from pyproj import CRS
from pyproj.exceptions import CRSError as ProjError

from geocobot.errors import CrsError
from geocobot.io.opening import open_dataset

_MAX_SHOWN = 80


def crs_label(crs: CRS) -> str:
    """A CRS in a few letters: its code if it has one, else its name."""
    authority = crs.to_authority()
    if authority:
        return ":".join(authority)
    return "a CRS without a name" if crs.name in {"unnamed", "unknown"} else str(crs.name)


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
    except (ProjError, UnicodeEncodeError):  # of bytes that are no text
        return None


def _short(text: str) -> str:
    """A text in quotes, the middle of a long one left out."""
    if len(text) <= _MAX_SHOWN:
        return repr(text)
    return f"{text[: _MAX_SHOWN // 2]!r} ... {text[-_MAX_SHOWN // 2 :]!r}"
