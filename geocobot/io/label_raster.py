"""Labels on the grid of a scene, read window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.grid import GeoGrid
from geocobot.io.burnt import BurntShapes
from geocobot.io.interiors import Interiors
from geocobot.windows import grown


@dataclass(frozen=True)
class LabelPatch:
    """Class numbers of a window.

    Attributes:
        classes: (H, W) uint8; `BACKGROUND` where no feature lies, `IGNORE` outside the scene and
            where nothing is known.
        window: integer pixels of the scene's grid; may overhang it.
    """

    classes: npt.NDArray[np.uint8]
    window: Window


class ClassSource(Protocol):
    """Where class numbers come from."""

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Class numbers (H, W) of a window that lies on the scene."""

    def close(self) -> None:
        """Close this process's handles; who reads again opens others."""


@dataclass(frozen=True)
class LabelRaster:
    """Labels on the grid of one scene, read on demand.

    Attributes:
        grid: of the scene.
        source: of the class numbers.
        known: outside of it nothing is known; None where the labels are complete throughout.
        boundary_px: pixels that have another class within this distance are unknown.
        interiors: of single objects; None where the labels do not tell these apart.
    """

    grid: GeoGrid
    source: ClassSource
    known: BurntShapes | None = None
    boundary_px: int = 0
    interiors: Interiors | None = None

    def read(self, window: Window) -> LabelPatch:
        """Read the labels of a window; any window equals that part of the whole.

        Args:
            window: integer pixels of `grid`; may overhang it.
        """
        if not self.boundary_px:
            return LabelPatch(self._read(window), window)
        classes = self._read(grown(window, self.boundary_px))
        classes[near_boundary(classes, self.boundary_px)] = IGNORE
        inner = slice(self.boundary_px, -self.boundary_px)
        return LabelPatch(classes[inner, inner], window)

    def close(self) -> None:
        """Close this process's handles; who reads again opens others."""
        self.source.close()

    def _read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Classes (H, W) of a window, boundaries included."""
        classes = np.full((int(window.height), int(window.width)), IGNORE, dtype=np.uint8)
        inside = self.grid.clip(window)
        if inside is not None:
            row, col = int(inside.row_off - window.row_off), int(inside.col_off - window.col_off)
            part = classes[row : row + int(inside.height), col : col + int(inside.width)]
            part[:] = self.source.read(inside)
            if self.known is not None:
                part[self.known.read(inside) == BACKGROUND] = IGNORE
        return classes


def near_boundary(classes: npt.NDArray[np.uint8], within_px: int) -> npt.NDArray[np.bool_]:
    """Where (H, W) a pixel of another class is near.

    Args:
        classes: (H, W) class numbers; `IGNORE` is no class, and has no boundary.
        within_px: distance between centers up to which a pixel is near.
    """
    height, width = classes.shape
    near = np.zeros(classes.shape, dtype=np.bool_)
    known = classes != IGNORE
    if np.unique(classes[known]).size < 2:
        return near
    for down, right in _half_disc(within_px):
        rows, rows_there = slice(0, max(height - down, 0)), slice(down, height)
        left, shift = max(-right, 0), max(right, 0)
        cols, cols_there = slice(left, max(width - shift, 0)), slice(shift, max(width - left, 0))
        here, there = (rows, cols), (rows_there, cols_there)
        differs = (classes[here] != classes[there]) & known[here] & known[there]
        near[here] |= differs
        near[there] |= differs
    return near


def _half_disc(radius_px: int) -> list[tuple[int, int]]:
    """Steps down and to the right from a pixel to all others within a radius, each pair once."""
    return [
        (down, right)
        for down in range(radius_px + 1)
        for right in range(-radius_px, radius_px + 1)
        if 0 < down**2 + right**2 <= radius_px**2 and (down, right) > (0, 0)
    ]
