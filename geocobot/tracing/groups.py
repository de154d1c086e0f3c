"""Join blocks into whole polygons, and soften those that belong together as soon as all are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.block import Block
from geocobot.tracing.components import connected
from geocobot.tracing.near import NearPieces, links
from geocobot.tracing.outlines import Outlines
from geocobot.tracing.seams import Completed, SeamJoiner, whole_outlines
from geocobot.tracing.simplify import members
from geocobot.tracing.trace import Pieces
from geocobot.tracing.waiting import CutPart, Numbers, Polygons, Softener, Waiting

MOST_CORNERS = 2**19
"""More corners do not wait for the end of their group: GEOS takes about a kilobyte for each when
it simplifies them."""

logger = logging.getLogger("geocobot.tracing")


@dataclass(frozen=True)
class Ready:
    """What makes the polygons that can be drawn."""

    makers: tuple[Callable[[], Outlines], ...]

    def outlines(self) -> Outlines:
        """The polygons, in the reading order of their first pixels; takes its time, once."""
        return Outlines.of_all([make() for make in self.makers]).in_reading_order()


class GroupJoiner:
    """Takes blocks top to bottom and hands back the polygons of the groups that each one closes.

    Polygons that touch, or come nearer than outlines may move, are a group. A group of more
    than `MOST_CORNERS` is cut below the block that brings them: what there is of it is softened
    with vertices that stay on the seam, and so is what comes below.

    Args:
        softener: what softens groups.
        most_rows: a group that waits for more rows is cut too.
    """

    def __init__(self, softener: Softener, most_rows: float = np.inf) -> None:
        self._softener = softener
        self._grid = softener.soften.grid
        self._reach = softener.soften.reach
        self._most_rows = most_rows
        self._joiner = SeamJoiner(self._grid.width)
        self._waiting: list[Waiting] = []
        self._last_rows: Numbers = np.full((0, self._grid.width), -1, dtype=np.int64)
        self._cut_groups = 0

    def add(self, block: Block, pieces: Pieces, near: NearPieces) -> Ready:
        """Add the next block.

        Args:
            block: the block.
            pieces: its components, as traced.
            near: their groups within the block.

        Returns:
            What makes the polygons of groups to which no further block can add.
        """
        self._put_beside(pieces, block.row_off)
        n_open = len(self._waiting)
        first_rows, last_rows = (
            np.where(rows >= 0, rows + n_open, -1) for rows in (near.first_rows, near.last_rows)
        )
        root = connected(n_open + near.count, *links(self._last_rows, first_rows, self._reach))
        completed = self._joiner.add(block, pieces, near.group + n_open)
        end_row = block.row_off + len(block.classes)
        rows = np.concatenate([self._last_rows, last_rows])[-self._reach.rows :]
        going_on = np.unique(root[rows[rows >= 0]])
        if end_row == self._grid.height:
            going_on = going_on[:0]
        waiting = self._merged(root, going_on, block.row_off)
        group = root[near.group + n_open]
        self._take_up(waiting, root, completed, group, block)

        place = np.full(len(root) + 1, -1, dtype=np.int64)
        place[going_on] = np.arange(len(going_on))
        place = place[np.append(root, -1)]
        place[-1] = -1
        self._last_rows = place[rows]
        for one in self._joiner.open:
            one.group = int(place[one.group])
        self._waiting = [waiting.pop(int(key)) for key in going_on]
        is_local = completed.is_whole & ~np.isin(group, [*waiting, *going_on])
        closed = self._closed(waiting.values(), pieces, is_local, near)
        return Ready((*closed, *self._cut_large(pieces, end_row)))

    def first_open_row(self, class_numbers: AbstractSet[int], since: int) -> float:
        """First row of the polygons of some classes that go on below or wait; infinite if none do.

        Args:
            class_numbers: of these classes.
            since: polygons that go on below and begin in a row before this one do not count.
        """
        rows = [self._joiner.first_open_row(class_numbers, since)]
        wanted = list(class_numbers)
        for waiting in self._waiting:
            for whole in waiting.whole:
                rows += whole.first_px[np.isin(whole.class_number, wanted), 0].tolist()
            rows += [one.first_px[0] for one in waiting.joined if one.class_number in wanted]
        return min(rows)

    def cut(self, polygons: Polygons) -> None:
        """Let the polygons that go on below, or wait, give way to others.

        Args:
            polygons: (N,) in pixels of the scene, in the rows that were added.
        """
        if not len(polygons):
            return
        self._joiner.cut(polygons, self._reach_px)
        tree = shapely.STRtree(polygons)
        for one in self._joiner.open:
            for settled in one.settled:
                _, other = tree.query(settled(), "intersects")
                one.cutters.extend(polygons[np.unique(other)])
        for waiting in self._waiting:
            for whole in waiting.whole:
                own, other = tree.query(whole.geometry, "dwithin", self._reach_px)
                for n, m in zip(own.tolist(), other.tolist(), strict=True):
                    whole.cutters[n] = (*whole.cutters[n], polygons[m])
            for one in waiting.joined:
                own, other = tree.query(np.array(one.pieces), "dwithin", self._reach_px)
                one.cutters.extend(polygons[np.unique(other)])

    def report(self) -> None:
        """Say what was cut, in the log."""
        if self._cut_groups:
            logger.info(
                "Simplified in parts, because they are too large: %d groups of polygons that "
                "touch; their corners on the rows between two parts stayed",
                self._cut_groups,
            )

    @property
    def _reach_px(self) -> float:
        """Outlines move by less."""
        return float(max(self._reach.rows, self._reach.columns))

    def _merged(self, root: Numbers, going_on: Numbers, row_off: int) -> dict[int, Waiting]:
        """What waits in groups that were open or are so now, by their new keys."""
        merged: dict[int, Waiting] = {}
        for key, one in zip(root.tolist(), self._waiting, strict=False):
            if key in merged:
                merged[key].absorb(one)
            else:
                merged[key] = one
        for key in going_on.tolist():
            merged.setdefault(key, Waiting(row_off))
        return merged

    def _take_up(
        self,
        waiting: dict[int, Waiting],
        root: Numbers,
        completed: Completed,
        group: Numbers,
        block: Block,
    ) -> None:
        """Let the polygons of a block wait that are of groups of several blocks."""
        waits = np.isin(group, list(waiting))
        is_whole = completed.is_whole & waits
        keys = group[is_whole]
        if keys.size:
            outlines = whole_outlines(completed.pieces, is_whole)
            for places in members(keys, np.ones(len(keys), dtype=np.bool_)):
                waiting[int(keys[places[0]])].whole.append(outlines.take(places))
        for one in completed.joined:
            waiting[int(root[one.group])].joined.append(one)
        xy, piece = shapely.get_coordinates(completed.pieces.geometry[waits], return_index=True)
        first, last = block.row_off, block.row_off + len(block.classes)
        inside = (xy[:, 1] > first) & (xy[:, 1] < last)
        keys, corners = np.unique(group[waits][piece[inside]], return_counts=True)
        for key, count in zip(keys.tolist(), corners.tolist(), strict=True):
            waiting[key].corners += count

    def _closed(
        self,
        closed: Iterable[Waiting],
        pieces: Pieces,
        is_local: npt.NDArray[np.bool_],
        near: NearPieces,
    ) -> list[Callable[[], Outlines]]:
        """What makes the polygons of groups that are complete."""
        is_cut = [one for one in closed if one.cuts]
        whole = [one for one in closed if not one.cuts]
        self._cut_groups += len(is_cut)
        none: Polygons = np.array([], dtype=object)
        return [
            partial(_whole, self._softener, pieces, is_local, near.group[is_local], whole),
            *(CutPart(self._softener, one, (), none).outlines for one in is_cut),
        ]

    def _cut_large(self, pieces: Pieces, end_row: int) -> list[Callable[[], Outlines]]:
        """What makes the complete polygons of groups that wait no longer, as they are large."""
        makers = []
        for number, waiting in enumerate(self._waiting):
            is_small = waiting.corners <= MOST_CORNERS
            if is_small and end_row - waiting.first_row <= self._most_rows:
                continue
            going_on = [one for one in self._joiner.open if one.group == number]
            below, _ = _runs_of_row(pieces, end_row)
            waiting.cuts |= {end_row}
            taken = [replace(one, crossings=list(one.crossings)) for one in going_on]
            part = CutPart(self._softener, waiting, taken, below)
            for n, one in enumerate(going_on):
                one.pieces = []
                one.settled = [*one.settled, partial(part.part, n)]
            makers.append(part.outlines)
            self._waiting[number] = Waiting(end_row, cuts=waiting.cuts)
        return makers

    def _put_beside(self, pieces: Pieces, row_off: int) -> None:
        """Show groups that were cut above a block what borders on it there."""
        cut = [n for n, waiting in enumerate(self._waiting) if waiting.first_row == row_off]
        if cut:
            above, columns = _runs_of_row(pieces, row_off - 1)
            group = self._last_rows[-1, columns]
            for number in cut:
                self._waiting[number].beside.append(above[group == number])


def _runs_of_row(pieces: Pieces, row: int) -> tuple[Polygons, Numbers]:
    """What borders on the pieces of a block in a row beside it, and the first column of each."""
    bounds = shapely.bounds(pieces.neighbors).reshape(-1, 4)
    own = bounds[:, 1] == row
    return pieces.neighbors[own], bounds[own, 0].astype(np.int64)


def _whole(
    softener: Softener,
    pieces: Pieces,
    is_local: npt.NDArray[np.bool_],
    local_group: Numbers,
    closed: list[Waiting],
) -> Outlines:
    """The polygons of groups that were not cut."""
    return softener.groups(whole_outlines(pieces, is_local), local_group, closed)
