"""Simplify and round the outlines of groups of polygons, each group as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.grid import GeoGrid
from geocobot.tracing.near import Reach
from geocobot.tracing.pixel_sizes import RowSizes
from geocobot.tracing.simplify import simplify_groups
from geocobot.tracing.smooth import smooth_groups

_BAND_ROWS = 512
"""Groups with their middle in one such band are measured alike, and so can go together."""


@dataclass(frozen=True)
class Softening:
    """How outlines are softened.

    Attributes:
        grid: the scene's grid.
        simplify_m: tolerance of simplifying, 0 for none.
        smooth_m: radius of rounding, 0 for none.
        square_classes: numbers of the classes whose outlines are not rounded.
        sizes: of the scene's pixels.
        reach: how near the polygons of a group are.
    """

    grid: GeoGrid
    simplify_m: float
    smooth_m: float
    square_classes: AbstractSet[int]
    sizes: RowSizes
    reach: Reach

    @classmethod
    def of(
        cls, grid: GeoGrid, simplify_m: float, smooth_m: float, square_classes: AbstractSet[int]
    ) -> Softening:
        """With the sizes of the grid's pixels, and the reach that this takes."""
        sizes = RowSizes(grid)
        reach = Reach.of(sizes, simplify_m, smooth_m)
        return cls(grid, simplify_m, smooth_m, square_classes, sizes, reach)

    def __call__(
        self,
        polygons: npt.NDArray[np.object_],
        group: npt.NDArray[np.int64],
        class_number: npt.NDArray[np.uint8],
        *,
        cuts: Sequence[float] = (),
        beside: npt.NDArray[np.object_] | None = None,
    ) -> npt.NDArray[np.object_]:
        """Soften groups.

        Args:
            polygons: (N,) as traced, in pixels of the scene.
            group: (N,) the group of each.
            class_number: (N,) class of each.
            cuts: rows in which a group was cut, so that vertices stay there.
            beside: polygons that border on these there.

        Returns:
            (N,) polygons in pixels of the scene: the same in whatever order they come, and
            whatever other groups come with them.
        """
        if not len(polygons):
            return polygons
        polygons = shapely.normalize(polygons)
        x, y = shapely.get_coordinates(shapely.get_point(shapely.get_exterior_ring(polygons), 0)).T
        order = np.lexsort([x, y])
        band = self._bands(polygons, group)[order]
        soft = np.empty(len(polygons), dtype=object)
        for number in np.unique(band).tolist():
            own = order[band == number]
            pixel_m = self.sizes.at((number + 0.5) * _BAND_ROWS)
            found = polygons[own]
            if self.simplify_m > 0:
                found = simplify_groups(
                    found,
                    group[own],
                    pixel_m,
                    self.simplify_m,
                    drift_m=self.reach.drift_m,
                    beside=beside,
                )
            if self.smooth_m > 0:
                height, width = self.grid.shape
                fixed = np.isin(class_number[own], list(self.square_classes))
                edges = ((0, width), (0, height, *cuts))
                found = smooth_groups(
                    found, group[own], pixel_m, self.smooth_m, fixed=fixed, edges=edges
                )
            soft[own] = found
        return soft

    def _bands(
        self, polygons: npt.NDArray[np.object_], group: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """The band (N,) in which the middle of each polygon's group lies."""
        _, number = np.unique(group, return_inverse=True)
        bounds = shapely.bounds(polygons)
        first, last = (np.full(number.max() + 1, value) for value in (np.inf, -np.inf))
        np.minimum.at(first, number, bounds[:, 1])
        np.maximum.at(last, number, bounds[:, 3])
        return np.asarray((first + last) / 2 // _BAND_ROWS).astype(np.int64)[number]
