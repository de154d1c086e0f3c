"""Labels on the grid of a scene, burnt window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from affine import Affine
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.grid import GeoGrid
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


@dataclass(frozen=True)
class LabelRaster:
    """Labels on the grid of one scene, burnt on demand without touching a file.

    A pixel belongs to the feature that covers its center; where several do, to the class with
    the higher number, that is, the later one.

    Attributes:
        grid: of the scene.
        shapes: (N,) polygons in pixels of `grid`, in burning order.
        numbers: (N,) class numbers, never falling.
        known: (M,) polygons in pixels of `grid` outside of which nothing is known; None where
            the labels are complete throughout.
        boundary_px: pixels that have another class within this distance are unknown.
    """

    grid: GeoGrid
    shapes: npt.NDArray[np.object_]
    numbers: npt.NDArray[np.uint8]
    known: npt.NDArray[np.object_] | None = None
    boundary_px: int = 0

    def read(self, window: Window) -> LabelPatch:
        """Burn the features that touch a window; any window equals that part of the whole.

        Args:
            window: integer pixels of `grid`; may overhang it.
        """
        if not self.boundary_px:
            return LabelPatch(self._read(window), window)
        classes = self._read(grown(window, self.boundary_px))
        classes[near_boundary(classes, self.boundary_px)] = IGNORE
        inner = slice(self.boundary_px, -self.boundary_px)
        return LabelPatch(classes[inner, inner], window)

    def _read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Classes (H, W) of a window, boundaries included."""
        classes = np.full((int(window.height), int(window.width)), IGNORE, dtype=np.uint8)
        inside = self.grid.clip(window)
        if inside is not None:
            row, col = int(inside.row_off - window.row_off), int(inside.col_off - window.col_off)
            rows = slice(row, row + int(inside.height))
            cols = slice(col, col + int(inside.width))
            classes[rows, cols] = self._read_inside(inside)
        return classes

    def _read_inside(self, window: Window) -> npt.NDArray[np.uint8]:
        """Classes (H, W) of a window that lies on the grid."""
        hits = _hits(self._tree, window)
        classes = _burn(self.shapes[hits], self.numbers[hits].tolist(), window)
        if self.known is not None:
            area = self.known[_hits(self._area_tree, window)]
            classes[_burn(area, [1] * len(area), window) == 0] = IGNORE
        return classes

    @cached_property
    def _tree(self) -> shapely.STRtree:
        """Finds the shapes that touch a box."""
        return shapely.STRtree(self.shapes)

    @cached_property
    def _area_tree(self) -> shapely.STRtree:
        """Finds the parts of the known area that touch a box."""
        return shapely.STRtree([] if self.known is None else self.known)


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


def _hits(tree: shapely.STRtree, window: Window) -> npt.NDArray[np.intp]:
    """Positions of the shapes that touch a window, in their order."""
    left, top = window.col_off, window.row_off
    return np.sort(tree.query(shapely.box(left, top, left + window.width, top + window.height)))


def _burn(
    shapes: npt.NDArray[np.object_], numbers: Sequence[int], window: Window
) -> npt.NDArray[np.uint8]:
    """Numbers (H, W) of the shapes that cover pixel centers, the later ones on top; else 0."""
    shape = (int(window.height), int(window.width))
    if not len(shapes):
        return np.full(shape, BACKGROUND, dtype=np.uint8)
    burnt: npt.NDArray[np.uint8] = rasterio.features.rasterize(
        zip(shapes, numbers, strict=True),
        out_shape=shape,
        transform=Affine.translation(window.col_off, window.row_off),
        fill=BACKGROUND,
        dtype="uint8",
    )
    return burnt
