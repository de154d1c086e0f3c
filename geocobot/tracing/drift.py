"""How far simplifying moves outlines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.chains import find_corners
from geocobot.tracing.rings import following_of, opened

Points = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Polygons = npt.NDArray[np.object_]

# A coarse circle lies within the round one.
_QUAD_SEGS = 4


def drifted(
    polygons: npt.NDArray[np.object_],
    simple: npt.NDArray[np.object_],
    pixel_m: Points,
    most_m: float,
) -> npt.NDArray[np.bool_]:
    """Which outlines reach ground as far as this from what they were.

    Args:
        polygons: (N,) in pixels.
        simple: (N,) the same with fewer vertices.
        pixel_m: width and height (2,) of a pixel, in metres.
        most_m: how far.

    Returns:
        (N,) those that are too far off, and those that are no simpler ones of the same rings.
    """
    is_polygon = shapely.get_type_id(simple) == shapely.GeometryType.POLYGON
    same = shapely.get_num_interior_rings(polygons) == shapely.get_num_interior_rings(simple)
    if not (is_polygon & same & ~shapely.is_empty(simple)).all():
        return np.ones(len(polygons), dtype=np.bool_)
    if not len(polygons) or np.isinf(most_m):
        return np.zeros(len(polygons), dtype=np.bool_)
    _, closed, (offsets, parts) = shapely.to_ragged_array(polygons)
    _, kept, (kept_offsets, _) = shapely.to_ragged_array(simple)
    xy, offsets = opened(closed, offsets)
    corners, corner_offsets = opened(kept, kept_offsets)
    place = find_corners(corners, corner_offsets, xy, offsets)
    xy = xy * pixel_m
    is_far = np.zeros(len(offsets) - 1, dtype=np.bool_)
    ring_of_corner = np.repeat(np.arange(len(is_far)), np.diff(corner_offsets))
    is_far[ring_of_corner[(xy[place] != corners * pixel_m).any(axis=1)]] = True
    order = np.lexsort([place, ring_of_corner])
    ring, vertices, part = _bent_parts(xy, offsets, place[order], corner_offsets, most_m)
    is_far[ring[_reach(xy[vertices], part, most_m)]] = True
    return np.logical_or.reduceat(is_far, parts[:-1])


def _bent_parts(
    xy: Points,
    offsets: Numbers,
    corners: Numbers,
    corner_offsets: Numbers,
    most_m: float,
) -> tuple[Numbers, Numbers, Numbers]:
    """Parts of outlines with a vertex far from the edge that now stands for them, and wide ones.

    Args:
        xy: (V, 2) vertices of all rings.
        offsets: (R + 1,) of the rings.
        corners: (C,) which vertices are left, ascending.
        corner_offsets: (R + 1,) of those.
        most_m: how far.

    Returns:
        (P,) ring of each part; (M,) vertices of all parts, from corner to corner, and (M,) the
        part of each.
    """
    lengths = np.diff(offsets)
    ring = np.repeat(np.arange(len(lengths)), lengths)
    edge = np.searchsorted(corners, np.arange(len(xy)), side="right") - 1
    # What comes before a ring's first corner goes on from its last one.
    edge = np.where(edge < corner_offsets[ring], corner_offsets[ring + 1] - 1, edge)
    next_corner = corners[following_of(corner_offsets)]
    start = xy[corners[edge]]
    far = _distance(xy, start, xy[next_corner[edge]]) >= most_m
    # Ground that is further than this from an outline has half a circle around it.
    off, off_after = xy - start, xy[following_of(offsets)] - start
    swept_m2 = np.abs(off[:, 0] * off_after[:, 1] - off[:, 1] * off_after[:, 0]) / 2
    wide = np.bincount(edge, swept_m2, len(corners)) >= np.pi / 2 * most_m**2
    bent = np.unique(edge[far & wide[edge]])
    own = ring[corners[bent]]
    count = (next_corner[bent] - corners[bent] - 1) % lengths[own] + 2
    part = np.repeat(np.arange(len(bent)), count)
    step = np.arange(len(part)) - np.repeat(np.cumsum(count) - count, count)
    first = offsets[own][part]
    return own, first + (corners[bent][part] - first + step) % lengths[own][part], part


def _distance(points: Points, start: Points, end: Points) -> Points:
    """From points (V, 2) to the edge of each."""
    along, off = end - start, points - start
    length2 = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
    share = np.clip((along * off).sum(axis=1) / length2, 0.0, 1.0)
    return np.asarray(np.hypot(*(off - share[:, None] * along).T))


def _reach(xy: Points, part: Numbers, most_m: float) -> npt.NDArray[np.bool_]:
    """Which parts of outlines enclose, with the edge between their ends, ground so far from them.

    A spike that is gone has moved far from its tip, but nowhere far from its sides.
    """
    if not part.size:
        return np.empty(0, dtype=np.bool_)
    lines = shapely.linestrings(xy, indices=part)
    ends = [shapely.get_point(lines, place) for place in (0, -1)]
    edges = shapely.linestrings(np.stack([shapely.get_coordinates(end) for end in ends], axis=1))
    # Fewer corners first: what is near those is near all.
    coarse = shapely.simplify(lines, most_m / 4, preserve_topology=False)
    far = ~_are_covered(edges, shapely.buffer(coarse, most_m * 3 / 4, quad_segs=_QUAD_SEGS))
    for n in np.flatnonzero(far):
        swept = shapely.make_valid(shapely.polygons(lines[n].coords))
        far[n] = not shapely.covers(shapely.buffer(lines[n], most_m), swept)
    return far


def _are_covered(edges: Polygons, near: Polygons) -> npt.NDArray[np.bool_]:
    """Which edges lie within what is near, with all that this lies around."""
    shapely.prepare(near)
    return np.asarray(shapely.covers(near, edges) & (shapely.get_num_interior_rings(near) == 0))
