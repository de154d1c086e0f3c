"""Thin the classes of a raster to lines of one pixel, each pixel from near-by ones alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

MAX_HALF_WIDTH_PX = 96
"""Pixels peeled off from every side. What is still there then is too wide to have a centerline."""

_FINISHING = 8  # what the edge of the raster held up
_CORE_PX = 5

REACH_PX = 2 * (MAX_HALF_WIDTH_PX + _FINISHING) + _CORE_PX
"""No pixel of the result depends on a pixel further away than this, in rows or columns."""


def thin(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Thin every class to lines of one pixel that are connected as it is.

    Guo and Hall, "Parallel thinning with two-subiteration algorithms", Communications of the ACM
    32 (1989), algorithm A1, on all classes at the same time. Only pixels beside those just deleted
    are looked at, so that the work grows with what is deleted. Beyond its edge the raster is
    thought to go on as its mirror image, so that lines reach the edge. The core of an area wider
    than `2 * MAX_HALF_WIDTH_PX` is left out.

    Args:
        labels: (H, W) class numbers, 0 where there is none.

    Returns:
        (H, W) class numbers on the lines, 0 beside them.
    """
    framed = np.pad(labels, 1)
    _peel(framed, MAX_HALF_WIDTH_PX, _mirror)
    _peel(framed, _FINISHING, _empty)
    return _without_cores(framed[1:-1, 1:-1])


def _peel(
    framed: npt.NDArray[np.uint8], iterations: int, frame: Callable[[npt.NDArray[np.uint8]], None]
) -> None:
    """Delete in place what may go, in so many iterations at most.

    Args:
        framed: (H + 2, W + 2) class numbers.
        iterations: each of two halves.
        frame: sets the outermost pixels by what is within.
    """
    frame(framed)
    rim = framed[1:-1, 1:-1]
    outline = np.zeros(framed.shape, dtype=bool)
    for beside in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        outline[1:-1, 1:-1] |= (rim > 0) & (beside != rim)
    seen = [np.flatnonzero(outline)] * 2
    for _ in range(iterations):
        if not (seen[0].size or seen[1].size):
            break
        for half in (0, 1):
            gone = _deletable(framed, seen[half], half)
            framed.ravel()[gone] = 0
            frame(framed)
            seen[half] = gone[:0]
            near = _beside(framed, gone)
            seen = [_union(known, near) for known in seen]


def _deletable(
    framed: npt.NDArray[np.uint8], px: npt.NDArray[np.int64], half: int
) -> npt.NDArray[np.int64]:
    """Which of these pixels go in a half of the iteration.

    What may go within the mirrored plane has to be free to go within the raster alone as well:
    there the two halves of a mirrored line would go together.
    """
    flat = framed.ravel()
    own = flat[px]
    code = np.zeros(px.size, dtype=np.uint8)
    for bit, offset in enumerate(_offsets(framed.shape[1])):
        code |= (flat[px + offset] == own).astype(np.uint8) << np.uint8(bit)
    height, width = framed.shape
    row, col = np.divmod(px, width)
    inside = np.full(px.size, 255, dtype=np.uint8)
    for is_edge, outside in (
        (row == 1, 0b10000011),
        (col == width - 2, 0b00001110),
        (row == height - 2, 0b00111000),
        (col == 1, 0b11100000),
    ):
        inside[is_edge] &= np.uint8(255 - outside)
    goes = _DELETABLE[half][code] & _DELETABLE[half][code & inside] & (own > 0)
    gone: npt.NDArray[np.int64] = px[goes]
    return gone


def _beside(framed: npt.NDArray[np.uint8], gone: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pixels of classes beside these, each once."""
    height, width = framed.shape
    around = _distinct((gone[:, None] + np.array(_offsets(width))).ravel())
    row, col = np.divmod(around, width)
    inside = (row > 0) & (row < height - 1) & (col > 0) & (col < width - 1)
    return np.asarray(around[inside & (framed.ravel()[around] > 0)])


def _union(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What is in one of two sets."""
    return _distinct(np.concatenate([a, b]))


def _distinct(px: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sorted, each once; np.unique hashes whole numbers, which takes ten times as long here."""
    px = np.sort(px)
    first = np.diff(px, prepend=-1) > 0
    return np.asarray(px[first])


def _mirror(framed: npt.NDArray[np.uint8]) -> None:
    """Let the frame mirror the raster at its outermost pixels, where there are two at least."""
    height, width = framed.shape
    if height > 3:
        framed[0], framed[-1] = framed[2], framed[-3]
    if width > 3:
        framed[:, 0], framed[:, -1] = framed[:, 2], framed[:, -3]


def _empty(framed: npt.NDArray[np.uint8]) -> None:
    """Let nothing be around the raster."""
    framed[[0, -1]] = 0
    framed[:, [0, -1]] = 0


def _without_cores(lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Take away what is `_CORE_PX` wide still, which no thinned pattern is."""
    if min(lines.shape) < _CORE_PX:
        return lines
    more = _CORE_PX - 1
    alike = (lines[:, 1:] == lines[:, :-1]) & (lines[:, 1:] > 0)
    rows = np.logical_and.reduce([alike[:, i : alike.shape[1] - more + 1 + i] for i in range(more)])
    same = lines[1:, : rows.shape[1]] == lines[:-1, : rows.shape[1]]
    wide = np.logical_and.reduce([rows[i : len(rows) - more + i] for i in range(_CORE_PX)])
    wide &= np.logical_and.reduce([same[i : len(same) - more + 1 + i] for i in range(more)])
    thinned = lines.copy()
    row, col = np.nonzero(wide)
    for i in range(_CORE_PX**2):
        thinned[row + i // _CORE_PX, col + i % _CORE_PX] = 0
    return thinned


def _offsets(width: int) -> tuple[int, ...]:
    """From a pixel to its neighbors, clockwise from the north, in flat indices."""
    return (-width, 1 - width, 1, width + 1, width, width - 1, -1, -width - 1)


def _deletable_codes(half: int) -> npt.NDArray[np.bool_]:
    """Which neighborhoods (256,), a bit per neighbor clockwise from the north, let a pixel go."""
    n, ne, e, se, s, sw, w, nw = (np.arange(256) >> bit & 1 for bit in range(8))
    crossings = (
        ((1 - n) & (ne | e)) + ((1 - e) & (se | s)) + ((1 - s) & (sw | w)) + ((1 - w) & (nw | n))
    )
    neighbors = np.minimum(
        (nw | n) + (ne | e) + (se | s) + (sw | w), (n | ne) + (e | se) + (s | sw) + (w | nw)
    )
    kept = (s | sw | 1 - nw) & w if half == 0 else (n | ne | 1 - se) & e
    return np.asarray((crossings == 1) & (neighbors >= 2) & (neighbors <= 3) & (kept == 0))


_DELETABLE = (_deletable_codes(0), _deletable_codes(1))
