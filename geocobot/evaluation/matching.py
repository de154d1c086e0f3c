"""Which mapped object is which labelled one: overlaps, and one-to-one matches among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

Shapes = npt.NDArray[np.object_]
Indices = npt.NDArray[np.int64]

HAIR = 1e-6
"""Shares of areas that differ by less are equal: reprojection and rounding move them so far."""

_TOUCHING = 1e-9
"""Polygons that share less of the smaller one's area than this touch, and do not overlap."""


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a mapped and a labelled polygon that overlap.

    Attributes:
        predicted: (M,) which mapped one.
        truth: (M,) which labelled one.
        iou: (M,) area that both cover, divided by what either covers.
        place: (M, 2) west and south end of what both cover: settles ties whatever the order.
    """

    predicted: Indices
    truth: Indices
    iou: npt.NDArray[np.float64]
    place: npt.NDArray[np.float64]

    @classmethod
    def between(cls, predicted: Shapes, truth: Shapes) -> Overlaps:
        """All pairs that overlap.

        Args:
            predicted: (P,) valid polygons on a plane.
            truth: (T,) valid polygons on the same plane.
        """
        if not len(predicted) or not len(truth):
            none = np.empty(0, dtype=np.int64)
            return cls(none, none, np.empty(0), np.empty((0, 2)))
        left, right = shapely.STRtree(truth).query(predicted, predicate="intersects")
        shared = shapely.intersection(predicted[left], truth[right])
        shared_area = shapely.area(shared)
        areas = shapely.area(predicted)[left], shapely.area(truth)[right]
        real = shared_area > _TOUCHING * np.minimum(*areas)
        iou = shared_area[real] / (areas[0] + areas[1] - shared_area)[real]
        iou = np.minimum(iou, 1.0)  # rounding makes more of equal ones
        return cls(left[real], right[real], iou, shapely.bounds(shared[real])[:, :2])

    def taken(self, chosen: npt.NDArray[np.bool_] | Indices) -> Overlaps:
        """Some of the pairs."""
        return Overlaps(
            self.predicted[chosen], self.truth[chosen], self.iou[chosen], self.place[chosen]
        )


def match(overlaps: Overlaps, scores: npt.NDArray[np.float64] | None = None) -> Indices:
    """Choose pairs, none of whose polygons is in another chosen pair.

    With scores as in COCO: the best scored polygon first, each takes what it overlaps most of what
    is left. Without: the pair that overlaps most first. Ties are settled by place, the last ones by
    the order of the polygons, see `ranks_by_shape`.

    Args:
        overlaps: pairs that may match.
        scores: (P,) of the mapped polygons, or None.

    Returns:
        Which pairs match, in the order in which they were chosen.
    """
    keys: list[npt.NDArray[Any]] = [overlaps.truth, overlaps.predicted]
    keys += [overlaps.place[:, 1], overlaps.place[:, 0], -overlaps.iou]
    if scores is not None:
        # Of mapped polygons with the same score, that with the largest overlap comes first.
        best = np.zeros(len(scores))
        np.maximum.at(best, overlaps.predicted, overlaps.iou)
        keys += [overlaps.predicted, -best[overlaps.predicted], -scores[overlaps.predicted]]
    order = np.lexsort(keys)
    taken: tuple[set[int], set[int]] = (set(), set())
    chosen = []
    pairs = zip(
        order.tolist(),
        overlaps.predicted[order].tolist(),
        overlaps.truth[order].tolist(),
        strict=True,
    )
    for pair, predicted, truth in pairs:
        if predicted not in taken[0] and truth not in taken[1]:
            taken[0].add(predicted)
            taken[1].add(truth)
            chosen.append(pair)
    return np.array(chosen, dtype=np.int64)


def ranks_by_shape(polygons: Shapes) -> Indices:
    """Ranks (N,) of polygons by where they lie and how they are drawn; equal ones rank alike.

    So that nothing depends on the order in which a file has them.

    Args:
        polygons: (N,) valid polygons.
    """
    _, rank, counts = np.unique(
        shapely.bounds(polygons), axis=0, return_inverse=True, return_counts=True
    )
    rank = rank.ravel()
    shared = np.flatnonzero(counts[rank] > 1)
    drawn = [
        tuple(shapely.get_coordinates(shape).ravel().tolist())
        for shape in shapely.normalize(polygons[shared])
    ]
    position = {vertices: k for k, vertices in enumerate(sorted(set(drawn)))}
    detail = np.zeros(len(polygons), dtype=np.int64)
    detail[shared] = [position[vertices] for vertices in drawn]
    return np.asarray(rank * (len(position) + 1) + detail, dtype=np.int64)
