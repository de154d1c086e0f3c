"""Where the roads run: a bent, thinned-out grid of streets, planned in metres."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import shapely

from geocobot.synthetic.frame import Points, rng_for

RoadKind: TypeAlias = Literal["main", "collector", "street", "lane"]
WIDTHS_M: dict[RoadKind, float] = {"main": 13.0, "collector": 9.5, "street": 7.5, "lane": 6.0}
"""Full widths of the asphalt."""

_STEP_M = 4.0
_BEYOND_M = 120.0
_TOWN_RADIUS_M = 190.0
_MIN_TOWNNESS = 0.35
_RURAL_KEEP = 0.45

Edge: TypeAlias = tuple[int, int, int]
"""Direction (0 follows the first axis, 1 the second) and the node where it starts."""


@dataclass(frozen=True)
class Road:
    """One road between two ends.

    Attributes:
        line: (N, 2) center line, a vertex every few metres.
        kind: what traffic it is for.
        width_m: full width of the asphalt.
    """

    line: Points
    kind: RoadKind
    width_m: float

    @property
    def asphalt(self) -> shapely.Polygon:
        """The road's surface, round at its ends."""
        return shapely.LineString(self.line).buffer(self.width_m / 2)


@dataclass(frozen=True)
class Network:
    """All roads of a place.

    Attributes:
        roads: the widest first.
        junctions: (N, 2) where roads meet.
        towns: (T, 2) town centers.
    """

    roads: tuple[Road, ...]
    junctions: Points
    towns: Points

    def townness(self, xy: Points) -> Points:
        """(N,) 1 in the middle of a town, falling to 0 in the country."""
        apart = np.linalg.norm(xy[:, None] - self.towns[None], axis=2)
        return np.asarray(np.exp(-0.5 * (apart / _TOWN_RADIUS_M) ** 2).max(axis=1))


def plan_network(seed: int, size_m: tuple[float, float]) -> Network:
    """Plan the roads of a place of (width, height) metres.

    Streets follow the lines of a grid that is bent by slow waves, so that they curve and still
    meet; in the country most of them are taken away again. Roads run on beyond the place.
    """
    rng = rng_for(seed, "network")
    towns = _place_towns(rng, size_m)
    bend = _bend(rng, size_m)
    lines_u = _grid_lines(rng, size_m, 85.0, 135.0)
    lines_v = _grid_lines(rng, size_m, 75.0, 120.0)
    kinds = _line_kinds(len(lines_u)), _line_kinds(len(lines_v))
    empty = Network((), np.empty((0, 2)), towns)

    def course(edge: Edge) -> Points:
        u, v = lines_u[edge[1]], lines_v[edge[2]]
        along = lines_u[edge[1] + 1] - u if edge[0] == 0 else lines_v[edge[2] + 1] - v
        t = np.linspace(0.0, along, max(2, round(along / _STEP_M)) + 1)
        return bend(u + t, v + 0 * t) if edge[0] == 0 else bend(u + 0 * t, v + t)

    def kind_of(edge: Edge) -> RoadKind:
        kind = kinds[1][edge[2]] if edge[0] == 0 else kinds[0][edge[1]]
        middle = course(edge).mean(axis=0, keepdims=True)
        is_rural = empty.townness(middle)[0] < _MIN_TOWNNESS
        return "lane" if kind == "street" and is_rural else kind

    shape = len(lines_u), len(lines_v)
    edges = [
        edge
        for edge in _all_edges(*shape)
        if kind_of(edge) != "lane" or rng.uniform() < _RURAL_KEEP
    ]
    kept = _without_stubs(edges, [e for e in edges if kind_of(e) in {"lane", "street"}])
    roads = _join(kept, course, kind_of)
    junctions = [
        bend(lines_u[[i]], lines_v[[j]])[0] for (i, j), n in _degrees(kept).items() if n > 2
    ]
    return Network(
        tuple(sorted(roads, key=lambda r: -r.width_m)), np.array(junctions).reshape(-1, 2), towns
    )


def _place_towns(rng: np.random.Generator, size_m: tuple[float, float]) -> Points:
    """Town centers spread from west to east, about one per 300 m."""
    n = max(1, round(size_m[0] / 300.0))
    x = (np.arange(n) + rng.uniform(0.3, 0.7, n)) / n * size_m[0]
    y = rng.uniform(0.15, 0.85, n) * size_m[1]
    return np.stack([x, y], axis=1)


def _bend(
    rng: np.random.Generator, size_m: tuple[float, float]
) -> Callable[[Points, Points], Points]:
    """Make the map from straight grid coordinates to places: waves, then a turn.

    The waves' slopes add up to less than 0.7, so that lines never fold over each other.
    """
    turn = rng.uniform(-0.35, 0.35)
    lengths_m = np.array([620.0, 330.0, 190.0])
    heights_m = lengths_m / (2 * np.pi) * np.array([0.34, 0.22, 0.1])
    directions = rng.uniform(0, 2 * np.pi, (2, 3))
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    c, s = np.cos(turn), np.sin(turn)

    def bend(u: Points, v: Points) -> Points:
        moved = []
        for axis, at in enumerate((u, v)):
            run = u[..., None] * np.cos(directions[axis]) + v[..., None] * np.sin(directions[axis])
            wave = heights_m * np.sin(2 * np.pi * run / lengths_m + phases[axis])
            moved.append(at + wave.sum(axis=-1))
        p, q = moved
        return np.stack([p * c - q * s + size_m[0] / 2, p * s + q * c + size_m[1] / 2], axis=-1)

    return bend


def _grid_lines(
    rng: np.random.Generator, size_m: tuple[float, float], least_m: float, most_m: float
) -> Points:
    """Uneven grid lines over the place, turned in any way, and beyond."""
    reach = float(np.hypot(*size_m)) / 2 + _BEYOND_M
    steps = rng.uniform(least_m, most_m, int(2 * reach / least_m) + 1)
    lines = np.cumsum(steps) - reach - most_m / 2
    return np.asarray(lines[lines < reach + most_m])


def _line_kinds(n: int) -> list[RoadKind]:
    """One main road in the middle, a collector every third line, streets between."""
    middle = n // 2
    return [
        "main" if i == middle else "collector" if (i - middle) % 3 == 0 else "street"
        for i in range(n)
    ]


def _all_edges(n_u: int, n_v: int) -> list[Edge]:
    """Every edge of the grid, line by line."""
    first = [(0, i, j) for j in range(n_v) for i in range(n_u - 1)]
    second = [(1, i, j) for i in range(n_u) for j in range(n_v - 1)]
    return first + second


def _ends(edge: Edge) -> tuple[tuple[int, int], tuple[int, int]]:
    """The two nodes of an edge."""
    direction, i, j = edge
    return (i, j), (i + 1 - direction, j + direction)


def _degrees(edges: Sequence[Edge]) -> Counter[tuple[int, int]]:
    """How many edges meet at each node."""
    return Counter(node for edge in edges for node in _ends(edge))


def _without_stubs(edges: list[Edge], removable: Sequence[Edge]) -> list[Edge]:
    """Take away removable edges that lead nowhere, until none is left."""
    loose = set(removable)
    while True:
        degrees = _degrees(edges)
        kept = [e for e in edges if e not in loose or min(degrees[n] for n in _ends(e)) > 1]
        if len(kept) == len(edges):
            return kept
        edges = kept


def _join(
    edges: Sequence[Edge], course: Callable[[Edge], Points], kind_of: Callable[[Edge], RoadKind]
) -> list[Road]:
    """Chain the edges that follow each other on one line and are of one kind."""
    roads: list[Road] = []
    parts: list[Points] = []
    for edge, follower in zip(edges, [*edges[1:], None], strict=True):
        points = course(edge)
        parts.append(points[1:] if parts else points)
        goes_on = (
            follower is not None
            and follower[0] == edge[0]
            and _ends(edge)[1] == follower[1:]
            and kind_of(edge) == kind_of(follower)
        )
        if not goes_on:
            kind = kind_of(edge)
            roads.append(Road(np.concatenate(parts), kind, WIDTHS_M[kind]))
            parts = []
    return roads
