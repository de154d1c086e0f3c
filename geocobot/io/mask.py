"""Masks: rasters that say by their pixels what is to be mapped."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from geocobot.errors import BandError, EmptyLabelsError
from geocobot.grid import GeoGrid
from geocobot.io.cache import bounded_cache
from geocobot.io.class_file import is_known
from geocobot.io.handles import Handles
from geocobot.io.opening import check_path, file_name, look_at
from geocobot.io.patient import read_patiently
from geocobot.io.shapes import bounds_in
from geocobot.io.source import alpha_band, grid_of
from geocobot.io.warped_file import WarpedFile
from geocobot.windows import around, grown

_LOG = logging.getLogger("geocobot.io")

_BLOCK_PX = 256
"""Side of the squares of a mask of which is kept whether anything is in them."""

_BLOCKS_READ = 64  # side by side, at once

_SCENE_BLOCK_PX = 1024
"""Side of the squares of a scene in which the edges of a mask are looked for."""


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A raster whose pixels say what is to be mapped: those that are neither 0 nor nodata.

    Attributes:
        path: file name, URL or GDAL name.
        grid: of its pixels.
        nodata: value of pixels that say nothing; None where there is none.
        blocks: (N, M) which squares of the grid have a pixel that is to be mapped.
        checksum: of which pixels these are, whatever their values.
    """

    path: str
    grid: GeoGrid
    nodata: float | None
    blocks: npt.NDArray[np.bool_]
    checksum: str

    def on(self, grid: GeoGrid) -> PlacedMask:
        """The same in the pixels of a scene, each of which follows the mask's nearest one."""
        return PlacedMask(self, WarpedFile(self.path, grid))

    def may_mark(self, window: Window, grid: GeoGrid) -> bool:
        """Whether something in a window of another grid may be marked, without a look at pixels."""
        bounds = bounds_in(grid.bounds_of(window), grid.crs, self.grid.crs)
        if bounds is None:  # across the edge of the mask's CRS: its pixels know better
            return True
        found = self.grid.window_around(bounds)
        near = None if found is None else self.grid.clip(grown(found, 1))
        if near is None:
            return False
        rows, cols = (
            slice(first // _BLOCK_PX, (first + length - 1) // _BLOCK_PX + 1)
            for first, length in ((near.row_off, near.height), (near.col_off, near.width))
        )
        return bool(self.blocks[rows, cols].any())


@dataclass(frozen=True, eq=False)
class PlacedMask:
    """A mask in the pixels of a scene, read by window.

    Attributes:
        mask: the file, in its own pixels.
        file: the same on the grid of the scene.
    """

    mask: MaskFile
    file: WarpedFile

    @property
    def grid(self) -> GeoGrid:
        """That of the scene."""
        return self.file.grid

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """1 where (H, W) a window that lies on the grid is marked, 0 elsewhere.

        Raises:
            UnreadableFileError: the file is truncated or corrupt there.
        """
        if not self.mask.may_mark(window, self.grid):
            return np.zeros((int(window.height), int(window.width)), dtype=np.uint8)
        raw, covered = self.file.read(window)
        marked = _is_marked(raw, self.mask.nodata) & covered
        return np.asarray(marked, dtype=np.uint8)

    def around(self) -> Window | None:
        """The smallest window around all that is marked on the grid; only its edges are read."""
        rows, cols = (range(0, length, _SCENE_BLOCK_PX) for length in self.grid.shape)
        near = [
            [block for col in cols if self.mask.may_mark(block := self._block(row, col), self.grid)]
            for row in rows
        ]
        across = [[b for line in near for b in line if b.col_off == col] for col in cols]
        edges = [self._first_marked(lines) for lines in (near, near[::-1], across, across[::-1])]
        marked = [window for edge in edges for window in edge]
        return around(marked) if marked else None

    def digest(self) -> str:
        """A checksum of which of the mask's pixels are marked, and where they lie."""
        grid = self.mask.grid
        said = (grid.crs.to_wkt(), tuple(grid.transform)[:6], grid.shape, self.mask.checksum)
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def close(self) -> None:
        """Close this process's handles; the next read opens the file again."""
        self.file.close()

    def _block(self, row: int, col: int) -> Window:
        """A square of the grid by its upper left pixel; what overhangs is left out."""
        height, width = self.grid.shape
        side = _SCENE_BLOCK_PX
        return Window(col, row, min(side, width - col), min(side, height - row))

    def _first_marked(self, lines: Sequence[Sequence[Window]]) -> list[Window]:
        """What is marked in the first line of squares that has anything."""
        for line in lines:
            marked = [window for window in map(self._marked_in, line) if window is not None]
            if marked:
                return marked
        return []

    def _marked_in(self, window: Window) -> Window | None:
        """The smallest window around what is marked in a window."""
        marked = self.read(window)
        rows, cols = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return None
        col, row = window.col_off + int(cols[0]), window.row_off + int(rows[0])
        return Window(col, row, int(np.ptp(cols)) + 1, int(np.ptp(rows)) + 1)


def read_mask(path: str, flag: str) -> MaskFile:
    """Look at every pixel of a mask once; memory does not grow with its height.

    Args:
        path: file name, URL or GDAL name.
        flag: what names it on the command line.

    Raises:
        BandError: it has several bands, or no plain numbers.
        EmptyLabelsError: nothing in it is marked.
        GeocobotError: it cannot be read, or has no place.
    """
    check_path(path, flag)
    grid, nodata, flipped = look_at(path, partial(_described, path))
    blocks = np.zeros([-(-length // _BLOCK_PX) for length in grid.shape], dtype=np.bool_)
    checksum = hashlib.sha256()
    marked_px = 0
    handles = Handles()
    with closing(handles):
        for window in _windows(grid):
            marked = _scan(handles, path, window, grid.height if flipped else None)
            checksum.update(np.packbits(marked).data)
            marked_px += int(np.count_nonzero(marked))
            starts = np.arange(0, marked.shape[1], _BLOCK_PX)
            first = window.col_off // _BLOCK_PX
            blocks[window.row_off // _BLOCK_PX, first : first + len(starts)] = (
                np.logical_or.reduceat(marked.any(axis=0), starts)
            )
    if not marked_px:
        raise _nothing_marked(path, flag, nodata)
    share = marked_px / np.prod(grid.shape)
    _LOG.info("%s: %.3g %% of it is to be mapped.", file_name(path), 100 * share)
    return MaskFile(path, grid, nodata, blocks, checksum.hexdigest())


def _described(path: str, source: Any) -> tuple[GeoGrid, float | None, bool]:
    """Grid and nodata of an open file, and whether its rows run from south to north."""
    _check_bands(source, path)
    grid, flipped = grid_of(source, path, resampling="near")
    return grid, source.nodata, flipped


def _windows(grid: GeoGrid) -> Iterator[Window]:
    """Windows that cover a grid, of one row of squares each; memory holds one at a time."""
    width = _BLOCK_PX * _BLOCKS_READ
    for row in range(0, grid.height, _BLOCK_PX):
        for col in range(0, grid.width, width):
            yield Window(col, row, min(width, grid.width - col), min(_BLOCK_PX, grid.height - row))


def _scan(
    handles: Handles, path: str, window: Window, flipped_rows: int | None
) -> npt.NDArray[np.bool_]:
    """Which pixels (H, W) of a window of the north-up grid are marked.

    Args:
        handles: of the file.
        path: its name.
        window: to look at.
        flipped_rows: height of the file where it runs from south to north.
    """
    if flipped_rows is None:
        return read_patiently(handles, path, window, partial(_marked, window=window))
    row_off = flipped_rows - window.row_off - window.height
    there = Window(window.col_off, row_off, window.width, window.height)
    return read_patiently(handles, path, there, partial(_marked, window=there))[::-1]


def _marked(source: Any, window: Window) -> npt.NDArray[np.bool_]:
    """Which pixels (H, W) of a window of the open file are marked."""
    with bounded_cache(source, window.height):
        marked = _is_marked(source.read(1, window=window), source.nodata)
        flags = source.mask_flag_enums[0]
        if not flags or MaskFlags.per_dataset in flags:
            marked &= source.read_masks(1, window=window) > 0
    return marked


def _is_marked(raw: npt.NDArray[np.generic], nodata: float | None) -> npt.NDArray[np.bool_]:
    """Where raw values (H, W) are numbers other than 0 and nodata."""
    return np.asarray(is_known(raw, nodata) & (raw != 0))


def _check_bands(source: Any, path: str) -> None:
    """Refuse all but one band of plain numbers."""
    found = None
    if source.count != 1:
        found = f"has {source.count} bands"
    elif alpha_band(source) is not None:
        found = "has alpha in its only band"
    elif "complex" in source.dtypes[0]:
        found = f"has complex numbers ({source.dtypes[0]})"
    if found is not None:
        raise BandError(
            path,
            found,
            "A mask has one band of numbers: where they are neither 0 nor nodata is mapped",
            "Make one with the raster calculator of QGIS, or take a band out with: "
            f"gdal_translate -b <number> -colorinterp gray {path} mask_band.tif",
        )


def _nothing_marked(path: str, flag: str, nodata: float | None) -> EmptyLabelsError:
    """What to say of a mask that leaves nothing to map."""
    found, remedy = "", "Look at its values in QGIS, or leave the option out"
    if nodata and np.isfinite(nodata):
        found = f" and nodata ({nodata:g})"
        remedy = (
            f"If {nodata:g} is what is to be mapped, say so: gdal_edit.py -unsetnodata {path}; "
            f"else look at its values in QGIS"
        )
    return EmptyLabelsError(
        path,
        f"has nothing but 0{found}",
        f"{flag} is what is to be mapped: pixels of a mask that are neither 0 nor nodata",
        remedy,
    )
