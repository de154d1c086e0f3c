"""Tiles that cover a grid, and the finished rows that come of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.errors import ConfigError, GridMismatchError
from geocobot.grid import GeoGrid
from geocobot.scaling import Scaling, scaled_scores, scaled_steps
from geocobot.steps import NODATA, encode_scores, scores_of

MOST_OVERLAP = 0.5
"""Share of a tile: a pixel lies in two tiles of a row, and in two rows, at most."""


def overlap_px(overlap: float, tile_px: int) -> int:
    """How far a tile reaches into its neighbor.

    Args:
        overlap: share of the tile, 0 to 0.5, or pixels, a whole number from 1 on.
        tile_px: side of the tile.

    Raises:
        ConfigError: it is neither, or more than half a tile.
    """
    is_share = 0 <= overlap <= MOST_OVERLAP
    if not is_share and not (1 <= overlap <= MOST_OVERLAP * tile_px and overlap == round(overlap)):
        raise ConfigError(
            "--overlap",
            f"is {overlap:g}",
            f"It is a share of the tile from 0 to {MOST_OVERLAP}, or whole pixels: here 1 to "
            f"{int(MOST_OVERLAP * tile_px)}, half of the model's tile",
            "Pass 0.25 for a quarter, or a number of pixels such as 64",
        )
    return round(overlap * tile_px) if is_share else round(overlap)


@dataclass(frozen=True)
class TileRow:
    """Tiles with the same first row.

    Attributes:
        windows: tiles from west to east, in pixels of the plan's grid; they may overhang it.
        top: first row of the grid that they cover.
        bottom: the one after the last.
    """

    windows: tuple[Window, ...]
    top: int
    bottom: int


@dataclass(frozen=True)
class TilePlan:
    """All tiles of a scene, top to bottom, with what is still to come.

    Attributes:
        grid: the grid that the windows belong to.
        windows: tiles sorted by row, then by column; together they cover the grid.
        overlap_px: width of the ramp over which neighbouring tiles are blended.
    """

    grid: GeoGrid
    windows: tuple[Window, ...]
    overlap_px: int

    @classmethod
    def of(cls, grid: GeoGrid, windows: Iterable[Window], overlap_px: int) -> TilePlan:
        """Sort windows in any order into a plan.

        Raises:
            GridMismatchError: the windows leave a part of the grid uncovered.
        """
        ordered = tuple(sorted(windows, key=lambda w: (w.row_off, w.col_off)))
        plan = cls(grid, ordered, overlap_px)
        plan._check_cover()
        return plan

    def rows(self) -> Iterator[TileRow]:
        """Tile rows from top to bottom."""
        for row_off, group in groupby(self.windows, key=lambda w: w.row_off):
            windows = tuple(group)
            bottom = max(row_off + w.height for w in windows)
            yield TileRow(windows, max(0, int(row_off)), min(int(bottom), self.grid.height))

    def _check_cover(self) -> None:
        """Refuse windows that leave a gap between tile rows or within one."""
        covered_to = 0
        for row in self.rows():
            top = row.windows[0].row_off
            right = 0
            for window in row.windows:
                if window.col_off > right:
                    break
                right = max(right, window.col_off + window.width)
            if top > covered_to or right < self.grid.width:
                break
            covered_to = max(covered_to, min(top + w.height for w in row.windows))
        if covered_to < self.grid.height:
            raise GridMismatchError(
                "tiles",
                f"leave pixels of the {self.grid.height} x {self.grid.width} px scene uncovered "
                f"from row {covered_to} on",
                "Every pixel needs a tile",
                "Choose an overlap smaller than the tile",
            )


@dataclass(frozen=True)
class Strip:
    """Finished full-width rows of the scores raster.

    Attributes:
        row_off: first row, in pixels of the scene's grid.
        steps: (K, h, W) uint8, one plane per class, and one more of the insides of single objects
            where these are told apart: scores as the raster holds them, 0 to
            `steps.SCORE_SCALE`, and `steps.NODATA` where the scene has no data.
        exact: (K, h, W) float32, the scores with all digits that they have, NaN where the scene
            has no data; None unless these are asked for.
    """

    row_off: int
    steps: npt.NDArray[np.uint8]
    exact: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, row_off: int, scores: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]
    ) -> Strip:
        """A strip of scores (K, h, W), 0 to 1, that are valid where (h, W) says so."""
        return cls(row_off, encode_scores(scores, valid))

    @classmethod
    def of_logits(
        cls, row_off: int, logits: npt.NDArray[np.int16], scaling: Sequence[Scaling] = ()
    ) -> Strip:
        """A strip of logits in steps (K, h, W), scaled, with all their digits."""
        return cls(row_off, scaled_steps(logits, scaling), scaled_scores(logits, scaling))

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """(K, h, W) float32, 0 to 1; 0 where not valid."""
        return scores_of(self.steps)

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """(h, W) bool, True where the scene has data."""
        return np.asarray(self.steps[0] != NODATA)

    @property
    def height(self) -> int:
        """Rows in the strip."""
        return int(self.steps.shape[1])


@dataclass(frozen=True)
class ClassStrip:
    """Full-width rows of a class raster.

    Attributes:
        row_off: first row, in pixels of the raster's grid.
        labels: (h, W) uint8 class numbers; `classes.BACKGROUND` and `classes.IGNORE` among them.
    """

    row_off: int
    labels: npt.NDArray[np.uint8]

    @property
    def height(self) -> int:
        """Rows in the strip."""
        return len(self.labels)
