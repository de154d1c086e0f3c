"""The painter's frame: a place in its own metres, x to the east, y to the north."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from affine import Affine
from pyproj import CRS

from geocobot.grid import Bounds, GeoGrid

Array: TypeAlias = npt.NDArray[np.float32]
"""float32 array; pixels are (H, W), colors are (3, H, W) from 0 to 1."""

Reals: TypeAlias = npt.NDArray[np.floating[Any]]
"""What painters take: any floats."""

Points: TypeAlias = npt.NDArray[np.float64]
"""(N, 2) x and y in metres of the frame."""


@dataclass(frozen=True)
class Cut:
    """A rectangle of the frame's pixels.

    Attributes:
        rows: rows of the frame.
        cols: columns of the frame.
        x_m: (1, w) pixel centers.
        y_m: (h, 1) pixel centers.
    """

    rows: slice
    cols: slice
    x_m: Array
    y_m: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.y_m.shape[0], self.x_m.shape[1]


@dataclass(frozen=True)
class Frame:
    """What the painters see of the earth.

    Attributes:
        grid: north-up grid whose south-west corner is (0, 0), in metres.
    """

    grid: GeoGrid

    @classmethod
    def of(cls, crs: CRS, shape_hw: tuple[int, int], pixel_m: float) -> Frame:
        """Make the frame of a scene of (height, width) pixels of `pixel_m` metres."""
        transform = Affine(pixel_m, 0.0, 0.0, 0.0, -pixel_m, shape_hw[0] * pixel_m)
        return cls(GeoGrid(crs, transform, shape_hw))

    @property
    def pixel_m(self) -> float:
        """Pixel side in metres."""
        return self.grid.res_xy[0]

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height in metres."""
        return self.grid.width * self.pixel_m, self.grid.height * self.pixel_m

    @cached_property
    def whole(self) -> Cut:
        """All pixels."""
        x = (np.arange(self.grid.width) + 0.5) * self.pixel_m
        y = (self.grid.height - np.arange(self.grid.height) - 0.5) * self.pixel_m
        everything = slice(None)
        return Cut(
            everything, everything, x[None].astype(np.float32), y[:, None].astype(np.float32)
        )

    def cut(self, bounds: Bounds) -> Cut | None:
        """The pixels around bounds in metres, or None if they are outside."""
        window = self.grid.window_around(bounds)
        if window is None:
            return None
        rows = slice(window.row_off, window.row_off + window.height)
        cols = slice(window.col_off, window.col_off + window.width)
        return Cut(rows, cols, self.whole.x_m[:, cols], self.whole.y_m[rows])

    def cut_around(self, x_m: float, y_m: float, radius_m: float) -> Cut | None:
        """The pixels within `radius_m` of a point, or None if they are outside."""
        return self.cut((x_m - radius_m, y_m - radius_m, x_m + radius_m, y_m + radius_m))


@dataclass
class Canvas:
    """What is painted so far; painters change it in place.

    Attributes:
        frame: where the pixels are.
        color: (3, H, W) surface color in full sun, 0 to 1.
        height_m: (H, W) height above the ground: it throws the shadows.
    """

    frame: Frame
    color: Array
    height_m: Array

    @classmethod
    def blank(cls, frame: Frame) -> Canvas:
        """An empty canvas: black and flat."""
        shape = frame.grid.shape
        return cls(frame, np.zeros((3, *shape), np.float32), np.zeros(shape, np.float32))

    def paint(self, cut: Cut, cover: Reals, color: Reals) -> None:
        """Lay a color over the pixels of a cut.

        Args:
            cut: where.
            cover: (h, w) 0 (nothing) to 1 (opaque).
            color: (3, h, w) or (3, 1, 1).
        """
        below = self.color[:, cut.rows, cut.cols]
        below += cover * (color - below)

    def raise_to(self, cut: Cut, cover: Reals, height_m: Reals | float) -> None:
        """Put something of this height where it covers at least half of a pixel."""
        below = self.height_m[cut.rows, cut.cols]
        np.copyto(below, np.maximum(below, height_m), where=cover >= 0.5)


def rgb(red: float, green: float, blue: float) -> Array:
    """A color of 0..255 display values as (3, 1, 1), 0 to 1."""
    return np.array([red, green, blue], np.float32)[:, None, None] / 255.0


def rng_for(seed: int, layer: str) -> np.random.Generator:
    """The random numbers of one layer, so that a change in one leaves the others as they are."""
    return np.random.default_rng([seed, *layer.encode()])
