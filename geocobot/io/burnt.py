"""Polygons burnt onto pixels, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from affine import Affine
from rasterio.windows import Window

from geocobot.classes import BACKGROUND


@dataclass(frozen=True)
class BurntShapes:
    """Polygons with numbers, burnt on demand.

    A pixel belongs to the polygon that covers its center; where several do, to the last of them.

    Attributes:
        shapes: (N,) polygons in pixels of a grid, in burning order.
        numbers: (N,) class numbers.
    """

    shapes: npt.NDArray[np.object_]
    numbers: npt.NDArray[np.uint8]

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Numbers (H, W) of the polygons of a window; `BACKGROUND` where there is none.

        Args:
            window: integer pixels of the grid.
        """
        left, top = window.col_off, window.row_off
        box = shapely.box(left, top, left + window.width, top + window.height)
        hits = np.sort(self._tree.query(box))
        shape = (int(window.height), int(window.width))
        if not hits.size:
            return np.full(shape, BACKGROUND, dtype=np.uint8)
        burnt: npt.NDArray[np.uint8] = rasterio.features.rasterize(
            zip(self.shapes[hits], self.numbers[hits].tolist(), strict=True),
            out_shape=shape,
            transform=Affine.translation(left, top),
            fill=BACKGROUND,
            dtype="uint8",
        )
        return burnt

    @cached_property
    def _tree(self) -> shapely.STRtree:
        """Finds the polygons that touch a box."""
        return shapely.STRtree(self.shapes)
