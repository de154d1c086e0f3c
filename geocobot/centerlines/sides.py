"""Gaps between the end of a line and the side of another one, and what the scores say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geocobot.classes import ClassSpec
from geocobot.steps import NODATA, SCORE_SCALE
from geocobot.tracing.pixel_sizes import RowSizes

SUPPORT = 0.75
"""Of the threshold, at least, is the mean score along a gap to the side of a line."""

_MOST_RADIUS_PX = 32
"""Half the width of either class area, at most."""

_STEP_PX = 0.5
_TURNS = np.radians(np.arange(-48, 49, 12))
"""Ways to look, beside that of the last pixels of a line: these do not tell its direction well."""


@dataclass(frozen=True)
class Side:
    """An end of a line and a pixel on another one before it.

    Attributes:
        end: the pixel at the end, as flat index of the scene.
        target: the pixel on the other line.
        gap_m: how much of the straight line between them lies outside the class, on the ground.
        score_sum: of the class there, in steps.
        score_n: of so many pixels.
    """

    end: int
    target: int
    gap_m: float
    score_sum: float
    score_n: int


@dataclass(frozen=True)
class Ends:
    """Free ends of lines, (N,) of them.

    Attributes:
        px: flat index in the scene.
        number: class.
        radius: distance to the outline, in pixels.
        outwards: (N, 2) rows and columns in the direction in which the line ends.
    """

    px: npt.NDArray[np.int64]
    number: npt.NDArray[np.uint8]
    radius: npt.NDArray[np.float64]
    outwards: npt.NDArray[np.float64]

    def take(self, index: npt.NDArray[np.int64]) -> Ends:
        """Some of them."""
        return Ends(self.px[index], self.number[index], self.radius[index], self.outwards[index])

    def followed_by(self, other: Ends) -> Ends:
        """With more of them."""
        return Ends(
            np.concatenate([self.px, other.px]),
            np.concatenate([self.number, other.number]),
            np.concatenate([self.radius, other.radius]),
            np.concatenate([self.outwards, other.outwards]),
        )


@dataclass(frozen=True)
class Surroundings:
    """Rows of the scene from `row_off` on.

    Attributes:
        row_off: the first.
        labels: (n, W) class numbers.
        lines: (n, W) class numbers on lines.
        planes: (K, n, W) scores of all classes, in steps.
    """

    row_off: int
    labels: npt.NDArray[np.uint8]
    lines: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.uint8]


class SideFinder:
    """Takes the ends of lines from top to bottom and finds the sides of lines before them.

    Args:
        classes: of the planes of scores.
        most_m: the longest gap.
        sizes: of pixels on the ground.
        grid_hw: height and width of the scene, in pixels.
    """

    def __init__(
        self,
        classes: Sequence[ClassSpec],
        most_m: float,
        sizes: RowSizes,
        grid_hw: tuple[int, int],
    ) -> None:
        self._plane = np.zeros(256, dtype=np.int64)
        self._least = np.zeros(256)
        for i, spec in enumerate(classes):
            self._plane[spec.number] = i
            self._least[spec.number] = SUPPORT * spec.threshold * SCORE_SCALE
        self._most_m = most_m
        self._sizes = sizes
        self._height, self._width = grid_hw
        self._reach_px = int(np.ceil(most_m / sizes.least_m)) + 4 * _MOST_RADIUS_PX
        self.rows_above = 2 * self._reach_px + 2
        """Rows that have to be known above those that are new."""
        self._waiting = Ends(
            np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0), np.empty((0, 2))
        )

    def add(self, ends: Ends, rows: Surroundings) -> list[Side]:
        """Find the sides before ends around which all is known now.

        Args:
            ends: the next ones.
            rows: that are known, `rows_above` of them above the ends' own.
        """
        fitting = np.flatnonzero((ends.radius <= _MOST_RADIUS_PX) & ends.outwards.any(axis=1))
        waiting = self._waiting.followed_by(ends.take(fitting))
        known = rows.row_off + len(rows.labels)
        is_sure = waiting.px // self._width + self._reach_px < known
        is_sure |= known >= self._height
        self._waiting = waiting.take(np.flatnonzero(~is_sure))
        found: list[Side] = []
        sure = waiting.take(np.flatnonzero(is_sure))
        for turn in _TURNS.tolist():
            found += self._look(replace(sure, outwards=_turned(sure.outwards, turn)), rows)
        return found

    def _look(self, ends: Ends, rows: Surroundings) -> list[Side]:
        """What lies straight before ends."""
        index = np.arange(ends.px.size)
        row0, col0 = np.divmod(ends.px, self._width)
        step = ends.outwards * _STEP_PX
        step_m = np.hypot(*(step[:, ::-1] * self._sizes.at(row0 + 0.5)).T)
        outside = np.zeros(ends.px.size, dtype=np.int64)
        inside = np.zeros(ends.px.size, dtype=np.int64)
        total = np.zeros(ends.px.size)
        target = np.full(ends.px.size, -1)
        before = (row0 - rows.row_off, col0)
        for i in range(1, int(self._reach_px / _STEP_PX)):
            row = _floor(row0[index] + 0.5 + i * step[index, 0]) - rows.row_off
            col = _floor(col0[index] + 0.5 + i * step[index, 1])
            is_there = (row >= 0) & (row < len(rows.labels)) & (col >= 0) & (col < self._width)
            index, row, col = index[is_there], row[is_there], col[is_there]
            old_row, old_col = (v[is_there] for v in before)
            number = ends.number[index]
            is_own = rows.labels[row, col] == number
            score = rows.planes[self._plane[number], row, col]
            left = index[~is_own]
            outside[left] += 1
            total[left] += score[~is_own]
            inside[index[is_own]] += 1
            entered = is_own & (outside[index] > 0)
            # Two pixels that touch at a corner may be passed between.
            meets = entered & _any_at(rows.lines, number, row, col, old_row, old_col)
            target[index[meets]] = (row[meets] + rows.row_off) * self._width + col[meets]
            goes_on = is_own | (score != NODATA)
            goes_on &= outside[index] * step_m[index] <= self._most_m
            goes_on &= inside[index] * _STEP_PX <= 3 * _MOST_RADIUS_PX
            goes_on &= ~meets
            index, before = index[goes_on], (row[goes_on], col[goes_on])
            if not index.size:
                break
        mean = total / np.maximum(outside, 1)
        found = np.flatnonzero((target >= 0) & (mean >= self._least[ends.number]))
        pixels = np.maximum(np.rint(outside * _STEP_PX), 1)
        return [
            Side(*values)
            for values in zip(
                ends.px[found].tolist(),
                target[found].tolist(),
                (outside * step_m)[found].tolist(),
                (mean * pixels)[found].tolist(),
                pixels[found].astype(np.int64).tolist(),
                strict=True,
            )
        ]


def _floor(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Whole numbers below."""
    return np.floor(values).astype(np.int64)


def _any_at(
    lines: npt.NDArray[np.uint8],
    number: npt.NDArray[np.uint8],
    row: npt.NDArray[np.int64],
    col: npt.NDArray[np.int64],
    *before: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Whether pixels (N,), or those beside them on the way there, are on lines of their class."""
    old_row, old_col = before
    is_passed = (row != old_row) & (col != old_col)
    is_passed &= (lines[old_row, col] == number) & (lines[row, old_col] == number)
    return np.asarray((lines[row, col] == number) | is_passed)


def _turned(outwards: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    """Directions (N, 2) of length 1, turned by an angle."""
    unit = outwards / np.hypot(*outwards.T)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [cos * unit[:, 0] - sin * unit[:, 1], sin * unit[:, 0] + cos * unit[:, 1]], axis=1
    )
