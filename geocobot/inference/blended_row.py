"""Tiles of a row into one row across the scene, from west to east.

Logits are whole numbers, so that neither the order of tiles nor who computed them can change a bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.errors import GridMismatchError
from geocobot.inference.portions import few_rows
from geocobot.inference.shares import key_of, not_planned, shares_of
from geocobot.scaling import Scaling, scaled_steps
from geocobot.steps import LOGIT_NODATA, as_steps
from geocobot.tiling import TilePlan, TileRow

if TYPE_CHECKING:  # NumPy only at run time: torch ends in `tiles`
    from geocobot.inference.tiles import TileLogits


@dataclass(frozen=True)
class BlendedRow:
    """A tile row across the whole scene: what is finished, and what waits for its neighbors.

    Attributes:
        row_off: first row, in pixels of the scene's grid.
        above: (K, a, W) int16 logits in steps of the rows that the tile row above touches too.
        own: (K, h, W) of the rows that no other row touches: uint8 scores as they are written, or
            int16 logits in steps where scores are wanted with all their digits.
        below: (K, b, W) int16 logits in steps of the rows that the tile row below touches too.
    """

    row_off: int
    above: npt.NDArray[np.int16]
    own: npt.NDArray[np.uint8] | npt.NDArray[np.int16]
    below: npt.NDArray[np.int16]


def blend_rows(
    tiles: Iterable[TileLogits],
    plan: TilePlan,
    rows: Iterable[int] | None = None,
    *,
    exact: bool = False,
    scaling: Sequence[Scaling] = (),
) -> Iterator[BlendedRow]:
    """Average the tiles of each row from west to east.

    Args:
        tiles: as for `blend`.
        plan: all windows of the scene.
        rows: numbers of the tile rows that come, ascending; default all.
        exact: whether scores are wanted with all their digits.
        scaling: of the classes, where finished logits become scores.

    Yields:
        One for each row, in this order.

    Raises:
        GridMismatchError: as for `blend`.
    """
    coming = iter(tiles)
    layout = list(plan.rows())
    for number in range(len(layout)) if rows is None else rows:
        place = layout[number].top, *_shared(layout, number)
        # Without a name, under which all of it would wait while the next row is asked for.
        yield _cut(_blend_row(coming, plan, layout, number), *place, exact=exact, scaling=scaling)
    extra = next(coming, None)
    if extra is not None:
        raise not_planned(extra.window)


def _blend_row(
    coming: Iterator[TileLogits], plan: TilePlan, layout: list[TileRow], number: int
) -> npt.NDArray[np.int16]:
    """Take the tiles of a row and average them: logits in steps (K, h, W)."""
    row = layout[number]
    shares = shares_of(plan, row)
    means: npt.NDArray[np.int16] | None = None
    valid = np.zeros((row.bottom - row.top, plan.grid.width), dtype=np.bool_)
    for tile in islice(coming, len(row.windows)):
        share = shares.pop(key_of(tile.window), None)
        if share is None:
            raise not_planned(tile.window)
        if means is None:
            means = np.zeros((tile.logits.shape[0], *valid.shape), dtype=np.int16)
        top, bottom = (edge - tile.window.row_off for edge in (row.top, row.bottom))
        has_data = tile.valid[top:bottom, share.in_tile]
        if not has_data.any():
            continue
        # What has no data has none in any tile, and is marked below whatever the sums are.
        means[:, :, share.in_row] += share.of(
            as_steps(tile.logits[:, top:bottom, share.in_tile], has_data)
        )
        valid[:, share.in_row] |= has_data
    if shares:
        raise _missing(next(iter(shares.values())).window)
    assert means is not None
    for rows in few_rows(means.shape):
        np.copyto(means[:, rows], np.int16(LOGIT_NODATA), where=~valid[rows])
    return means


def _shared(layout: list[TileRow], number: int) -> tuple[int, int]:
    """How many rows of a tile row the ones above and below touch too."""
    row = layout[number]
    above = max(0, layout[number - 1].bottom - row.top) if number else 0
    below = max(0, row.bottom - layout[number + 1].top) if number + 1 < len(layout) else 0
    if above + below > row.bottom - row.top:
        raise GridMismatchError(
            "tiles",
            f"of row {number} share {above} rows with those above and {below} with those below, "
            f"and have {row.bottom - row.top}",
            "A pixel lies in two tile rows at most",
            "Overlap tiles by half at most",
        )
    return above, below


def _cut(
    logits: npt.NDArray[np.int16],
    top: int,
    above: int,
    below: int,
    *,
    exact: bool,
    scaling: Sequence[Scaling],
) -> BlendedRow:
    """A row by who else touches it; the parts keep nothing else in memory."""
    end = logits.shape[1] - below
    own = logits[:, above:end]
    return BlendedRow(
        top,
        logits[:, :above].copy(),
        own.copy() if exact else scaled_steps(own, scaling),
        logits[:, end:].copy(),
    )


def _missing(window: Window) -> GridMismatchError:
    """The error for a window without a tile."""
    return GridMismatchError(
        "tiles",
        f"end before the one at row {window.row_off}, column {window.col_off}",
        "Every window of the plan needs a tile",
        "Predict with the windows of the plan",
    )
