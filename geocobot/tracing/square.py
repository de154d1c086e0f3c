"""Square outlines: walls in the main direction of a building and across it, corners between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.plans import Plans

LEAST_IOU = 0.8
"""An outline whose squared one covers less of it, as IoU, stays as it is."""

# Where an outline cannot be squared, more of its short walls are left out.
_COARSER = (1, 2)


@dataclass(frozen=True)
class Squared:
    """What squaring made of polygons.

    Attributes:
        geometry: (N,) the squared ones, and those that stay as they were.
        iou: (N,) of each with what it was; NaN where it stays.
    """

    geometry: npt.NDArray[np.object_]
    iou: npt.NDArray[np.float64]


def square(
    polygons: npt.NDArray[np.object_], axes: npt.NDArray[np.float64], tolerance_m: float
) -> Squared:
    """Square the outlines of polygons, holes included.

    The main direction is the mean of the edges' modulo 90 degrees, weighted by length. Each edge
    of the outline, simplified, becomes a wall along it, across it, or at 45 degrees where it is
    long and lies so, at the distance that leaves the area on both sides equal; walls go through
    one another in corners, and too short ones are left out. Small blobs become rectangles. Round
    ones, and all whose squared outline is invalid or fits them badly, stay.

    Args:
        polygons: (N,) in pixels of the scene.
        axes: (N, 2, 2) metres on the ground of a column and a row (`ground.local_axes`).
        tolerance_m: corners that stand out less are not seen.

    Returns:
        As many polygons, in pixels.
    """
    result = Squared(polygons.copy(), np.full(len(polygons), np.nan))
    able = np.flatnonzero(np.isfinite(axes).all(axis=(1, 2)))
    able = able[np.linalg.det(axes[able]) != 0]
    if not able.size:
        return result
    # Where a ring begins is where simplifying begins: with its westernmost vertex, always.
    plans = Plans(shapely.normalize(polygons[able]), axes[able], tolerance_m)
    is_round = plans.is_round()
    fits = [partial(plans.walled, coarser=n) for n in _COARSER] + [partial(plans.rectangles)]
    for fit in fits:
        open_ = np.flatnonzero(np.isnan(result.iou[able]) & ~is_round)
        found, index = fit(open_)
        iou = _iou(found, polygons[able[index]])
        good = iou >= LEAST_IOU
        result.geometry[able[index[good]]] = found[good]
        result.iou[able[index[good]]] = iou[good]
    return result


def _iou(found: npt.NDArray[np.object_], given: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """IoU of pairs of polygons, 0 where one is invalid."""
    valid = np.asarray(shapely.is_valid(found))
    iou = np.zeros(len(found))
    common = shapely.area(shapely.intersection(found[valid], given[valid]))
    both = shapely.area(found[valid]) + shapely.area(given[valid]) - common
    iou[valid] = common / both
    return iou
