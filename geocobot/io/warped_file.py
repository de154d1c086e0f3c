"""A raster read on the grid of another one: every pixel takes the nearest one's value."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geocobot.grid import GeoGrid
from geocobot.io.cache import bounded_cache
from geocobot.io.handles import Handles
from geocobot.io.opening import open_dataset
from geocobot.io.patient import read_patiently


@dataclass(frozen=True, eq=False)
class WarpedFile:
    """A file of one band on a grid, opened when it is first read.

    Attributes:
        path: file name, URL or GDAL name.
        grid: to read on.
    """

    path: str
    grid: GeoGrid
    _handles: Handles = field(default_factory=Handles, repr=False)

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """Values (H, W), nodata among them, and which (H, W) of these pixels lie on the file.

        Args:
            window: integer pixels; lies on the grid.

        Raises:
            UnreadableFileError: the file cannot be opened, or is truncated or corrupt there.
        """
        opened = partial(_Opened, grid=self.grid)
        read = partial(_read, window=window)
        raw, alpha = read_patiently(self._handles, self.path, window, read, opened=opened)
        return raw, np.asarray(alpha > 0)

    def close(self) -> None:
        """Close this process's handles; the next read opens the file again."""
        self._handles.close()


class _Opened:
    """A file and what GDAL warps of it, to be closed together."""

    def __init__(self, path: str, *, grid: GeoGrid, anew: bool) -> None:
        with ExitStack() as stack:
            # Closed, but not entered: rasterio binds what is entered to its thread, and another
            # one may close it.
            source = open_dataset(path, anew=anew)
            stack.callback(source.close)
            self.warped: Any = WarpedVRT(
                source,
                crs=grid.crs.to_wkt(),
                transform=grid.transform,
                width=grid.width,
                height=grid.height,
                resampling=Resampling.nearest,
                add_alpha=True,
                src_nodata=None,
                nodata=None,
            )
            stack.callback(self.warped.close)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close both."""
        self._stack.close()


def _read(opened: _Opened, window: Window) -> npt.NDArray[np.generic]:
    """Values and alpha (2, H, W) of a window."""
    with bounded_cache(opened.warped, window.height):
        found: npt.NDArray[np.generic] = opened.warped.read(window=window)
    return found
