"""Courses of lines near their ends: where they come from, and without what is near a node."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from geocobot.tracing.lists import elements, offsets_of, owners, places, totals

TO_RADII = 2.5
"""What a line does from a junction's reach to so many of them tells where it comes from."""

_STAYS = 0.05
"""Weight of a node's own place beside those of the lines through it."""

Points = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def meeting_points(
    node: Indices, near: Points, far: Points, *, xy: Points, radius: Points, reach: Points
) -> Points:
    """Where the lines that lead to nodes would meet, by least squares; (N, 2) columns and rows.

    It is the node's own place where that is not within its reach.

    Args:
        node: (E,) the node of each end of a line.
        near: (E, 2) where the line leaves the node's reach.
        far: (E, 2) where it leaves `TO_RADII` times that.
        xy: (N, 2) the nodes' own places.
        radius: (N,) their distances to the outline.
        reach: (N,) how far around them lines are drawn by them.
    """
    length = np.hypot(*(far - near).T)
    told = np.flatnonzero((length >= 0.5 * radius[node]) & (length > 0))
    node, near, far, length = node[told], near[told], far[told], length[told]
    x = (near[:, 1] - far[:, 1]) / length
    y = (far[:, 0] - near[:, 0]) / length
    # Relative to the node: large numbers would lose digits.
    along = x * (near[:, 0] - xy[node, 0]) + y * (near[:, 1] - xy[node, 1])
    xx, xy_, yy, to_x, to_y = (
        totals(values, node, len(xy)) for values in (x * x, x * y, y * y, x * along, y * along)
    )
    xx, yy = xx + _STAYS, yy + _STAYS
    determinant = xx * yy - xy_ * xy_
    off = np.stack([yy * to_x - xy_ * to_y, xx * to_y - xy_ * to_x], axis=1)
    off /= determinant[:, None]
    is_within = np.hypot(*off.T) <= reach
    return np.asarray(np.where(is_within[:, None], xy + off, xy))


def junctions(
    xy: Points,
    offsets: Indices,
    node: Indices,
    is_met: npt.NDArray[np.bool_],
    *,
    radius: Points,
    reach: Points,
) -> tuple[Points, Points]:
    """Where the lines at each node would meet (K, 2), and the ends of all lines (N, 2, 2).

    Args:
        xy: (M, 2) points of the lines, one after the other, from and to the nodes' own places.
        offsets: (N + 1,) where the lines begin and end.
        node: (N, 2) at both ends of each line.
        is_met: (N, 2) which ends tell where a node is.
        radius: (K,) of the nodes: their distances to the outline.
        reach: (K,) how far around them lines are drawn by them.
    """
    ends = np.stack([xy[offsets[:-1]], xy[offsets[1:] - 1]], axis=1)
    own = np.zeros((radius.size, 2))
    own[node] = ends
    at, ways = [], []
    for side in (0, 1):
        met = np.flatnonzero(is_met[:, side])
        points, own_offsets = elements(offsets, met)
        at.append(node[met, side])
        leave = partial(
            departures,
            xy[points],
            own_offsets,
            center=own[at[-1]],
            is_loop=node[met, 0] == node[met, 1],
            from_end=side == 1,
        )
        ways.append([leave(radius=scale * reach[at[-1]])[1] for scale in (1.0, TO_RADII)])
    near, far = (np.concatenate(way) for way in zip(*ways, strict=True))
    place = meeting_points(np.concatenate(at), near, far, xy=own, radius=radius, reach=reach)
    return place, ends


def departures(
    xy: Points,
    offsets: Indices,
    *,
    center: Points,
    radius: Points,
    is_loop: npt.NDArray[np.bool_],
    from_end: bool = False,
) -> tuple[Indices, Points]:
    """Where lines leave circles for good, from their starts or from their ends.

    Args:
        xy: (M, 2) points of the lines, one after the other.
        offsets: (N + 1,) where the lines begin and end.
        center: (N, 2) of the circles.
        radius: (N,) of the circles.
        is_loop: (N,) whether a line comes back to where it starts: its first half counts.
        from_end: whether to go along the lines backwards.

    Returns:
        How many of each line's points (N,) come before it has left; and where it does (N, 2), its
        last point where it does not.
    """
    owner, place, length = owners(offsets), places(offsets), np.diff(offsets)
    inside = np.hypot(*(xy - center[owner]).T) < radius[owner]
    if from_end:
        place = length[owner] - 1 - place
    inside &= place < np.where(is_loop, length // 2, length)[owner]
    count = np.zeros(length.size, dtype=np.int64)
    np.maximum.at(count, owner[inside], place[inside] + 1)
    inner, outer = np.maximum(count - 1, 0), np.minimum(count, length - 1)
    if from_end:
        inner, outer = length - 1 - inner, length - 1 - outer
    inner, outer = xy[offsets[:-1] + inner], xy[offsets[:-1] + outer]
    return count, leaving(inner, outer, center, np.where(count > 0, radius, 0.0))


def leaving(inside: Points, outside: Points, center: Points, radius: Points) -> Points:
    """Where stretches from within circles to beyond leave them: |p + t d| = radius; (N, 2)."""
    p, d = inside - center, outside - inside
    pd, dd = (p * d).sum(axis=1), (d * d).sum(axis=1)
    root = np.sqrt(np.maximum(pd * pd - dd * ((p * p).sum(axis=1) - radius**2), 0.0))
    t = np.clip((root - pd) / np.where(dd > 0, dd, 1.0), 0.0, 1.0)
    return np.asarray(inside + np.where(dd > 0, t, 0.0)[:, None] * d)


def trimmed(
    xy: Points,
    offsets: Indices,
    *,
    cut: npt.NDArray[np.bool_],
    center: Points,
    radius: Points,
    is_loop: npt.NDArray[np.bool_],
) -> tuple[Points, Indices]:
    """Lines without what is within circles around their ends; points and offsets.

    Of a line that is within a circle only the end that is not cut is left.

    Args:
        xy: (M, 2) points of the lines, one after the other.
        offsets: (N + 1,) where the lines begin and end.
        cut: (N, 2) whether a line is cut at its start, and at its end.
        center: (N, 2, 2) of the circle at either.
        radius: (N, 2) of the circle at either.
        is_loop: (N,) whether a line comes back to where it starts.
    """
    length = np.diff(offsets)
    limits = np.where(cut, radius, 0.0)
    before, start = departures(
        xy, offsets, center=center[:, 0], radius=limits[:, 0], is_loop=is_loop
    )
    after, stop = departures(
        xy, offsets, center=center[:, 1], radius=limits[:, 1], is_loop=is_loop, from_end=True
    )
    is_left = before + after < length
    both = cut.all(axis=1)
    has_start, has_stop = (before > 0) & is_left, (after > 0) & is_left
    first = np.where(is_left, before, 0)
    count = np.where(is_left, length - before - after, 0)
    one = ~is_left & ~both
    count[one] = 1
    first[one] = np.where(cut[:, 0], length - 1, 0)[one]
    own = offsets_of(count + has_start + has_stop)
    owner, place = owners(own), places(own)
    index = (offsets[:-1] + first - has_start)[owner] + place
    found = xy[np.clip(index, 0, max(len(xy) - 1, 0))]
    found[own[:-1][has_start]] = start[has_start]
    found[own[1:][has_stop] - 1] = stop[has_stop]
    return found, own
