"""Scenes read in other pixels than those of their files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.errors import GridMismatchError, PixelSizeError
from geocobot.grid import GeoGrid
from geocobot.io.scene import Scene
from geocobot.resampling import reach_px, resample

_HAIR_PX = 1e-6
"""Corners that lie so close are the same."""

_SAME = 0.01
"""Sizes that differ by less are the same."""

_MOST_FINER = 4.0
"""So many times as many pixels along a side as the file has; more show nothing new."""

_MOST_COARSER = 100.0
"""So many pixels of the file along a side of one; more would be read again and again."""

_MAX_READ_PX = 2**22  # of the file at a time: 50 MB in float32 with three bands


@dataclass(frozen=True)
class ResampledScene(Scene):
    """A scene in other pixels than its file's, resampled while it is read.

    What has no data in the file has no say in the result, and a pixel is valid where the file has
    data within it, so that no pixel of the file that has data is left without a pixel here. GDAL's
    own `WarpedVRT` decides by the nodata value of each band alone, and takes the overviews of the
    file, which are not used here.

    Attributes:
        native: the scene in the pixels of its file.
    """

    native: Scene = field(kw_only=True)

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Pixels of the file per pixel of this scene."""
        x, y = self.grid.res_xy
        native_x, native_y = self.native.grid.res_xy
        return x / native_x, y / native_y

    @cached_property
    def shift_xy(self) -> tuple[float, float]:
        """Where the upper left corner of this scene lies, in pixels of the file."""
        west, _, _, north = self.grid.bounds
        (corner,) = self.native.grid.pixels_of(np.array([[west, north]]))
        whole = np.rint(corner)
        x, y = np.where(np.abs(corner - whole) < _HAIR_PX, whole, corner)
        return float(x), float(y)

    @property
    def parts(self) -> tuple[Scene, ...]:
        """The scenes in their files."""
        return self.native.parts

    def close(self) -> None:
        """Close this process's handles; the next read opens the file again."""
        self.native.close()

    def read_inside(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """Image (C, H, W) and validity (H, W) of a window that lies on the grid."""
        cols, rows = self._spans(window)
        self.native.expect(Window(cols.first, rows.first, cols.length, rows.length))
        parts = [self._read_rows(part) for part in self._few_rows(window)]
        images, valids = zip(*parts, strict=True)
        return np.concatenate(images, axis=1), np.concatenate(valids)

    def _spans(self, window: Window) -> tuple[_Span, _Span]:
        """Columns and rows of a window."""
        scale_x, scale_y = self.scale_xy
        shift_x, shift_y = self.shift_xy
        return (
            _Span(window.col_off, window.width, scale_x, shift_x),
            _Span(window.row_off, window.height, scale_y, shift_y),
        )

    def _few_rows(self, window: Window) -> Iterator[Window]:
        """A window in parts that take little memory to read."""
        scale_x, scale_y = self.scale_xy
        row_px = (window.width * scale_x + 2 * reach_px(scale_x)) * max(scale_y, 1.0)
        step = max(1, int(_MAX_READ_PX / row_px))
        for row in range(0, window.height, step):
            height = min(step, window.height - row)
            yield Window(window.col_off, window.row_off + row, window.width, height)

    def _read_rows(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """What `read_inside` gives, of a window that is read at once."""
        cols, rows = self._spans(window)
        patch = self.native.read(Window(cols.first, rows.first, cols.length, rows.length))
        (left, right), (top, bottom) = cols.shown, rows.shown
        image = resample(
            patch.image, patch.valid, (left, top, right, bottom), (rows.size, cols.size)
        )
        valid = cols.any_of(rows.any_of(patch.valid, axis=0), axis=1)
        return _as(image, self.dtype), valid


@dataclass(frozen=True)
class _Span:
    """Pixels along one axis, and what has to be read of the file for them.

    Attributes:
        offset: the first of them.
        size: how many they are.
        scale: pixels of the file per pixel.
        shift: where pixel 0 begins in the file.
    """

    offset: int
    size: int
    scale: float
    shift: float

    @property
    def first(self) -> int:
        """First pixel of the file to read."""
        return math.floor(self._place(self.offset)) - reach_px(self.scale)

    @property
    def length(self) -> int:
        """How many to read."""
        end = math.ceil(self._place(self.offset + self.size)) + reach_px(self.scale)
        return end - self.first

    @property
    def shown(self) -> tuple[float, float]:
        """Where the pixels begin and end, in what is read."""
        start, stop = self._place(self.offset), self._place(self.offset + self.size)
        return start - self.first, stop - self.first

    def _place(self, pixel: float) -> float:
        """Where a pixel begins in the file."""
        return pixel * self.scale + self.shift

    def any_of(self, valid: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
        """Whether a pixel of the file whose center a pixel holds has data.

        A pixel finer than those of the file is held by one of them in its turn.

        Args:
            valid: of what is read.
            axis: that is meant.
        """
        places = np.arange(self.offset, self.offset + self.size + 1)
        if self.scale < 1:
            holders = np.floor((places[:-1] + 0.5) * self.scale + self.shift).astype(int)
            return np.asarray(valid.take(holders - self.first, axis=axis))
        starts = np.ceil(places * self.scale + self.shift - 0.5).astype(int) - self.first
        found = np.logical_or.reduceat(valid, starts, axis=axis)
        return np.asarray(found.take(range(self.size), axis=axis))


def _as(image: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[np.generic]:
    """The image in the data type of its file."""
    if np.dtype(dtype).kind in "iu":
        image = np.rint(image)
    return image.astype(dtype)


def resampled(scene: Scene, ground_xy_m: tuple[float, float]) -> Scene:
    """A scene in pixels of another size, or itself where its own are as large.

    Args:
        scene: in the pixels of its file.
        ground_xy_m: width and height of a pixel on the ground.

    Raises:
        PixelSizeError: the file's pixels are more than four times as large, or more than a hundred
            times smaller.
    """
    own_m = scene.grid.ground_pixel_m
    x, y = (_rounded(wanted / own) for wanted, own in zip(ground_xy_m, own_m, strict=True))
    if x == y == 1:
        return scene
    return _seen_on(scene, scene.grid.rescaled((x, y)))


def aligned(scene: Scene, grid: GeoGrid) -> Scene:
    """A scene in the pixels of another grid; itself where its own are among them.

    Args:
        scene: in the pixels of its file.
        grid: in the same CRS; need not cover it.

    Raises:
        PixelSizeError: the file's pixels are more than four times as large, or more than a hundred
            times smaller.
    """
    try:
        place = grid.window_for(scene.grid.bounds)
    except GridMismatchError:
        place = None
    if place is not None and (place.height, place.width) == scene.grid.shape:
        return scene
    return _seen_on(scene, grid.crop(grid.window_over(scene.grid.bounds)))


def _seen_on(scene: Scene, grid: GeoGrid) -> ResampledScene:
    """A scene in the pixels of a grid, unless these are too far from its own."""
    own_m, wanted_m = scene.grid.ground_pixel_m, grid.ground_pixel_m
    found = ResampledScene(**scene.seen_on(grid), native=scene)
    x, y = found.scale_xy
    if min(x, y) < 1 / _MOST_FINER:
        raise PixelSizeError(
            scene.path,
            f"has pixels of {_short(max(own_m))} m, and is to be read in pixels of "
            f"{_short(min(wanted_m))} m",
            f"Pixels are made up to {_MOST_FINER:g} times finer; more would show nothing new",
            f"Choose a finer scene, or --resolution {_short(max(own_m) / _MOST_FINER)} or more",
        )
    if max(x, y) > _MOST_COARSER:
        raise PixelSizeError(
            scene.path,
            f"has pixels of {_short(min(own_m))} m, and is to be read in pixels of "
            f"{_short(max(wanted_m))} m",
            f"Pixels are made up to {_MOST_COARSER:g} times coarser on the fly",
            f"Make a coarser copy once with: gdalwarp -r average -tr <x> <y> {scene.path} "
            f"coarse.tif",
        )
    return found


def _short(size_m: float) -> str:
    """A size in three digits, without powers of ten where there is no need."""
    return f"{float(f'{size_m:.3g}'):g}"


def _rounded(scale: float) -> float:
    """A scale, or the whole multiple that it is but for a hair: map projections stretch."""
    whole = round(scale) if scale >= 1 else 1 / round(1 / scale)
    return whole if abs(scale / whole - 1) <= _SAME else scale
