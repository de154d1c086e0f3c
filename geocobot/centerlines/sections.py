"""Cross-sections: where the middle of a class lies beside each pixel of its line, and how wide."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from geocobot.centerlines.thinning import MAX_HALF_WIDTH_PX, REACH_PX

_STEP_PX = 0.25
_HALVINGS = 5  # of a step, where the class ends within it
_PIXELS_AT_ONCE = 2**14  # stay in the cache of a core
_INSIDE_PX = 1.0
"""The disk around a pixel up to so much before the nearest other pixel is of its class."""

_MOST_SHIFT_PX = 2.0
"""Thinning puts no pixel of a line further from the middle."""


@dataclass(frozen=True)
class Sections:
    """Pixels of lines with their cross-sections, (N,) each.

    Attributes:
        px: flat index in the scene.
        x: column of the pixel's middle: its index + 0.5.
        y: row of the same.
        shift_x: from there to the middle of the class, in columns.
        shift_y: the same in rows.
        radius: distance to the outline, in pixels.
        chord_x: from the outline on one side to the one on the other, across the class, in columns.
        chord_y: the same in rows.
        is_cut: whether the section meets two sides at about the same distance; shift and chord
            are 0 otherwise, as at junctions.
        score: of the class, in steps.
        tip: how far the class goes on beyond a free end of a line; NaN where there is none.
        is_edge: whether it goes on to the edge of the scene.
    """

    px: npt.NDArray[np.int64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    shift_x: npt.NDArray[np.float64]
    shift_y: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float32]
    chord_x: npt.NDArray[np.float32]
    chord_y: npt.NDArray[np.float32]
    is_cut: npt.NDArray[np.bool_]
    score: npt.NDArray[np.uint8]
    tip: npt.NDArray[np.float64]
    is_edge: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of pixels."""
        return int(self.px.size)

    def take(self, index: npt.NDArray[np.int64]) -> Self:
        """Some of the pixels, in this order."""
        return type(self)(*(getattr(self, f.name)[index] for f in fields(self)))

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """One after the other."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def measure_sections(
    labels: npt.NDArray[np.uint8],
    score: npt.NDArray[np.uint8],
    place: npt.NDArray[np.int64],
    along: npt.NDArray[np.int64],
    *,
    is_end: npt.NDArray[np.bool_],
    row_off: int,
) -> Sections:
    """Measure the cross-sections of pixels of lines.

    The nearest pixel that is not of the class gives the radius. It does not give the direction of
    the section: being the nearest, it lies nearer than the outline does on average.

    Args:
        labels: (n, W) class numbers, with `REACH_PX` rows above and below the pixels where the
            scene has so many.
        score: (N,) of the pixels, in steps.
        place: (N, 2) row and column of the pixels, within `labels`.
        along: (N, 2) rows and columns in the direction of the line, outwards at its free ends; 0
            where it has none.
        is_end: (N,) whether it is a free end.
        row_off: row of the scene that `labels` starts with.
    """
    row, col = place.T
    radius = _radii(labels, place)
    length = np.hypot(*along.T)
    outwards = along / np.where(length > 0, length, np.nan)[:, None]
    shift, chord, is_cut = _across(labels, place, outwards[:, ::-1] * [-1, 1], radius)
    tip, is_edge = np.full(row.size, np.nan), np.zeros(row.size, dtype=bool)
    ends = np.flatnonzero(is_end & (radius <= MAX_HALF_WIDTH_PX))
    tip[ends], is_edge[ends] = _way_out(
        labels, place[ends], outwards[ends], np.zeros(ends.size), 2.0 * MAX_HALF_WIDTH_PX
    )
    return Sections(
        px=(row + row_off) * labels.shape[1] + col,
        x=np.asarray(col + 0.5),
        y=np.asarray(row + row_off + 0.5),
        shift_x=shift[:, 1],
        shift_y=shift[:, 0],
        radius=np.maximum(radius - 0.5, 0.5).astype(np.float32),
        chord_x=chord[:, 1].astype(np.float32),
        chord_y=chord[:, 0].astype(np.float32),
        is_cut=is_cut,
        score=score,
        tip=tip,
        is_edge=is_edge,
    )


def _radii(labels: npt.NDArray[np.uint8], place: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Distance (N,) from pixels (N, 2) to the nearest one that is not of their class.

    It is `REACH_PX` at most: beyond it the answer would depend on where the rows were cut. In
    every column it is the way to that column, and from there the way up or down; columns are
    looked at from the pixel's own outwards, until they are too far away.
    """
    upright = _upright(labels).ravel()
    flat, width = labels.ravel(), labels.shape[1]
    squared = np.empty(len(place), dtype=np.int64)
    for first in range(0, len(place), _PIXELS_AT_ONCE):
        row, col = place[first : first + _PIXELS_AT_ONCE].T
        own = flat[row * width + col]
        nearest = np.full(row.size, REACH_PX**2)
        active = np.arange(row.size)
        for off in range(REACH_PX):
            active = active[nearest[active] > off * off]
            if not active.size:
                break
            for side in (-off, off):
                there = col[active] + side
                inside = (there >= 0) & (there < width)
                known = active[inside]
                px = row[known] * width + there[inside]
                away = np.where(flat[px] == own[known], upright[px].astype(np.int64), 0)
                nearest[known] = np.minimum(nearest[known], away * away + off * off)
        squared[first : first + _PIXELS_AT_ONCE] = nearest
    return np.sqrt(squared)


def _upright(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """How many rows (n, W) it is to another class above or below, 255 at most."""
    n, width = labels.shape
    found = np.empty((n, width), dtype=np.uint8)
    for rows in (range(n), range(n - 1, -1, -1)):
        away = np.full(width, 255, dtype=np.uint8)
        before = rows[0]
        for row in rows:
            np.minimum(away, 254, out=away)
            away += 1
            away[labels[row] != labels[before]] = 1
            if rows.step > 0:
                found[row] = away
            else:
                np.minimum(found[row], away, out=found[row])
            before = row
    return found


def _across(
    labels: npt.NDArray[np.uint8],
    place: npt.NDArray[np.int64],
    direction: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """From pixels to the middle of the class, and from side to side, as rows and columns (N, 2).

    Both are 0 where the class does not end at about the same distance on both sides, which is
    told as well.
    """
    most_px = _INSIDE_PX + 2 * _MOST_SHIFT_PX
    start = np.maximum(radius - _INSIDE_PX, 0)
    ahead, is_open = _way_out(labels, place, direction, start, most_px)
    behind, is_open_behind = _way_out(labels, place, -direction, start, most_px)
    ahead[is_open | is_open_behind] = np.inf
    with np.errstate(invalid="ignore"):  # infinite on both sides
        shift = (ahead - behind) / 2
        is_cut = (np.abs(shift) <= _MOST_SHIFT_PX) & (radius < 1.5 * MAX_HALF_WIDTH_PX)
    direction = np.where(is_cut[:, None], direction, 0.0)
    shift, chord = (np.where(is_cut, way, 0.0)[:, None] for way in (shift, ahead + behind))
    return shift * direction, chord * direction, is_cut


def _way_out(
    labels: npt.NDArray[np.uint8],
    place: npt.NDArray[np.int64],
    direction: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    most_px: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """How far (N,) it is from pixels (N, 2) along a direction until the class ends.

    It is looked for from `start` (N,) to so much further, and infinite where it is not there. The
    class ends with the scene, which is told too.
    """
    way = np.full(len(place), np.inf)
    is_edge = np.zeros(len(place), dtype=bool)
    known = np.flatnonzero(np.isfinite(direction[:, 0]))
    for first in range(0, known.size, _PIXELS_AT_ONCE):
        part = known[first : first + _PIXELS_AT_ONCE]
        rays = _Rays.of(labels, place[part], direction[part])
        way[part], is_edge[part] = rays.ways_out(start[part], most_px)
    return way, is_edge


@dataclass(frozen=True)
class _Rays:
    """From pixels in a direction: (N,) each, in rows and columns."""

    labels: npt.NDArray[np.uint8]
    own: npt.NDArray[np.uint8]
    row: npt.NDArray[np.int64]
    col: npt.NDArray[np.int64]
    down: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        labels: npt.NDArray[np.uint8],
        place: npt.NDArray[np.int64],
        direction: npt.NDArray[np.float64],
    ) -> _Rays:
        """From pixels (N, 2) in directions (N, 2)."""
        row, col = np.ascontiguousarray(place.T)
        down, right = np.ascontiguousarray(direction.T)
        return cls(labels, labels[row, col], row, col, down, right)

    def take(self, index: npt.NDArray[np.int64]) -> _Rays:
        """Some of them."""
        return _Rays(
            self.labels,
            self.own[index],
            self.row[index],
            self.col[index],
            self.down[index],
            self.right[index],
        )

    def ways_out(
        self, start: npt.NDArray[np.float64], most_px: float
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """How far each leads until the class ends, and whether the scene ends there."""
        way, is_edge = np.full(start.size, np.inf), np.zeros(start.size, dtype=bool)
        active, rays = np.arange(start.size), self
        for i in range(int(most_px / _STEP_PX) + 1):
            along = start[active] + i * _STEP_PX
            inside, out = rays.at(along)
            way[active[out]] = along[out]
            is_edge[active[~inside]] = True
            left = np.flatnonzero(~out)
            if not left.size:
                break
            if left.size < active.size:
                active, rays = active[left], rays.take(left)
        found = np.flatnonzero(np.isfinite(way))
        high, rays = way[found], self.take(found)
        low = high - _STEP_PX
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            _, out = rays.at(middle)
            low, high = np.where(out, low, middle), np.where(out, middle, high)
        way[found] = (low + high) / 2
        return way, is_edge

    def at(
        self, along: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Whether what lies so far along is in these rows (N,), and is not of the class."""
        height, width = self.labels.shape
        row, col = self.row + _whole(along * self.down), self.col + _whole(along * self.right)
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        px = np.where(inside, row * width + col, 0)
        return inside, (self.labels.ravel()[px] != self.own) | ~inside


def _whole(off: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Rounded, halves away from 0: the same on both sides, and in whichever row they lie."""
    return np.asarray((off + np.copysign(0.5, off)).astype(np.int64))
