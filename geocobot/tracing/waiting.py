"""What waits for the end of its group, and how it is softened."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.least_area import LeastArea
from geocobot.tracing.outlines import Outlines
from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.seams import (
    OpenPolygon,
    joined_outlines,
    joined_pieces,
    without_crossings,
)
from geocobot.tracing.soften import Softening

Numbers = npt.NDArray[np.int64]
Polygons = npt.NDArray[np.object_]


@dataclass
class Waiting:
    """Complete polygons of a group.

    Attributes:
        first_row: of what waits.
        corners: of what waits, without those on seams.
        whole: polygons of one block.
        joined: polygons of several blocks.
        beside: what borders from above on what waits, where the group was cut.
        cuts: rows of these cuts.
    """

    first_row: int
    corners: int = 0
    whole: list[Outlines] = field(default_factory=list)
    joined: list[OpenPolygon] = field(default_factory=list)
    beside: list[Polygons] = field(default_factory=list)
    cuts: frozenset[int] = frozenset()

    def absorb(self, other: Waiting) -> None:
        """Take over what waits in another group that turns out to be the same one."""
        self.first_row = min(self.first_row, other.first_row)
        self.corners += other.corners
        self.whole += other.whole
        self.joined += other.joined
        self.beside += other.beside
        self.cuts |= other.cuts


@dataclass(frozen=True)
class Softener:
    """Softens what waits.

    Attributes:
        soften: how.
        least: which polygons need not be drawn.
    """

    soften: Softening
    least: LeastArea

    def groups(self, local: Outlines, local_group: Numbers, closed: Sequence[Waiting]) -> Outlines:
        """Soften groups that were not cut, together.

        Args:
            local: (N,) polygons of groups of one block.
            local_group: (N,) the group of each.
            closed: other groups.
        """
        first = int(local_group.max(initial=-1)) + 1
        whole = [(n, one) for n, group in enumerate(closed, first) for one in group.whole]
        joined = [(n, one) for n, group in enumerate(closed, first) for one in group.joined]
        polygons = [one for _, one in joined]
        geometry, _ = joined_pieces(polygons)
        outlines = Outlines.of_all(
            [local, *(one for _, one in whole), joined_outlines(polygons, geometry)]
        )
        group = np.concatenate(
            [
                local_group,
                *(np.full(len(one.pixels), n) for n, one in whole),
                np.array([n for n, _ in joined], dtype=np.int64),
            ]
        )
        kept = np.flatnonzero(
            self.least.may_reach(outlines.polygons, outlines.pixels, outlines.class_number)
        )
        outlines = outlines.take(kept)
        soft = self.soften(outlines.geometry, group[kept], outlines.class_number)
        return replace(outlines, polygons=PolygonArray(soft))

    def part(
        self, waiting: Waiting, going_on: Sequence[OpenPolygon], below: Polygons
    ) -> tuple[Outlines, list[Polygons]]:
        """Soften what there is of a group that was cut, or is to be.

        Args:
            waiting: its complete polygons.
            going_on: its polygons that go on below.
            below: what borders from below on all of them.

        Returns:
            The complete ones, and what there is of each of the others.
        """
        joined = joined_outlines(waiting.joined, np.full(len(waiting.joined), None, dtype=object))
        whole = Outlines.of_all([*waiting.whole, joined.take(np.arange(0))])
        polygons = [*waiting.joined, *going_on]
        parts, owner = joined_pieces(polygons)
        geometry = np.concatenate([whole.geometry, parts])
        class_of = np.array([one.class_number for one in polygons], dtype=np.uint8)
        kept = self._worth_drawing(whole, polygons, parts, owner, len(waiting.joined))
        geometry[kept] = self.soften(
            geometry[kept],
            np.zeros(int(kept.sum()), dtype=np.int64),
            np.concatenate([whole.class_number, class_of[owner]])[kept],
            cuts=sorted(waiting.cuts),
            beside=np.concatenate([*waiting.beside, below]),
        )
        n_whole = len(whole.geometry)
        soft, owner = geometry[n_whole:][kept[n_whole:]], owner[kept[n_whole:]]
        by_owner = [soft[owner == n] for n in range(len(polygons))]
        drawn_whole = PolygonArray(geometry[:n_whole])
        whole = replace(whole, polygons=drawn_whole).take(np.flatnonzero(kept[:n_whole]))
        for n, one in enumerate(waiting.joined):
            joined.geometry[n] = _put_together(one, by_owner[n])
        drawn = np.flatnonzero([len(parts) > 0 for parts in by_owner[: len(waiting.joined)]])
        return whole.followed_by(joined.take(drawn)), by_owner[len(waiting.joined) :]

    def _worth_drawing(
        self,
        whole: Outlines,
        polygons: Sequence[OpenPolygon],
        parts: Polygons,
        owner: Numbers,
        n_complete: int,
    ) -> npt.NDArray[np.bool_]:
        """Which polygons, first those of one block, may be large enough.

        What goes on below, or was cut before, counts as large enough.
        """
        pixels = np.array([one.pixels for one in polygons], dtype=np.int64)
        class_number = np.array([one.class_number for one in polygons], dtype=np.uint8)
        is_cut = np.array([bool(one.settled) for one in polygons], dtype=np.bool_)
        is_cut[n_complete:] = True
        may = self.least.may_reach(PolygonArray(parts), pixels[owner], class_number[owner])
        whole_may = self.least.may_reach(whole.polygons, whole.pixels, whole.class_number)
        return np.concatenate([whole_may, may | is_cut[owner]])


def _put_together(one: OpenPolygon, last: Polygons) -> shapely.Polygon | None:
    """A complete polygon of the parts that its group was cut into, None of no last one."""
    if not one.settled or not len(last):
        return last[0] if len(last) else None
    parts = np.concatenate([*(settled() for settled in one.settled), last])
    joined = np.array([shapely.coverage_union_all(parts)], dtype=object)
    return without_crossings(joined, [one])[0]


class CutPart:
    """What there is of a group that goes on, softened once: when it is first asked for.

    Args:
        softener: what softens it.
        waiting: its complete polygons.
        going_on: its polygons that go on below.
        below: what borders from below on all of them.
    """

    def __init__(
        self,
        softener: Softener,
        waiting: Waiting,
        going_on: Sequence[OpenPolygon],
        below: Polygons,
    ) -> None:
        self._softener = softener
        self._given: tuple[Waiting, Sequence[OpenPolygon], Polygons] | None
        self._given = waiting, going_on, below
        self._complete: Outlines | None = None
        self._parts: list[Polygons] = []
        self._lock = threading.Lock()

    def outlines(self) -> Outlines:
        """The complete polygons, to be asked for once."""
        self._make()
        complete, self._complete = self._complete, None
        assert complete is not None, "nobody else asks"
        return complete

    def part(self, number: int) -> Polygons:
        """What there is of a polygon that goes on."""
        self._make()
        return self._parts[number]

    def _make(self) -> None:
        """Soften it, unless that was done; whoever asks meanwhile waits."""
        with self._lock:
            if self._given is not None:
                self._complete, self._parts = self._softener.part(*self._given)
                self._given = None
