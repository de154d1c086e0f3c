"""What each tile has to say where tiles overlap: weights along an axis, and shares within a row.

Every tile is weighted by a raised cosine that falls off over the plan's overlap. Weights are whole
numbers, and so are shares of logits in steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.errors import GridMismatchError
from geocobot.tiling import TilePlan, TileRow

_WEIGHT_STEPS = 1024


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


def row_weights(
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


@dataclass(frozen=True)
class Share:
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


def shares_of(plan: TilePlan, row: TileRow) -> dict[tuple[int, ...], Share]:
    """The share of each tile of a row, from west to east."""
    grid = plan.grid
    totals = np.zeros(grid.width, dtype=np.int32)
    placed = []
    for window in row.windows:
        on_grid = grid.clip(window)
        if on_grid is None:
            raise not_planned(window)
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
        shares[key_of(window)] = Share(window, in_tile, in_row, weights, own, offsets)
        reached = max(reached, in_row.stop)
    return shares


def not_planned(window: Window) -> GridMismatchError:
    """The error for a tile that nobody waits for here."""
    return GridMismatchError(
        "tiles",
        f"contain one at row {window.row_off}, column {window.col_off} that is not in this row of "
        f"the plan",
        "Tiles are blended row by row, each once",
        "Predict with the windows of the plan, top to bottom",
    )


def key_of(window: Window) -> tuple[int, ...]:
    """A window as something to look up."""
    return int(window.col_off), int(window.row_off), int(window.width), int(window.height)
