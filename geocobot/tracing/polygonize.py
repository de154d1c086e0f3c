"""Class strips in, finished polygons out, top to bottom."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from geocobot.classes import ClassSpec
from geocobot.errors import ConfigError, CrsError
from geocobot.grid import GeoGrid
from geocobot.ground import ground_size_m
from geocobot.tiling import Strip
from geocobot.tracing.attributes import as_frame
from geocobot.tracing.blocks import Block, recut
from geocobot.tracing.holes import HoleFilling
from geocobot.tracing.seams import SeamJoiner
from geocobot.tracing.separation import separated
from geocobot.tracing.simplify import simplify_pieces
from geocobot.tracing.trace import Pieces, trace_block
from geocobot.tracing.watershed import InsideRule

BLOCK_ROWS = 512
"""Rows that are traced at a time, of scenes up to `WIDE_PX`; a quarter of it of wider ones."""

WIDE_PX = 50_000
"""Scenes wider than this are traced in lower blocks, to keep memory low."""

LEAST_MARGIN_ROWS = 32
"""Rows of its neighbors that a block is cut into objects with; or a quarter of its own."""

INSIDE_SHARE = 0.25
"""Of the smallest area that an object may have: the least that its inside has."""

_SIZE_MARGIN = 1.05
"""No pixel is larger than the largest of nine by more than this."""


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """How polygons are cleaned, in ground units whatever the CRS; all 0 cleans nothing.

    Attributes:
        min_area_m2: polygons smaller than this are dropped, measured as they are handed out; those
            that cannot become large enough no longer shape their neighbors' outlines.
        close_holes_m2: holes smaller than this are filled; a hole that borders on another class
            or on pixels without data stays (see `HoleFilling`).
        simplify_m: outlines are smoothed by about so much.
    """

    min_area_m2: float = 0.0
    close_holes_m2: float = 0.0
    simplify_m: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative measures."""
        for option in fields(self):
            value = getattr(self, option.name)
            if not value >= 0:
                raise ConfigError(
                    option.name,
                    f"is {value}",
                    "Cleaning takes areas and lengths of 0 or more",
                    "Use 0 to switch it off",
                )


def polygonize(
    strips: Iterable[Strip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    clean: CleanOptions,
    *,
    separate: bool = False,
    block_rows: int | None = None,
) -> Iterator[gpd.GeoDataFrame]:
    """Trace the classes of a scene into polygons, streaming.

    Pixels of one class that share an edge make one polygon; without cleaning the polygons are
    those of `rasterio.features.shapes` with connectivity 4, plus vertices where three labels
    meet. They never overlap, and neighbours share their borders. Memory holds one block of rows
    (and the rows that `close_holes_m2` has to look ahead) and the polygons that go on below it.

    Args:
        strips: scores, top to bottom, of any height.
        grid: the scene's grid.
        classes: the classes of the strips' planes; each pixel takes the one that
            `geocobot.classes.classify` gives it.
        clean: what to drop, fill and smooth.
        separate: whether the strips' last plane is of the insides of single objects, by which
            polygons are cut apart, see `tracing.separation`.
        block_rows: rows that are traced at a time; default by the grid's width. Simplified
            outlines keep the points in which they cross from one block to the next, so another
            height smooths slightly otherwise;
            the height of the strips never changes anything.

    Yields:
        Polygons that are complete, as frames with the columns of `attributes.COLUMNS`: ordered
        by the block in which they end, then by their first pixel in reading order. Frames are
        never empty; a scene without any polygon yields none.

    Raises:
        GridMismatchError: the strips do not cover the grid row by row.
    """
    joiner = SeamJoiner(grid.width)
    filling = HoleFilling(grid, clean.close_holes_m2)
    rows = block_rows or block_rows_of(grid.width, separate=separate)
    blocks = recut(strips, grid, classes, rows, filling, separate=separate)
    if separate:
        rule = InsideRule.of(classes, _least_inside_px(grid, clean))
        blocks = separated(blocks, max(rows // 4, LEAST_MARGIN_ROWS), rule)
    for block in blocks:
        pieces = trace_block(block)
        if clean.min_area_m2 > 0:
            pieces = pieces.only(_may_be_large(pieces, block, grid, clean))
        if clean.simplify_m > 0 and len(pieces.geometry):
            smooth = simplify_pieces(pieces, _pixel_m(block, grid), clean.simplify_m)
            pieces = replace(pieces, geometry=smooth)
        frame = as_frame(joiner.add(block, pieces), grid, classes)
        if clean.min_area_m2 > 0:
            frame = frame[frame["area_m2"] >= clean.min_area_m2].reset_index(drop=True)
        if len(frame):
            yield frame


def block_rows_of(width_px: int, *, separate: bool = False) -> int:
    """Rows that are traced at a time of a scene of this width.

    Where objects are cut apart, which takes more memory, half of `WIDE_PX` is wide.
    """
    return BLOCK_ROWS if width_px * (1 + separate) <= WIDE_PX else BLOCK_ROWS // 4


def _least_inside_px(grid: GeoGrid, clean: CleanOptions) -> float:
    """Pixels of the smallest inside of an object: a part of the smallest that is wanted.

    Otherwise a speck could cut off a part of an object that is then dropped for its size.
    """
    return INSIDE_SHARE * clean.min_area_m2 / math.prod(grid.ground_pixel_m)


def _may_be_large(
    pieces: Pieces, block: Block, grid: GeoGrid, clean: CleanOptions
) -> npt.NDArray[np.bool_]:
    """Which pieces (N,) may be large enough once they are smoothed.

    Every corner that is smoothed away adds less than the tolerance squared.
    """
    most_m2 = pieces.pixels * _largest_pixel_m2(block, grid)
    if clean.simplify_m > 0:
        most_m2 += shapely.get_num_coordinates(pieces.geometry) * clean.simplify_m**2
    return np.asarray(most_m2 >= clean.min_area_m2)


def _largest_pixel_m2(block: Block, grid: GeoGrid) -> float:
    """An area on the ground that no pixel of a block exceeds."""
    height, width = block.classes.shape
    places = product((0.5, height / 2, height - 0.5), (0.5, width / 2, width - 0.5))
    try:
        areas = [
            math.prod(ground_size_m(grid.crs, grid.transform, block.row_off + row, col))
            for row, col in places
        ]
    except CrsError:  # the corners of a picture of the whole earth lie beside it
        return math.inf
    return _SIZE_MARGIN * max(areas)


def _pixel_m(block: Block, grid: GeoGrid) -> tuple[float, float]:
    """Width and height on the ground of a pixel in the middle of a block, in metres."""
    middle = block.row_off + len(block.classes) / 2
    return ground_size_m(grid.crs, grid.transform, middle, grid.width / 2)
