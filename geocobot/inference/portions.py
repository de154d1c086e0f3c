"""Rows of a scene in portions that take little memory."""

from __future__ import annotations

from collections.abc import Iterator

STRIP_ROWS = 256
"""Rows in a strip at most; wide scenes have lower ones, to keep memory low."""

PIXELS_AT_ONCE = 2**22
"""What is computed with together: 32 MB in float64."""


def few_rows(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of planes (K, h, W) in parts that take little memory."""
    n_classes, height, width = shape
    step = max(1, min(STRIP_ROWS, PIXELS_AT_ONCE // (n_classes * width)))
    for row in range(0, height, step):
        yield slice(row, min(row + step, height))
