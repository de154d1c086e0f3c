"""A small picture of a whole scene, cheap enough for a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocobot.errors import UnreadableFileError
from geocobot.grid import GeoGrid
from geocobot.io.cache import bounded_cache
from geocobot.io.opening import open_dataset
from geocobot.io.scene import Scene, has_data

MOST_PX = 250_000_000
"""Larger files are read for a picture only where they have overviews."""

_CLIPPED_PERCENT = 2.0


@dataclass(frozen=True)
class Sampling:
    """Which pixels of a grid a small picture shows: one of every square, row by row.

    Attributes:
        step: side of a square in pixels of the grid.
        grid_shape: height and width of the grid.
    """

    step: int
    grid_shape: tuple[int, int]

    @classmethod
    def of(cls, grid: GeoGrid, longest_px: int) -> Sampling:
        """A picture of a grid whose longer side is no longer than this."""
        return cls(max(1, -(-max(grid.shape) // longest_px)), grid.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture; squares that the grid cuts off are left out."""
        height, width = (max(1, side // self.step) for side in self.grid_shape)
        return height, width

    @property
    def covered(self) -> tuple[int, int]:
        """Rows and columns of the grid that the squares cover."""
        height, width = (
            min(n * self.step, side) for n, side in zip(self.shape, self.grid_shape, strict=True)
        )
        return height, width

    def rows(self, row_off: int, n_rows: int) -> tuple[npt.NDArray[np.int64], slice]:
        """What is shown of full-width rows.

        Args:
            row_off: the first of them, in pixels of the grid.
            n_rows: how many.

        Returns:
            The rows that are shown, counted from the first, and where they go in the picture.
        """
        shown = self._shown(0)
        first, end = np.searchsorted(shown, [row_off, row_off + n_rows])
        return shown[first:end] - row_off, slice(int(first), int(end))

    @property
    def columns(self) -> npt.NDArray[np.int64]:
        """The columns that are shown."""
        return self._shown(1)

    def _shown(self, axis: int) -> npt.NDArray[np.int64]:
        """The rows or the columns that are shown: the middle ones of the squares."""
        step = min(self.step, self.grid_shape[axis])
        return np.arange(self.shape[axis]) * step + step // 2


def quicklook(scene: Scene, sampling: Sampling) -> npt.NDArray[np.uint8] | None:
    """A picture of a scene.

    Args:
        scene: whose first three bands are shown, or its first one as gray.
        sampling: says how small.

    Returns:
        (h, w, 3) RGB, each band from its 2nd to its 98th percentile; white where there is no data.
        None where the scene is large and has no overviews, or cannot be read as a whole.
    """
    if type(scene) is not Scene:
        return None
    height, width = sampling.covered
    try:
        with open_dataset(scene.path) as source:
            if not source.overviews(scene.bands[0]) and source.width * source.height > MOST_PX:
                return None
            first = source.height - height if scene.flipped else 0
            window = Window(0, first, width, height)
            how = {"window": window, "out_shape": sampling.shape, "resampling": Resampling.nearest}
            with bounded_cache(source, sampling.step):
                image = np.stack(
                    [source.read(b, out_dtype=scene.dtype, **how) for b in scene.bands]
                )
                valid = has_data(image, scene.band_nodata)
                if scene.alpha is not None:
                    valid &= source.read(scene.alpha, **how) > 0
                if scene.masked:
                    valid &= (source.read_masks(list(scene.bands), **how) > 0).all(axis=0)
    except (RasterioError, UnreadableFileError, MemoryError):
        return None
    shown = image[:3] if len(image) >= 3 else image[:1]
    picture = np.stack([_stretched(layer, valid) for layer in shown.astype(np.float64)], axis=-1)
    if scene.flipped:
        picture = picture[::-1]
    return np.ascontiguousarray(np.broadcast_to(picture, (*sampling.shape, 3)))


def _stretched(
    layer: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Values as light, white where there is no data."""
    shown = np.full(layer.shape, 255, dtype=np.uint8)
    if valid.any():
        limits = (_CLIPPED_PERCENT, 100 - _CLIPPED_PERCENT)
        low, high = np.percentile(layer[valid], limits).tolist()
        light = (layer[valid] - low) / max(high - low, 1e-12)
        shown[valid] = np.rint(np.clip(light, 0, 1) * 255)
    return shown
