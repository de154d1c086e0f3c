"""The lines of a scene as a graph of nodes and lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geocobot.centerlines.courses import TO_RADII, meeting_points
from geocobot.centerlines.lines import Line, Lines, shortened


@dataclass(frozen=True)
class Node:
    """Where lines meet or end.

    Attributes:
        xy: column and row.
        radius: distance to the outline, in pixels.
        spread: how far from there the junctions lay that were joined to it.
    """

    xy: npt.NDArray[np.float64]
    radius: float
    spread: float = 0.0

    @property
    def reach(self) -> float:
        """How far around it lines are drawn by the junction, and not by where they lead."""
        return self.radius + self.spread


class Network:
    """Nodes, lines between them, and rings without a node.

    Whatever is done with it does not depend on the order in which the lines came.

    Args:
        lines: whole ones.
        width: of the scene, in pixels.
    """

    def __init__(self, lines: Iterable[Line], width: int = 0) -> None:
        self.width = width
        self.nodes: dict[int, Node] = {}
        self.lines: dict[int, Line] = {}
        self.rings: list[Line] = []
        self._at: dict[int, list[int]] = {}
        self._next = 0
        for line in sorted(lines, key=_place):
            if line.is_ring:
                self.rings.append(line)
                continue
            for node, xy, radius in zip(line.nodes, line.xy[[0, -1]], line.radius[:2], strict=True):
                self.nodes[node] = Node(xy, radius)
            self.add(line)

    def add(self, line: Line) -> int:
        """Add a line between nodes that are there; its number."""
        key = self._next
        self._next += 1
        self.lines[key] = line
        for node in line.nodes:
            self._at.setdefault(node, []).append(key)
        return key

    def remove(self, key: int) -> Line:
        """Take a line out; its nodes stay."""
        line = self.lines.pop(key)
        for node in line.nodes:
            self._at[node].remove(key)
        return line

    def at(self, node: int) -> list[int]:
        """The lines at a node; one that begins and ends there is there twice."""
        return list(self._at.get(node, ()))

    def degree(self, node: int) -> int:
        """How many lines end at a node; one that does so twice counts twice."""
        return len(self._at.get(node, ()))

    def as_lines(self) -> Lines:
        """All of them, each from and to the places of its nodes."""
        drawn = []
        reach = []
        for line in self.lines.values():
            start, end = (self.nodes[node] for node in line.nodes)
            xy = np.concatenate([start.xy[None], line.xy[1:-1], end.xy[None]])
            drawn.append(replace(line, xy=xy, radius=(start.radius, end.radius, line.radius[2])))
            reach.append((start.reach, end.reach))
        reach += [ring.radius[:2] for ring in self.rings]
        return Lines.of([*drawn, *self.rings], reach)

    def dissolve(self, node: int) -> int | None:
        """Make one line of the two at a node, or a ring of the one that begins and ends there.

        What either of them does within the radius of the node was drawn there by a junction that
        is no more: they go straight to where they would meet instead.

        Returns:
            The number of the line; None where two lines do not meet, or make a ring.
        """
        keys = self.at(node)
        if len(keys) != 2:
            return None
        if keys[0] == keys[1]:
            self.rings.append(replace(self.remove(keys[0]), is_ring=True))
            return None
        corner = self.meeting_point(node)
        first, second = (self.remove(key) for key in keys)
        first = first if first.nodes[1] == node else turned(first)
        second = second if second.nodes[0] == node else turned(second)
        center, reach = self.nodes[node].xy, self.nodes[node].reach
        before = shortened(first.xy[::-1], center, reach)[::-1]
        xy = np.concatenate([before, corner[None], shortened(second.xy, center, reach)])
        return self.add(_joined(first, second, xy))

    def meeting_point(self, node: int) -> npt.NDArray[np.float64]:
        """Where the lines that lead to a node would meet, by least squares; (2,) column and row.

        It is the node's own place where that is not within its radius.
        """
        at = self.nodes[node]
        each = [*self._from(node)]
        near = np.array([shortened(xy, at.xy, at.reach)[0] for xy in each])
        far = np.array([shortened(xy, at.xy, TO_RADII * at.reach)[0] for xy in each])
        place, radius, reach = at.xy[None], np.array([at.radius]), np.array([at.reach])
        index = np.zeros(len(each), dtype=np.int64)
        met = meeting_points(index, near, far, xy=place, radius=radius, reach=reach)
        return np.asarray(met[0])

    def _from(self, node: int) -> Iterator[npt.NDArray[np.float64]]:
        """The lines at a node, from there on; one that comes back twice."""
        for key in dict.fromkeys(self.at(node)):
            line = self.lines[key]
            if line.nodes[0] == node:
                yield line.xy
            if line.nodes[1] == node:
                yield line.xy[::-1]

    def merge(self, node: int, into: int) -> list[int]:
        """Let all lines of a node end at another one instead, half way; their new numbers."""
        a, b = self.nodes[into], self.nodes[node]
        apart = float(np.hypot(*(a.xy - b.xy)))
        spread = (apart + a.spread + b.spread) / 2
        self.nodes[into] = Node((a.xy + b.xy) / 2, a.radius, spread)
        changed = []
        for key in dict.fromkeys(self.at(node)):
            line = self.remove(key)
            start, end = (into if n == node else n for n in line.nodes)
            changed.append(self.add(replace(line, nodes=(start, end))))
        return changed


def turned(line: Line) -> Line:
    """The same line from its other end."""
    start, end, mean = line.radius
    return replace(line, nodes=line.nodes[::-1], xy=line.xy[::-1], radius=(end, start, mean))


def _joined(first: Line, second: Line, xy: npt.NDArray[np.float64]) -> Line:
    """Two lines as one, of which one ends where the other begins."""
    pixels = first.score_n + second.score_n
    mean = (first.radius[2] * first.score_n + second.radius[2] * second.score_n) / pixels
    return Line(
        class_number=first.class_number,
        nodes=(first.nodes[0], second.nodes[1]),
        is_ring=False,
        xy=xy,
        radius=(first.radius[0], second.radius[1], mean),
        score_sum=first.score_sum + second.score_sum,
        score_n=pixels,
        width_sum=first.width_sum + second.width_sum,
        width_n=first.width_n + second.width_n,
    )


def _place(line: Line) -> tuple[int, tuple[int, int], int, list[float]]:
    """What no two lines have in common."""
    return line.class_number, line.nodes, line.score_n, line.xy.ravel().tolist()
