"""Outlines cut at the corners of a simpler outline, and what the parts between them amount to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.rings import following_of, opened

_NORMALS = np.array([[0.0, 1.0], [1.0, 0.0], [-(0.5**0.5), 0.5**0.5], [0.5**0.5, 0.5**0.5]])
_TANGENTS = _NORMALS[[1, 0, 3, 2]]


@dataclass(frozen=True)
class Chains:
    """The edges of simplified outlines, (E,) each, and the parts of outlines that they stand for.

    Attributes:
        start: (E, 2) where each begins.
        chord: (E, 2) from there to its end.
        angle: (E,) direction of the part of the outline, as a line, in radians.
        ring: (E,) which ring it is of.
        polygon: (E,) which polygon.
        is_outer: (E,) whether of an outer ring.
        edges_of_ring: (R + 1,) offsets of the rings.
        rings_of_polygon: (N + 1,) offsets of the polygons.
        middles: (V, 2) middles of all edges of the outlines as they were.
        steps: (V, 2) these edges.
        first: (E,) the first edge of each part.
    """

    start: npt.NDArray[np.float64]
    chord: npt.NDArray[np.float64]
    angle: npt.NDArray[np.float64]
    ring: npt.NDArray[np.int64]
    polygon: npt.NDArray[np.int64]
    is_outer: npt.NDArray[np.bool_]
    edges_of_ring: npt.NDArray[np.int64]
    rings_of_polygon: npt.NDArray[np.int64]
    middles: npt.NDArray[np.float64]
    steps: npt.NDArray[np.float64]
    first: npt.NDArray[np.int64]

    @classmethod
    def of(cls, polygons: npt.NDArray[np.object_], simple: npt.NDArray[np.object_]) -> Chains:
        """Cut outlines at the vertices that simplifying has left.

        Args:
            polygons: (N,) the outlines.
            simple: (N,) the same with fewer vertices and all rings.
        """
        _, closed, (offsets, parts) = shapely.to_ragged_array(polygons)
        _, kept, (kept_offsets, _) = shapely.to_ragged_array(simple)
        xy, rings = opened(closed, offsets)
        corners, edges_of_ring = opened(kept, kept_offsets)
        place = find_corners(corners, edges_of_ring, xy, rings)
        # Each ring begins anew at its first corner, so that no part goes around its end.
        lengths = np.diff(rings)
        own_ring = np.repeat(np.arange(len(lengths)), lengths)
        turn = (place[edges_of_ring[:-1]] - rings[:-1])[own_ring]
        xy = xy[rings[own_ring] + (np.arange(len(xy)) - rings[own_ring] + turn) % lengths[own_ring]]
        ring = np.repeat(np.arange(len(lengths)), np.diff(edges_of_ring))
        shift = place[edges_of_ring[:-1]][ring] - rings[ring]
        first = rings[ring] + (place - rings[ring] - shift) % lengths[ring]
        after = following_of(rings)
        steps = xy[after] - xy
        middles = (xy + xy[after]) / 2
        chord = corners[following_of(edges_of_ring)] - corners
        polygon_of_ring = np.repeat(np.arange(len(polygons)), np.diff(parts))
        is_first = np.zeros(len(lengths), dtype=np.bool_)
        is_first[parts[:-1]] = True
        return cls(
            start=corners,
            chord=chord,
            angle=_line_angles(middles, steps, first),
            ring=ring,
            polygon=polygon_of_ring[ring],
            is_outer=is_first[ring],
            edges_of_ring=edges_of_ring,
            rings_of_polygon=np.asarray(parts),
            middles=middles,
            steps=steps,
            first=first,
        )

    def turned(self, angle: npt.NDArray[np.float64]) -> Chains:
        """All turned around the origin, by an angle (E,) in radians that is one for each ring."""
        per_step = np.repeat(angle, np.diff(self.first, append=len(self.steps)))
        return replace(
            self,
            start=_turn(self.start, angle),
            chord=_turn(self.chord, angle),
            middles=_turn(self.middles, per_step),
            steps=_turn(self.steps, per_step),
        )

    def balanced(
        self, kind: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Where a wall of this kind (E,) leaves equal areas on both sides of each part.

        Returns:
            (E,) offset of the wall along its normal, and (E,) its length.
        """
        per_step = np.repeat(kind, np.diff(self.first, append=len(self.steps)))
        along = (self.steps * _TANGENTS[per_step]).sum(axis=1)
        across = (self.middles * _NORMALS[per_step]).sum(axis=1)
        length = np.add.reduceat(along, self.first)
        return np.add.reduceat(along * across, self.first) / length, np.abs(length)

    def ways(self, kind: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Which way along a wall of this kind (E,) each edge goes, +1 or -1."""
        return np.where((self.chord * _TANGENTS[kind]).sum(axis=1) >= 0, 1.0, -1.0)


def find_corners(
    corners: npt.NDArray[np.float64],
    corner_offsets: npt.NDArray[np.int64],
    xy: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Which vertex each corner is: those of a ring are vertices of the same ring."""
    both = np.concatenate([xy, corners])
    of_ring = [np.repeat(np.arange(len(o) - 1), np.diff(o)) for o in (offsets, corner_offsets)]
    order = np.lexsort([both[:, 1], both[:, 0], np.concatenate(of_ring)])
    # The sort is stable, so that each vertex comes before the corner that lies on it.
    vertex = np.maximum.accumulate(np.where(order < len(xy), np.arange(len(order)), 0))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = order[vertex]
    return place[len(xy) :]


def _turn(xy: npt.NDArray[np.float64], angle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Points turned by an angle each."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * xy[:, 0] - s * xy[:, 1], s * xy[:, 0] + c * xy[:, 1]], axis=1)


def _line_angles(
    middles: npt.NDArray[np.float64], steps: npt.NDArray[np.float64], first: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Direction (E,) of the longer axis of each part, as a line of even weight, in radians."""
    length = np.hypot(steps[:, 0], steps[:, 1])
    total = np.add.reduceat(length, first)
    part = np.repeat(np.arange(len(first)), np.diff(first, append=len(steps)))
    mean = np.add.reduceat(length[:, None] * middles, first) / total[:, None]
    x, y = (middles - mean[part]).T
    dx, dy = steps.T
    xx, yy, xy = (
        np.add.reduceat(length * (a * b + da * db / 12), first)
        for a, b, da, db in ((x, x, dx, dx), (y, y, dy, dy), (x, y, dx, dy))
    )
    return np.asarray(np.arctan2(2 * xy, xx - yy) / 2)
