"""Join the pieces of blocks into whole polygons, each as soon as it is complete."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.blocks import Block
from geocobot.tracing.components import connected
from geocobot.tracing.rings import drop_straight_vertices
from geocobot.tracing.trace import Pieces


@dataclass(frozen=True)
class Outlines:
    """Complete polygons.

    Attributes:
        geometry: (N,) polygons in pixels of the scene, x = column, y = row (downwards).
        class_number: (N,) class of each polygon.
        pixels: (N,) number of pixels.
        score_sum: (N,) sum of the class's scores over these pixels.
        first_px: (N, 2) row and column of the first pixel in reading order.
    """

    geometry: npt.NDArray[np.object_]
    class_number: npt.NDArray[np.uint8]
    pixels: npt.NDArray[np.int64]
    score_sum: npt.NDArray[np.float64]
    first_px: npt.NDArray[np.int64]


@dataclass
class _Open:
    """A polygon that goes on below: its pieces wait and are joined once, when it is complete."""

    class_number: int
    pixels: int = 0
    score_sum: float = 0.0
    first_px: tuple[int, int] = (np.iinfo(np.int64).max, 0)
    pieces: list[shapely.Polygon] = field(default_factory=list)
    crossings: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def absorb(self, other: _Open) -> None:
        """Take over another polygon that turns out to be the same one."""
        self.pixels += other.pixels
        self.score_sum += other.score_sum
        self.first_px = min(self.first_px, other.first_px)
        self.pieces.extend(other.pieces)
        self.crossings.extend(other.crossings)


class SeamJoiner:
    """Takes blocks top to bottom and hands back the polygons that each one completes."""

    def __init__(self, width: int) -> None:
        self._open: list[_Open] = []
        # Which open polygon each pixel of the last row seen belongs to, -1 for none.
        self._open_of_px = np.full(width, -1, dtype=np.int64)

    def add(self, block: Block, pieces: Pieces) -> Outlines:
        """Add the next block.

        Args:
            block: the block.
            pieces: its components, simplified or not.

        Returns:
            The polygons that do not go on below, in the reading order of their first pixels.
        """
        n_open, n_pieces = len(self._open), len(pieces.geometry)
        same = block.joined_above & (self._open_of_px >= 0)
        group = connected(n_open + n_pieces, self._open_of_px[same], pieces.top[same] + n_open)
        goes_on = np.zeros(n_open + n_pieces, dtype=bool)
        lower = pieces.bottom[(pieces.bottom >= 0) & block.joined_below]
        goes_on[group[lower + n_open]] = True
        group_size = np.bincount(group, minlength=n_open + n_pieces)
        piece_group = group[n_open:]
        is_whole = (group_size[piece_group] == 1) & ~goes_on[piece_group]

        merged = self._merge(group, pieces, np.flatnonzero(~is_whole))
        for key, points in _crossings(block, pieces, piece_group):
            merged[key].crossings.append(points)
        complete = [merged[key] for key in merged if not goes_on[key]]
        going_on = [key for key in merged if goes_on[key]]
        place = np.full(n_open + n_pieces, -1, dtype=np.int64)
        place[going_on] = np.arange(len(going_on))
        self._open = [merged[key] for key in going_on]
        node_of_px = np.where(pieces.bottom >= 0, pieces.bottom + n_open, n_open + n_pieces)
        self._open_of_px = np.append(place[group], -1)[node_of_px]
        return _in_reading_order(pieces, is_whole, complete)

    def _merge(
        self, group: npt.NDArray[np.int64], pieces: Pieces, partial: npt.NDArray[np.int64]
    ) -> dict[int, _Open]:
        """Put open polygons and pieces of one group together, the smaller into the larger."""
        n_open = len(self._open)
        merged: dict[int, _Open] = {}
        for key, one in zip(group[:n_open].tolist(), self._open, strict=True):
            other = merged.setdefault(key, one)
            if other is not one:
                small, large = sorted((other, one), key=lambda o: len(o.pieces))
                large.absorb(small)
                merged[key] = large
        for i in partial.tolist():
            key = int(group[n_open + i])
            one = merged.setdefault(key, _Open(int(pieces.class_number[i])))
            row, col = pieces.first_px[i].tolist()
            one.absorb(
                _Open(
                    one.class_number,
                    int(pieces.pixels[i]),
                    float(pieces.score_sum[i]),
                    (row, col),
                    [pieces.geometry[i]],
                )
            )
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


def _in_reading_order(
    pieces: Pieces, is_whole: npt.NDArray[np.bool_], complete: list[_Open]
) -> Outlines:
    """Put polygons that lie within the block and those just completed into one order."""
    joined = np.empty(len(complete), dtype=object)
    joined[:] = [shapely.coverage_union_all(one.pieces) for one in complete]
    if complete:
        points = [p for one in complete for p in one.crossings]
        joined = drop_straight_vertices(joined, np.concatenate([np.empty((0, 2)), *points]))
    numbers = np.array([one.class_number for one in complete], dtype=np.uint8)
    pixels = np.array([one.pixels for one in complete], dtype=np.int64)
    score_sum = np.array([one.score_sum for one in complete], dtype=np.float64)
    first_px = np.array([one.first_px for one in complete], dtype=np.int64).reshape(-1, 2)
    first_px = np.concatenate([pieces.first_px[is_whole], first_px])
    order = np.lexsort([first_px[:, 1], first_px[:, 0]])
    return Outlines(
        geometry=np.concatenate([pieces.geometry[is_whole], joined])[order],
        class_number=np.concatenate([pieces.class_number[is_whole], numbers])[order],
        pixels=np.concatenate([pieces.pixels[is_whole], pixels])[order],
        score_sum=np.concatenate([pieces.score_sum[is_whole], score_sum])[order],
        first_px=first_px[order],
    )
