"""Raster files by name: whether they are there, opened with GDAL, and what to say where not."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from geocobot.errors import MissingFileError, UnreadableFileError
from geocobot.io.remote import is_remote, patiently, reason, remote_options

# https://..., /vsizip/..., NETCDF:"file.nc":variable; one letter and a colon is a Windows drive.
GDAL_NAME = re.compile(r"/vsi|[A-Za-z][A-Za-z0-9_+.-]+:")


def check_path(path: str | Path, flag: str = "--raster") -> None:
    """Refuse what is not there and what is a folder; GDAL's own names and URLs pass.

    Args:
        path: of a raster.
        flag: what names it on the command line.

    Raises:
        MissingFileError: there is no such file.
        UnreadableFileError: it is a folder.
    """
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
        remedy = "Check that it is a raster and complete: copy or download it again"
        raise UnreadableFileError(
            path,
            f"cannot be opened ({reason(error)})",
            "geocobot reads GeoTIFF and every other raster format GDAL knows",
            "Check the address and the server, and try again" if is_remote(path) else remedy,
        ) from error


def _open(path: str, *, anew: bool) -> Any:
    """Open a raster; a remote one counts as open when its head is there as a whole."""
    with warnings.catch_warnings(), remote_options(path, forgetting=anew):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        source = rasterio.open(path)
        try:
            if is_remote(path):
                _check_head(source)
        except RasterioError:
            source.close()
            raise
        return source


def _check_head(source: Any) -> None:
    """Find out whether an answer broke off within the head of a cloud-optimized GeoTIFF.

    GDAL takes what it got, and may miss no more than the mask. The places of the blocks stand
    behind all that describes the file, so that they are missing as well.

    Raises:
        RasterioIOError: it is not there as a whole.
    """
    if source.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") != "COG":
        return
    if source.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1) is None:
        # Or the first block is a hole, which is read without an error.
        source.read(1, window=Window(0, 0, 1, 1))


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
