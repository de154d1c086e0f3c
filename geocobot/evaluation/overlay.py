"""Polygons laid over polygons: what both cover, and what one of them does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.evaluation.matching import Indices, Shapes

_LEAST_M2 = 1e-3
"""Smaller parts are what rounding leaves between polygons that share a border."""


def near_union(polygons: Shapes, others: Shapes) -> Shapes:
    """For each polygon (N,) what covers it of others (M,), as far as they reach; empty for none."""
    found = np.full(len(polygons), shapely.Polygon(), dtype=object)
    if not len(polygons) or not len(others):
        return found
    own, near = shapely.STRtree(others).query(polygons, predicate="intersects")
    bounds = np.searchsorted(own, np.arange(len(polygons) + 1))
    counts = np.diff(bounds)
    single = np.flatnonzero(counts == 1)
    found[single] = others[near[bounds[single]]]
    for i in np.flatnonzero(counts > 1).tolist():
        found[i] = shapely.union_all(others[near[bounds[i] : bounds[i + 1]]])
    return found


def without_overlaps(polygons: Shapes) -> Shapes:
    """The same area (N,) in polygons that do not overlap: what two cover stays with the larger."""
    west, south, _, _ = shapely.bounds(polygons).reshape(-1, 4).T
    order = np.lexsort((south, west, -shapely.area(polygons)))
    rank = np.argsort(order)
    own, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    later = rank[own] > rank[other]
    own, other = own[later], other[later]
    alone = polygons.copy()
    starts = np.searchsorted(own, np.arange(len(polygons) + 1))
    for i in np.flatnonzero(np.diff(starts)).tolist():
        before = shapely.union_all(polygons[other[starts[i] : starts[i + 1]]])
        alone[i] = shapely.difference(polygons[i], before)
    return alone


def polygon_parts(shapes: Shapes) -> tuple[Shapes, Indices]:
    """Single polygons (P,) among shapes (N,), and of which each is; lines and points are gone."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    # Collections hold polygons beside lines.
    parts, inner = shapely.get_parts(parts, return_index=True)
    owner = owner[inner]
    kept = shapely.area(parts) >= _LEAST_M2
    return parts[kept], owner[kept]


def covered_by_class(
    parts: Shapes, polygons: Shapes, classes: npt.NDArray[np.int64], numbers: Indices
) -> npt.NDArray[np.float64]:
    """Share of each part that polygons of each class cover.

    Args:
        parts: (N,) polygons.
        polygons: (M,) those that may cover them.
        classes: (M,) their class numbers.
        numbers: (K,) which classes are asked for.

    Returns:
        (N, K), 0 to 1; more where polygons of a class overlap.
    """
    shares = np.zeros((len(parts), len(numbers)))
    for k, number in enumerate(numbers.tolist()):
        chosen = polygons[classes == number]
        if len(chosen) and len(parts):
            part, other = shapely.STRtree(chosen).query(parts, predicate="intersects")
            both = shapely.area(shapely.intersection(parts[part], chosen[other]))
            shares[:, k] = np.bincount(part, both, minlength=len(parts)) / shapely.area(parts)
    return shares


def cores(part: Shapes, rim_m: float, most: int) -> tuple[Shapes, Indices]:
    """The largest wide places among polygons.

    Args:
        part: (N,) polygons.
        rim_m: what is narrower than twice this is no wide place.
        most: how many are asked for.

    Returns:
        At least so many if there are, not in order, and of which polygon each is.
    """
    order = np.argsort(-shapely.area(part), kind="stable")
    areas = shapely.area(part)[order]
    found: list[Shapes] = []
    owners: list[Indices] = []
    edges = [*range(0, len(order), max(10 * most, 1)), len(order)]
    for start, end in pairwise(edges):
        some = part[order[start:end]]
        inner = shapely.buffer(some, -rim_m, join_style="mitre")
        opened = shapely.buffer(inner, rim_m, join_style="mitre") if rim_m else some
        wide, owner = polygon_parts(shapely.intersection(opened, some))
        found.append(wide)
        owners.append(order[start:end][owner])
        sizes = np.sort(shapely.area(np.concatenate(found)))[::-1]
        # What comes is no larger than the polygon that it is part of.
        if len(sizes) >= most and end < len(order) and sizes[most - 1] > areas[end]:
            break
    if not found:
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
    return np.concatenate(found), np.concatenate(owners)
