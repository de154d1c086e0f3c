"""Lines from node to node, reduced to what is needed of their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from geocobot.tracing.lists import elements, offsets_of, owners, totals


@dataclass(frozen=True)
class Line:
    """A line from node to node.

    Attributes:
        class_number: of the class.
        nodes: the pixels at its ends, as flat indices of the scene; the same twice for a ring.
        is_ring: whether it is closed and has no node.
        xy: (M, 2) columns and rows of its points, smoothed; a ring's last is its first.
        radius: distance to the outline at its two ends, and on average, in pixels.
        score_sum: of the class along the line, in steps.
        score_n: of so many pixels.
        width_sum: of the class across the line, in metres on the ground.
        width_n: of so many cross-sections, away from the junctions where there are others.
    """

    class_number: int
    nodes: tuple[int, int]
    is_ring: bool
    xy: npt.NDArray[np.float64]
    radius: tuple[float, float, float]
    score_sum: float
    score_n: int
    width_sum: float
    width_n: int

    @property
    def length_px(self) -> float:
        """Length in pixels."""
        return float(np.hypot(*np.diff(self.xy, axis=0).T).sum())


@dataclass(frozen=True)
class Lines:
    """Many lines from node to node, (N,) of them, in few arrays.

    Attributes:
        class_number: (N,) see `Line`, and so on.
        nodes: (N, 2)
        is_ring: (N,)
        xy: (M, 2) points of all lines, one after the other.
        offsets: (N + 1,) where the lines begin and end.
        radius: (N, 3)
        reach: (N, 2) how far around the nodes at its ends a line is drawn by these, and not by
            where it leads.
        score_sum: (N,)
        score_n: (N,)
        width_sum: (N,)
        width_n: (N,)
    """

    class_number: npt.NDArray[np.uint8]
    nodes: npt.NDArray[np.int64]
    is_ring: npt.NDArray[np.bool_]
    xy: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    radius: npt.NDArray[np.float64]
    reach: npt.NDArray[np.float64]
    score_sum: npt.NDArray[np.float64]
    score_n: npt.NDArray[np.int64]
    width_sum: npt.NDArray[np.float64]
    width_n: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of lines."""
        return int(self.class_number.size)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other."""
        parts = [cls.none(), *parts]
        named = {name: np.concatenate([getattr(p, name) for p in parts]) for name in _BY_LINE}
        xy = np.concatenate([p.xy for p in parts])
        offsets = offsets_of(np.concatenate([np.diff(p.offsets) for p in parts]))
        return cls(xy=xy, offsets=offsets, **named)

    @classmethod
    def none(cls) -> Self:
        """No lines."""
        return cls(
            np.empty(0, np.uint8),
            np.empty((0, 2), np.int64),
            np.empty(0, bool),
            np.empty((0, 2)),
            np.zeros(1, np.int64),
            np.empty((0, 3)),
            np.empty((0, 2)),
            np.empty(0),
            np.empty(0, np.int64),
            np.empty(0),
            np.empty(0, np.int64),
        )

    @classmethod
    def of(cls, lines: Sequence[Line], reach: Sequence[tuple[float, float]]) -> Self:
        """Lines that are apart, and how far they are drawn by their nodes."""
        if not lines:
            return cls.none()
        named = {name: [getattr(line, name) for line in lines] for name in _OF_LINE}
        like = cls.none()
        return cls(
            xy=np.concatenate([line.xy for line in lines]),
            offsets=offsets_of(np.array([len(line.xy) for line in lines])),
            reach=np.array(reach),
            **{name: np.array(v, getattr(like, name).dtype) for name, v in named.items()},
        )

    def take(self, index: npt.NDArray[np.int64]) -> Self:
        """Some of them, in this order."""
        points, offsets = elements(self.offsets, index)
        named = {name: getattr(self, name)[index] for name in _BY_LINE}
        return type(self)(xy=self.xy[points], offsets=offsets, **named)

    def ordered(self) -> Self:
        """The same, in an order that does not depend on the one that they came in."""
        second = self.offsets[:-1] + 1
        sums = totals(self.xy.sum(axis=1), owners(self.offsets), len(self))
        keys = (sums, *self.xy[second].T, self.score_n, *self.nodes.T[::-1], self.class_number)
        return self.take(np.lexsort(keys))

    def closed(self, which: npt.NDArray[np.bool_]) -> Self:
        """The same, some of them (N,) with their last point before their first as well."""
        lengths = np.diff(self.offsets) + which
        offsets = offsets_of(lengths)
        xy = np.empty((offsets[-1], 2))
        is_new = np.zeros(len(xy), dtype=bool)
        is_new[offsets[:-1][which]] = True
        xy[~is_new] = self.xy
        xy[is_new] = self.xy[self.offsets[1:][which] - 1]
        return replace(self, xy=xy, offsets=offsets)

    def lengths_px(self) -> npt.NDArray[np.float64]:
        """Length (N,) of each in pixels."""
        step = np.zeros(len(self.xy))
        step[1:] = np.hypot(*np.diff(self.xy, axis=0).T)
        step[self.offsets[:-1]] = 0
        return totals(step, owners(self.offsets), len(self))

    def __iter__(self) -> Iterator[Line]:
        """One by one."""
        offsets = self.offsets.tolist()
        columns = (getattr(self, name).tolist() for name in _OF_LINE)
        for i, (number, nodes, is_ring, radius, *rest) in enumerate(zip(*columns, strict=True)):
            xy = self.xy[offsets[i] : offsets[i + 1]]
            yield Line(number, (nodes[0], nodes[1]), is_ring, xy, tuple(radius), *rest)


_BY_LINE = (
    "class_number",
    "nodes",
    "is_ring",
    "radius",
    "reach",
    "score_sum",
    "score_n",
    "width_sum",
    "width_n",
)
_OF_LINE = tuple(name for name in _BY_LINE if name != "reach")


def nodes_of(lines: Lines) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The nodes of lines (N, 2), from 0 on, and how many lines end at each (K,)."""
    found, node = np.unique(lines.nodes.ravel(), return_inverse=True)
    node = node.reshape(-1, 2)
    return node, np.bincount(node[~lines.is_ring].ravel(), minlength=found.size)


def shortened(
    xy: npt.NDArray[np.float64], center: npt.NDArray[np.float64], radius: float
) -> npt.NDArray[np.float64]:
    """A line (N, 2) without its beginning up to where it leaves a circle for good.

    At least its last point is left.
    """
    away = np.hypot(*(xy - center).T)
    inside = np.flatnonzero(away < radius)
    if not inside.size:
        return xy
    last = int(inside[-1])
    if last + 1 >= len(xy):
        return xy[-1:]
    # The stretch leaves the circle where |p + t d| = radius.
    p, d = xy[last] - center, xy[last + 1] - xy[last]
    pd, dd = float(p @ d), float(d @ d)
    t = (-pd + np.sqrt(max(pd * pd - dd * (float(p @ p) - radius**2), 0.0))) / dd
    return np.concatenate([(xy[last] + min(t, 1.0) * d)[None], xy[last + 1 :]])
