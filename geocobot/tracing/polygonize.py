"""Class strips in, finished polygons out, top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, fields
from functools import partial

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from geocobot.ahead import each_in_order
from geocobot.classes import ClassSpec
from geocobot.errors import ConfigError
from geocobot.grid import GeoGrid
from geocobot.scaling import Scaling
from geocobot.tiling import ClassStrip, Strip
from geocobot.tracing.attributes import as_frame
from geocobot.tracing.block import Block
from geocobot.tracing.blocks import recut
from geocobot.tracing.groups import GroupJoiner, Ready
from geocobot.tracing.holes import HoleFilling
from geocobot.tracing.hysteresis import Hysteresis
from geocobot.tracing.least_area import LeastArea
from geocobot.tracing.near import NearPieces
from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.seams import Completed, SeamJoiner
from geocobot.tracing.separation import separated
from geocobot.tracing.soften import Softening
from geocobot.tracing.specks import SpeckRemoval
from geocobot.tracing.square_stage import TALLEST_PX, Drawn, SquareStage
from geocobot.tracing.squaring import SquaringTally
from geocobot.tracing.trace import Pieces, trace_block
from geocobot.tracing.waiting import Softener
from geocobot.tracing.watershed import InsideRule

BLOCK_ROWS = 512
"""Rows that are traced at a time, of scenes up to `WIDE_PX`; a quarter of it of wider ones."""

WIDE_PX = 50_000
"""Scenes wider than this are traced in lower blocks, to keep memory low."""

_BLOCK_PX = 2**21
_LOW_BLOCK_ROWS = 64
"""Where their height changes nothing, blocks have so many pixels, and no fewer rows."""

LEAST_MARGIN_ROWS = 32
"""Rows of its neighbors that a block is cut into objects with; or a quarter of its own."""

INSIDE_SHARE = 0.25
"""Of the smallest area that an object may have: the least that its inside has."""


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """How polygons are cleaned, in ground units whatever the CRS; all 0 cleans nothing.

    Attributes:
        min_area_m2: polygons smaller than this are dropped, measured as they are handed out; those
            that cannot become large enough no longer shape their neighbors' outlines.
        close_holes_m2: holes smaller than this are filled; a hole that borders on another class
            or on pixels without data stays (see `HoleFilling`).
        simplify_m: outlines are smoothed by about so much (see `simplify.simplify_groups`).
        despeckle_m2: patches smaller than this, of a class or of none, are given to what surrounds
            them before anything is traced (see `SpeckRemoval`).
        high_threshold: polygons none of whose pixels scores more than this are dropped
            (hysteresis: the classes' own thresholds may be the lower for it).
        smooth_m: corners are rounded over so much of the edges on both sides (see
            `smooth.smooth_groups`), but not of what is squared.
        square_classes: numbers of the classes whose outlines are squared (see `SquareStage`).
    """

    min_area_m2: float = 0.0
    close_holes_m2: float = 0.0
    simplify_m: float = 0.0
    despeckle_m2: float = 0.0
    high_threshold: float = 0.0
    smooth_m: float = 0.0
    square_classes: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse negative measures, and NaN."""
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(value, float | int) and not value >= 0:
                raise ConfigError(
                    option.name,
                    f"is {value}",
                    "Cleaning takes areas and lengths of 0 or more",
                    "Use 0 to switch it off",
                )


def polygonize(
    strips: Iterable[Strip | ClassStrip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    clean: CleanOptions,
    *,
    separate: bool = False,
    scaling: Sequence[Scaling] = (),
    block_rows: int | None = None,
    threads: int = 1,
    squaring: SquaringTally | None = None,
    watch: Callable[[Block], None] | None = None,
    faint: Callable[[PolygonArray], None] | None = None,
) -> Iterator[gpd.GeoDataFrame]:
    """Trace the classes of a scene into polygons, streaming.

    Pixels of one class that share an edge make one polygon; without cleaning the polygons are
    those of `rasterio.features.shapes` with connectivity 4, plus vertices where three labels
    meet. They never overlap, and neighbours share their borders. Memory holds some blocks of rows
    (and the rows that `close_holes_m2` and `despeckle_m2` have to know beside them) and the
    polygons that go on below.

    Args:
        strips: scores or classes, top to bottom, of any height.
        grid: the scene's grid.
        classes: the classes of the strips' planes; each pixel takes the one that
            `geocobot.classes.classify` gives it.
        clean: what to drop, fill and smooth.
        separate: whether the strips' last plane is of the insides of single objects, by which
            polygons are cut apart, see `tracing.separation`.
        scaling: what has been done to the scores of the classes, and not to those of insides.
        block_rows: rows that are traced at a time; default by the grid's width. Neither this nor
            the height of the strips changes a polygon, unless a group is cut (`GroupJoiner`).
        threads: blocks that are traced at the same time, 1 in the consumer's own thread.
        squaring: counts what is squared.
        watch: is shown every block before it is traced.
        faint: is handed the outlines, along the pixels, of polygons that `high_threshold` drops;
            from any of the threads. All are handed over when the last frame has come.

    Yields:
        Polygons that are complete, as frames with the columns of `attributes.COLUMNS`: ordered
        by the block in which they end, then by their first pixel in reading order; with squaring
        they come later, and neighbors share their borders no more. Frames are never empty; a scene
        without any polygon yields none.

    Raises:
        GridMismatchError: the strips do not cover the grid row by row.
    """
    filling = HoleFilling(grid, clean.close_holes_m2)
    rows = block_rows or block_rows_of(grid.width, clean, separate=separate)
    specks = SpeckRemoval(grid, clean.despeckle_m2)
    blocks = recut(strips, grid, classes, rows, filling, specks=specks, separate=separate)
    if separate:
        rule = InsideRule.of(classes, _least_inside_px(grid, clean), scaling)
        blocks = separated(blocks, max(rows // 4, LEAST_MARGIN_ROWS), rule)
    if watch is not None:
        blocks = _watched(blocks, watch)
    softened_m = (clean.simplify_m, clean.smooth_m)
    least = LeastArea(grid, clean.min_area_m2, *softened_m, clean.square_classes)
    softener = _softener(grid, clean, least)
    squared, softened = clean.square_classes, softener is not None
    hysteresis = Hysteresis(clean.high_threshold, squared, softened, faint)
    with ThreadPoolExecutor(threads, "tracing") if threads > 1 else nullcontext() as pool:
        trace = partial(_trace, softener=softener, least=least, hysteresis=hysteresis)
        traced = each_in_order(blocks, trace, pool, threads)
        framed = partial(_framed, grid=grid, classes=classes)
        # What is softened was asked whether it is large enough before that.
        sure = partial(_sure, hysteresis=hysteresis, least=None if softened else least)
        drawn = each_in_order(_draw(traced, grid, clean, softener, sure), framed, pool, threads)
        with closing(drawn) as frames:
            for _, (iou, frame) in frames:
                kept = (frame["area_m2"] >= clean.min_area_m2).to_numpy()
                if squaring is not None:
                    number, area_m2 = frame["class_id"].to_numpy(), frame["area_m2"].to_numpy()
                    squaring.add(number[kept], area_m2[kept], iou[kept])
                if kept.any():
                    yield frame if kept.all() else frame[kept].reset_index(drop=True)


def _watched(blocks: Iterable[Block], watch: Callable[[Block], None]) -> Iterator[Block]:
    """Show blocks to somebody as they pass by."""
    for block in blocks:
        watch(block)
        yield block


def block_rows_of(
    width_px: int, clean: CleanOptions | None = None, *, separate: bool = False
) -> int:
    """Rows that are traced at a time of a scene of this width.

    Args:
        width_px: columns of the scene.
        clean: how its polygons are cleaned; where it is known, blocks can be low.
        separate: whether objects are cut apart, which takes more memory: half of
            `WIDE_PX` is wide then.
    """
    most = BLOCK_ROWS if width_px * (1 + separate) <= WIDE_PX else BLOCK_ROWS // 4
    if clean is None or separate:
        return most
    return min(max(_BLOCK_PX // width_px, _LOW_BLOCK_ROWS), most)


@dataclass(frozen=True)
class _Traced:
    """The pieces of a block, and their groups where outlines are softened."""

    pieces: Pieces
    near: NearPieces | None


def _trace(
    block: Block, softener: Softener | None, least: LeastArea, hysteresis: Hysteresis
) -> _Traced:
    """The pieces of a block, without those that are too small."""
    pieces = trace_block(block)
    pieces = pieces.only(least.may_reach(pieces.polygons, pieces.pixels, pieces.class_number))
    pieces = hysteresis.with_traced(pieces)
    if softener is None:
        return _Traced(pieces, None)
    places = pieces.first_px - (block.row_off, 0)
    return _Traced(pieces, NearPieces.of(block.drawn[1] > 0, places, softener.soften.reach))


def _softener(grid: GeoGrid, clean: CleanOptions, least: LeastArea) -> Softener | None:
    """What softens outlines; None where nothing is to be."""
    if clean.simplify_m == clean.smooth_m == 0:
        return None
    how = Softening.of(grid, clean.simplify_m, clean.smooth_m, clean.square_classes)
    return Softener(how, least)


def _draw(
    traced: Generator[tuple[Block, _Traced]],
    grid: GeoGrid,
    clean: CleanOptions,
    softener: Softener | None,
    sure: Callable[[Completed | Ready], Drawn],
) -> Generator[Callable[[], Drawn]]:
    """What makes the polygons that each block completes; squared ones are made in their order."""
    joiner: SeamJoiner | GroupJoiner = SeamJoiner(grid.width)
    if softener is not None:
        # What is squared must not wait for long, because what is around it waits too.
        joiner = GroupJoiner(softener, TALLEST_PX if clean.square_classes else math.inf)
    stage = SquareStage(grid, clean.square_classes, clean.simplify_m, joiner)
    with closing(traced):
        for block, found in traced:
            completed = _joined(joiner, block, found)
            if clean.square_classes:
                end_row = block.row_off + len(block.classes)
                yield partial(_as_it_is, stage.add(sure(completed).outlines, end_row))
            else:
                yield partial(sure, completed)
    if isinstance(joiner, GroupJoiner):
        joiner.report()


def _joined(joiner: SeamJoiner | GroupJoiner, block: Block, found: _Traced) -> Completed | Ready:
    """What makes the polygons that a block completes."""
    if isinstance(joiner, SeamJoiner):
        return joiner.add(block, found.pieces)
    assert found.near is not None, "traced for softening"
    return joiner.add(block, found.pieces, found.near)


def _sure(completed: Completed | Ready, hysteresis: Hysteresis, least: LeastArea | None) -> Drawn:
    """Complete polygons, without those that score too low, or are too small."""
    outlines = completed.outlines()
    if least is not None:
        # Pieces at the edges of blocks had to stay, whatever their size.
        large = least.may_reach(outlines.polygons, outlines.pixels, outlines.class_number)
        outlines = outlines.take(np.flatnonzero(large))
    return Drawn.of(hysteresis.sure(outlines))


def _as_it_is(drawn: Drawn) -> Drawn:
    """What is drawn already."""
    return drawn


def _framed(
    make: Callable[[], Drawn], grid: GeoGrid, classes: Sequence[ClassSpec]
) -> tuple[npt.NDArray[np.float64], gpd.GeoDataFrame]:
    """What squaring has left of polygons, as IoU, and the polygons with their attributes."""
    drawn = make()
    return drawn.iou, as_frame(drawn.outlines, grid, classes)


def _least_inside_px(grid: GeoGrid, clean: CleanOptions) -> float:
    """Pixels of the smallest inside of an object: a part of the smallest that is wanted.

    Otherwise a speck could cut off a part of an object that is then dropped for its size.
    """
    return INSIDE_SHARE * clean.min_area_m2 / math.prod(grid.ground_pixel_m)
