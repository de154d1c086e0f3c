"""Overlapping tiles into finished rows, in memory that does not grow with the scene's height.

Tiles of a row are averaged first (`blended_row`), then the rows from top to bottom; what a tile has
to say where others lie too is in `shares`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from geocobot.inference.blended_row import BlendedRow, blend_rows
from geocobot.inference.portions import few_rows
from geocobot.inference.shares import row_weights
from geocobot.scaling import Scaling, scaled_steps
from geocobot.tiling import Strip, TilePlan

if TYPE_CHECKING:  # NumPy only at run time: torch ends in `tiles`
    from geocobot.inference.tiles import TileLogits


def blend(tiles: Iterable[TileLogits], plan: TilePlan, *, exact: bool = False) -> Iterator[Strip]:
    """Average overlapping tile logits into finished strips, top to bottom.

    A tile's weight depends on its window alone, never on `valid`, which belongs to the scene's
    pixels and is the same in every tile.

    Args:
        tiles: tile rows top to bottom, any order within a row; windows in pixels of `plan.grid`,
            may overhang.
        plan: all windows to come and the width of the ramp, in pixels.
        exact: whether scores are wanted with all their digits as well.

    Yields:
        Strips of at most `portions.STRIP_ROWS` rows that cover `plan.grid` once, top first;
        `scores` is the sigmoid of the blended logits, as coarse as it is written.

    Raises:
        GridMismatchError: a tile is not in the plan, not in its row, or missing, or rows overlap
            by more than half.
    """
    return merge_rows(blend_rows(tiles, plan, exact=exact), plan)


def merge_rows(
    rows: Iterable[BlendedRow], plan: TilePlan, scaling: Sequence[Scaling] = ()
) -> Iterator[Strip]:
    """Average rows where they overlap, and hand everything on in strips.

    Args:
        rows: all of the plan, top to bottom.
        plan: whose rows they are.
        scaling: of the classes, the same that the rows were blended with.

    Yields:
        Strips, as `blend` has them.
    """
    layout = list(plan.rows())
    waiting: BlendedRow | None = None
    for number, row in enumerate(rows):
        if waiting is not None:
            weights = row_weights(plan, layout, number - 1, row.above.shape[1])
            for offset, seam in _seam(waiting.below, row.above, weights):
                exact = row.own.dtype == np.int16
                planes = seam if exact else scaled_steps(seam, scaling)
                yield _strip(row.row_off + offset, planes, scaling)
        yield from _pieces(row.row_off + row.above.shape[1], row.own, scaling)
        waiting = row


def _seam(
    upper: npt.NDArray[np.int16],
    lower: npt.NDArray[np.int16],
    weights: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
) -> Iterator[tuple[int, npt.NDArray[np.int16]]]:
    """Logits in steps (K, h, W) of the rows that two tile rows share, a few at a time."""
    for rows in few_rows(upper.shape):
        first, second = (w[rows, None] for w in weights)
        mean = np.rint((upper[:, rows] * first + lower[:, rows] * second) / (first + second))
        # Data or none is the scene's, and the same in both.
        yield rows.start, mean.astype(np.int16)


def _pieces(
    row_off: int,
    planes: npt.NDArray[np.uint8] | npt.NDArray[np.int16],
    scaling: Sequence[Scaling],
) -> Iterator[Strip]:
    """Rows as strips; see `_strip`."""
    for rows in few_rows(planes.shape):
        yield _strip(row_off + rows.start, planes[:, rows], scaling)


def _strip(
    row_off: int,
    planes: npt.NDArray[np.uint8] | npt.NDArray[np.int16],
    scaling: Sequence[Scaling],
) -> Strip:
    """A strip of scores as they are written, or of logits in steps."""
    if planes.dtype == np.int16:
        return Strip.of_logits(row_off, planes.astype(np.int16, copy=False), scaling)
    return Strip(row_off, planes.astype(np.uint8, copy=False))
