"""Join the pieces of blocks into whole polygons, each as soon as it is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.block import Block
from geocobot.tracing.components import connected
from geocobot.tracing.outlines import Outlines
from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.rings import drop_straight_vertices
from geocobot.tracing.score_stats import N_STEPS, ScoreStats
from geocobot.tracing.trace import Pieces


@dataclass
class OpenPolygon:
    """A polygon that goes on below: its pieces wait and are joined once, when it is complete.

    Pieces that were softened already, of a group that was cut, are in `settled`. Those along the
    pixels are in `traced` if they are wanted of all of them.
    """

    class_number: int
    pixels: int
    counts: npt.NDArray[np.int64] | None
    first_px: tuple[int, int]
    pieces: list[shapely.Polygon]
    crossings: list[npt.NDArray[np.float64]] = field(default_factory=list)
    cutters: list[shapely.Polygon] = field(default_factory=list)
    traced: list[shapely.Polygon] = field(default_factory=list)
    settled: list[Callable[[], npt.NDArray[np.object_]]] = field(default_factory=list)
    group: int = -1

    def absorb(self, other: OpenPolygon) -> None:
        """Take over another polygon that turns out to be the same one."""
        self.pixels += other.pixels
        if self.counts is not None and other.counts is not None:
            self.counts += other.counts
        self.first_px = min(self.first_px, other.first_px)
        self.pieces.extend(other.pieces)
        self.crossings.extend(other.crossings)
        self.cutters.extend(other.cutters)
        if self.traced and other.traced:
            self.traced.extend(other.traced)
        else:
            self.traced = []
        self.settled.extend(other.settled)


@dataclass(frozen=True)
class Completed:
    """What makes polygons that no further block can change.

    Attributes:
        pieces: of the block that has completed them.
        is_whole: (N,) which of the pieces are polygons already.
        joined: the others that are complete, in pieces of several blocks.
    """

    pieces: Pieces
    is_whole: npt.NDArray[np.bool_]
    joined: tuple[OpenPolygon, ...]

    def outlines(self) -> Outlines:
        """The polygons, in the reading order of their first pixels; takes its time, once."""
        geometry, _ = joined_pieces(self.joined)
        whole = whole_outlines(self.pieces, self.is_whole)
        return whole.followed_by(joined_outlines(self.joined, geometry)).in_reading_order()


def whole_outlines(pieces: Pieces, is_whole: npt.NDArray[np.bool_]) -> Outlines:
    """Those pieces (N,) of a block that are polygons already."""
    cutters = np.empty(int(is_whole.sum()), dtype=object)
    cutters.fill(())
    return Outlines(
        polygons=pieces.polygons[is_whole],
        class_number=pieces.class_number[is_whole],
        pixels=pieces.pixels[is_whole],
        scores=None if pieces.scores is None else pieces.scores[is_whole].stats(),
        first_px=pieces.first_px[is_whole],
        cutters=cutters,
        traced=pieces.traced[is_whole],
    )


def joined_outlines(complete: Sequence[OpenPolygon], geometry: npt.NDArray[np.object_]) -> Outlines:
    """Polygons (N,) that were pieces of several blocks."""
    cutters = np.empty(len(complete), dtype=object)
    cutters[:] = [tuple(one.cutters) for one in complete]
    traced = np.empty(len(complete), dtype=object)
    traced[:] = [_traced_whole(one) if one.traced else None for one in complete]
    counts = [one.counts for one in complete if one.counts is not None]
    has_scores = bool(counts) or not complete
    return Outlines(
        polygons=PolygonArray(geometry),
        class_number=np.array([one.class_number for one in complete], dtype=np.uint8),
        pixels=np.array([one.pixels for one in complete], dtype=np.int64),
        scores=ScoreStats.of_counts(np.array(counts, np.int64).reshape(-1, N_STEPS))
        if has_scores
        else None,
        first_px=np.array([one.first_px for one in complete], dtype=np.int64).reshape(-1, 2),
        cutters=cutters,
        traced=traced,
    )


def _traced_whole(one: OpenPolygon) -> shapely.Geometry:
    """The outline of a polygon as it was traced, whatever the seams that it crosses."""
    union = np.array([shapely.coverage_union_all(one.traced)], dtype=object)
    whole: shapely.Geometry = without_crossings(union, [one])[0]
    return whole


def joined_pieces(
    polygons: Sequence[OpenPolygon],
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """The pieces of each polygon that wait, joined.

    Returns:
        (P,) polygons without vertices that only the seams have made, and (P,) whose they are: as
        many as were given, unless some hang together by what is settled only.
    """
    joined = np.empty(len(polygons), dtype=object)
    joined[:] = [shapely.coverage_union_all(one.pieces) for one in polygons]
    parts, owner = shapely.get_parts(joined, return_index=True)
    return without_crossings(parts, polygons), owner


def without_crossings(
    joined: npt.NDArray[np.object_], polygons: Sequence[OpenPolygon]
) -> npt.NDArray[np.object_]:
    """Joined pieces without the vertices where outlines run straight across seams."""
    if not joined.size:
        return joined
    points = [p for one in polygons for p in one.crossings]
    return drop_straight_vertices(joined, np.concatenate([np.empty((0, 2)), *points]))


class SeamJoiner:
    """Takes blocks top to bottom and hands back the polygons that each one completes."""

    def __init__(self, width: int) -> None:
        self.open: list[OpenPolygon] = []
        # Which open polygon each pixel of the last row seen belongs to, -1 for none.
        self._open_of_px = np.full(width, -1, dtype=np.int64)

    def add(
        self, block: Block, pieces: Pieces, groups: npt.NDArray[np.int64] | None = None
    ) -> Completed:
        """Add the next block.

        Args:
            block: the block.
            pieces: its components.
            groups: (N,) a number of each, of which the polygons keep that of one piece.

        Returns:
            What makes the polygons that do not go on below.
        """
        n_open, n_pieces = len(self.open), len(pieces.pixels)
        same = block.joined_above & (self._open_of_px >= 0)
        group = connected(n_open + n_pieces, self._open_of_px[same], pieces.top[same] + n_open)
        goes_on = np.zeros(n_open + n_pieces, dtype=bool)
        lower = pieces.bottom[(pieces.bottom >= 0) & block.joined_below]
        goes_on[group[lower + n_open]] = True
        group_size = np.bincount(group, minlength=n_open + n_pieces)
        piece_group = group[n_open:]
        is_whole = (group_size[piece_group] == 1) & ~goes_on[piece_group]

        merged = self._merge(group, pieces, np.flatnonzero(~is_whole), groups)
        for key, points in _crossings(block, pieces, piece_group):
            merged[key].crossings.append(points)
        complete = [merged[key] for key in merged if not goes_on[key]]
        going_on = [key for key in merged if goes_on[key]]
        place = np.full(n_open + n_pieces, -1, dtype=np.int64)
        place[going_on] = np.arange(len(going_on))
        self.open = [merged[key] for key in going_on]
        node_of_px = np.where(pieces.bottom >= 0, pieces.bottom + n_open, n_open + n_pieces)
        self._open_of_px = np.append(place[group], -1)[node_of_px]
        return Completed(pieces, is_whole, tuple(complete))

    def first_open_row(self, class_numbers: AbstractSet[int], since: int) -> float:
        """First row of the polygons of some classes that go on below; infinite if none does.

        Args:
            class_numbers: of these classes.
            since: polygons that begin in a row before this one do not count.
        """
        rows = [one.first_px[0] for one in self.open if one.class_number in class_numbers]
        return min((row for row in rows if row >= since), default=np.inf)

    def cut(self, polygons: npt.NDArray[np.object_], within_px: float = 0.0) -> None:
        """Let the polygons that go on below give way to others, when they are complete.

        Args:
            polygons: (N,) in pixels of the scene, in the rows that were added.
            within_px: how far an outline may still move towards them.
        """
        owner = np.repeat(np.arange(len(self.open)), [len(one.pieces) for one in self.open])
        pieces = np.array([p for one in self.open for p in one.pieces], dtype=object)
        if not pieces.size or not polygons.size:
            return
        piece, which = shapely.STRtree(polygons).query(pieces, "dwithin", within_px)
        for open_, n in sorted(set(zip(owner[piece].tolist(), which.tolist(), strict=True))):
            self.open[open_].cutters.append(polygons[n])

    def _merge(
        self,
        group: npt.NDArray[np.int64],
        pieces: Pieces,
        partial: npt.NDArray[np.int64],
        groups: npt.NDArray[np.int64] | None,
    ) -> dict[int, OpenPolygon]:
        """Put open polygons and pieces of one group together, the smaller into the larger."""
        n_open = len(self.open)
        merged: dict[int, OpenPolygon] = {}
        for key, one in zip(group[:n_open].tolist(), self.open, strict=True):
            other = merged.setdefault(key, one)
            if other is not one:
                small, large = sorted((other, one), key=lambda o: len(o.pieces))
                large.absorb(small)
                merged[key] = large
        counts = None if pieces.scores is None else pieces.scores.counts(partial)
        polygons = pieces.polygons[partial].objects
        for place, i in enumerate(partial.tolist()):
            key = int(group[n_open + i])
            one = OpenPolygon(
                class_number=int(pieces.class_number[i]),
                pixels=int(pieces.pixels[i]),
                counts=None if counts is None else counts[place].copy(),
                first_px=tuple(pieces.first_px[i].tolist()),
                pieces=[polygons[place]],
                traced=[] if pieces.traced[i] is None else [pieces.traced[i]],
                group=-1 if groups is None else int(groups[i]),
            )
            if key in merged:
                merged[key].absorb(one)
            else:
                merged[key] = one
        return merged


def _crossings(
    block: Block, pieces: Pieces, piece_group: npt.NDArray[np.int64]
) -> list[tuple[int, npt.NDArray[np.float64]]]:
    """Points where an outline runs straight across the seam above the block, by group.

    Both sides of the outline are the same above and below the seam, so that only the cut put a
    vertex there.
    """
    same = np.pad(block.joined_above, 1, constant_values=True)
    first = np.pad(block.drawn[1][0], 1)
    column = np.flatnonzero(same[:-1] & same[1:] & (first[:-1] != first[1:]))
    piece = np.pad(pieces.top, 1, constant_values=-1)
    sides = np.concatenate([piece[column], piece[column + 1]])
    columns = np.concatenate([column, column])[sides >= 0]
    groups = piece_group[sides[sides >= 0]]
    order = np.argsort(groups, kind="stable")
    keys, starts = np.unique(groups[order], return_index=True)
    points = np.stack([columns[order], np.full(columns.size, block.row_off)], axis=1)
    parts = np.split(points.astype(np.float64), starts[1:]) if keys.size else []
    return list(zip(keys.tolist(), parts, strict=True))
