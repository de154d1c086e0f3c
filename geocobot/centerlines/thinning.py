"""Thin the classes of a raster to lines of one pixel, each pixel from near-by ones alone."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

MAX_HALF_WIDTH_PX = 96
"""Pixels peeled off from every side. What is still there then is too wide to have a centerline."""

_FINISHING = 8  # what the edge of the raster held up
_CORE_PX = 5

REACH_PX = 2 * (MAX_HALF_WIDTH_PX + _FINISHING) + _CORE_PX
"""No pixel of the result depends on a pixel further away than this, in rows or columns."""

_WORD_PX = 64
_ONE, _LAST = np.uint64(1), np.uint64(_WORD_PX - 1)
_WORDS_AT_ONCE = 2**13  # stay in the cache of a core

Words: TypeAlias = npt.NDArray[np.uint64]


def thin(labels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Thin every class to lines of one pixel that are connected as it is.

    Guo and Hall, "Parallel thinning with two-subiteration algorithms", Communications of the ACM
    32 (1989), algorithm A1, for 64 pixels at a time. Only words beside those that have just changed
    are looked at, so that the work grows with what is deleted. Beyond its edge the raster is
    thought to go on as its mirror image, so that lines reach the edge. The core of an area wider
    than `2 * MAX_HALF_WIDTH_PX` is left out.

    Args:
        labels: (H, W) class numbers, 0 where there is none.

    Returns:
        (H, W) class numbers on the lines, 0 beside them; and (H, W) class numbers of the cores.
    """
    lines, cores = np.zeros_like(labels), np.zeros_like(labels)
    for number in _numbers(labels):
        plane = _Plane(labels == number)
        plane.peel(MAX_HALF_WIDTH_PX, is_mirrored=True)
        plane.peel(_FINISHING, is_mirrored=False)
        left_out = plane.drop_cores()
        lines[plane.pixels()] = number
        if left_out is not None:
            cores[left_out] = number
    return lines, cores


def _numbers(labels: npt.NDArray[np.uint8]) -> list[int]:
    """The classes that there are."""
    is_there = np.zeros(256, dtype=bool)
    is_there[labels.ravel()] = True
    is_there[0] = False
    return np.flatnonzero(is_there).tolist()


class _Plane:
    """A class as bits, 64 columns in a word, with a frame of one pixel around.

    Bit j of word i of a row is column 64 i + j - 1 of the raster.

    Args:
        inside: (H, W) where the class is.
    """

    def __init__(self, inside: npt.NDArray[np.bool_]) -> None:
        self._height, self._width = inside.shape
        self._per_row = -(-(self._width + 2) // _WORD_PX)
        words = np.zeros((self._height + 2, self._per_row), dtype="<u8")
        step = max(2**22 // max(self._width, 1), 1)
        for row in range(0, self._height, step):
            part = inside[row : row + step]
            framed = np.zeros((len(part), self._per_row * _WORD_PX), dtype=bool)
            framed[:, 1 : self._width + 1] = part
            words[1 + row : 1 + row + len(part)] = np.packbits(
                framed, axis=1, bitorder="little"
            ).view("<u8")
        self._words = words.astype(np.uint64, copy=False)

    def pixels(self) -> npt.NDArray[np.bool_]:
        """Where the class still is (H, W)."""
        return self._unpacked(self._words[1:-1])

    def peel(self, iterations: int, *, is_mirrored: bool) -> None:
        """Delete what may go, in so many iterations at most, of two halves each.

        Args:
            iterations: of the algorithm.
            is_mirrored: whether the raster goes on as its mirror image, or nothing is around.
        """
        self._set_frame(is_mirrored)
        seen = np.zeros((2, self._words.size), dtype=bool)
        seen[:] = self._words.ravel() != 0
        seen.reshape(2, self._height + 2, self._per_row)[:, [0, -1]] = False
        for _ in range(iterations):
            if not seen.any():
                break
            for half in (0, 1):
                looked_at = np.flatnonzero(seen[half])
                seen[half] = False
                gone = self._deletable(looked_at, half)
                changed = np.flatnonzero(gone)
                self._words.ravel()[looked_at[changed]] &= ~gone[changed]
                self._set_frame(is_mirrored)
                self._mark(seen, looked_at[changed], gone[changed])

    def _mark(self, seen: npt.NDArray[np.bool_], at: npt.NDArray[np.int64], gone: Words) -> None:
        """Look again at all words that have pixels beside those that are gone."""
        west, east = at[(gone & _ONE) > 0] - 1, at[(gone >> _LAST) > 0] + 1
        again = np.concatenate([at, west, east])
        again = np.concatenate([again, again - self._per_row, again + self._per_row])
        seen[:, again] = True
        framed = seen.reshape(2, self._height + 2, self._per_row)
        framed[:, [0, -1]] = False

    def _deletable(self, at: npt.NDArray[np.int64], half: int) -> Words:
        """Which pixels of these words (N,) go in a half of the iteration.

        What may go within the mirrored plane has to be free to go within the raster alone as well:
        there the two halves of a mirrored line would go together.
        """
        gone = np.empty(at.size, dtype=np.uint64)
        for first in range(0, at.size, _WORDS_AT_ONCE):
            part = slice(first, first + _WORDS_AT_ONCE)
            gone[part] = self._deletable_of(at[part], half)
        return gone

    def _deletable_of(self, at: npt.NDArray[np.int64], half: int) -> Words:
        """The same of few words."""
        own = self._words.ravel()[at]
        around = self._around(at)
        row, word = np.divmod(at, self._per_row)
        goes = _may_go(around, half) & own
        for is_edge, word_mask, outside in (
            (row == 1, None, (7, 0, 1)),
            (row == self._height, None, (3, 4, 5)),
            (word == 0, 1, (5, 6, 7)),
            (word == self._width // _WORD_PX, self._width % _WORD_PX, (1, 2, 3)),
        ):
            edge = np.flatnonzero(is_edge & (goes > 0))
            if edge.size:
                kept = self._bits_of_edge(word_mask)
                for direction in outside:
                    around[direction][edge] &= ~kept
        at_edge = np.flatnonzero(
            ((row == 1) | (row == self._height) | (word == 0) | (word >= self._width // _WORD_PX))
            & (goes > 0)
        )
        goes[at_edge] &= _may_go(tuple(side[at_edge] for side in around), half)
        return goes & self._within(word)

    def _bits_of_edge(self, column: int | None) -> np.uint64:
        """All pixels of a word, or the one in a column of it."""
        return ~np.uint64(0) if column is None else _ONE << np.uint64(column)

    def _within(self, word: npt.NDArray[np.int64]) -> Words:
        """The bits of words (N,) of a row that are no frame."""
        mask = np.full(self._per_row, ~np.uint64(0))
        mask[0] &= ~_ONE
        end = self._width + 1
        mask[end // _WORD_PX :] = 0
        if end % _WORD_PX:
            mask[end // _WORD_PX] = (_ONE << np.uint64(end % _WORD_PX)) - _ONE
        if end // _WORD_PX == 0:
            mask[0] &= ~_ONE
        return np.asarray(mask[word])

    def _around(self, at: npt.NDArray[np.int64]) -> tuple[Words, ...]:
        """The neighbors of all pixels of words (N,), clockwise from the north."""
        flat = self._words.ravel()
        sides = []
        for row in (-self._per_row, 0, self._per_row):
            here, last = flat[at + row], flat.size - 1
            west = flat[np.maximum(at + row - 1, 0)]
            east = flat[np.minimum(at + row + 1, last)]
            sides.append(((here << _ONE) | (west >> _LAST), here, (here >> _ONE) | (east << _LAST)))
        (nw, n, ne), (w, _, e), (sw, s, se) = sides
        return n, ne, e, se, s, sw, w, nw

    def _set_frame(self, is_mirrored: bool) -> None:
        """Let the frame mirror the raster at its outermost pixels, where there are two at least."""
        words, height, width = self._words, self._height, self._width
        if not is_mirrored:
            words[[0, -1]] = 0
            self._set_column(0, np.uint64(0))
            self._set_column(width + 1, np.uint64(0))
            return
        if height > 1:
            words[0], words[-1] = words[2], words[-3]
        if width > 1:
            self._set_column(0, self._column(2))
            self._set_column(width + 1, self._column(width - 1))

    def _column(self, column: int) -> Words:
        """A column of the frame (H + 2,), as 0 or 1."""
        word, bit = divmod(column, _WORD_PX)
        return np.asarray((self._words[:, word] >> np.uint64(bit)) & _ONE)

    def _set_column(self, column: int, value: Words | np.uint64) -> None:
        """Set it."""
        word, bit = divmod(column, _WORD_PX)
        self._words[:, word] &= ~(_ONE << np.uint64(bit))
        self._words[:, word] |= value << np.uint64(bit)

    def drop_cores(self) -> npt.NDArray[np.bool_] | None:
        """Take away what is `_CORE_PX` wide still, which no thinned pattern is; where (H, W)."""
        self._set_frame(is_mirrored=False)
        wide = self._words.copy()
        for _ in range(_CORE_PX - 1):
            wide[:-1] &= wide[1:]
            wide &= _from_east(wide)
        if not wide.any():
            return None
        for _ in range(_CORE_PX - 1):
            wide[1:] |= wide[:-1].copy()
            wide |= _from_west(wide)
        self._words &= ~wide
        return self._unpacked(wide[1:-1])

    def _unpacked(self, words: Words) -> npt.NDArray[np.bool_]:
        """Pixels (H, W) of rows of words."""
        found = np.empty((self._height, self._width), dtype=bool)
        step = max(2**22 // max(self._width, 1), 1)
        for row in range(0, self._height, step):
            part = np.ascontiguousarray(words[row : row + step]).astype("<u8", copy=False)
            bits = np.unpackbits(part.view(np.uint8), axis=1, bitorder="little")
            found[row : row + step] = bits[:, 1 : self._width + 1]
        return found


def _from_east(words: Words) -> Words:
    """Every pixel's neighbor to the east."""
    beyond = np.zeros_like(words)
    beyond[:, :-1] = words[:, 1:] << _LAST
    return np.asarray((words >> _ONE) | beyond)


def _from_west(words: Words) -> Words:
    """Every pixel's neighbor to the west."""
    beyond = np.zeros_like(words)
    beyond[:, 1:] = words[:, :-1] >> _LAST
    return np.asarray((words << _ONE) | beyond)


def _may_go(around: tuple[Words, ...], half: int) -> Words:
    """Which pixels are free to go by their neighbors, clockwise from the north."""
    n, ne, e, se, s, sw, w, nw = around
    nw_n, ne_e, se_s, sw_w = nw | n, ne | e, se | s, sw | w
    n_ne, e_se, s_sw, w_nw = n | ne, e | se, s | sw, w | nw
    kept = (s_sw | ~nw) & w if half == 0 else (n_ne | ~se) & e
    once = _just_one(~n & ne_e, ~e & se_s, ~s & sw_w, ~w & nw_n)
    two = _two_of(nw_n, ne_e, se_s, sw_w) & _two_of(n_ne, e_se, s_sw, w_nw)
    four = nw_n & ne_e & se_s & sw_w & n_ne & e_se & s_sw & w_nw
    return np.asarray(once & two & ~four & ~kept)


def _just_one(a: Words, b: Words, c: Words, d: Words) -> Words:
    """Where one of four is set and no other."""
    return np.asarray((a ^ b ^ c ^ d) & ~((a & b) | (c & d)))


def _two_of(a: Words, b: Words, c: Words, d: Words) -> Words:
    """Where two of four are set at least."""
    return np.asarray((a & b) | (c & d) | ((a | b) & (c | d)))
