"""Polygons burnt onto pixels, window by window."""

from __future__ import annotations

import hashlib
import math
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

    def around(self) -> Window | None:
        """The smallest window around the polygons, which may overhang; None where there is none."""
        if not len(self.shapes):
            return None
        left, top, right, bottom = shapely.total_bounds(self.shapes)
        col, row = math.floor(left), math.floor(top)
        return Window(col, row, math.ceil(right) - col, math.ceil(bottom) - row)

    def digest(self) -> str:
        """A checksum of the polygons."""
        return hashlib.sha256(b"".join(shapely.to_wkb(self.shapes))).hexdigest()

    def close(self) -> None:
        """Polygons are in memory: no handle is open."""

    @cached_property
    def _tree(self) -> shapely.STRtree:
        """Finds the polygons that touch a box."""
        return shapely.STRtree(self.shapes)
