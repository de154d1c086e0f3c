"""How much of a network lies along another one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from geocobot.evaluation.roads import Lines, Network

ROUND = 16
"""Sides of a quarter circle: buffers are narrower than asked for by 0.1 % at most."""


@dataclass(frozen=True)
class Coverage:
    """What of the edges of a network lies within a buffer around another one.

    Attributes:
        near: (E,) what does of each edge; empty where nothing does.
        far: (E,) the rest of each.
    """

    near: Lines
    far: Lines

    @property
    def near_m(self) -> float:
        """Length of all that lies within the buffer."""
        return float(shapely.length(self.near).sum())


def cover(network: Network, other: Network, buffer_m: float) -> Coverage:
    """Cut the edges of a network where they leave a buffer around another one.

    Args:
        network: whose edges are cut.
        other: around which the buffer is.
        buffer_m: how far it reaches.
    """
    edges = network.edges
    near = np.full(len(edges), shapely.LineString(), dtype=object)
    far = edges.copy()
    if not len(edges) or not len(other):
        return Coverage(near, far)
    tree = shapely.STRtree(other.edges)
    edge, beside = tree.query(edges, predicate="dwithin", distance=buffer_m)
    buffers = shapely.buffer(other.edges, buffer_m, quad_segs=ROUND)
    bounds = np.searchsorted(edge, np.arange(len(edges) + 1))
    for i, (start, end) in enumerate(pairwise(bounds)):
        if end > start:
            around = shapely.union_all(buffers[beside[start:end]])
            near[i] = shapely.intersection(edges[i], around)
            far[i] = shapely.difference(edges[i], around)
    return Coverage(near, far)
