"""Trace the outlines of a block's components, with the vertices of the raster and no others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.tracing.block import Block
from geocobot.tracing.components import Components, Labels
from geocobot.tracing.lists import elements
from geocobot.tracing.ragged import PolygonArray, Ragged
from geocobot.tracing.rings import close_rings, order_cycles, twice_areas
from geocobot.tracing.score_stats import SortedScores

EAST, NORTH, WEST, SOUTH = range(4)
"""Directions of an outline, counter-clockwise, so that +1 is a left turn and -1 a right turn."""


@dataclass(frozen=True)
class Pieces:
    """The components of one block, cut off at its first and last row.

    Attributes:
        polygons: (N,) in pixels of the scene, x = column, y = row (downwards).
        class_number: (N,) class of each piece.
        pixels: (N,) number of pixels.
        scores: of these pixels; None where none are known.
        first_px: (N, 2) row and column of the first pixel in reading order.
        top: (W,) piece of each pixel of the block's first row, -1 where there is none.
        bottom: (W,) the same for the last row.
        beside: (M,) polygons of the runs in the rows just above and below the block: what the
            pieces border on across the seams.
        traced: (N,) outlines along the pixels, of those pieces that are wanted so as well as
            softened; None of others.
    """

    polygons: PolygonArray
    class_number: npt.NDArray[np.uint8]
    pixels: npt.NDArray[np.int64]
    scores: SortedScores | None
    first_px: npt.NDArray[np.int64]
    top: npt.NDArray[np.int64]
    bottom: npt.NDArray[np.int64]
    beside: PolygonArray
    traced: npt.NDArray[np.object_]

    @property
    def geometry(self) -> npt.NDArray[np.object_]:
        """The pieces (N,) as polygons of shapely."""
        return self.polygons.objects

    @property
    def neighbors(self) -> npt.NDArray[np.object_]:
        """What lies `beside` (M,), as polygons of shapely."""
        return self.beside.objects

    def only(self, wanted: npt.NDArray[np.bool_]) -> Pieces:
        """Some of the pieces, (N,) bool; those of the first and the last row stay in any case."""
        kept = wanted.copy()
        for row in (self.top, self.bottom):
            kept[row[row >= 0]] = True
        number = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
        return Pieces(
            polygons=self.polygons[kept],
            class_number=self.class_number[kept],
            pixels=self.pixels[kept],
            scores=None if self.scores is None else self.scores[kept],
            first_px=self.first_px[kept],
            top=number[self.top],
            bottom=number[self.bottom],
            beside=self.beside,
            traced=self.traced[kept],
        )


@dataclass(frozen=True)
class _Corners:
    """Corners of outlines, (V,) each: whose, where, and how the outline comes and goes."""

    owner: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    col: npt.NDArray[np.int64]
    way_in: npt.NDArray[np.int8]
    way_out: npt.NDArray[np.int8]


def trace_block(block: Block) -> Pieces:
    """Trace every component of a block.

    Outlines keep a vertex wherever they turn and wherever three labels meet, so that the polygons
    of a block are a valid coverage. Polygons that touch at a corner only stay apart.

    Args:
        block: classes and scores, with the rows that border on it.

    Returns:
        The components, in the reading order of their first pixels.
    """
    height, width = block.classes.shape
    # One row of neighbours above and below, then a frame of background around everything.
    above, labels, below = block.drawn
    framed = np.zeros((height + 4, width + 2), dtype=labels.dtype)
    framed[1, 1:-1], framed[2:-2, 1:-1], framed[-2, 1:-1] = above, labels, below
    cuts = (2, height + 2)
    components = Components.of(framed, cuts)
    first_row, first_col = np.divmod(components.first_px, width + 2)
    filled = components.class_number > 0
    inside = filled & (first_row >= 2) & (first_row < height + 2)
    number = np.where(inside, np.cumsum(inside) - 1, -1)
    polygons, beside = _trace(framed, components, cuts, block.row_off, inside)
    inner = np.arange(1, width + 1)
    pixels = components.pixels()[inside]
    return Pieces(
        polygons=PolygonArray(polygons),
        class_number=block.classes[first_row[inside] - 2, first_col[inside] - 1],
        pixels=pixels,
        scores=_sort_scores(block, components, number, len(pixels)),
        first_px=np.stack([first_row[inside] - 2 + block.row_off, first_col[inside] - 1], axis=1),
        top=number[components.at(2 * (width + 2) + inner)],
        bottom=number[components.at((height + 1) * (width + 2) + inner)],
        beside=PolygonArray(beside),
        traced=np.full(int(inside.sum()), None, dtype=object),
    )


def _sort_scores(
    block: Block, components: Components, number: npt.NDArray[np.int64], n_pieces: int
) -> SortedScores | None:
    """The scores of a block's pieces; `number` says which piece a component is."""
    if block.steps is None:
        return None
    piece_of_run = number[components.component_of_run]
    is_inside = piece_of_run >= 0
    piece = np.repeat(piece_of_run[is_inside], components.run_lengths()[is_inside])
    return SortedScores.of(piece, block.steps[block.classes > 0], n_pieces)


def _trace(
    framed: Labels,
    components: Components,
    cuts: tuple[int, ...],
    row_off: int,
    inside: npt.NDArray[np.bool_],
) -> tuple[Ragged, Ragged]:
    """Polygons of all components but the background's, in the order of the components.

    Args:
        framed: (H, W) classes, with a frame of background.
        components: its components.
        cuts: rows that are cut off from the row above.
        row_off: row of the scene that the block begins with.
        inside: which components are of the block itself.

    Returns:
        Those of the block itself, and the others.
    """
    corners = _find_corners(framed, components, cuts)
    if not corners.owner.size:
        nothing = Ragged.of(np.empty(0, dtype=object))
        return nothing, nothing
    order, offsets = order_cycles(_link(corners, framed.shape))
    coords = np.empty((order.size, 2), dtype=np.float64)
    coords[:, 0], coords[:, 1] = corners.col[order], corners.row[order] + row_off
    owner = corners.owner[order[offsets[:-1]]]
    # Outlines run counter-clockwise on the map, which is negative where y runs downwards.
    is_hole = twice_areas(coords, offsets) > 0
    ring_order = np.lexsort([is_hole, owner])
    is_own = inside[owner[ring_order]]
    own, beside = (
        _polygons(coords, offsets, owner, rings)
        for rings in (ring_order[is_own], ring_order[~is_own])
    )
    return own, beside


def _polygons(
    coords: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    rings: npt.NDArray[np.int64],
) -> Ragged:
    """Some of the open rings as polygons: those of one owner together, in the order given."""
    vertex, new_offsets = elements(offsets, rings)
    counts = np.bincount(owner[rings])
    return close_rings(coords[vertex], new_offsets, counts[counts > 0])


def _find_corners(framed: Labels, components: Components, cuts: tuple[int, ...]) -> _Corners:
    """Find every corner of every outline from its four pixels.

    The outline has its component on the left. Coming to a corner along a pixel, it turns right
    if the pixel ahead on the right is the component's too (so that it follows what is outside,
    and rings that touch at a corner come out as two), goes straight on if only the one ahead on
    the left is, and otherwise turns left.
    """
    width = framed.shape[1]
    flat = _corner_pixels(framed, cuts)
    row, col = np.divmod(flat, width)
    label_of = np.where(components.class_number > 0, np.arange(len(components)), -1)
    nw, ne = label_of[components.at(flat)], label_of[components.at(flat + 1)]
    sw, se = label_of[components.at(flat + width)], label_of[components.at(flat + width + 1)]
    found = []
    # The pixel on the left of the way in, the ones right of it, ahead right and ahead left.
    for own, right, ahead_right, ahead_left, way_in in (
        (nw, sw, se, ne, EAST),
        (ne, nw, sw, se, SOUTH),
        (se, ne, nw, sw, WEST),
        (sw, se, ne, nw, NORTH),
    ):
        here = np.flatnonzero((own >= 0) & (own != right))
        label = own[here]
        turn = np.where(label == ahead_right[here], -1, np.where(label == ahead_left[here], 0, 1))
        way_out = ((way_in + turn) % 4).astype(np.int8)
        found.append((label, row[here], col[here], np.full_like(way_out, way_in), way_out))
    owner, rows, cols, ways_in, ways_out = (
        np.concatenate(part) for part in zip(*found, strict=True)
    )
    # Row 1 of the frame holds the neighbours above, so row 0 of the block begins at corner row 1.
    return _Corners(owner, rows - 1, cols, ways_in, ways_out)


def _corner_pixels(framed: Labels, cuts: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Flat indices of the pixels in the north-west of every corner."""
    beside = np.zeros(framed.shape, dtype=np.bool_)
    below = np.zeros(framed.shape, dtype=np.bool_)
    np.not_equal(framed[:, 1:], framed[:, :-1], out=beside[:, :-1])
    np.not_equal(framed[1:], framed[:-1], out=below[:-1])
    for cut in cuts:
        below[cut - 1] = (framed[cut - 1] > 0) | (framed[cut] > 0)
    # In place, so that flat indices are those of the pixels; the last column and row have none.
    beside[:-1] |= beside[1:]
    below[:, :-1] |= below[:, 1:]
    beside &= below
    beside[-1] = False
    return np.flatnonzero(beside)


def _link(corners: _Corners, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """The corner that follows each corner on its outline.

    The edges of one component that run in one direction on one line are disjoint, so that the
    n-th corner an edge leaves and the n-th corner an edge reaches there are its two ends.
    """
    height, width = shape
    along_row = (corners.owner * height + corners.row + 1) * width + corners.col
    along_col = (corners.owner * width + corners.col) * height + corners.row + 1
    successor = np.empty(corners.owner.size, dtype=np.int64)
    for way, key in ((EAST, along_row), (NORTH, along_col), (WEST, along_row), (SOUTH, along_col)):
        leaving = np.flatnonzero(corners.way_out == way)
        reached = np.flatnonzero(corners.way_in == way)
        successor[leaving[np.argsort(key[leaving])]] = reached[np.argsort(key[reached])]
    return successor
