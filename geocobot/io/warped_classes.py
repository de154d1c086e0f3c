"""Class rasters read on the grid of a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.grid import GeoGrid
from geocobot.io.class_file import ClassFile, is_known
from geocobot.io.extents import Extents
from geocobot.io.warped_file import WarpedFile


@dataclass(frozen=True, eq=False)
class WarpedClasses:
    """Class rasters on another grid: every pixel takes the nearest one's class.

    Attributes:
        files: in this order, the later one on top.
        nodata: of each of them.
        extents: theirs.
        grid: to read on.
        values: (N,) int64, sorted: what is a class in the files.
        numbers: (N,) its class number; other values are background.
    """

    files: tuple[WarpedFile, ...]
    nodata: tuple[float | None, ...]
    extents: Extents
    grid: GeoGrid
    values: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.uint8]

    @classmethod
    def of(
        cls, files: Sequence[ClassFile], grid: GeoGrid, number_of: Mapping[int, int]
    ) -> WarpedClasses:
        """Files on a grid.

        Args:
            files: in this order, the later one on top.
            grid: to read on.
            number_of: the class number of each value that is a class, by value.
        """
        return cls(
            tuple(WarpedFile(file.path, grid) for file in files),
            tuple(file.nodata for file in files),
            Extents.of([file.grid for file in files]),
            grid,
            np.array(list(number_of), dtype=np.int64),
            np.array(list(number_of.values()), dtype=np.uint8),
        )

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Class numbers (H, W) of a window that lies on the grid; `IGNORE` where nothing is known.

        Raises:
            UnreadableFileError: a file is truncated or corrupt within the window.
        """
        classes = np.full((int(window.height), int(window.width)), IGNORE, dtype=np.uint8)
        for number in self.extents.met_by(window, self.grid):
            raw, covered = self.files[number].read(window)
            known = covered & is_known(raw, self.nodata[number])
            classes[known] = self._numbered(raw[known])
        return classes

    def close(self) -> None:
        """Close this process's handles; who reads again opens the files again."""
        for file in self.files:
            file.close()

    def _numbered(self, raw: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        """Class numbers (N,) of raw values (N,)."""
        whole = raw.astype(np.int64)
        position = np.minimum(np.searchsorted(self.values, whole), len(self.values) - 1)
        is_class = self.values[position] == whole
        return np.where(is_class, self.numbers[position], np.uint8(BACKGROUND))
