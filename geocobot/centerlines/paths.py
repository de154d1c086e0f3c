"""Follow thinned pixels from node to node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.tracing.rings import order_cycles

TANGENT_PX = 6
"""Links to either side that tell in which direction a path runs."""


@dataclass(frozen=True)
class Paths:
    """Pixels of lines and the paths along them.

    Two pixels of a class are linked if they share an edge, or a corner beside which neither of
    the other two pixels is on a line of the class: so no two links cross.

    Attributes:
        row: (N,) of each pixel.
        col: (N,) the same.
        degree: (N,) links of each pixel, those to rows beyond the window included.
        pixels: all paths one after the other, as indices of pixels; both ends belong to a path. A
            ring without a node has the same pixel first and last.
        offsets: (P + 1,) where the paths begin and end.
    """

    row: npt.NDArray[np.int64]
    col: npt.NDArray[np.int64]
    degree: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


def follow(lines: npt.NDArray[np.uint8], first: int, end: int) -> Paths:
    """Follow the lines of some rows.

    A path ends at pixels with one link or more than two, and where it enters or leaves the rows:
    then at its pixel in row `first` or `end`, so that it goes on from there in the rows beyond.

    Args:
        lines: (n, W) class numbers on lines.
        first: first row.
        end: row after the last, `n` at the end of the scene.
    """
    above = max(first - 1, 0)
    px = np.flatnonzero((lines[above : min(end + 2, len(lines))] != 0).ravel())
    row, col = np.divmod(px, lines.shape[1])
    row += above
    a, b = _links(lines, row, col)
    degree = np.bincount(np.concatenate([a, b]), minlength=row.size)
    within = (row[a] >= first) & (row[a] < end)
    from_above = (row[a] < first) & (row[b] == first)
    is_end = degree != 2
    is_end[b[from_above]] = True
    is_end[row == end] = True
    pixels, offsets = _paths(a[within], b[within], is_end)
    return Paths(row, col, degree, pixels, offsets)


def tangents(paths: Paths) -> npt.NDArray[np.int64]:
    """Rows and columns (N, 2) from some pixels before each pixel of a path to some after it.

    They are `TANGENT_PX` links away, or at the end of the path. Free ends have theirs outwards;
    pixels without a link, and where several paths meet, have none: 0.
    """
    first, end = paths.offsets[:-1], paths.offsets[1:]
    length = end - first
    path = np.repeat(np.arange(length.size), length)
    place = np.arange(paths.pixels.size) - first[path]
    start = paths.pixels[first]
    is_ring = (start == paths.pixels[end - 1]) & (paths.degree[start] == 2)
    links = length[path] - 1
    around = [
        np.where(is_ring[path], (place + k) % links, np.clip(place + k, 0, links))
        for k in (-TANGENT_PX, TANGENT_PX)
    ]
    before, after = (paths.pixels[first[path] + k] for k in around)
    along = np.zeros((paths.row.size, 2), dtype=np.int64)
    along[paths.pixels, 0] = paths.row[after] - paths.row[before]
    along[paths.pixels, 1] = paths.col[after] - paths.col[before]
    along[paths.degree > 2] = 0
    begins = start[paths.degree[start] == 1]
    along[begins] *= -1
    return along


def directions(
    lines: npt.NDArray[np.uint8], paths: Paths, first: int, end: int
) -> npt.NDArray[np.int64]:
    """Tangents (N, 2) of the pixels of the paths of some rows, whatever these rows cut off."""
    along = tangents(paths)
    more = TANGENT_PX + 1
    width = lines.shape[1]
    for seam in (first, end):
        # What is known of a seam's pixels takes as many rows beyond them.
        low, high = max(seam - 2 * more, first - more, 0), min(seam + 2 * more, end + more)
        near = np.flatnonzero(np.abs(paths.row - seam) <= TANGENT_PX)
        around = follow(lines, low, min(high, len(lines)))
        place = np.searchsorted(
            around.row * width + around.col, paths.row[near] * width + paths.col[near]
        )
        along[near] = tangents(around)[place]
    return along


def _links(
    lines: npt.NDArray[np.uint8], row: npt.NDArray[np.int64], col: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of linked pixels, the upper or left one first."""
    width = lines.shape[1]
    px = row * width + col
    framed = np.pad(lines[row.min() : row.max() + 2] if row.size else lines[:0], ((0, 2), (1, 1)))
    r, c = row - (row.min() if row.size else 0), col + 1
    own = framed[r, c]
    east, south, west = (framed[r, c + 1], framed[r + 1, c], framed[r, c - 1])
    se, sw = framed[r + 1, c + 1], framed[r + 1, c - 1]
    # Nothing beyond the rows that are looked at is linked.
    below = row < (row.max() if row.size else 0)
    linked = (
        (1, own == east),
        (width, (own == south) & below),
        (width + 1, (own == se) & (own != east) & (own != south) & below),
        (width - 1, (own == sw) & (own != west) & (own != south) & below),
    )
    a = [np.flatnonzero(is_linked) for _, is_linked in linked]
    b = [np.searchsorted(px, px[i] + step) for i, (step, _) in zip(a, linked, strict=True)]
    return np.concatenate(a), np.concatenate(b)


def _paths(
    a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], is_end: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put links into paths.

    Each link is gone along in both directions. What follows one that comes to an end is the way
    back, so that a path and its reverse are one cycle; a ring is two.
    """
    if not a.size:
        return np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    origin = np.stack([a, b], axis=1).ravel()  # 2 i goes along link i, 2 i + 1 back
    onward = np.arange(origin.size)
    passing = np.flatnonzero(~is_end[origin])
    pairs = passing[np.argsort(origin[passing], kind="stable")].reshape(-1, 2)
    onward[pairs] = pairs[:, ::-1]
    order, offsets = order_cycles(onward[np.arange(origin.size) ^ 1])
    starts_at_end = is_end[origin[order]]
    cycle = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    has_end = np.zeros(offsets.size - 1, dtype=bool)
    has_end[cycle[starts_at_end]] = True
    start = offsets[:-1].copy()
    _, at = np.unique(cycle[starts_at_end], return_index=True)
    start[has_end] = np.flatnonzero(starts_at_end)[at]
    links = np.where(has_end, np.diff(offsets) // 2, np.diff(offsets))
    kept = has_end | (order[offsets[:-1]] % 2 == 0)
    start, links, base, size = (v[kept] for v in (start, links, offsets[:-1], np.diff(offsets)))
    out = np.concatenate([[0], np.cumsum(links + 1)])
    place = np.arange(out[-1]) - np.repeat(out[:-1], links + 1)
    turn = (np.repeat(start - base, links + 1) + place) % np.repeat(size, links + 1)
    return origin[order[np.repeat(base, links + 1) + turn]], out
