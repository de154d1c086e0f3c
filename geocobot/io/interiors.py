"""The insides of single objects, so that a model can learn where one ends and the next begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.windows import Window

from geocobot.io.burnt import BurntShapes
from geocobot.io.shapes import in_exact_pixels

DEPTH_PX = 4.0
"""How far the inside of an object keeps from its outline, where the object is wide enough."""

LEAST_INSIDE_PX = 9
"""An inside of fewer pixels is none: at mapping it would be taken for noise."""


@dataclass(frozen=True)
class Interiors:
    """Objects without their edges, burnt on demand.

    An object is drawn over the ones before it and leaves them none of its pixels, its own edge
    included: between the insides of two objects that touch there always are pixels that are inside
    none. Of objects too narrow for the whole depth it is half of it, or nothing, so that a single
    pixel is all inside.

    Attributes:
        shapes: (N,) polygons in pixels of a grid, in burning order.
        whole: (N,) bool, True for what is no object of its own, such as the lines of a network: it
            has no edge.
    """

    shapes: npt.NDArray[np.object_]
    whole: npt.NDArray[np.bool_]

    def read(self, window: Window) -> npt.NDArray[np.bool_]:
        """Where (H, W) the inside of an object lies; any window equals that part of the whole.

        Args:
            window: integer pixels of the grid.
        """
        return self._burnt.read(window).astype(np.bool_)

    @property
    def has_objects(self) -> bool:
        """Whether there is anything that has an edge."""
        return not self.whole.all()

    @cached_property
    def _burnt(self) -> BurntShapes:
        """Every shape as 0, and at once its inside as 1."""
        shapes = np.empty(2 * len(self.shapes), dtype=object)
        shapes[0::2], shapes[1::2] = self.shapes, self._insides()
        return BurntShapes(shapes, np.arange(len(shapes)).astype(np.uint8) % 2)

    def _insides(self) -> Any:
        """The inside of every shape, (N,)."""
        insides = self.shapes.copy()
        left = np.flatnonzero(~self.whole)
        for depth_px in (DEPTH_PX, DEPTH_PX / 2):
            eroded = in_exact_pixels(shapely.buffer(self.shapes[left], -depth_px))
            is_wide = shapely.area(eroded) >= LEAST_INSIDE_PX
            insides[left[is_wide]] = eroded[is_wide]
            left = left[~is_wide]
        return insides
