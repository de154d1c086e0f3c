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
from geocobot.tracing.components import Labels
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
        interior: (h, W) uint8 scores, in steps, of being inside a single object; None where
            objects are not told apart.
        objects: which pixels are one object; None where all that touch and are of one class are.
    """

    row_off: int
    classes: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint8]
    above: npt.NDArray[np.uint8]
    below: npt.NDArray[np.uint8]
    interior: npt.NDArray[np.uint8] | None = None
    objects: Objects | None = None

    @property
    def drawn(self) -> tuple[Labels, Labels, Labels]:
        """What is traced, 0 where there is none: the row above, the block's own, the row below."""
        if self.objects is not None:
            return self.objects.above, self.objects.labels, self.objects.below
        return self.above, self.classes, self.below

    @property
    def joined_above(self) -> npt.NDArray[np.bool_]:
        """(W,) which pixels of the first row are one with the pixel above, or both nothing."""
        if self.objects is not None:
            return self.objects.joined_above
        return np.asarray(self.above == self.classes[0])

    @property
    def joined_below(self) -> npt.NDArray[np.bool_]:
        """(W,) the same of the last row and the pixel below."""
        if self.objects is not None:
            return self.objects.joined_below
        return np.asarray(self.below == self.classes[-1])


@dataclass(frozen=True)
class Objects:
    """The objects of a block, 0 where there is none; only equal or not has a meaning.

    Attributes:
        labels: (h, W) uint32; what touches and is equal is one object.
        above: (W,) uint32 of the row above.
        below: (W,) uint32 of the row below.
        joined_above: (W,) which pixels of the first row are one with the pixel above.
        joined_below: (W,) the same of the last row and the pixel below.
    """

    labels: npt.NDArray[np.uint32]
    above: npt.NDArray[np.uint32]
    below: npt.NDArray[np.uint32]
    joined_above: npt.NDArray[np.bool_]
    joined_below: npt.NDArray[np.bool_]


def recut(
    strips: Iterable[Strip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    rows: int,
    filling: HoleFilling,
    *,
    separate: bool = False,
) -> Iterator[Block]:
    """Turn strips of any height into classified blocks with their small holes filled.

    Args:
        strips: scores, top to bottom, each row of the grid once.
        grid: the scene's grid.
        classes: the classes of the strips' planes, with their thresholds.
        rows: height of a block; the last one may be lower.
        filling: which holes to fill; it sets how many rows below a block must be known.
        separate: whether the last plane is of the insides of single objects, and of no class.

    Raises:
        GridMismatchError: the strips do not cover the grid row by row.
    """
    ahead = max(1, filling.rows_ahead)
    row_off = 0
    last_row = np.empty((0, grid.width), dtype=np.uint8)
    n_planes = len(classes) + separate
    waiting = _Rows.none(n_planes, grid.width)
    arrived: list[_Rows] = []
    for rows_in, is_end in _classified(strips, grid, classes, n_planes):
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
    """Rows on their way into a block: labels (n, W), scores in steps (K, n, W), insides last."""

    labels: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint8]

    @classmethod
    def none(cls, n_planes: int, width: int) -> _Rows:
        """No rows."""
        return cls(np.empty((0, width), np.uint8), np.empty((n_planes, 0, width), np.uint8))

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
        for spec, plane in zip(classes, self.steps, strict=False):
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
            self.steps[-1] if len(self.steps) > len(classes) else None,
        )


def _classified(
    strips: Iterable[Strip], grid: GeoGrid, classes: Sequence[ClassSpec], n_planes: int
) -> Iterator[tuple[_Rows, bool]]:
    """Classify strips, check that they cover the grid, and say which one is the last."""
    expected = 0
    for strip in strips:
        end = strip.row_off + strip.height
        if (
            strip.row_off != expected
            or end > grid.height
            or strip.steps.shape != (n_planes, strip.height, grid.width)
        ):
            raise GridMismatchError(
                f"strip at row {strip.row_off}",
                f"has scores of the shape {strip.steps.shape}",
                f"The next strip starts at row {expected} of {grid.height}, is {grid.width} px "
                f"wide and has {n_planes} planes",
                "Hand over every row of the grid once, top to bottom",
            )
        expected = end
        labels = classify_steps(strip.steps[: len(classes)], classes)
        yield _Rows(labels, strip.steps), expected == grid.height
    if expected < grid.height:
        raise GridMismatchError(
            "strips",
            f"end at row {expected}",
            f"The grid has {grid.height} rows",
            "Hand over every row of the grid once, top to bottom",
        )
