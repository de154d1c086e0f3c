"""Classified blocks in, a network of centerlines out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import geopandas as gpd
import numpy as np

from geocobot.ahead import result_of
from geocobot.centerlines.attributes import as_frame
from geocobot.centerlines.bridging import Bridges
from geocobot.centerlines.cleaning import clean_lines
from geocobot.centerlines.faint import FaintAreas
from geocobot.centerlines.joining import Joiner
from geocobot.centerlines.lines import Lines, nodes_of
from geocobot.centerlines.paths import TANGENT_PX, directions, follow
from geocobot.centerlines.pruning import drop_blobs, drop_small, join_junctions
from geocobot.centerlines.reducing import reduce_chains
from geocobot.centerlines.rows import Rows
from geocobot.centerlines.sections import measure_sections
from geocobot.centerlines.shaping import shape_lines
from geocobot.centerlines.sides import Ends
from geocobot.centerlines.spurs import prune_spurs
from geocobot.centerlines.thinning import REACH_PX, thin
from geocobot.centerlines.wide import WidePlaces
from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.tracing.block import Block
from geocobot.tracing.components import connected
from geocobot.tracing.pixel_sizes import RowSizes
from geocobot.tracing.ragged import PolygonArray

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
        self._faint = FaintAreas(grid.width)
        self._bridges = None
        if options.bridge_gaps_m > 0:
            self._bridges = Bridges(grid, classes, options.bridge_gaps_m, self._sizes)
        self._arrived: list[Block] = []
        self._next = 0
        self._has_scores = True
        self._kept = Rows.none(len(classes), grid.width)
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

    def leave_out(self, areas: PolygonArray) -> None:
        """Take areas that are not drawn: their lines are not either. From any thread.

        Args:
            areas: outlines along the pixels, in pixels of the scene.
        """
        self._faint.add(areas)

    def finish(self) -> gpd.GeoDataFrame:
        """The centerlines, with the columns of `attributes.COLUMNS`; empty where there are none."""
        self._wait()
        if self._thread is not None:
            self._thread.shutdown()
        self._mark_faint(self._grid.height)
        lines = self._faint.without(Lines.joined(self._done).ordered())
        self._done = []
        if self._bridges is not None:
            lines = self._large(self._bridges.close(lines))
        shapes = shape_lines(lines, self._sizes, self._options.simplify_m, self._grid.shape)
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

    def _mark_faint(self, end: int) -> None:
        """Find the ends, above a row, of lines in areas that are not drawn."""
        known = [lines.nodes.ravel() for lines in (*self._done, self._open)]
        self._faint.mark(np.concatenate([*known, self._joiner.open_ends()]), end)

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
        if self._faint.are_many:
            self._mark_faint(end)
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
        above = max(above, Bridges(grid, (), bridge_gaps_m, RowSizes(grid)).rows_above)
    return min(rows_at_once(grid.width) + above + _BEYOND, grid.height)
