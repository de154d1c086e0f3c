"""Integer windows: what two have in common, and what lies around."""

from __future__ import annotations

from collections.abc import Sequence

from rasterio.windows import Window


def intersect(a: Window, b: Window) -> Window | None:
    """The common part of two integer windows, or None if they do not overlap."""
    col, row = max(a.col_off, b.col_off), max(a.row_off, b.row_off)
    col_end = min(a.col_off + a.width, b.col_off + b.width)
    row_end = min(a.row_off + a.height, b.row_off + b.height)
    if col_end <= col or row_end <= row:
        return None
    return Window(col, row, col_end - col, row_end - row)


def grown(window: Window, margin_px: int) -> Window:
    """A window with a margin on every side."""
    return Window(
        window.col_off - margin_px,
        window.row_off - margin_px,
        window.width + 2 * margin_px,
        window.height + 2 * margin_px,
    )


def around(windows: Sequence[Window]) -> Window:
    """The smallest window that covers all of them; at least one."""
    col, row = min(w.col_off for w in windows), min(w.row_off for w in windows)
    col_end = max(w.col_off + w.width for w in windows)
    row_end = max(w.row_off + w.height for w in windows)
    return Window(col, row, col_end - col, row_end - row)
