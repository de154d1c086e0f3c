"""Average path length similarity: whether one can drive as far, and as straight, as in truth.

Van Etten, Lindenbaum and Bacastow (2018), SpaceNet: a remote sensing dataset and challenge series,
arXiv:1807.01232, and the description of the metric on https://medium.com/the-downlinq (2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from geocobot.evaluation.ratios import mean
from geocobot.evaluation.roads import Indices, Metres, Network

SPACING_M = 50.0
"""Distance between control nodes along roads."""

SNAP_M = 4.0
"""A control node that lies farther than this from any road of the other network is missing."""

LEAST_PATH_M = 10.0
"""Shorter paths are not compared."""

MOST_SOURCES = 500
"""Paths start from so many control nodes, and lead to all."""

_AT_A_TIME = 64
_SAME_M = 1e-6


@dataclass(frozen=True)
class Apls:
    """Similarity of the lengths of paths.

    Attributes:
        truth_to_predicted: of paths of the truth, 0 to 1: falls where roads are missing.
        predicted_to_truth: of paths of the map, 0 to 1: falls where roads are false.
        value: their harmonic mean, where there is but one of them, that one; of several scenes the
            mean of theirs.
        paths: how many paths were compared, both ways.

    Each is None where there are no paths to compare.
    """

    truth_to_predicted: float | None
    predicted_to_truth: float | None
    value: float | None
    paths: tuple[int, int]


def apls(
    predicted: Network,
    truth: Network,
    *,
    spacing_m: float = SPACING_M,
    snap_m: float = SNAP_M,
) -> Apls:
    """Compare the shortest paths between places in one network with those in the other.

    Control nodes are the nodes of a network and places along its edges. Each goes to the nearest
    place of the other network, if that is near enough. With L(a, b) the length of the shortest
    path between two control nodes and L(a', b') the one between those places, the similarity is
    1 - mean of min(1, |L(a, b) - L(a', b')| / L(a, b)), 1 standing for paths that are missing.

    Args:
        predicted: mapped lines.
        truth: labelled lines, on the same plane.
        spacing_m: between control nodes, at most.
        snap_m: how far apart two places may lie that are the same.
    """
    there, n_there = _similarity(truth, predicted, spacing_m, snap_m)
    back, n_back = _similarity(predicted, truth, spacing_m, snap_m)
    return Apls(there, back, harmonic(there, back), (n_there, n_back))


def mean_apls(scenes: Sequence[Apls]) -> Apls:
    """The means over scenes, of those that have a similarity; their paths are added up."""
    there, back = zip(*(scene.paths for scene in scenes), strict=True)
    return Apls(
        truth_to_predicted=mean(scene.truth_to_predicted for scene in scenes),
        predicted_to_truth=mean(scene.predicted_to_truth for scene in scenes),
        value=mean(scene.value for scene in scenes),
        paths=(sum(there), sum(back)),
    )


def harmonic(one: float | None, other: float | None) -> float | None:
    """Harmonic mean of two similarities, or the one that there is."""
    if one is None or other is None:
        return other if one is None else one
    return 2 * one * other / (one + other) if one + other > 0 else 0.0


def _similarity(
    source: Network, target: Network, spacing_m: float, snap_m: float
) -> tuple[float | None, int]:
    """Similarity of the paths of one network to those of another, and how many there are."""
    control = _Places.along(source, spacing_m)
    snapped, is_there = control.snapped(target, snap_m)
    own, own_at = _graph(source, control)
    other, other_at = _graph(target, snapped)
    rank = np.cumsum(is_there) - 1  # of each place among those that are there
    total, count = 0.0, 0
    for some in _sources(control):
        lengths = dijkstra(own, directed=False, indices=own_at[some])[:, own_at]
        mapped, found = np.full(lengths.shape, np.inf), is_there[some]
        if found.any():
            start = other_at[rank[some[found]]]
            among = dijkstra(other, directed=False, indices=start)[:, other_at]
            mapped[np.ix_(found, is_there)] = among
        compared = np.isfinite(lengths) & (lengths >= LEAST_PATH_M)
        difference = np.abs(mapped[compared] - lengths[compared]) / lengths[compared]
        total += float(np.minimum(difference, 1.0).sum())
        count += int(compared.sum())
    return (1 - total / count if count else None), count


def _sources(control: _Places) -> Iterator[Indices]:
    """Control nodes from which paths start: all, or evenly many from west to east."""
    numbers = np.lexsort(control.xy.T[::-1])
    if len(numbers) > MOST_SOURCES:
        numbers = numbers[np.linspace(0, len(numbers) - 1, MOST_SOURCES).round().astype(int)]
    for start in range(0, len(numbers), _AT_A_TIME):
        yield numbers[start : start + _AT_A_TIME]


@dataclass(frozen=True)
class _Places:
    """Places on a network.

    Attributes:
        edge: (C,) on which edge each lies.
        along_m: (C,) how far from its beginning.
        xy: (C, 2) where that is.
    """

    edge: Indices
    along_m: Metres
    xy: Metres

    @classmethod
    def along(cls, network: Network, spacing_m: float) -> _Places:
        """The nodes, each once, and places in between."""
        lengths = network.lengths
        parts = np.maximum(np.ceil(lengths / spacing_m - _SAME_M), 1).astype(np.int64)
        first = np.cumsum(parts) - parts
        edge = np.repeat(np.arange(len(network)), parts)
        share = (np.arange(len(edge)) - np.repeat(first, parts)) / np.repeat(parts, parts)
        is_inner = share > 0
        _, at = np.unique(network.ends.ravel(), return_index=True)
        edge = np.concatenate([at // 2, edge[is_inner]])
        share = np.concatenate([(at % 2).astype(np.float64), share[is_inner]])
        along_m = share * lengths[edge]
        return cls(edge, along_m, _coordinates(network, edge, along_m))

    def snapped(self, network: Network, snap_m: float) -> tuple[_Places, npt.NDArray[np.bool_]]:
        """The nearest places of another network, of those that have one; and which have (C,)."""
        is_there = np.zeros(len(self.edge), dtype=np.bool_)
        none = _Places(np.empty(0, np.int64), np.empty(0), np.empty((0, 2)))
        if not len(network) or not len(self.edge):
            return none, is_there
        points = shapely.points(self.xy)
        tree = shapely.STRtree(network.edges)
        which, edge = tree.query_nearest(points, max_distance=snap_m, all_matches=False)
        is_there[which] = True
        along_m = shapely.line_locate_point(network.edges[edge], points[which])
        return _Places(edge, along_m, _coordinates(network, edge, along_m)), is_there


def _coordinates(network: Network, edge: Indices, along_m: Metres) -> Metres:
    """Where places lie (C, 2)."""
    points: Any = shapely.line_interpolate_point(network.edges[edge], along_m)
    return np.asarray(shapely.get_coordinates(points))


def _graph(network: Network, places: _Places) -> tuple[csr_array, Indices]:
    """A network cut at places: lengths between neighbors, and the vertex of each place."""
    n_nodes, lengths = len(network.nodes), network.lengths
    edge, along_m = places.edge, places.along_m
    vertex = np.arange(len(edge)) + n_nodes
    at_start, at_end = along_m <= _SAME_M, along_m >= lengths[edge] - _SAME_M
    vertex = np.where(at_start, network.ends[edge, 0], vertex)
    vertex = np.where(at_end & ~at_start, network.ends[edge, 1], vertex)
    # Along each edge: its beginning, the places on it, its end.
    numbers = np.arange(len(network))
    on_edge = np.concatenate([numbers, edge, numbers])
    at_m = np.concatenate([np.zeros(len(network)), along_m, lengths])
    at_vertex = np.concatenate([network.ends[:, 0], vertex, network.ends[:, 1]])
    rank = np.repeat([0, 1, 2], [len(network), len(edge), len(network)])
    order = np.lexsort((rank, at_m, on_edge))
    on_edge, at_m, at_vertex = on_edge[order], at_m[order], at_vertex[order]
    same = on_edge[1:] == on_edge[:-1]
    start, end, step = at_vertex[:-1][same], at_vertex[1:][same], np.diff(at_m)[same]
    return _shortest(start, end, step, n_nodes + len(edge)), vertex


def _shortest(start: Indices, end: Indices, step: Metres, size: int) -> csr_array:
    """A graph of the shortest step between any two vertices; none has no length."""
    start, end = np.minimum(start, end), np.maximum(start, end)
    order = np.lexsort((step, end, start))
    start, end, step = start[order], end[order], step[order]
    other = np.ones(len(start), dtype=np.bool_)
    other[1:] = (np.diff(start) != 0) | (np.diff(end) != 0)
    other &= start != end
    # A step of 0 would be none.
    weights = np.maximum(step[other], 1e-12)
    return coo_array((weights, (start[other], end[other])), shape=(size, size)).tocsr()
