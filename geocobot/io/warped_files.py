"""Rasters opened on the grid of another one: every pixel takes the nearest one's value."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geocobot.grid import GeoGrid
from geocobot.io.opening import open_dataset


class WarpedFiles:
    """Files opened on a grid, to be closed together.

    Args:
        paths: file names, URLs or GDAL names.
        grid: to read on.
        anew: whether what GDAL knows of remote files is to be forgotten.

    Attributes:
        datasets: one per path, of two bands: the first band's values, nodata among them, and
            alpha, which is 0 outside of the file.
    """

    def __init__(self, paths: Sequence[str], grid: GeoGrid, *, anew: bool = False) -> None:
        self._stack = ExitStack()
        self.datasets = tuple(self._open(path, grid, anew=anew) for path in paths)

    def close(self) -> None:
        """Close all of them."""
        self._stack.close()

    def _open(self, path: str, grid: GeoGrid, *, anew: bool) -> Any:
        """One file with an alpha band that is 0 outside of it; nodata is a value like others."""
        # Closed, but not entered: rasterio binds what is entered to its thread, and another one
        # may close it.
        source = open_dataset(path, anew=anew)
        self._stack.callback(source.close)
        warped = WarpedVRT(
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
        self._stack.callback(warped.close)
        return warped
