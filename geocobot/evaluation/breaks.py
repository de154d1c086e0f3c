"""Where a network is interrupted in another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.ops import substring

from geocobot.evaluation.coverage import ROUND
from geocobot.evaluation.roads import GRID_M, Indices, Lines, Metres, Network, united


@dataclass(frozen=True)
class Gaps:
    """Stretches of edges along which the other network does not go.

    Attributes:
        edge: (G,) on which edge each is.
        start_m: (G,) where it begins, from the beginning of the edge.
        end_m: (G,) where it ends.
    """

    edge: Indices
    start_m: Metres
    end_m: Metres

    def __len__(self) -> int:
        """Number of gaps."""
        return len(self.edge)

    def taken(self, chosen: Indices) -> Gaps:
        """Some of them."""
        return Gaps(self.edge[chosen], self.start_m[chosen], self.end_m[chosen])

    def on(self, network: Network) -> Lines:
        """The lines (G,) of the network that they are."""
        parts = zip(network.edges[self.edge], self.start_m, self.end_m, strict=True)
        found = np.empty(len(self), dtype=object)
        found[:] = [substring(edge, start, end) for edge, start, end in parts]
        return found


@dataclass(frozen=True)
class Breaks:
    """Places where a network is interrupted in another one.

    Attributes:
        gaps: (B,) all that is missing in one place, as one shape.
        counts: (B,) how many connections that interrupts.
    """

    gaps: Lines
    counts: Indices

    @property
    def total(self) -> int:
        """How often the network is interrupted."""
        return int(self.counts.sum())


def find_gaps(network: Network, other: Network, reach_m: float) -> Gaps:
    """Where no line of another network goes along the edges of one.

    The other network is cut by a buffer around each edge. What hangs together in it covers the
    edge from where it begins to where it ends along it; what only crosses it covers nothing. What
    comes as near as that to an end of the edge reaches that end.

    Args:
        network: whose edges are looked at.
        other: what should go along them.
        reach_m: how far beside.
    """
    edge, piece = _pieces(network.edges, other.edges, reach_m)
    edge, start_m, end_m = _stretches(network.edges, edge, piece)
    lengths = network.lengths
    along = end_m - start_m >= np.minimum(reach_m, lengths[edge])
    at_start, at_end = start_m <= reach_m, end_m >= lengths[edge] - reach_m
    start_m, end_m = np.where(at_start, 0.0, start_m), np.where(at_end, lengths[edge], end_m)
    kept = along | at_start | at_end
    return _between(edge[kept], start_m[kept], end_m[kept], lengths)


def find_breaks(network: Network, other: Network, reach_m: float) -> Breaks:
    """Where a network is interrupted in another one, and how often.

    Gaps that meet where no line of the other network arrives are one. Such a gap between k
    stretches that the other network has interrupts k - 1 connections: one if it lies between two
    of them, none if the other network only ends early.

    Args:
        network: which is looked for.
        other: in which it is.
        reach_m: see `find_gaps`.
    """
    gaps = find_gaps(network, other, reach_m)
    group, contacts = _grouped(network, gaps)
    broken = np.flatnonzero(contacts > 1)
    kept = np.flatnonzero(np.isin(group, broken))
    lines = gaps.taken(kept).on(network)
    return Breaks(united(lines, np.searchsorted(broken, group[kept])), contacts[broken] - 1)


def _grouped(network: Network, gaps: Gaps) -> tuple[Indices, Indices]:
    """Gaps that are one: the group of each (G,), and how many stretches each group lies between."""
    lengths = network.lengths[gaps.edge]
    at_start, at_end = gaps.start_m <= 0, gaps.end_m >= lengths
    arms = np.bincount(network.ends.ravel(), minlength=len(network.nodes))
    ends = network.ends[gaps.edge]
    open_nodes = np.concatenate([ends[at_start, 0], ends[at_end, 1]])
    open_arms = np.bincount(open_nodes, minlength=len(network.nodes))
    # A node all of whose arms are gaps is not reached.
    is_reached = open_arms < arms
    gap = np.arange(len(gaps))
    touch = np.concatenate([gap[at_start], gap[at_end]])
    n_gaps, n_nodes = len(gap), len(network.nodes)
    unreached = ~is_reached[open_nodes]
    links = (
        np.ones(int(unreached.sum())),
        (touch[unreached], n_gaps + open_nodes[unreached]),
    )
    size = n_gaps + n_nodes
    _, group = connected_components(coo_array(links, shape=(size, size)), directed=False)
    inner = np.concatenate([gap[~at_start], gap[~at_end]])
    # A group may meet the same reached node with several gaps: that is one contact.
    met = np.unique(np.stack([group[touch[~unreached]], open_nodes[~unreached]], axis=1), axis=0)
    contacts = np.bincount(group[inner], minlength=size)
    contacts += np.bincount(met[:, 0].astype(np.int64), minlength=size)
    return group[:n_gaps].astype(np.int64), contacts.astype(np.int64)


def _pieces(edges: Lines, others: Lines, buffer_m: float) -> tuple[Indices, Lines]:
    """Parts of other lines within a buffer around each edge, and of which edge each is."""
    none = np.empty(0, dtype=np.int64), np.empty(0, dtype=object)
    if not len(edges) or not len(others):
        return none
    tree = shapely.STRtree(others)
    edge, near = tree.query(edges, predicate="dwithin", distance=buffer_m)
    around = shapely.buffer(edges, buffer_m, quad_segs=ROUND)
    cut = shapely.intersection(others[near], around[edge])
    parts, owner = shapely.get_parts(cut, return_index=True)
    is_line = shapely.length(parts) > 0
    return edge[owner[is_line]], parts[is_line]


def _stretches(edges: Lines, edge: Indices, piece: Lines) -> tuple[Indices, Metres, Metres]:
    """What hangs together beside an edge: from where to where along it each goes."""
    if not len(piece):
        return edge, np.empty(0), np.empty(0)
    ends = [shapely.get_coordinates(shapely.get_point(piece, i)) for i in (0, -1)]
    owner = np.tile(edge, 2)
    # Nodes of a network are exact; those where the buffer cuts are nobody else's.
    places = np.column_stack([owner, np.rint(np.concatenate(ends) / GRID_M)])
    _, number = np.unique(places, axis=0, return_inverse=True)
    first, last = number.reshape(2, -1)
    size = int(number.max()) + 1
    links = coo_array((np.ones(len(piece)), (first, last)), shape=(size, size))
    _, group = connected_components(links, directed=False)
    xy, at = shapely.get_coordinates(piece, return_index=True)
    along = shapely.line_locate_point(edges[edge[at]], shapely.points(xy))
    _, part = np.unique(group[first], return_inverse=True)
    n = int(part.max()) + 1
    start_m, end_m = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(start_m, part[at], along)
    np.maximum.at(end_m, part[at], along)
    of = np.empty(n, dtype=np.int64)
    of[part] = edge
    return of, start_m, end_m


def _between(edge: Indices, start_m: Metres, end_m: Metres, lengths: Metres) -> Gaps:
    """What stretches leave open."""
    order = np.lexsort((start_m, edge))
    found: list[tuple[int, float, float]] = []
    bounds = np.searchsorted(edge[order], np.arange(len(lengths) + 1))
    for i, length in enumerate(lengths.tolist()):
        at = 0.0
        for k in order[bounds[i] : bounds[i + 1]].tolist():
            if start_m[k] > at + GRID_M:
                found.append((i, at, float(start_m[k])))
            at = max(at, float(end_m[k]))
        if at < length - GRID_M or at == 0:
            found.append((i, at, length))
    edges, starts, ends = (
        (np.array(part) for part in zip(*found, strict=True))
        if found
        else (np.empty(0), np.empty(0), np.empty(0))
    )
    return Gaps(edges.astype(np.int64), starts.astype(np.float64), ends.astype(np.float64))
