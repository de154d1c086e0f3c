"""Classified blocks in, a network of centerlines out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from geocobot.ahead import result_of
from geocobot.centerlines.attaching import attach
from geocobot.centerlines.attributes import as_frame
from geocobot.centerlines.cleaning import clean_lines
from geocobot.centerlines.gaps import Gap, GapFinder, bridge
from geocobot.centerlines.joining import Joiner
from geocobot.centerlines.lines import Lines, nodes_of
from geocobot.centerlines.network import Network
from geocobot.centerlines.paths import TANGENT_PX, Paths, directions, follow
from geocobot.centerlines.pruning import drop_blobs, drop_small, join_junctions
from geocobot.centerlines.reducing import reduce_chains
from geocobot.centerlines.sections import measure_sections
from geocobot.centerlines.shaping import shape_lines
from geocobot.centerlines.sides import Ends, Side, SideFinder, Surroundings
from geocobot.centerlines.spurs import prune_spurs
from geocobot.centerlines.thinning import REACH_PX, thin
from geocobot.centerlines.wide import WidePlaces
from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.steps import SCORE_SCALE
from geocobot.tracing.block import Block
from geocobot.tracing.components import connected
from geocobot.tracing.pixel_sizes import RowSizes

_PIXELS_AT_ONCE = 2**24
_LEAST_ROWS, _MOST_ROWS = 256, 2048


_BEYOND = REACH_PX + TANGENT_PX + 4
"""Rows above and below those that are done: lines are followed into the next ones."""


@dataclass(frozen=True, kw_only=True)
class LineOptions:
    """How centerlines are drawn, on the ground whatever the CRS.

    Attributes:
        class_numbers: of the classes that get centerlines; None for all.
        bridge_gaps_m: gaps up to so long are closed where the scores support it.
        simplify_m: lines keep within so much of their course when corners are left out.
        min_area_m2: lines that meet are dropped where length times width of all of them, ends
            included, is less.
    """

    class_numbers: frozenset[int] | None = None
    bridge_gaps_m: float = 0.0
    simplify_m: float = 0.0
    min_area_m2: float = 0.0


@dataclass(frozen=True)
class _Rows:
    """Rows of the scene from `row_off` on: labels (n, W), scores of all classes (K, n, W)."""

    row_off: int
    labels: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.uint8]

    @classmethod
    def none(cls, n_classes: int, width: int) -> _Rows:
        """No rows, at the top of the scene."""
        return cls(0, np.empty((0, width), np.uint8), np.empty((n_classes, 0, width), np.uint8))

    def followed_by(self, blocks: Sequence[Block], classes: Sequence[ClassSpec]) -> _Rows:
        """With the rows of blocks below."""
        return _Rows(
            self.row_off,
            np.concatenate([self.labels, *(block.classes for block in blocks)]),
            np.concatenate([self.planes, *(_planes_of(b, classes) for b in blocks)], axis=1),
        )

    def between(self, first: int, end: int) -> _Rows:
        """Those of the rows from one to before another of the scene that are here."""
        rows = slice(max(first - self.row_off, 0), max(end - self.row_off, 0))
        return _Rows(self.row_off + rows.start, self.labels[rows], self.planes[:, rows])

    def copied(self) -> _Rows:
        """The same rows, keeping no others in memory."""
        return _Rows(self.row_off, self.labels.copy(), self.planes.copy())

    def scores_at(
        self, paths: Paths, numbers: npt.NDArray[np.uint8], classes: Sequence[ClassSpec]
    ) -> npt.NDArray[np.uint8]:
        """Score (N,) of the class of each pixel of lines, in steps."""
        plane = np.zeros(256, dtype=np.int64)
        plane[[spec.number for spec in classes]] = np.arange(len(classes))
        return self.planes[plane[numbers], paths.row, paths.col]


class CenterlineTracer:
    """Takes the blocks of a scene from top to bottom and hands back its centerlines at the end.

    Memory holds some rows of pixels and the lines found so far: of these, few points each. What
    comes out depends neither on the height of the blocks nor on how many rows are done at a time.

    Args:
        grid: the scene's grid.
        classes: the classes of the blocks' planes.
        options: which lines, and how.
        rows: that are thinned at a time; default by the grid's width.
        threads: with more than one, rows are thinned in a thread of their own while the next ones
            come.
    """

    def __init__(
        self,
        grid: GeoGrid,
        classes: Sequence[ClassSpec],
        options: LineOptions,
        *,
        rows: int | None = None,
        threads: int = 1,
    ) -> None:
        self._grid = grid
        self._classes = tuple(classes)
        self._options = options
        wanted = options.class_numbers
        self._unwanted = [
            s.number for s in classes if wanted is not None and s.number not in wanted
        ]
        self._rows_at_once = rows or rows_at_once(grid.width)
        self._sizes = RowSizes(grid)
        self._joiner = Joiner()
        self._open = Lines.none()
        self._done: list[Lines] = []
        self._wide = WidePlaces()
        self._bridges = None
        if options.bridge_gaps_m > 0:
            self._bridges = _Bridges(grid, classes, options.bridge_gaps_m, self._sizes)
        self._arrived: list[Block] = []
        self._next = 0
        self._has_scores = True
        self._kept = _Rows.none(len(classes), grid.width)
        self._thread = ThreadPoolExecutor(1, "centerlines") if threads > 1 else None
        self._under_way: Future[None] | None = None

    @property
    def too_wide(self) -> dict[int, int]:
        """How many areas of each class number were too wide for a line somewhere, at the end."""
        return {number: n for number, n in self._wide.counts.items() if n}

    def add(self, block: Block) -> None:
        """Take the next rows."""
        self._arrived.append(block)
        self._has_scores = block.planes is not None
        end = block.row_off + len(block.classes)
        while self._next < self._grid.height:
            first, stop = self._next, min(self._next + self._rows_at_once, self._grid.height)
            if end < min(stop + _BEYOND, self._grid.height):
                break
            arrived, self._arrived, self._next = self._arrived, [], stop
            self._wait()
            if self._thread is None:
                self._trace(arrived, first, stop)
            else:
                self._under_way = self._thread.submit(self._trace, arrived, first, stop)

    def finish(self) -> gpd.GeoDataFrame:
        """The centerlines, with the columns of `attributes.COLUMNS`; empty where there are none."""
        self._wait()
        if self._thread is not None:
            self._thread.shutdown()
        lines = Lines.joined(self._done).ordered()
        self._done = []
        if self._bridges is not None:
            lines = self._large(self._bridges.close(lines))
        shapes = shape_lines(lines, self._sizes, self._options.simplify_m)
        geometry, source = clean_lines(len(lines), shapes)
        frame = as_frame(geometry, lines.take(source), self._grid, self._classes)
        return frame if self._has_scores else frame.assign(score=np.nan)

    def _settle(self, lines: Lines, end: int) -> None:
        """Prune and join those that meet no line that goes on below.

        What becomes of lines depends on those that they meet, and on no others.
        """
        lines = Lines.joined([self._open, lines])
        node, _ = nodes_of(lines)
        group = connected(int(node.max(initial=-1)) + 1, *node.T)[node[:, 0]]
        # Nodes in the row below may have more lines.
        is_open = lines.nodes >= end * self._grid.width
        is_open |= np.isin(lines.nodes, self._joiner.open_nodes())
        touched = is_open.any(axis=1)
        goes_on = np.isin(group, group[touched]) & (end < self._grid.height)
        self._open = lines.take(np.flatnonzero(goes_on))
        whole = lines.take(np.flatnonzero(~goes_on)).ordered()
        whole = join_junctions(prune_spurs(whole))
        self._done.append(whole if self._bridges is not None else self._large(whole))

    def _large(self, lines: Lines) -> Lines:
        """Lines that are wanted, when they meet all that they will meet."""
        return drop_small(drop_blobs(lines), self._sizes, self._options.min_area_m2)

    def _wait(self) -> None:
        """Let what is under way come to its end."""
        if self._under_way is not None:
            result_of(self._under_way)
            self._under_way = None

    def _trace(self, arrived: Sequence[Block], first: int, end: int) -> None:
        """Find the lines from one row to before another."""
        self._kept = self._kept.followed_by(arrived, self._classes)
        window = self._kept.between(first - _BEYOND, end + _BEYOND)
        labels = window.labels.copy()
        labels[np.isin(labels, self._unwanted)] = 0
        lines, cores = thin(labels)
        top, bottom = first - window.row_off, end - window.row_off
        self._wide.add(cores[top:bottom])
        del cores
        paths = follow(lines, top, bottom)
        own = labels[paths.row, paths.col]
        along = directions(lines, paths, top, bottom)
        sections = measure_sections(
            labels,
            window.scores_at(paths, own, self._classes),
            np.stack([paths.row, paths.col], axis=1),
            along,
            is_end=paths.degree == 1,
            row_off=window.row_off,
        )
        self._settle(reduce_chains(self._joiner.add(paths, sections, own), self._sizes), end)
        above = _BEYOND
        if self._bridges is not None:
            is_end = (paths.degree == 1) & (paths.row >= top) & (paths.row < bottom)
            ends = np.flatnonzero(is_end)
            radius, outwards = sections.radius[ends].astype(np.float64), along[ends]
            found = Ends(sections.px[ends], own[ends], radius, outwards.astype(np.float64))
            rows = self._kept.between(first - self._bridges.rows_above, end)
            self._bridges.add(found, rows, lines[top:bottom], first)
            above = max(_BEYOND, self._bridges.rows_above)
        self._kept = self._kept.between(end - above, self._grid.height).copied()


class _Bridges:
    """Gaps between lines, and what closes them."""

    def __init__(
        self, grid: GeoGrid, classes: Sequence[ClassSpec], most_m: float, sizes: RowSizes
    ) -> None:
        self._width, self._sizes = grid.width, sizes
        self._ends = GapFinder(classes, most_m, sizes, grid.width)
        self._sides = SideFinder(classes, most_m, sizes, grid.shape)
        self.rows_above = max(self._ends.reach_px, self._sides.rows_above)
        """Rows that have to be known above those that are new."""
        self._gaps: list[Gap] = []
        self._before: list[Side] = []
        self._lines = np.empty((0, grid.width), dtype=np.uint8)

    def add(self, ends: Ends, rows: _Rows, lines: npt.NDArray[np.uint8], first: int) -> None:
        """Find the gaps of the next rows: of their ends, with their lines and those above."""
        measured = np.stack([ends.px, ends.number, ends.radius], axis=1)
        self._gaps += self._ends.add(measured, first, rows.labels, rows.planes, rows.row_off)
        known = np.concatenate([self._lines, lines])[-len(rows.labels) :]
        self._before += self._sides.add(
            ends, Surroundings(rows.row_off, rows.labels, known, rows.planes)
        )
        self._lines = known[-self.rows_above :].copy()

    def close(self, lines: Lines) -> Lines:
        """Lines with bridges: from ends to ends first, then from ends to sides."""
        if not self._gaps and not self._before:
            return lines
        network = Network(lines, self._width)
        bridge(network, self._gaps, self._sizes)
        attach(network, self._before, self._sizes)
        return join_junctions(network.as_lines())


def rows_at_once(width_px: int) -> int:
    """Rows that are thinned at a time of a scene of this width."""
    return min(max(_PIXELS_AT_ONCE // width_px, _LEAST_ROWS), _MOST_ROWS)


def rows_held(grid: GeoGrid, bridge_gaps_m: float) -> int:
    """Rows of pixels that are held at a time, those around the ones that are thinned included.

    Args:
        grid: the scene's grid.
        bridge_gaps_m: gaps up to so long are closed.
    """
    above = _BEYOND
    if bridge_gaps_m > 0:
        above = max(above, _Bridges(grid, (), bridge_gaps_m, RowSizes(grid)).rows_above)
    return min(rows_at_once(grid.width) + above + _BEYOND, grid.height)


def _planes_of(block: Block, classes: Sequence[ClassSpec]) -> npt.NDArray[np.uint8]:
    """Scores (K, h, W) of a block: where none are known, full ones for the class that is there."""
    if block.planes is not None:
        return block.planes
    return np.stack(
        [np.where(block.classes == s.number, np.uint8(SCORE_SCALE), np.uint8(0)) for s in classes]
    )
