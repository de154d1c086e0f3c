"""Cut blocks into objects, so that each block fits to the ones above and below.

A block is cut together with some rows of its neighbors. What two blocks make of the rows that both
have seen tells which of their objects are the same: those that have grown from a common inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from geocobot.tracing.block import Block, Objects
from geocobot.tracing.watershed import InsideRule, Segments, cut_regions

_HALF = np.uint64(32)


@dataclass(frozen=True)
class _Cut:
    """A block with its objects.

    Attributes:
        block: what was cut.
        above: rows of the block above that were seen.
        below: rows of the block below that were seen.
        segments: of all these rows.
    """

    block: Block
    above: int
    below: int
    segments: Segments

    @property
    def labels(self) -> npt.NDArray[np.uint32]:
        """(h, W) objects of the block itself."""
        return self.segments.labels[self.above : len(self.segments.labels) - self.below]


def separated(blocks: Iterable[Block], margin_rows: int, rule: InsideRule) -> Iterator[Block]:
    """Cut the regions of blocks into objects.

    Memory holds three blocks. What comes out depends on the blocks alone.

    Args:
        blocks: all of a scene, top to bottom, with scores of being inside of an object.
        margin_rows: rows of its neighbors, 1 or more, that a block is cut with. An object that
            reaches a seam, and whose inside lies further beyond it, ends at the seam.
        rule: what the inside of an object is.

    Yields:
        The same blocks with their objects.
    """
    no_row = np.zeros(0, dtype=np.uint32)
    waiting: _Cut | None = None
    above, joined_above = no_row, np.zeros(0, dtype=np.bool_)
    for cut in chain(_cut_all(blocks, margin_rows, rule), [None]):
        if waiting is not None:
            first, last = waiting.labels[0], waiting.labels[-1]
            if not above.size:
                above, joined_above = np.zeros_like(first), first == 0
            below = np.zeros_like(last) if cut is None else cut.labels[0]
            joined = last == below if cut is None else _joined(waiting, cut)
            objects = Objects(waiting.labels, above, below, joined_above, joined)
            yield replace(waiting.block, objects=objects)
            above, joined_above = last, joined
        waiting = cut


def _cut_all(blocks: Iterable[Block], margin_rows: int, rule: InsideRule) -> Iterator[_Cut]:
    """Cut each block together with some rows of its neighbors."""
    above: Block | None = None
    block: Block | None = None
    for below in chain(blocks, [None]):
        if block is not None:
            yield _cut(above, block, below, margin_rows, rule)
        above, block = block, below


def _cut(
    above: Block | None, block: Block, below: Block | None, margin_rows: int, rule: InsideRule
) -> _Cut:
    """Cut a block."""
    seen = [block]
    n_above = n_below = 0
    if above is not None:
        n_above = min(margin_rows, len(above.classes))
        seen.insert(0, _rows(above, slice(-n_above, None)))
    if below is not None:
        n_below = min(margin_rows, len(below.classes))
        seen.append(_rows(below, slice(n_below)))
    interiors = [part.interior for part in seen if part.interior is not None]
    segments = cut_regions(
        np.concatenate([part.classes for part in seen]),
        np.concatenate(interiors),
        (above is not None, below is not None),
        rule,
    )
    return _Cut(block, n_above, n_below, segments)


def _rows(block: Block, rows: slice) -> Block:
    """Some rows of a block, for what they hold."""
    assert block.interior is not None
    return replace(block, classes=block.classes[rows], interior=block.interior[rows])


def _joined(upper: _Cut, lower: _Cut) -> npt.NDArray[np.bool_]:
    """Which pixels (W,) of the seam between two blocks are one above and below, or both nothing."""
    n_rows = lower.above + upper.below
    up, low = upper.segments.labels[-n_rows:], lower.segments.labels[:n_rows]
    inside = upper.segments.inside[-n_rows:] & lower.segments.inside[:n_rows]
    same = _same_objects(up, low, inside, upper.segments.has_inside, lower.segments.has_inside)
    first, second = up[lower.above - 1], low[lower.above]
    is_same = np.isin(_pairs(first, second), same) & (first > 0) & (second > 0)
    return np.asarray(is_same | ((first == 0) & (second == 0)))


def _same_objects(
    up: npt.NDArray[np.uint32],
    low: npt.NDArray[np.uint32],
    inside: npt.NDArray[np.bool_],
    up_has_inside: npt.NDArray[np.bool_],
    low_has_inside: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint64]:
    """Which objects of two ways to cut the same rows are one.

    These have a common inside, or one of the two has none at all and has no more pixels in common
    with any other.

    Args:
        up: (n, W) objects of one way.
        low: (n, W) objects of the other one.
        inside: (n, W) what is an inside in both.
        up_has_inside: by number of the object, whether it has an inside anywhere.
        low_has_inside: the same for the other way.

    Returns:
        Numbers of both, as `_pairs` joins them.
    """
    pairs, has_common, pixels = _overlaps(up, low, inside)
    first, second = (pairs >> _HALF).astype(np.int64), pairs.astype(np.uint32).astype(np.int64)
    has_common |= ~up_has_inside[first] & _is_most(first, pixels)
    has_common |= ~low_has_inside[second] & _is_most(second, pixels)
    return pairs[has_common]


def _overlaps(
    up: npt.NDArray[np.uint32], low: npt.NDArray[np.uint32], inside: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which objects overlap (M,), whether they have a common inside, and in how many pixels."""
    up, low, inside = up.ravel(), low.ravel(), inside.ravel()
    # Runs of the same, of which there are far fewer than pixels.
    changes = (up[1:] != up[:-1]) | (low[1:] != low[:-1]) | (inside[1:] != inside[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=up.size)
    filled = (up[starts] > 0) & (low[starts] > 0)
    starts, lengths = starts[filled], lengths[filled]
    pairs, which = np.unique(_pairs(up[starts], low[starts]), return_inverse=True)
    pixels = np.bincount(which, weights=lengths, minlength=pairs.size).astype(np.int64)
    has_common = np.zeros(pairs.size, dtype=np.bool_)
    has_common[which[inside[starts]]] = True
    return pairs, has_common, pixels


def _pairs(a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Two numbers as one."""
    joined: npt.NDArray[np.uint64] = (a.astype(np.uint64) << _HALF) | b
    return joined


def _is_most(number: npt.NDArray[np.int64], pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether (M,) an overlap is the largest of its object's, the first one of equal ones."""
    order = np.lexsort([np.arange(number.size), -pixels, number])
    is_first = np.ones(number.size, dtype=np.bool_)
    is_first[1:] = number[order][1:] != number[order][:-1]
    most = np.zeros(number.size, dtype=np.bool_)
    most[order[is_first]] = True
    return most
