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
from geocobot.tiling import ClassStrip, Strip
from geocobot.tracing.block import Block
from geocobot.tracing.holes import HoleFilling
from geocobot.tracing.specks import SpeckRemoval


def recut(
    strips: Iterable[Strip | ClassStrip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    rows: int,
    filling: HoleFilling,
    *,
    specks: SpeckRemoval | None = None,
    separate: bool = False,
) -> Iterator[Block]:
    """Turn strips of any height into classified blocks without specks and small holes.

    Args:
        strips: scores or classes, top to bottom, each row of the grid once.
        grid: the scene's grid.
        classes: the classes of the strips' planes, with their thresholds.
        rows: height of a block; the last one may be lower.
        filling: which holes to fill; it sets how many rows below a block must be known.
        specks: which patches to give to what surrounds them, before holes are filled.
        separate: whether the last plane of scores is of the insides of single objects, and of no
            class.

    Raises:
        GridMismatchError: the strips do not cover the grid row by row.
    """
    ahead = max(1, filling.rows_ahead)
    row_off = 0
    last_row = no_rows = np.empty((0, grid.width), dtype=np.uint8)
    arrived: list[_Rows] = []
    classified = _classified(strips, grid, classes, separate=separate)
    if specks is not None and specks.max_m2 > 0:
        classified = _without_specks(classified, specks)
    for rows_in, is_end in classified:
        arrived.append(rows_in)
        while (n := sum(r.height for r in arrived)) and (is_end or n >= rows + ahead):
            if filling.max_m2 > 0:
                arrived = [_Rows.stack(arrived)]
                filling.fill(arrived[0].labels, last_row, row_off)
            done, arrived = _first_rows(arrived, min(rows, n))
            below = arrived[0].labels[:1] if arrived else no_rows
            yield done.as_block(row_off, last_row, below, classes)
            last_row = done.labels[-1:].copy()
            row_off += done.height


@dataclass(frozen=True)
class _Rows:
    """Rows on their way into a block: labels (n, W), scores (K, n, W) if known, insides last."""

    labels: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint8] | None

    @classmethod
    def stack(cls, parts: Sequence[_Rows]) -> _Rows:
        """Put rows below each other."""
        labels = np.concatenate([p.labels for p in parts])
        steps = [p.steps for p in parts if p.steps is not None]
        return cls(labels, np.concatenate(steps, axis=1) if steps else None)

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def split(self, rows: int) -> tuple[_Rows, _Rows]:
        """The first rows and the others, in the same memory."""
        above, below = slice(rows), slice(rows, None)
        if self.steps is None:
            return _Rows(self.labels[above], None), _Rows(self.labels[below], None)
        return (
            _Rows(self.labels[above], self.steps[:, above]),
            _Rows(self.labels[below], self.steps[:, below]),
        )

    def as_block(
        self,
        row_off: int,
        above: npt.NDArray[np.uint8],
        below: npt.NDArray[np.uint8],
        classes: Sequence[ClassSpec],
    ) -> Block:
        """Pick the score of each pixel's class; pixels without data become background."""
        n_classes = len(classes)
        labels, first, last = (_shown(part) for part in (self.labels, above, below))
        no_row = np.zeros(self.labels.shape[1], dtype=np.uint8)
        return Block(
            row_off,
            labels,
            None if self.steps is None else _own_steps(self.labels, self.steps, classes),
            first[0] if len(first) else no_row,
            last[0] if len(last) else no_row,
            None if self.steps is None else self.steps[:n_classes],
            None if self.steps is None or len(self.steps) == n_classes else self.steps[-1],
        )


def _first_rows(parts: Sequence[_Rows], rows: int) -> tuple[_Rows, list[_Rows]]:
    """So many rows, copied only where they come from several parts, and what is left."""
    rest = list(parts)
    first: list[_Rows] = []
    while rows:
        part = rest.pop(0)
        done, left = part.split(min(rows, part.height))
        first.append(done)
        rows -= done.height
        if left.height:
            rest.insert(0, left)
    return first[0] if len(first) == 1 else _Rows.stack(first), rest


def _without_specks(
    classified: Iterable[tuple[_Rows, bool]], specks: SpeckRemoval
) -> Iterator[tuple[_Rows, bool]]:
    """Hand on rows without specks as soon as enough rows below them are known.

    Every row is decided by the original rows around it, so that it does not matter how many of
    them come at a time.
    """
    reach = specks.reach
    above: npt.NDArray[np.uint8] | None = None
    arrived: list[_Rows] = []
    row_off = 0
    for rows_in, is_end in classified:
        arrived.append(rows_in)
        ready = sum(r.height for r in arrived) - (0 if is_end else reach)
        if not is_end and ready < reach:
            continue
        rows = _Rows.stack(arrived)
        known = rows.labels if above is None else np.concatenate([above, rows.labels])
        n_above = len(known) - rows.height
        done, rest = rows.split(ready)
        labels = specks.removed(known, row_off - n_above)[n_above : n_above + ready]
        yield _Rows(labels, done.steps), is_end
        above = known[max(0, n_above + ready - reach) : n_above + ready]
        arrived = [rest]
        row_off += ready


def _own_steps(
    labels: npt.NDArray[np.uint8], steps: npt.NDArray[np.uint8], classes: Sequence[ClassSpec]
) -> npt.NDArray[np.uint8]:
    """The score (n, W) of each pixel's own class; anything where there is none."""
    if len(classes) == 1:
        return np.asarray(steps[0])
    own = np.zeros(labels.shape, dtype=np.uint8)
    for spec, plane in zip(classes, steps, strict=False):
        np.copyto(own, plane, where=labels == spec.number)
    return own


def _shown(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Labels as they are traced: pixels without data are background."""
    without_data = labels == IGNORE
    return np.where(without_data, np.uint8(BACKGROUND), labels) if without_data.any() else labels


def _classified(
    strips: Iterable[Strip | ClassStrip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    *,
    separate: bool,
) -> Iterator[tuple[_Rows, bool]]:
    """Classify strips, check that they cover the grid, and say which one is the last."""
    expected = 0
    for strip in strips:
        end = strip.row_off + strip.height
        values = strip.labels[None] if isinstance(strip, ClassStrip) else strip.steps
        planes = 1 if isinstance(strip, ClassStrip) else len(classes) + separate
        if (
            strip.row_off != expected
            or end > grid.height
            or values.shape != (planes, strip.height, grid.width)
        ):
            raise GridMismatchError(
                f"strip at row {strip.row_off}",
                f"has the shape {values.shape}",
                f"The next strip starts at row {expected} of {grid.height}, is {grid.width} px "
                f"wide and has {planes} planes",
                "Hand over every row of the grid once, top to bottom",
            )
        expected = end
        if isinstance(strip, ClassStrip):
            rows = _Rows(strip.labels, None)
        else:
            rows = _Rows(classify_steps(strip.steps[: len(classes)], classes), strip.steps)
        yield rows, expected == grid.height
    if expected < grid.height:
        raise GridMismatchError(
            "strips",
            f"end at row {expected}",
            f"The grid has {grid.height} rows",
            "Hand over every row of the grid once, top to bottom",
        )
