"""Rings as flat arrays: linked lists put in order, polygons built, vertices dropped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.ragged import Ragged


def order_cycles(
    successor: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put the cycles of a permutation in order, by pointer doubling.

    Args:
        successor: (N,) the element that follows each element; a permutation.

    Returns:
        All elements, cycle after cycle, each from its smallest element on, the cycles by their
        smallest elements; and the (C + 1,) offsets of the cycles.
    """
    smallest = np.arange(successor.size)
    jump = successor
    while not np.array_equal(smallest, smallest[successor]):
        smallest = np.minimum(smallest, smallest[jump])
        jump = jump[jump]
    is_first = smallest == np.arange(successor.size)
    steps_left = np.where(is_first, 0, 1)
    jump = np.where(is_first, smallest, successor)
    while not is_first[jump].all():
        steps_left = steps_left + steps_left[jump]
        jump = jump[jump]
    cycle = (np.cumsum(is_first) - 1)[smallest]
    lengths = np.bincount(cycle)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    place = np.where(is_first, 0, lengths[cycle] - steps_left)
    ordered = np.empty(successor.size, dtype=np.int64)
    ordered[offsets[cycle] + place] = np.arange(successor.size)
    return ordered, offsets


def twice_areas(
    coords: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Twice the signed area of each open ring; positive where x to y turns with the ring.

    Args:
        coords: (N, 2) vertices, ring after ring, the first not repeated.
        offsets: (R + 1,) where the rings begin and end.
    """
    after = following_of(offsets)
    x, y = coords[:, 0], coords[:, 1]
    return np.add.reduceat(x * y[after] - x[after] * y, offsets[:-1])


def close_rings(
    coords: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.int64],
    rings_per_polygon: npt.NDArray[np.int64],
) -> Ragged:
    """Make polygons of open rings.

    Args:
        coords: (N, 2) vertices, ring after ring, the first not repeated.
        offsets: (R + 1,) where the rings begin and end.
        rings_per_polygon: (P,) how many rings each polygon takes, its outer ring first.
    """
    lengths = np.diff(offsets)
    # The first vertex of every ring is repeated behind its last.
    closed = np.insert(np.arange(len(coords)), offsets[1:], offsets[:-1])
    closed_offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
    polygon_offsets = np.concatenate([[0], np.cumsum(rings_per_polygon)])
    return Ragged(coords[closed], closed_offsets, polygon_offsets)


def drop_straight_vertices(
    polygons: npt.NDArray[np.object_], droppable: npt.NDArray[np.float64]
) -> npt.NDArray[np.object_]:
    """Drop vertices that lie straight between their neighbours and are among those named.

    Args:
        polygons: (P,) polygons.
        droppable: (D, 2) places where a vertex may go, in whole numbers.
    """
    _, closed, (closed_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
    coords, offsets = opened(closed, closed_offsets)
    into = coords - coords[preceding_of(offsets)]
    out_of = coords[following_of(offsets)] - coords
    straight = into[:, 0] * out_of[:, 1] == into[:, 1] * out_of[:, 0]
    is_whole = (coords == np.trunc(coords)).all(axis=1)
    keep = ~(straight & is_whole & np.isin(_keys(coords), _keys(droppable)))
    kept_offsets = np.concatenate([[0], np.cumsum(keep)])[offsets]
    return close_rings(coords[keep], kept_offsets, np.diff(polygon_offsets)).build()


def _keys(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """One number per whole-numbered point."""
    whole = points.astype(np.int64)
    return (whole[:, 1] << 32) | whole[:, 0]


def opened(
    closed: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rings without the repetition of their first vertices, and their offsets."""
    is_last = np.zeros(len(closed), dtype=np.bool_)
    is_last[offsets[1:] - 1] = True
    return closed[~is_last], offsets - np.arange(offsets.size)


def preceding_of(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Index of the vertex before each vertex of open rings."""
    before = np.arange(-1, offsets[-1] - 1)
    before[offsets[:-1]] = offsets[1:] - 1
    return before


def following_of(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Index of the vertex after each vertex of open rings."""
    after = np.arange(1, offsets[-1] + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    return after
