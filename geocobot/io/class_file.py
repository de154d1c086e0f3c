"""Rasters of class numbers as files: which values occur, and what they are called."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import BACKGROUND
from geocobot.errors import BandError
from geocobot.grid import GeoGrid
from geocobot.io.handles import Handles
from geocobot.io.opening import check_path, file_name, look_at
from geocobot.io.patient import read_patiently
from geocobot.io.shapes import bounds_in
from geocobot.io.source import grid_of

_BLOCK_PX = 1024
_CLASS_TAG = re.compile(r"CLASS_(\d+)")
_BLACK = "#000000"
_MOST_VALUE = 2**53
"""Whole numbers up to it are told apart in every type that a raster has."""


@dataclass(frozen=True)
class ClassFile:
    """A raster of class numbers, read once.

    Attributes:
        path: file name, URL or GDAL name.
        grid: of its pixels, north-up.
        nodata: value of pixels of which nothing is known; None where there is none.
        values: what occurs, sorted, `nodata` left out.
        names: of some values, from the band's tags CLASS_1, CLASS_2 and so on, as geocobot
            writes them.
        colors: of some values, from its color table.
        checksum: of all its pixels.
    """

    path: str
    grid: GeoGrid
    nodata: float | None
    values: tuple[int, ...]
    names: Mapping[int, str]
    colors: Mapping[int, str]
    checksum: int

    @property
    def name(self) -> str:
        """File name without folder."""
        return file_name(self.path)

    def meets(self, grid: GeoGrid) -> bool:
        """Whether it may lie on a scene, as far as their extents tell."""
        scene = bounds_in(grid.bounds, grid.crs, self.grid.crs)
        if scene is None:  # across the edge of the file's CRS: its pixels know better
            return True
        west, south, east, north = self.grid.bounds
        return scene[0] < east and west < scene[2] and scene[1] < north and south < scene[3]


def read_class_file(path: str) -> ClassFile:
    """Look at every pixel of a file once.

    Raises:
        BandError: it has several bands, or numbers that are not whole.
        GeocobotError: it cannot be read, or has no place.
    """
    check_path(path, "--labels")
    grid, nodata, names, colors = look_at(path, partial(_described, path))
    values, checksum = _scan(path, grid.shape, nodata)
    return ClassFile(path, grid, nodata, values, names, colors, checksum)


def _described(
    path: str, source: Any
) -> tuple[GeoGrid, float | None, dict[int, str], dict[int, str]]:
    """Grid, nodata, names and colors by value of an open file."""
    if source.count != 1:
        raise BandError(
            path,
            f"has {source.count} bands",
            "A raster of labels has one, with class numbers",
            f"Take it out with: gdal_translate -b 1 {path} class_numbers.tif",
        )
    grid, _ = grid_of(source, path, resampling="near")
    # Class 0 is what is not a class, whether or not it is declared as nodata.
    nodata = None if source.nodata == BACKGROUND else source.nodata
    return grid, nodata, class_names(source), color_table(source)


def _scan(path: str, shape: tuple[int, int], nodata: float | None) -> tuple[tuple[int, ...], int]:
    """The values that occur, sorted, and a checksum of all pixels."""
    found: set[int] = set()
    checksum = 0
    height, width = shape
    handles = Handles()
    with closing(handles):
        for row, col in product(range(0, height, _BLOCK_PX), range(0, width, _BLOCK_PX)):
            window = Window(col, row, min(_BLOCK_PX, width - col), min(_BLOCK_PX, height - row))
            read = partial(_read, window=window)
            raw = read_patiently(handles, path, window, read)
            checksum = zlib.crc32(np.ascontiguousarray(raw).data, checksum)
            values = _different(raw, nodata)
            if np.any(values != np.trunc(values)):
                raise BandError(
                    path,
                    f"has the value {values[values != np.trunc(values)][0]:g}",
                    "Class numbers are whole",
                    "Is it a scene, or a raster of scores? Then it belongs to --raster",
                )
            if values.size and max(abs(values[0]), abs(values[-1])) > _MOST_VALUE:
                beyond = max(values[0], values[-1], key=abs)
                raise BandError(
                    path,
                    f"has the value {beyond!s}",
                    f"Class numbers are whole numbers up to {_MOST_VALUE:,}",
                    "If it stands for no data, declare it: gdal_edit.py -a_nodata "
                    f"{beyond!s} {path}",
                )
            found.update(int(v) for v in values)
    return tuple(sorted(found)), checksum


def _read(source: Any, window: Window) -> npt.NDArray[Any]:
    """Values (H, W) of a window of the open file."""
    values: npt.NDArray[Any] = source.read(1, window=window)
    return values


def _different(raw: npt.NDArray[Any], nodata: float | None) -> npt.NDArray[Any]:
    """The different values of a block, sorted, without nodata."""
    if raw.dtype not in (np.uint8, np.uint16):
        return np.unique(raw[is_known(raw, nodata)])
    values = np.flatnonzero(np.bincount(raw.ravel())).astype(raw.dtype)
    return values if nodata is None else values[values != nodata]


def is_known(raw: npt.NDArray[np.generic], nodata: float | None) -> npt.NDArray[np.bool_]:
    """Where raw values (H, W) say something: they are neither nodata nor NaN nor infinite."""
    known: npt.NDArray[np.bool_] = np.isfinite(raw)
    return known if nodata is None else known & (raw != nodata)


def class_names(source: Any) -> dict[int, str]:
    """Names by value, where an open file's band has tags of them."""
    return {int(m[1]): v for k, v in source.tags(1).items() if (m := _CLASS_TAG.fullmatch(k))}


def color_table(source: Any) -> dict[int, str]:
    """Colors by value, where the file has a table; black ones are those that nobody chose."""
    try:
        table = source.colormap(1)
    except ValueError:
        return {}
    colors = {value: "#{:02x}{:02x}{:02x}".format(*rgba[:3]) for value, rgba in table.items()}
    return {value: color for value, color in colors.items() if color != _BLACK}
