"""Labels on the grid of a scene, burnt window by window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from affine import Affine
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.grid import GeoGrid


@dataclass(frozen=True)
class LabelPatch:
    """Class numbers of a window.

    Attributes:
        classes: (H, W) uint8; `BACKGROUND` where no feature lies, `IGNORE` outside the scene.
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
    """

    grid: GeoGrid
    shapes: npt.NDArray[np.object_]
    numbers: npt.NDArray[np.uint8]

    def read(self, window: Window) -> LabelPatch:
        """Burn the features that touch a window; any window equals that part of the whole.

        Args:
            window: integer pixels of `grid`; may overhang it.
        """
        classes = np.full((int(window.height), int(window.width)), IGNORE, dtype=np.uint8)
        inside = self.grid.clip(window)
        if inside is not None:
            row, col = int(inside.row_off - window.row_off), int(inside.col_off - window.col_off)
            rows = slice(row, row + int(inside.height))
            cols = slice(col, col + int(inside.width))
            self._burn(inside, classes, rows, cols)
        return LabelPatch(classes, window)

    def _burn(
        self, window: Window, classes: npt.NDArray[np.uint8], rows: slice, cols: slice
    ) -> None:
        """Burn a window that lies on the grid into its part of `classes`."""
        left, top = window.col_off, window.row_off
        box = shapely.box(left, top, left + window.width, top + window.height)
        hits = np.sort(self._tree.query(box))
        if not hits.size:
            classes[rows, cols] = BACKGROUND
            return
        classes[rows, cols] = rasterio.features.rasterize(
            zip(self.shapes[hits], self.numbers[hits].tolist(), strict=True),
            out_shape=(int(window.height), int(window.width)),
            transform=Affine.translation(left, top),
            fill=BACKGROUND,
            dtype="uint8",
        )

    @cached_property
    def _tree(self) -> Any:
        """Finds the shapes that touch a box."""
        return shapely.STRtree(self.shapes)
