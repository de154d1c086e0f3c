"""Cut the strips that come in into blocks of always the same height.

All that follows sees blocks only, so that no result can depend on how high the strips were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.classes import BACKGROUND, IGNORE, ClassSpec
from geocobot.errors import GridMismatchError
from geocobot.grid import GeoGrid
from geocobot.steps import classify_steps
from geocobot.tiling import Strip
from geocobot.tracing.holes import HoleFilling


@dataclass(frozen=True)
class Block:
    """Full-width rows, with the rows that border on them.

    Attributes:
        row_off: first row, in pixels of the scene.
        classes: (h, W) uint8 class numbers, 0 where there is none.
        steps: (h, W) uint8 score of each pixel's own class, in steps; 0 where there is none.
        above: (W,) uint8 classes of the row above, 0 at the top of the scene.
        below: (W,) uint8 classes of the row below, 0 at the bottom of the scene.
        planes: (K, h, W) uint8 scores of all classes in steps, `NODATA` where there is no data.
    """

    row_off: int
    classes: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint8]
    above: npt.NDArray[np.uint8]
    below: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.uint8]


def recut(
    strips: Iterable[Strip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    rows: int,
    filling: HoleFilling,
) -> Iterator[Block]:
    """Turn strips of any height into classified blocks with their small holes filled.

    Args:
        strips: scores, top to bottom, each row of the grid once.
        grid: the scene's grid.
        classes: the classes of the strips' planes, with their thresholds.
        rows: height of a block; the last one may be lower.
        filling: which holes to fill; it sets how many rows below a block must be known.

    Raises:
        GridMismatchError: the strips do not cover the grid row by row.
    """
    ahead = max(1, filling.rows_ahead)
    row_off = 0
    last_row = np.empty((0, grid.width), dtype=np.uint8)
    waiting = _Rows.none(len(classes), grid.width)
    arrived: list[_Rows] = []
    for rows_in, is_end in _classified(strips, grid, classes):
        arrived.append(rows_in)
        while (n := waiting.height + sum(r.height for r in arrived)) and (
            is_end or n >= rows + ahead
        ):
            waiting = _Rows.stack([waiting, *arrived])
            arrived = []
            filling.fill(waiting.labels, last_row, row_off)
            done, waiting = waiting.split(min(rows, n))
            yield done.as_block(row_off, last_row, waiting.labels[:1], classes)
            last_row = done.labels[-1:]
            row_off += done.height


@dataclass(frozen=True)
class _Rows:
    """Rows on their way into a block: labels (n, W), scores in steps (K, n, W)."""

    labels: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint8]

    @classmethod
    def none(cls, n_classes: int, width: int) -> _Rows:
        """No rows."""
        return cls(np.empty((0, width), np.uint8), np.empty((n_classes, 0, width), np.uint8))

    @classmethod
    def stack(cls, parts: Sequence[_Rows]) -> _Rows:
        """Put rows below each other."""
        labels = np.concatenate([p.labels for p in parts])
        return cls(labels, np.concatenate([p.steps for p in parts], axis=1))

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def split(self, rows: int) -> tuple[_Rows, _Rows]:
        """The first rows, and the others as a copy that keeps nothing else in memory."""
        rest = _Rows(self.labels[rows:].copy(), self.steps[:, rows:].copy())
        return _Rows(self.labels[:rows], self.steps[:, :rows]), rest

    def as_block(
        self,
        row_off: int,
        above: npt.NDArray[np.uint8],
        below: npt.NDArray[np.uint8],
        classes: Sequence[ClassSpec],
    ) -> Block:
        """Pick the score of each pixel's class; pixels without data become background."""
        own = np.zeros(self.labels.shape, dtype=np.uint8)
        for spec, plane in zip(classes, self.steps, strict=True):
            np.copyto(own, plane, where=self.labels == spec.number)
        labels, first, last = (
            np.where(part == IGNORE, np.uint8(BACKGROUND), part)
            for part in (self.labels, above, below)
        )
        no_row = np.zeros(self.labels.shape[1], dtype=np.uint8)
        return Block(
            row_off,
            labels,
            own,
            first[0] if len(first) else no_row,
            last[0] if len(last) else no_row,
            self.steps,
        )


def _classified(
    strips: Iterable[Strip], grid: GeoGrid, classes: Sequence[ClassSpec]
) -> Iterator[tuple[_Rows, bool]]:
    """Classify strips, check that they cover the grid, and say which one is the last."""
    expected = 0
    for strip in strips:
        end = strip.row_off + strip.height
        if (
            strip.row_off != expected
            or end > grid.height
            or strip.steps.shape != (len(classes), strip.height, grid.width)
        ):
            raise GridMismatchError(
                f"strip at row {strip.row_off}",
                f"has scores of the shape {strip.steps.shape}",
                f"The next strip starts at row {expected} of {grid.height}, is {grid.width} px "
                f"wide and has {len(classes)} classes",
                "Hand over every row of the grid once, top to bottom",
            )
        expected = end
        yield _Rows(classify_steps(strip.steps, classes), strip.steps), expected == grid.height
    if expected < grid.height:
        raise GridMismatchError(
            "strips",
            f"end at row {expected}",
            f"The grid has {grid.height} rows",
            "Hand over every row of the grid once, top to bottom",
        )
