"""Lines as a network: where they meet, and how far it is along them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely
from shapely.ops import substring

Lines = npt.NDArray[np.object_]
Indices = npt.NDArray[np.int64]
Metres = npt.NDArray[np.float64]

GRID_M = 0.001
"""Places nearer to each other than this are one."""

JOIN_M = 0.5
"""Lines that end within so much of another one meet it."""


@dataclass(frozen=True)
class Network:
    """Edges from node to node; they meet at nodes and nowhere else.

    Attributes:
        edges: (E,) lines on a plane in metres.
        ends: (E, 2) nodes where they begin and end, never the same twice: rings are cut in two.
        nodes: (N, 2) where nodes lie.
    """

    edges: Lines
    ends: Indices
    nodes: Metres

    @classmethod
    def of(cls, lines: Lines, join_m: float = JOIN_M) -> Network:
        """Make a network of lines that were drawn one by one.

        Lines that cross meet there, as nothing on a map from above tells bridges from crossings,
        and an end within `join_m` of another line meets it. What is drawn twice counts once.

        Args:
            lines: (L,) single lines on a plane in metres.
            join_m: how far an end may lie from what it is meant to meet.
        """
        lines = lines[shapely.length(lines) > 0]
        if not len(lines):
            return cls(np.empty(0, dtype=object), np.empty((0, 2), np.int64), np.empty((0, 2)))
        joined = np.concatenate([lines, _joints(lines, join_m)])
        noded = shapely.line_merge(shapely.union_all(joined, grid_size=GRID_M))
        edges = _without_rings(shapely.get_parts(noded))
        first, last = shapely.get_point(edges, 0), shapely.get_point(edges, -1)
        places = np.concatenate([shapely.get_coordinates(first), shapely.get_coordinates(last)])
        nodes, number = np.unique(places, axis=0, return_inverse=True)
        return cls(edges, number.reshape(2, -1).T.astype(np.int64), nodes)

    @property
    def lengths(self) -> Metres:
        """(E,) lengths of the edges in metres."""
        return np.asarray(shapely.length(self.edges))

    @property
    def length_m(self) -> float:
        """Length of all of it in metres."""
        return float(self.lengths.sum())

    def __len__(self) -> int:
        """Number of edges."""
        return len(self.edges)


def united(lines: Lines, group: Indices) -> Lines:
    """Lines as one shape for each group.

    Args:
        lines: (L,) single ones.
        group: (L,) of which group each is, from 0 on.
    """
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(group.max(initial=-1) + 2))
    shapes = np.empty(len(bounds) - 1, dtype=object)
    shapes[:] = [shapely.union_all(lines[order[a:b]]) for a, b in pairwise(bounds)]
    return shapes


def _joints(lines: Lines, join_m: float) -> Lines:
    """Short lines from ends to the lines that they are meant to meet."""
    if join_m <= 0:
        return np.empty(0, dtype=object)
    owner = np.tile(np.arange(len(lines)), 2)
    ends = np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    end, line = shapely.STRtree(lines).query(ends, predicate="dwithin", distance=join_m)
    other = owner[end] != line
    end, line = end[other], line[other]
    apart = shapely.distance(ends[end], lines[line]) > 0
    joints: Lines = shapely.shortest_line(ends[end[apart]], lines[line[apart]])
    return joints


def _without_rings(edges: Lines) -> Lines:
    """Edges with every ring cut in two, at a place that does not depend on how it was drawn."""
    edges = edges[shapely.length(edges) > 0]
    is_ring = shapely.is_closed(edges)
    meets = shapely.STRtree(edges)
    halves = []
    for ring in edges[is_ring]:
        xy = shapely.get_coordinates(ring)
        if len(meets.query(shapely.Point(xy[0]), predicate="intersects")) == 1:
            west = int(np.lexsort(xy[:-1].T[::-1])[0])
            xy = np.concatenate([np.roll(xy[:-1], -west, axis=0), xy[west : west + 1]])
        line = shapely.LineString(xy)
        halves += [
            substring(line, 0, 0.5, normalized=True),
            substring(line, 0.5, 1, normalized=True),
        ]
    return np.concatenate([edges[~is_ring], np.array(halves, dtype=object)])
