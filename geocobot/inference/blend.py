"""Overlapping tiles into finished rows, in memory that does not grow with the scene's height.

Every tile is weighted by a raised cosine that falls off over the plan's overlap: first the tiles of
a row from west to east, then the rows from top to bottom. Logits and weights are whole numbers, so
that neither the order of tiles nor who computed them can change a bit.
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
from geocobot.scaling import Scaling, scaled_steps
from geocobot.steps import LOGIT_NODATA, as_steps
from geocobot.tiling import Strip, TilePlan, TileRow

if TYPE_CHECKING:  # NumPy only at run time: torch ends in `tiles`
    from geocobot.inference.tiles import TileLogits

STRIP_ROWS = 256
"""Rows in a strip at most; wide scenes have lower ones, to keep memory low."""

_WEIGHT_STEPS = 1024
PIXELS_AT_ONCE = 2**22
"""What is computed with together: 32 MB in float64."""


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
        Strips of at most `STRIP_ROWS` rows that cover `plan.grid` once, top first; `scores` is
        the sigmoid of the blended logits, as coarse as it is written.

    Raises:
        GridMismatchError: a tile is not in the plan, not in its row, or missing, or rows overlap
            by more than half.
    """
    return merge_rows(blend_rows(tiles, plan, exact=exact), plan)


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
        raise _not_planned(extra.window)


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
            weights = _row_weights(plan, layout, number - 1, row.above.shape[1])
            for offset, seam in _seam(waiting.below, row.above, weights):
                exact = row.own.dtype == np.int16
                planes = seam if exact else scaled_steps(seam, scaling)
                yield _strip(row.row_off + offset, planes, scaling)
        yield from _pieces(row.row_off + row.above.shape[1], row.own, scaling)
        waiting = row


def axis_weights(size_px: int, overlap_px: int) -> npt.NDArray[np.int32]:
    """Weights of a tile along one axis: a raised cosine over the overlap, flat in between.

    Args:
        size_px: side of the tile.
        overlap_px: width of the ramp at both ends; 0 makes all weights equal.

    Returns:
        (size_px,) whole numbers, 1 to 1024, symmetric; two ramps laid over each other add up
        to 1024 within 1.
    """
    if overlap_px == 0:
        return np.full(size_px, _WEIGHT_STEPS, dtype=np.int32)
    place = np.arange(size_px)
    from_edge = np.minimum(place, place[::-1]) + 0.5
    phase = np.minimum(from_edge / overlap_px, 1.0) * (np.pi / 2)
    weights: npt.NDArray[np.float64] = np.rint(_WEIGHT_STEPS * np.sin(phase) ** 2)
    return weights.clip(min=1).astype(np.int32)


def _blend_row(
    coming: Iterator[TileLogits], plan: TilePlan, layout: list[TileRow], number: int
) -> npt.NDArray[np.int16]:
    """Take the tiles of a row and average them: logits in steps (K, h, W)."""
    row = layout[number]
    shares = _shares(plan, row)
    means: npt.NDArray[np.int16] | None = None
    valid = np.zeros((row.bottom - row.top, plan.grid.width), dtype=np.bool_)
    for tile in islice(coming, len(row.windows)):
        share = shares.pop(_key(tile.window), None)
        if share is None:
            raise _not_planned(tile.window)
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


@dataclass(frozen=True)
class _Share:
    """What a tile has to say in its row.

    Shares of the tiles that meet in a column are rounded so that they add up: the first one down,
    the others up. What all tiles agree on comes out unchanged, and sums of whole numbers do not
    depend on their order.

    Attributes:
        window: of the tile.
        in_tile: its columns that lie on the grid.
        in_row: the same, on the grid.
        weights: (w,) of these columns.
        totals: (w,) of all tiles of the row.
        offsets: (w,) what is added before dividing.
    """

    window: Window
    in_tile: slice
    in_row: slice
    weights: npt.NDArray[np.int32]
    totals: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]

    def of(self, steps: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """The tile's share of logits in steps (K, h, w)."""
        between = np.flatnonzero(self.weights != self.totals)
        if between.size:
            exact = steps[..., between].astype(np.int32) * self.weights[between]
            steps[..., between] = (exact + self.offsets[between]) // self.totals[between]
        return steps


def _shares(plan: TilePlan, row: TileRow) -> dict[tuple[int, ...], _Share]:
    """The share of each tile of a row, from west to east."""
    grid = plan.grid
    totals = np.zeros(grid.width, dtype=np.int32)
    placed = []
    for window in row.windows:
        on_grid = grid.clip(window)
        if on_grid is None:
            raise _not_planned(window)
        first = int(on_grid.col_off - window.col_off)
        in_tile = slice(first, first + int(on_grid.width))
        in_row = slice(int(on_grid.col_off), int(on_grid.col_off + on_grid.width))
        weights = axis_weights(int(window.width), plan.overlap_px)[in_tile]
        totals[in_row] += weights
        placed.append((window, in_tile, in_row, weights))
    shares, reached = {}, 0
    for window, in_tile, in_row, weights in placed:
        own = totals[in_row]
        is_first = np.arange(in_row.start, in_row.stop) >= reached
        offsets = np.where(is_first, 0, own - 1).astype(np.int32)
        shares[_key(window)] = _Share(window, in_tile, in_row, weights, own, offsets)
        reached = max(reached, in_row.stop)
    return shares


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


def _row_weights(
    plan: TilePlan, layout: list[TileRow], number: int, rows: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Weights (rows,) of a tile row and of the next one where they overlap."""
    start = layout[number + 1].top
    found = []
    for row in layout[number : number + 2]:
        window = row.windows[0]
        first = start - int(window.row_off)
        found.append(axis_weights(int(window.height), plan.overlap_px)[first : first + rows])
    return found[0], found[1]


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


def few_rows(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of planes (K, h, W) in parts that take little memory."""
    n_classes, height, width = shape
    step = max(1, min(STRIP_ROWS, PIXELS_AT_ONCE // (n_classes * width)))
    for row in range(0, height, step):
        yield slice(row, min(row + step, height))


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


def _key(window: Window) -> tuple[int, ...]:
    """A window as something to look up."""
    return int(window.col_off), int(window.row_off), int(window.width), int(window.height)
