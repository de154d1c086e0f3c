"""Overlapping tiles into finished rows, in memory that does not grow with the scene's height.

Every tile is weighted by a raised cosine that falls off over the plan's overlap. The weights are
whole numbers, so their sum is exact: where all tiles agree on a logit, it comes out unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.errors import GridMismatchError
from geocobot.tiling import Strip, TilePlan

if TYPE_CHECKING:  # NumPy only at run time: torch ends in `tiles`
    from geocobot.inference.tiles import TileLogits

STRIP_ROWS = 256
"""Rows in a strip at most: finished rows are handed on in small pieces to keep memory low."""

# 2**10 steps per axis: a product of two weights has 20 bits and a float32 logit 24, so that
# float64 (53 bits) adds up 256 weighted copies of one logit without rounding.
_WEIGHT_STEPS = 1024


def blend(tiles: Iterable[TileLogits], plan: TilePlan) -> Iterator[Strip]:
    """Average overlapping tile logits into finished strips, top to bottom.

    A tile's weight depends on its window alone, never on `valid`, which belongs to the scene's
    pixels and is the same in every tile. Within a tile row the tiles are added in the plan's
    order, whatever order they come in: floating-point sums depend on it, and the result must not.

    Args:
        tiles: tile rows top to bottom, any order within a row; windows in pixels of `plan.grid`,
            may overhang.
        plan: all windows to come and the width of the ramp, in pixels.

    Yields:
        Strips of at most `STRIP_ROWS` rows that cover `plan.grid` once, top first; `scores` is
        the sigmoid of the blended logits.

    Raises:
        GridMismatchError: a tile is not in the plan, not in its row, or missing.
    """
    coming = iter(tiles)
    first = next(coming, None)
    if first is None:
        raise _missing(plan.windows[0])
    band = _Band(plan, n_classes=first.logits.shape[0])
    coming = chain([first], coming)
    for row in plan.rows():
        for tile in _in_plan_order(coming, row.windows):
            band.add(tile)
        yield from band.release(row.final_row)
    extra = next(coming, None)
    if extra is not None:
        raise _not_planned(extra.window)


def axis_weights(size_px: int, overlap_px: int) -> npt.NDArray[np.int64]:
    """Weights of a tile along one axis: a raised cosine over the overlap, flat in between.

    Args:
        size_px: side of the tile.
        overlap_px: width of the ramp at both ends; 0 makes all weights equal.

    Returns:
        (size_px,) whole numbers, 1 to 1024, symmetric; two ramps laid over each other add up
        to 1024 within 1.
    """
    if overlap_px == 0:
        return np.full(size_px, _WEIGHT_STEPS, dtype=np.int64)
    place = np.arange(size_px)
    from_edge = np.minimum(place, place[::-1]) + 0.5
    phase = np.minimum(from_edge / overlap_px, 1.0) * (np.pi / 2)
    weights: npt.NDArray[np.float64] = np.rint(_WEIGHT_STEPS * np.sin(phase) ** 2)
    return weights.clip(min=1).astype(np.int64)


def sigmoid(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Scores of logits of any shape, without overflow at either end."""
    scores: npt.NDArray[np.float32] = (0.5 + 0.5 * np.tanh(0.5 * logits)).astype(np.float32)
    return scores


class _Band:
    """The rows that tiles can still touch: weighted sums, weights and validity.

    Args:
        plan: where the tiles lie.
        n_classes: planes of logits.
    """

    def __init__(self, plan: TilePlan, n_classes: int) -> None:
        height = _band_height(plan)
        self._plan = plan
        self._top = 0
        self._sums = np.zeros((n_classes, height, plan.grid.width), dtype=np.float64)
        self._weights = np.zeros((height, plan.grid.width), dtype=np.int32)
        self._valid = np.zeros((height, plan.grid.width), dtype=np.bool_)

    def add(self, tile: TileLogits) -> None:
        """Add a tile's part of the grid."""
        on_grid = self._plan.grid.clip(tile.window)
        if on_grid is None:
            return
        in_tile = _slices(on_grid, tile.window.row_off, tile.window.col_off)
        in_band = _slices(on_grid, self._top, 0)
        overlap_px = self._plan.overlap_px
        weights = np.outer(
            axis_weights(int(tile.window.height), overlap_px)[in_tile[0]],
            axis_weights(int(tile.window.width), overlap_px)[in_tile[1]],
        )
        self._sums[(slice(None), *in_band)] += tile.logits[(slice(None), *in_tile)] * weights
        self._weights[in_band] += weights.astype(np.int32)
        self._valid[in_band] |= tile.valid[in_tile]

    def release(self, final_row: int) -> Iterator[Strip]:
        """Hand out the rows above `final_row` and make room for as many below."""
        done = final_row - self._top
        if done <= 0:
            return
        for start in range(0, done, STRIP_ROWS):
            part = slice(start, min(start + STRIP_ROWS, done))
            # Copied: the band's own rows are overwritten by what comes next.
            valid = self._valid[part].copy()
            scores = sigmoid(self._sums[:, part] / self._weights[part])
            scores *= valid
            yield Strip(self._top + start, scores, valid)
        kept = self._valid.shape[0] - done
        for rows_last in (self._sums, self._weights[None], self._valid[None]):
            rows_last[:, :kept] = rows_last[:, done:]
            rows_last[:, kept:] = 0
        self._top = final_row


def _band_height(plan: TilePlan) -> int:
    """Rows between the first unfinished row and the lowest tile, at most."""
    height, top, bottom = 0, 0, 0
    for row in plan.rows():
        lowest = max(int(w.row_off + w.height) for w in row.windows)
        bottom = max(bottom, min(lowest, plan.grid.height))
        height = max(height, bottom - top)
        top = row.final_row
    return height


def _in_plan_order(tiles: Iterator[TileLogits], windows: Sequence[Window]) -> Iterator[TileLogits]:
    """Sort one row of tiles, holding back only those that come too early."""
    early: dict[tuple[int, ...], TileLogits] = {}
    missing = {_key(w) for w in windows}
    for window in windows:
        while _key(window) not in early:
            tile = next(tiles, None)
            if tile is None:
                raise _missing(window)
            if _key(tile.window) not in missing:
                raise _not_planned(tile.window)
            missing.remove(_key(tile.window))
            early[_key(tile.window)] = tile
        yield early.pop(_key(window))


def _missing(window: Window) -> GridMismatchError:
    """The error for a window without a tile."""
    return GridMismatchError(
        "tiles",
        f"end before the one at row {window.row_off}, column {window.col_off}",
        "Every window of the plan needs a tile",
        "Predict with the windows of the plan",
    )


def _not_planned(window: Window) -> GridMismatchError:
    """The error for a tile that nobody waits for here."""
    return GridMismatchError(
        "tiles",
        f"contain one at row {window.row_off}, column {window.col_off} that is not in this row of "
        f"the plan",
        "Tiles are blended row by row, each once",
        "Predict with the windows of the plan, top to bottom",
    )


def _slices(window: Window, row_off: int, col_off: int) -> tuple[slice, slice]:
    """The window's rows and columns, counted from another origin."""
    row, col = int(window.row_off - row_off), int(window.col_off - col_off)
    return slice(row, row + int(window.height)), slice(col, col + int(window.width))


def _key(window: Window) -> tuple[int, ...]:
    """A window as something to look up."""
    return int(window.col_off), int(window.row_off), int(window.width), int(window.height)
