"""Regions cut into objects, each of which grows from an inside of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from geocobot.classes import ClassSpec
from geocobot.scaling import UNSCALED, Scaling
from geocobot.steps import NODATA, SCORE_SCALE, sigmoid
from geocobot.tracing.components import Components

LEAST_INSIDE_PX = 9
"""A smaller inside is noise, and no object."""

_SURER = 2.0
"""Logits by which the score of an inside exceeds the threshold of its class. A model that is unsure
of a class, whose threshold is low, is as unsure of its insides (benchmarks/README.md). They are
the network's: scores of insides are never scaled, whatever has been done to those of classes."""


@dataclass(frozen=True)
class InsideRule:
    """What counts as the inside of an object.

    Attributes:
        above: (256,) score, in steps, that the inside has to exceed, by class number.
        least_px: pixels that it has at least.
    """

    above: npt.NDArray[np.uint8]
    least_px: float

    @classmethod
    def of(
        cls, classes: Sequence[ClassSpec], least_px: float, scaling: Sequence[Scaling] = ()
    ) -> InsideRule:
        """The rule for classes with their thresholds, which are of scaled scores."""
        above, half_a_step = np.zeros(256, dtype=np.uint8), 0.5 / SCORE_SCALE
        for spec, scaled in zip(classes, scaling or [UNSCALED] * len(classes), strict=True):
            threshold = min(max(spec.threshold, half_a_step), 1 - half_a_step)
            logit = scaled.undone(math.log(threshold / (1 - threshold)))
            above[spec.number] = int(sigmoid(np.array([logit + _SURER]))[0] * SCORE_SCALE)
        return cls(above, max(LEAST_INSIDE_PX, least_px))


@dataclass(frozen=True)
class Segments:
    """Rows cut into objects.

    Attributes:
        labels: (n, W) uint32, one number per object, 0 where there is none; objects are
            4-connected and of one class.
        inside: (n, W) bool, the pixels that objects have grown from.
        has_inside: (N,) bool, by number of the object; one that has none is a whole region.
    """

    labels: npt.NDArray[np.uint32]
    inside: npt.NDArray[np.bool_]
    has_inside: npt.NDArray[np.bool_]


def cut_regions(
    classes: npt.NDArray[np.uint8],
    interior: npt.NDArray[np.uint8],
    open_rows: tuple[bool, bool],
    rule: InsideRule,
) -> Segments:
    """Cut every region in which there are several insides.

    A region is a 4-connected part of one class. Flooded from its insides, the highest scores
    first, each of its pixels goes to that inside which reaches it first (Meyer's watershed).

    Args:
        classes: (n, W) class numbers, 0 where there is none.
        interior: (n, W) score, in steps, of being inside of an object.
        open_rows: whether there is more above the first row, and below the last one; an inside
            that may go on there is never too small.
        rule: what an inside is.
    """
    regions = Components.of(classes)
    inside = (classes > 0) & (interior > rule.above[classes]) & (interior != NODATA)
    insides = Components.of(np.where(inside, classes, np.uint8(0)))
    counts = (insides.class_number > 0) & (
        (insides.pixels() >= rule.least_px) | _at_rows(insides, classes.shape, open_rows)
    )
    inside &= insides.raster(counts)
    region_of = regions.at(insides.first_px)
    n_insides = np.bincount(region_of[counts], minlength=len(regions))

    filled = regions.class_number > 0
    number = np.where(filled, np.cumsum(filled), 0).astype(np.uint32)
    labels = regions.raster(number)
    own = np.where(counts, int(filled.sum()) + np.cumsum(counts), 0).astype(np.int32)
    is_cut = n_insides > 1
    seeds_of = insides.raster(own) if is_cut.any() else np.empty(0, np.int32)
    for region, crop in _crops(regions, is_cut):
        within = labels[crop] == number[region]
        seeds = np.where(within & inside[crop], seeds_of[crop], 0)
        labels[crop][within] = _flood(interior[crop], seeds, within)[within]

    has_inside = np.zeros(1 + int(filled.sum() + counts.sum()), dtype=np.bool_)
    has_inside[own[counts]] = True
    has_inside[number[n_insides == 1]] = True
    has_inside[0] = False
    return Segments(labels, inside, has_inside)


def _flood(
    interior: npt.NDArray[np.uint8], seeds: npt.NDArray[np.int32], within: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Grow seeds over a region, (h, w)."""
    from skimage import segmentation

    watershed: Any = segmentation.watershed
    heights = SCORE_SCALE - interior.astype(np.int16)
    flooded: npt.NDArray[np.int32] = watershed(heights, seeds, connectivity=1, mask=within)
    return flooded


def _crops(
    regions: Components, wanted: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """The regions wanted, each with the rows and columns that it lies in."""
    bounds = regions.bounds()
    for region in np.flatnonzero(wanted).tolist():
        left, top, right, bottom = bounds[region].tolist()
        yield region, (slice(top, bottom + 1), slice(left, right + 1))


def _at_rows(
    components: Components, shape_hw: tuple[int, ...], open_rows: tuple[bool, bool]
) -> npt.NDArray[np.bool_]:
    """Which components (N,) lie in the first or the last row, where these are open."""
    _, top, _, bottom = components.bounds().T
    above, below = open_rows
    return np.asarray(((top == 0) & above) | ((bottom == shape_hw[0] - 1) & below))
