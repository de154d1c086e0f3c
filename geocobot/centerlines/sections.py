"""Cross-sections: where the middle of a class lies beside each pixel of its line, and how wide."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from geocobot.centerlines.thinning import MAX_HALF_WIDTH_PX, REACH_PX

_STEP_PX = 0.25
_HALVINGS = 5  # of a step, where the class ends within it
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

    It is `REACH_PX` at most: beyond it the answer would depend on where the rows were cut.
    """
    own = labels[place[:, 0], place[:, 1]]
    radius = np.full(len(place), float(REACH_PX))
    for number in np.unique(own):
        outside = _outside(labels, number)
        mine = np.flatnonzero(own == number)
        if len(outside):
            distance, _ = KDTree(outside).query(place[mine], distance_upper_bound=REACH_PX)
            radius[mine] = np.minimum(distance, REACH_PX)
    return radius


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


def _outside(labels: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.int64]:
    """Rows and columns (M, 2) of the pixels just outside a class."""
    inside = labels == number
    beside = np.zeros(labels.shape, dtype=bool)
    beside[1:] |= inside[:-1]
    beside[:-1] |= inside[1:]
    beside[:, 1:] |= inside[:, :-1]
    beside[:, :-1] |= inside[:, 1:]
    return np.argwhere(beside & ~inside)


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
    active = np.flatnonzero(np.isfinite(direction[:, 0]))
    is_edge = np.zeros(len(place), dtype=bool)
    for i in range(int(most_px / _STEP_PX) + 1):
        along = start[active] + i * _STEP_PX
        inside, out = _where(labels, place[active], along[:, None] * direction[active])
        way[active[out]] = along[out]
        is_edge[active[~inside]] = True
        active = active[~out]
        if not active.size:
            break
    found = np.flatnonzero(np.isfinite(way))
    high = way[found]
    low = high - _STEP_PX
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        _, out = _where(labels, place[found], middle[:, None] * direction[found])
        low, high = np.where(out, low, middle), np.where(out, middle, high)
    way[found] = (low + high) / 2
    return way, is_edge


def _where(
    labels: npt.NDArray[np.uint8], place: npt.NDArray[np.int64], off: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether what lies off from pixels is in these rows (N,), and is not of their class."""
    # Halves away from the pixel: the same on both sides, and in whichever row it lies.
    there = place + np.copysign(np.floor(np.abs(off) + 0.5), off).astype(np.int64)
    inside = np.all((there >= 0) & (there < labels.shape), axis=1)
    out = ~inside
    own = labels[place[inside, 0], place[inside, 1]]
    out[inside] = labels[there[inside, 0], there[inside, 1]] != own
    return np.asarray(inside), out
