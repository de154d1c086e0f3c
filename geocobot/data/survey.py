"""What lies where in a labelled scene, counted once in coarse cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import IGNORE
from geocobot.data.rectangles import disjoint
from geocobot.grid import GeoGrid
from geocobot.io.label_raster import LabelRaster
from geocobot.io.scene import Scene
from geocobot.progress import Progress, SilentProgress

_CELL_PX = 32
_MAX_CELLS = 512  # per side, so that the table stays small for any scene
_BLOCK_PX = 1024


@dataclass(frozen=True, eq=False)
class Survey:
    """Labelled pixels of a scene per class, as running sums over cells.

    Attributes:
        name: the scene's name.
        grid: the scene's grid.
        cell_px: side of a cell.
        class_numbers: the classes that occur, ascending, background included.
        table: (K, R + 1, C + 1) int64; entry [k, r, c] is the number of valid pixels of class k
            in the cells above r and left of c.
        black_px: pixels that are valid and 0 in every band.
        valid_px: pixels with data.
    """

    name: str
    grid: GeoGrid
    cell_px: int
    class_numbers: tuple[int, ...]
    table: npt.NDArray[np.int64]
    black_px: int = 0
    valid_px: int = 0

    @property
    def totals(self) -> npt.NDArray[np.int64]:
        """(K,) pixels of each class in the scene."""
        return self.table[:, -1, -1]

    def counts(self, windows: Sequence[Window]) -> npt.NDArray[np.float64]:
        """Pixels of each class in windows, as if each cell were evenly mixed.

        Args:
            windows: N windows; they may overhang the scene, where nothing is labelled.

        Returns:
            (N, K) float64; exact for windows on cell edges.
        """
        edges = np.array(
            [(w.row_off, w.row_off + w.height, w.col_off, w.col_off + w.width) for w in windows],
            dtype=np.float64,
        ).reshape(-1, 4)
        top, bottom, left, right = edges.T / self.cell_px
        corners = self._sum_to(
            np.concatenate([bottom, top, bottom, top]), np.concatenate([right, right, left, left])
        )
        whole, above, beside, both = np.split(corners, 4, axis=1)
        return np.asarray((whole - above - beside + both).T)

    def labelled_in_squares(
        self, tops: npt.NDArray[np.int64], lefts: npt.NDArray[np.int64], side_px: int
    ) -> npt.NDArray[np.float64]:
        """Labelled pixels (T, L) of squares, as `counts` counts those of windows.

        Args:
            tops: (T,) offsets of rows, which may lie outside of the scene.
            lefts: (L,) offsets of columns.
            side_px: of each square.
        """
        between = _interpolated(self._labelled, tops + side_px, self.cell_px)
        between = between - _interpolated(self._labelled, tops, self.cell_px)
        right = _interpolated(between.T, lefts + side_px, self.cell_px)
        return np.asarray((right - _interpolated(between.T, lefts, self.cell_px)).T)

    @cached_property
    def _labelled(self) -> npt.NDArray[np.float64]:
        """(R + 1, C + 1) running sums of labelled pixels, whatever their class."""
        return np.asarray(self.table.sum(axis=0), dtype=np.float64)

    @cached_property
    def cells(self) -> npt.NDArray[np.int64]:
        """(K, R, C) pixels of each class in each cell."""
        return np.diff(np.diff(self.table, axis=1), axis=2)

    def has_labelled(self, window: Window) -> bool:
        """Whether a window certainly holds labelled pixels, judged by the cells within it."""
        cell = self.cell_px
        top, left = -(-window.row_off // cell), -(-window.col_off // cell)
        bottom = (window.row_off + window.height) // cell
        right = (window.col_off + window.width) // cell
        if bottom <= top or right <= left:
            return bool(self.counts([window]).sum() > 0)
        inner = Window(left * cell, top * cell, (right - left) * cell, (bottom - top) * cell)
        return bool(self.counts([inner]).sum() > 0)

    def _sum_to(
        self, row: npt.NDArray[np.float64], col: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """(K, N) running sums at fractional cells, interpolated."""
        rows, cols = self.table.shape[1] - 1, self.table.shape[2] - 1
        row, col = np.clip(row, 0, rows), np.clip(col, 0, cols)
        r0 = np.minimum(row.astype(np.int64), rows - 1)
        c0 = np.minimum(col.astype(np.int64), cols - 1)
        dr, dc = row - r0, col - c0
        above = self.table[:, r0, c0] * (1 - dc) + self.table[:, r0, c0 + 1] * dc
        below = self.table[:, r0 + 1, c0] * (1 - dc) + self.table[:, r0 + 1, c0 + 1] * dc
        return np.asarray(above * (1 - dr) + below * dr)


def _interpolated(
    sums: npt.NDArray[np.float64], places_px: npt.NDArray[np.int64], cell_px: int
) -> npt.NDArray[np.float64]:
    """(N, M) of running sums (R + 1, M) at places (N,) in pixels, by their cells' share."""
    last = len(sums) - 1
    place = np.clip(places_px / cell_px, 0, last)
    before = np.minimum(place.astype(np.int64), last - 1)
    share = (place - before)[:, None]
    return np.asarray(sums[before] * (1 - share) + sums[before + 1] * share)


def survey_scene(scene: Scene, labels: LabelRaster, progress: Progress | None = None) -> Survey:
    """Read a scene and its labels once and count.

    Args:
        scene: decides by `valid` which pixels count.
        labels: class numbers on the scene's grid; `IGNORE` does not count.
        progress: told of every block read.

    Raises:
        UnreadableFileError: the scene cannot be read to its end.
    """
    grid = scene.grid
    cell_px = _CELL_PX
    while max(grid.shape) > cell_px * _MAX_CELLS:
        cell_px *= 2
    shape = (-(-grid.height // cell_px), -(-grid.width // cell_px))
    cells: dict[int, npt.NDArray[np.int64]] = {}
    black_px = valid_px = 0
    blocks = list(_blocks(grid, max(_BLOCK_PX, cell_px)))
    with (progress or SilentProgress()).task(f"Surveying {scene.name}", len(blocks)) as task:
        for block in blocks:
            patch = scene.read(block)
            valid_px += int(patch.valid.sum())
            black_px += int((patch.valid & (patch.image == 0).all(axis=0)).sum())
            labelled = np.where(patch.valid, labels.read(block).classes, IGNORE)
            top, left = block.row_off // cell_px, block.col_off // cell_px
            for number in np.unique(labelled[labelled != IGNORE]).tolist():
                plane = cells.setdefault(number, np.zeros(shape, dtype=np.int64))
                counts = _per_cell(labelled == number, cell_px)
                part = plane[top : top + counts.shape[0], left : left + counts.shape[1]]
                part += counts[: part.shape[0], : part.shape[1]]
            task.advance()
    return Survey(scene.name, grid, cell_px, *_sum_up(cells, shape), black_px, valid_px)


def class_shares(
    surveys: Sequence[Survey], regions: Sequence[Sequence[Window]], n_classes: int
) -> tuple[float, ...]:
    """Share of each class in the labelled pixels of parts of scenes.

    Args:
        surveys: one per scene.
        regions: windows of each scene; what several of them cover counts once.
        n_classes: classes 1 to so many.

    Returns:
        One share per class, 0 to 1; all 0 where no pixel is labelled.
    """
    pixels = np.zeros(n_classes + 1)
    for survey, windows in zip(surveys, regions, strict=True):
        pixels[list(survey.class_numbers)] += survey.counts(disjoint(windows)).sum(axis=0)
    total = max(pixels.sum(), 1.0)
    return tuple((pixels[1:] / total).tolist())


def _sum_up(
    cells: dict[int, npt.NDArray[np.int64]], shape: tuple[int, int]
) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
    """Turn counts per cell into the classes and their running sums."""
    numbers = tuple(sorted(cells))
    table = np.zeros((len(numbers), shape[0] + 1, shape[1] + 1), dtype=np.int64)
    for k, number in enumerate(numbers):
        table[k, 1:, 1:] = cells[number].cumsum(axis=0).cumsum(axis=1)
    return numbers, table


def _blocks(grid: GeoGrid, side_px: int) -> Iterator[Window]:
    """Windows that cover the grid, overhanging in the south and the east."""
    for row in range(0, grid.height, side_px):
        for col in range(0, grid.width, side_px):
            yield Window(col, row, side_px, side_px)


def _per_cell(flags: npt.NDArray[np.bool_], cell_px: int) -> npt.NDArray[np.int64]:
    """Count True per cell; the sides are multiples of the cell."""
    rows, cols = flags.shape[0] // cell_px, flags.shape[1] // cell_px
    counts = flags.reshape(rows, cell_px, cols, cell_px).sum(axis=(1, 3), dtype=np.int64)
    return np.asarray(counts)
