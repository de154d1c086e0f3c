"""Rectangles of whole pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window


def contains(outer: Window, inner: Window) -> bool:
    """Whether a window lies within another one."""
    return bool(
        outer.col_off <= inner.col_off
        and outer.row_off <= inner.row_off
        and inner.col_off + inner.width <= outer.col_off + outer.width
        and inner.row_off + inner.height <= outer.row_off + outer.height
    )


def maximal_rectangles(extent: Window, barred: Sequence[Window], min_px: int) -> tuple[Window, ...]:
    """All rectangles that avoid the barred ones and cannot be enlarged.

    Together they hold every square of `min_px` that fits between the barred windows.

    Args:
        extent: what they lie in.
        barred: windows to avoid; they may overlap each other and the extent's edge.
        min_px: smallest width and height of interest.
    """
    cols, rows = _edges(extent, barred)
    free = ~_covered(cols, rows, barred)
    found = []
    for top in range(free.shape[0]):
        open_below = np.ones(free.shape[1], dtype=bool)
        for bottom in range(top, free.shape[0]):
            open_below &= free[bottom]
            if rows[bottom + 1] - rows[top] < min_px:
                continue
            for left, right in _runs(open_below):
                above = top > 0 and free[top - 1, left:right].all()
                below = bottom + 1 < free.shape[0] and free[bottom + 1, left:right].all()
                if not above and not below and cols[right] - cols[left] >= min_px:
                    found.append(_window(cols[left], rows[top], cols[right], rows[bottom + 1]))
    return tuple(found)


def disjoint(windows: Sequence[Window]) -> tuple[Window, ...]:
    """Rectangles that do not overlap and cover what the windows cover."""
    if not windows:
        return ()
    cols, rows = _edges(windows[0], windows, clipped=False)
    covered = _covered(cols, rows, windows)
    return tuple(
        _window(cols[left], rows[row], cols[right], rows[row + 1])
        for row in range(covered.shape[0])
        for left, right in _runs(covered[row])
    )


def area(windows: Sequence[Window]) -> int:
    """Pixels that the windows cover, each counted once."""
    return sum(int(w.width * w.height) for w in disjoint(windows))


def _edges(
    extent: Window, windows: Sequence[Window], *, clipped: bool = True
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sorted column and row offsets at which anything begins or ends."""
    every = [extent, *windows]
    cols = np.unique([c for w in every for c in (w.col_off, w.col_off + w.width)])
    rows = np.unique([r for w in every for r in (w.row_off, w.row_off + w.height)])
    if clipped:
        cols = cols[(cols >= extent.col_off) & (cols <= extent.col_off + extent.width)]
        rows = rows[(rows >= extent.row_off) & (rows <= extent.row_off + extent.height)]
    return cols.astype(np.int64), rows.astype(np.int64)


def _covered(
    cols: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], windows: Sequence[Window]
) -> npt.NDArray[np.bool_]:
    """Which fields of the table of edges are covered by a window."""
    covered = np.zeros((len(rows) - 1, len(cols) - 1), dtype=bool)
    for w in windows:
        left, right = np.searchsorted(cols, [w.col_off, w.col_off + w.width])
        top, bottom = np.searchsorted(rows, [w.row_off, w.row_off + w.height])
        covered[top:bottom, left:right] = True
    return covered


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of every stretch of True."""
    steps = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False]))))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _window(left: int, top: int, right: int, bottom: int) -> Window:
    """A window from its edges."""
    return Window(int(left), int(top), int(right - left), int(bottom - top))
