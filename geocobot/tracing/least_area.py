"""Which polygons need not be drawn because they are too small whatever becomes of them."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from itertools import product

import numpy as np
import numpy.typing as npt

from geocobot.errors import CrsError
from geocobot.grid import GeoGrid
from geocobot.ground import ground_size_m
from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.square import LEAST_IOU

_BAND_ROWS = 512

_SIZE_MARGIN = 1.05
"""No pixel of a band is larger than the largest of nine by more than this."""


class LeastArea:
    """Tells polygons that may be large enough once they are softened from those that cannot.

    Args:
        grid: the scene's grid.
        min_area_m2: how large they have to be.
        simplify_m: tolerance of simplifying.
        smooth_m: radius of rounding.
        square_classes: numbers of the classes whose outlines are squared.
    """

    def __init__(
        self,
        grid: GeoGrid,
        min_area_m2: float,
        simplify_m: float,
        smooth_m: float,
        square_classes: AbstractSet[int],
    ) -> None:
        self._min_area_m2 = min_area_m2
        # Every corner that is simplified away adds less than the tolerance squared, and one that
        # is rounded less than a triangle of that side, twice.
        self._corner_m2 = simplify_m**2 + smooth_m**2
        self._squared = list(square_classes)
        wanted = range(0, grid.height, _BAND_ROWS) if min_area_m2 > 0 else ()
        self._pixel_m2 = np.array([_largest_pixel_m2(grid, row) for row in wanted])

    def may_reach(
        self,
        polygons: PolygonArray,
        pixels: npt.NDArray[np.int64],
        class_number: npt.NDArray[np.uint8],
    ) -> npt.NDArray[np.bool_]:
        """Which polygons may be large enough: of each it is asked as if it were alone.

        Args:
            polygons: (N,) as traced, whole, in pixels of the scene.
            pixels: (N,) how many pixels each has.
            class_number: (N,) class of each.
        """
        if self._min_area_m2 == 0 or not len(polygons):
            return np.ones(len(polygons), dtype=np.bool_)
        bounds = polygons.bounds
        first = (bounds[:, 1] // _BAND_ROWS).astype(np.int64)
        last = ((bounds[:, 3] - 1) // _BAND_ROWS).astype(np.int64)
        largest = self._pixel_m2[first]
        for n in np.flatnonzero(first < last):
            largest[n] = self._pixel_m2[first[n] : last[n] + 1].max()
        most_m2 = pixels * largest + polygons.corners * self._corner_m2
        # A squared outline that covers more than this is not taken.
        most_m2[np.isin(class_number, self._squared)] /= LEAST_IOU
        return np.asarray(most_m2 >= self._min_area_m2)


def _largest_pixel_m2(grid: GeoGrid, row_off: int) -> float:
    """An area on the ground that no pixel of a band of rows exceeds."""
    height, width = min(_BAND_ROWS, grid.height - row_off), grid.width
    places = product((0.5, height / 2, height - 0.5), (0.5, width / 2, width - 0.5))
    try:
        areas = [
            math.prod(ground_size_m(grid.crs, grid.transform, row_off + row, col))
            for row, col in places
        ]
    except CrsError:  # the corners of a picture of the whole earth lie beside it
        return math.inf
    return _SIZE_MARGIN * max(areas)
