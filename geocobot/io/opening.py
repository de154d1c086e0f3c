"""Raster files by name: whether they are there, opened with GDAL, and what to say where not."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from geocobot.errors import MissingFileError, UnreadableFileError
from geocobot.io.remote import is_remote, patiently, reason, remote_options

_T = TypeVar("_T")

RASTER_ENDINGS = frozenset(
    {".tif", ".tiff", ".gtiff", ".vrt", ".jp2", ".j2k", ".img", ".kea", ".ntf", ".nitf", ".bil"}
    | {".bip", ".bsq", ".asc", ".ecw", ".sid"}
)

# https://..., /vsizip/..., NETCDF:"file.nc":variable; one letter and a colon is a Windows drive.
GDAL_NAME = re.compile(r"/vsi|[A-Za-z][A-Za-z0-9_+.-]+:")


def is_raster_name(path: str) -> bool:
    """Whether a file, a URL or a GDAL name ends as rasters do; a query is no ending."""
    return Path(path.partition("?")[0]).suffix.lower() in RASTER_ENDINGS


def file_name(path: str | Path) -> str:
    """The name of a file without its folder; what follows the `?` of a URL may be a secret."""
    return _without_query(path).name


def file_stem(path: str | Path) -> str:
    """The name of a file without folder and ending, as `file_name`."""
    return _without_query(path).stem


def absolute(path: str) -> str:
    """The same file, folder or pattern from the root on; URLs and GDAL names are as they are."""
    return path if GDAL_NAME.match(path) else os.path.abspath(path)  # noqa: PTH100 # links stay


def check_encoding(path: str | Path) -> None:
    """Refuse a name with bytes that are not UTF-8, which GDAL cannot be told.

    Raises:
        UnreadableFileError: it is such a name.
    """
    if not is_utf8(path):
        raise UnreadableFileError(
            path,
            "has a name that is not UTF-8",
            "GDAL opens files by names in UTF-8",
            "Rename the file, or the folder that is called so",
        )


def is_utf8(path: str | Path) -> bool:
    """Whether a name can be written in UTF-8; Python reads other bytes as lone surrogates."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_path(path: str | Path, flag: str = "--raster") -> None:
    """Refuse what is not there and what is a folder; GDAL's own names and URLs pass.

    Args:
        path: of a raster.
        flag: what names it on the command line.

    Raises:
        MissingFileError: there is no such file.
        UnreadableFileError: it is a folder, or its name is not UTF-8.
    """
    check_encoding(path)
    if os.path.isdir(path):
        raise UnreadableFileError(
            path,
            "is a folder",
            f"{flag} names a raster file",
            "Name the files in it, or join them with: gdalbuildvrt scene.vrt folder/*.tif",
        )
    if not os.path.exists(path) and not GDAL_NAME.match(str(path)):
        raise MissingFileError(
            path, "does not exist", f"{flag} names a raster file", "Check the path"
        )


def open_dataset(path: str, *, anew: bool = False) -> Any:
    """Open a raster with GDAL; a remote one is asked for several times before it is given up.

    Args:
        path: file name, URL or GDAL name.
        anew: whether what GDAL knows of a remote file is to be forgotten.

    Raises:
        UnreadableFileError: GDAL cannot open it.
    """
    try:
        return patiently(path, lambda failed: _open(path, anew=anew or failed > 0))
    except RasterioError as error:
        raise _unopened(path, error) from error


def look_at(path: str, described: Callable[[Any], _T]) -> _T:
    """What can be said of a raster that is opened with GDAL, and closed then.

    Much of it GDAL reads when it is first asked for, and of a remote file that may fail as well:
    a mask that cannot be found is none.

    Args:
        path: file name, URL or GDAL name.
        described: says it of the open dataset.

    Raises:
        UnreadableFileError: GDAL cannot open it.
        GeocobotError: whatever `described` finds.
    """

    def attempt(failed: int) -> _T:
        with _open(path, anew=failed > 0) as source:
            return described(source)

    try:
        return patiently(path, attempt)
    except RasterioError as error:
        raise _unopened(path, error) from error


def opens_as_raster(path: str) -> bool:
    """Whether GDAL finds bands in a file."""
    try:
        return look_at(path, lambda source: int(source.count)) > 0
    except UnreadableFileError:
        return False


def _without_query(path: str | Path) -> Path:
    """The part of a URL that names a file, or the whole name of a file."""
    text = str(path)
    return Path(text.partition("?")[0] if GDAL_NAME.match(text) else text)


def _open(path: str, *, anew: bool) -> Any:
    """Open a raster."""
    with warnings.catch_warnings(), remote_options(path, forgetting=anew):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _unopened(path: str, error: BaseException) -> UnreadableFileError:
    """What to say of a file that cannot be opened."""
    remedy = "Check that it is a raster and complete: copy or download it again"
    return UnreadableFileError(
        path,
        f"cannot be opened ({reason(error)})",
        "geocobot reads GeoTIFF and every other raster format GDAL knows",
        "Check the address and the server, and try again" if is_remote(path) else remedy,
    )


def unreadable_part(path: str | Path, window: Window, error: BaseException) -> UnreadableFileError:
    """What to say of a file that cannot be read everywhere."""
    remedy = "The file is probably truncated or corrupt: copy or download it again"
    if is_remote(str(path)):
        remedy = "Check the server and the connection, and try again; or download the whole file"
    return UnreadableFileError(
        path,
        f"cannot be read at rows {window.row_off} to {window.row_off + window.height} "
        f"and columns {window.col_off} to {window.col_off + window.width} ({reason(error)})",
        "geocobot needs every pixel of it",
        remedy,
    )
