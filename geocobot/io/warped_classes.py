"""Class rasters read on the grid of a scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.grid import GeoGrid
from geocobot.io.class_file import is_known
from geocobot.io.handles import Handles
from geocobot.io.opening import unreadable_part
from geocobot.io.warped_files import WarpedFiles


@dataclass(frozen=True, eq=False)
class WarpedClasses:
    """Class rasters on another grid: every pixel takes the nearest one's class.

    Attributes:
        paths: in this order, the later one on top.
        nodata: of each of them.
        grid: to read on.
        values: (N,) int64, sorted: what is a class in the files.
        numbers: (N,) its class number; other values are background.
    """

    paths: tuple[str, ...]
    nodata: tuple[float | None, ...]
    grid: GeoGrid
    values: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.uint8]
    _handles: Handles = field(default_factory=Handles, repr=False)

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Class numbers (H, W) of a window that lies on the grid; `IGNORE` where nothing is known.

        Raises:
            UnreadableFileError: a file is truncated or corrupt within the window.
        """
        classes = np.full((int(window.height), int(window.width)), IGNORE, dtype=np.uint8)
        for warped, path, nodata in zip(self._opened(), self.paths, self.nodata, strict=True):
            try:
                raw, alpha = warped.read(window=window)
            except RasterioError as error:
                raise unreadable_part(path, window, error) from error
            known = (alpha > 0) & is_known(raw, nodata)
            classes[known] = self._numbered(raw[known])
        return classes

    def close(self) -> None:
        """Close this process's handles; who reads again opens the files again."""
        self._handles.close()

    def _numbered(self, raw: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        """Class numbers (N,) of raw values (N,)."""
        whole = raw.astype(np.int64)
        position = np.minimum(np.searchsorted(self.values, whole), len(self.values) - 1)
        is_class = self.values[position] == whole
        return np.where(is_class, self.numbers[position], np.uint8(BACKGROUND))

    def _opened(self) -> tuple[Any, ...]:
        """The files on the grid, one per path."""
        opened: WarpedFiles = self._handles.get(partial(WarpedFiles, self.paths, self.grid))
        return opened.datasets
