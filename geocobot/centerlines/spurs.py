"""Prune what thinning draws into every corner of an outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.centerlines.courses import junctions, trimmed
from geocobot.centerlines.lines import Lines
from geocobot.tracing.components import connected
from geocobot.tracing.lists import offsets_of, owners, places, totals

_SPUR_WIDTHS = 1.0
"""A spur shorter than so many widths of the class where it branches off is pruned."""

ISLAND_RADII = 4.0
"""A line from a junction to itself is dropped up to so many of its radii."""

Indices = npt.NDArray[np.int64]


def prune_spurs(lines: Lines) -> Lines:
    """Prune spurs shorter than the local width, the shortest ones of each junction first.

    So are lines from a junction to itself that are not longer than `ISLAND_RADII` of its radii.
    A junction that keeps two lines is none any more, and they become one. Where a line forks at
    its end, one of the two branches stays, so that no line becomes shorter.

    Args:
        lines: whole ones, in an order that does not depend on how they were found.
    """
    pieces = _Pieces.of(lines)
    while pieces.prune():
        pass
    return pieces.as_lines()


@dataclass
class _Pieces:
    """Lines that are put together to longer ones, and taken away.

    Half 2 i is the beginning of piece i, half 2 i + 1 its end.

    Attributes:
        lines: (N,) the pieces.
        node: (2 N,) of each half.
        radius: (K,) of each node.
        partner: (2 N,) the half that a half is joined to, -1 for none.
        is_alive: (N,) whether a piece is there.
    """

    lines: Lines
    node: Indices
    radius: npt.NDArray[np.float64]
    partner: Indices
    is_alive: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, lines: Lines) -> _Pieces:
        """None joined, all there."""
        found, node = np.unique(lines.nodes.ravel(), return_inverse=True)
        node = node.ravel()
        radius = np.zeros(found.size)
        radius[node] = lines.radius[:, :2].ravel()
        n = len(lines)
        return cls(lines, node, radius, np.full(2 * n, -1), np.ones(n, dtype=bool))

    def prune(self) -> bool:
        """Take away the shortest spur of every junction, and small loops; whether any."""
        group = self._groups()
        n = len(self.lines)
        length = np.bincount(group, weights=self.lines.lengths_px(), minlength=n)
        pixels = np.bincount(group, weights=self.lines.score_n, minlength=n)
        spread = self.lines.radius[:, 2] * self.lines.score_n
        mean = np.bincount(group, weights=spread, minlength=n) / np.maximum(pixels, 1)
        half = self._open()
        degree = np.bincount(self.node[half], minlength=self.radius.size)
        width = self.radius.copy()
        np.maximum.at(width, self.node[half], mean[group[half // 2]])
        half = half[np.argsort(group[half // 2], kind="stable")].reshape(-1, 2)
        half = np.concatenate([half, half[:, ::-1]])
        free, junction = self.node[half[:, 0]], self.node[half[:, 1]]
        owner = group[half[:, 0] // 2]
        is_spur = (degree[free] == 1) & (degree[junction] >= 3)
        is_spur &= length[owner] < 2 * _SPUR_WIDTHS * width[junction]
        junction, owner = junction[is_spur], owner[is_spur]
        order = np.lexsort((owner, length[owner], junction))
        is_first = np.diff(junction[order], prepend=-1) > 0
        is_loop = (half[:, 0] < half[:, 1]) & (self.node[half] == self.node[half[:, :1]]).all(
            axis=1
        )
        loop = half[is_loop, 0]
        loop = loop[length[group[loop // 2]] <= ISLAND_RADII * self.radius[self.node[loop]]]
        gone = np.zeros(n, dtype=bool)
        gone[owner[order[is_first]]] = gone[group[loop // 2]] = True
        self.is_alive &= ~gone[group]
        self._dissolve(np.concatenate([junction[order[is_first]], self.node[loop]]))
        return bool(gone.any())

    def _groups(self) -> Indices:
        """The smallest of the pieces that each is joined to (N,)."""
        half = np.flatnonzero(self.partner >= 0)
        return connected(len(self.lines), half // 2, self.partner[half] // 2)

    def _open(self) -> Indices:
        """Halves that are there and not joined."""
        is_line = np.repeat(self.is_alive & ~self.lines.is_ring, 2)
        return np.flatnonzero(is_line & (self.partner < 0))

    def _dissolve(self, nodes: Indices) -> None:
        """Join the two halves at nodes that have two."""
        half = self._open()
        degree = np.bincount(self.node[half], minlength=self.radius.size)
        passed = np.zeros(self.radius.size, dtype=bool)
        passed[nodes] = True
        half = half[(passed & (degree == 2))[self.node[half]]]
        pairs = half[np.argsort(self.node[half], kind="stable")].reshape(-1, 2)
        self.partner[pairs] = pairs[:, ::-1]

    def as_lines(self) -> Lines:
        """Whole lines again."""
        half, offsets = self._walks()
        piece, owner = half // 2, owners(offsets)
        lines, n = self.lines, offsets.size - 1
        is_joined = np.stack([self.partner[half] >= 0, self.partner[half ^ 1] >= 0], axis=1)
        xy, ends = _forward(lines.take(piece), half % 2 == 1)
        node = np.stack([self.node[half], self.node[half ^ 1]], axis=1)
        corner, center = junctions(xy, ends, node, is_joined, radius=self.radius, reach=self.radius)
        xy, ends = trimmed(
            xy,
            ends,
            cut=is_joined,
            center=center,
            radius=self.radius[node],
            is_loop=node[:, 0] == node[:, 1],
        )
        # A joint is the last point of the piece before it, of rings also of the last.
        more = offsets_of(np.diff(ends) + is_joined[:, 1])
        joined = np.empty((more[-1], 2))
        joined[np.arange(len(xy)) + (more - ends)[:-1][owners(ends)]] = xy
        joined[more[1:][is_joined[:, 1]] - 1] = corner[node[is_joined[:, 1], 1]]
        first, last = offsets[:-1], offsets[1:] - 1
        is_closed = is_joined[first, 0]
        start = half[first]
        radius = lines.radius[:, :2].ravel()
        pixels = totals(lines.score_n[piece], owner, n)
        spread = totals((lines.radius[:, 2] * lines.score_n)[piece], owner, n)
        score_sum, width_sum, width_n = (
            totals(getattr(lines, name)[piece], owner, n)
            for name in ("score_sum", "width_sum", "width_n")
        )
        nodes = lines.nodes.ravel()
        stop = half[last] ^ 1
        ends_radius = np.stack([radius[start], radius[stop]], axis=1)
        whole = Lines(
            class_number=lines.class_number[piece[first]],
            nodes=np.stack([nodes[start], nodes[stop]], axis=1),
            is_ring=lines.is_ring[piece[first]] | is_closed,
            xy=joined,
            offsets=more[offsets],
            radius=np.column_stack([ends_radius, spread / pixels]),
            reach=ends_radius,
            score_sum=score_sum,
            score_n=pixels.astype(np.int64),
            width_sum=width_sum,
            width_n=width_n.astype(np.int64),
        )
        return whole.closed(is_closed)

    def _walks(self) -> tuple[Indices, Indices]:
        """The halves at which pieces are entered, line by line; and where lines begin and end."""
        group = self._groups()
        alive = np.flatnonzero(self.is_alive)
        single = np.asarray((self.partner.reshape(-1, 2) < 0).all(axis=1))
        partner = self.partner.tolist()
        found, lengths = (2 * alive[single[alive]]).tolist(), [1] * int(single[alive].sum())
        joined = alive[~single[alive]]
        halves = np.stack([2 * joined, 2 * joined + 1], axis=1).ravel()
        is_open = self.partner[halves] < 0
        order = np.lexsort((halves, ~is_open, group[halves // 2]))
        is_first = np.diff(group[halves[order] // 2], prepend=-1) > 0
        for start in halves[order[is_first]].tolist():
            half, count = start, 0
            while True:
                found.append(half)
                count += 1
                half = partner[half ^ 1]
                if half < 0 or half == start:
                    break
            lengths.append(count)
        return np.array(found, dtype=np.int64), offsets_of(np.array(lengths, dtype=np.int64))


def _forward(
    lines: Lines, is_turned: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], Indices]:
    """Points of lines, some from their other end."""
    offsets = lines.offsets
    owner, place = owners(offsets), places(offsets)
    last = np.diff(offsets)[owner] - 1
    return lines.xy[offsets[owner] + np.where(is_turned[owner], last - place, place)], offsets
