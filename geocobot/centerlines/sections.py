"""Cross-sections: where the middle of a class lies beside each pixel of its line, and how wide."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from geocobot.centerlines.thinning import MAX_HALF_WIDTH_PX, REACH_PX

_STEP_PX = 0.25
_INSIDE_PX = 1.0
"""The disk around a pixel up to so much before the nearest other pixel is of its class."""

_MOST_SHIFT_PX = 2.0
"""Thinning puts no pixel of a line further from the middle."""


_TIE_BREAKER = np.array([1e-4, 3.1415e-4])
"""Lets one of several nearest pixels be the nearest, the same one wherever the rows were cut."""


@dataclass(frozen=True)
class Sections:
    """Pixels of lines with their cross-sections, (N,) each.

    Attributes:
        px: flat index in the scene.
        x: column of the middle, a pixel's own being its index + 0.5.
        y: row of the middle.
        radius: distance to the outline, in pixels.
        chord_x: from the outline on one side to the one on the other, across the class, in columns.
        chord_y: the same in rows.
        is_cut: whether the section meets two sides at about the same distance; both chords are 0
            otherwise, as at junctions, and the middle is the pixel's own.
        score: of the class, in steps.
    """

    px: npt.NDArray[np.int64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float32]
    chord_x: npt.NDArray[np.float32]
    chord_y: npt.NDArray[np.float32]
    is_cut: npt.NDArray[np.bool_]
    score: npt.NDArray[np.uint8]

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
    row: npt.NDArray[np.int64],
    col: npt.NDArray[np.int64],
    row_off: int,
) -> Sections:
    """Measure the cross-sections of pixels of lines.

    The nearest pixel that is not of the class gives the radius and the direction of the section.

    Args:
        labels: (n, W) class numbers, with `REACH_PX` rows above and below the pixels where the
            scene has so many.
        score: (N,) of the pixels, in steps.
        row: (N,) of the pixels, within `labels`.
        col: (N,) the same.
        row_off: row of the scene that `labels` starts with.
    """
    own = labels[row, col]
    radius = np.full(row.size, float(REACH_PX))
    nearest = np.full((row.size, 2), np.nan)
    for number in np.unique(own):
        outside = _outside(labels, number)
        mine = np.flatnonzero(own == number)
        if not len(outside):
            continue
        # Beyond the reach the answer would depend on where the rows were cut.
        places = np.stack([row[mine], col[mine]], axis=1)
        distance, index = KDTree(outside).query(
            places + _TIE_BREAKER, distance_upper_bound=REACH_PX - 1
        )
        found = np.isfinite(distance)
        nearest[mine[found]] = outside[index[found]]
        radius[mine[found]] = np.hypot(*(places[found] - outside[index[found]]).T)
    away = (np.stack([row, col], axis=1) - nearest) / radius[:, None]
    place = np.stack([row, col], axis=1)
    ahead = _way_out(labels, place, away, radius)
    behind = _way_out(labels, place, -away, radius)
    with np.errstate(invalid="ignore"):  # infinite on both sides
        shift = (ahead - behind) / 2
        is_cut = (np.abs(shift) <= _MOST_SHIFT_PX) & (radius < 1.5 * MAX_HALF_WIDTH_PX)
    shift = np.where(is_cut, shift, 0.0)[:, None] * np.where(is_cut[:, None], away, 0.0)
    chord = np.where(is_cut, ahead + behind, 0.0)[:, None] * np.where(is_cut[:, None], away, 0.0)
    return Sections(
        px=(row + row_off) * labels.shape[1] + col,
        x=col + 0.5 + shift[:, 1],
        y=row + row_off + 0.5 + shift[:, 0],
        radius=np.maximum(radius - 0.5, 0.5).astype(np.float32),
        chord_x=chord[:, 1].astype(np.float32),
        chord_y=chord[:, 0].astype(np.float32),
        is_cut=is_cut,
        score=score,
    )


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
    radius: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """How far (N,) it is from pixels (N, 2) along a direction until the class ends.

    Infinite beyond twice the shift that is allowed, and where the scene ends first.
    """
    own = labels[place[:, 0], place[:, 1]]
    way = np.full(len(place), np.inf)
    active = np.flatnonzero(np.isfinite(direction[:, 0]))
    start = np.maximum(radius - _INSIDE_PX, 0)
    for i in range(int((_INSIDE_PX + 2 * _MOST_SHIFT_PX) / _STEP_PX) + 1):
        along = start[active] + i * _STEP_PX
        off = along[:, None] * direction[active]
        # Halves away from the pixel: the same on both sides, and in whichever row it lies.
        there = place[active] + np.copysign(np.floor(np.abs(off) + 0.5), off).astype(np.int64)
        inside = ((there >= 0) & (there < labels.shape)).all(axis=1)
        out = np.zeros(active.size, dtype=bool)
        out[inside] = labels[there[inside, 0], there[inside, 1]] != own[active[inside]]
        way[active[out]] = along[out] - _STEP_PX / 2
        active = active[inside & ~out]
        if not active.size:
            break
    return way
