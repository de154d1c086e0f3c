"""Which pixels belong together because they touch, or come so near that outlines could meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from geocobot.tracing.pixel_sizes import RowSizes

Numbers = npt.NDArray[np.int64]

MOST_REACH_PX = 256
"""Pixels can be nearer than this only where a raster shows a pole."""

# Half of the radius where a staircase is cut off, half of that where a corner becomes a curve.
_ROUNDED = 0.75
_LEAST_TRIANGLE_PX = 0.5
_WITH_CORNERS = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True)
class Reach:
    """How near pixels of one group lie.

    Attributes:
        rows: and fewer rows lie between the first and the second one; 1 if they touch.
        columns: and fewer columns.
        drift_m: outlines of different groups do not meet while none moves by so much.
    """

    rows: int
    columns: int
    drift_m: float

    @classmethod
    def of(cls, sizes: RowSizes, simplify_m: float, smooth_m: float) -> Reach:
        """How near groups may come whose outlines are simplified, then rounded.

        Simplifying moves hardly an outline by more than the tolerance, and `drift_m` finds the
        others; rounding moves one by less than `_ROUNDED` of the radius.

        Args:
            sizes: of the pixels.
            simplify_m: tolerance of `simplify.simplify_groups`.
            smooth_m: radius of `smooth.smooth_groups`.
        """
        x_m, y_m = sizes.least_xy_m
        # No triangle between corners of pixels is smaller than half a pixel.
        moves = simplify_m**2 > _LEAST_TRIANGLE_PX * x_m * y_m
        apart_m = 2 * (simplify_m * moves + _ROUNDED * smooth_m)
        columns, rows = (min(max(math.ceil(apart_m / m), 1), MOST_REACH_PX) for m in (x_m, y_m))
        least_m = min(rows * y_m, columns * x_m)
        return cls(rows, columns, max(least_m / 2 - _ROUNDED * smooth_m, 0.0))

    def number(self, filled: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Number the groups of pixels (h, W), from 1 on; 0 is what is not filled."""
        spread = filled.copy()
        _spread(spread, self.rows - 1)
        _spread(spread.T, self.columns - 1)
        numbers, _ = ndimage.label(spread, structure=_WITH_CORNERS)
        return np.where(filled, numbers, 0).astype(np.int32)


def _spread(filled: npt.NDArray[np.bool_], steps: int) -> None:
    """Fill each pixel's next ones down the first axis too."""
    done = 0
    while done < steps:
        step = min(done + 1, steps - done)
        filled[step:] |= filled[:-step].copy(order="K")
        done += step


@dataclass(frozen=True)
class NearPieces:
    """Groups of the pieces of a block.

    Attributes:
        group: (N,) of each piece.
        count: groups of the block.
        first_rows: (r, W) group of each pixel of the rows that can be near those above, -1 where
            there is none; r is `Reach.rows` unless the block is lower.
        last_rows: (r, W) of those that can be near the rows below.
    """

    group: Numbers
    count: int
    first_rows: Numbers
    last_rows: Numbers

    @classmethod
    def of(cls, filled: npt.NDArray[np.bool_], places: Numbers, reach: Reach) -> NearPieces:
        """Group the pieces of a block.

        Args:
            filled: (h, W) which pixels are of a piece.
            places: (N, 2) row in the block and column of a pixel of each piece.
            reach: how near they are.
        """
        numbers = reach.number(filled)
        first, last = (
            rows.astype(np.int64) - 1 for rows in (numbers[: reach.rows], numbers[-reach.rows :])
        )
        group = numbers[places[:, 0], places[:, 1]].astype(np.int64) - 1
        return cls(group, int(numbers.max(initial=0)), first, last)


def links(above: Numbers, below: Numbers, reach: Reach) -> tuple[Numbers, Numbers]:
    """Which groups of rows above are near which of the rows below.

    Args:
        above: (a, W) groups of the last rows seen, -1 where there is none.
        below: (b, W) groups of the next rows, with numbers of their own.
        reach: how near they are.

    Returns:
        Pairs of groups to be joined, by which all that are near one another hang together.
    """
    both = np.concatenate([above, below])
    numbers = reach.number(both >= 0)
    begins = both >= 0
    begins[:, 1:] &= both[:, 1:] != both[:, :-1]
    most = int(both.max(initial=0)) + 1
    keys = np.unique(numbers[begins].astype(np.int64) * most + both[begins])
    number, group = np.divmod(keys, most)
    same = number[1:] == number[:-1]
    return group[:-1][same], group[1:][same]
