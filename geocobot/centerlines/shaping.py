"""Give lines their final course: junctions placed, corners simplified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.courses import junctions, trimmed
from geocobot.centerlines.lines import Lines, nodes_of
from geocobot.tracing.lists import elements, offsets_of, owners
from geocobot.tracing.pixel_sizes import RowSizes

GRID_PX = 2.0**-10
"""All coordinates are multiples of this, so that lines that meet share their node exactly."""

_SHARES = (1.0, 0.5, 0.25)
"""Of the tolerance: lines that would meet others are simplified less."""

Shape: TypeAlias = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.object_]]
"""Draws some of the lines, by their numbers."""


def shape_lines(
    lines: Lines, sizes: RowSizes, tolerance_m: float, shape: tuple[int, int]
) -> Sequence[Shape]:
    """Draw lines in pixels of the scene, x = column, y = row (downwards).

    Thinning pulls a junction, and what is within the class's width of it, towards the wider side.
    So junctions are put where the lines that lead to them would meet, and lines go there straight.
    Lines that would meet beyond the scene meet at its edge.

    Args:
        lines: pruned and joined.
        sizes: of pixels on the ground.
        tolerance_m: lines keep within so much of their course when corners are left out.
        shape: rows and columns of the scene.

    Returns:
        What draws them, from those simplified most to those not simplified.
    """
    within = replace(lines, xy=np.clip(lines.xy, 0, shape[::-1]))
    xy, offsets = _snapped(*_drawn(within, shape))
    on_grid = shapely.linestrings(xy, indices=owners(offsets))
    if not tolerance_m:
        return [partial(np.take, on_grid)]
    simplify = partial(_simplified, xy, offsets, on_grid, sizes)
    shares = [partial(simplify, tolerance_m=share * tolerance_m) for share in _SHARES]
    return [*shares, partial(np.take, on_grid)]


def _drawn(
    lines: Lines, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The courses of lines between the places of their nodes: points and offsets."""
    xy, offsets, is_line = lines.xy, lines.offsets, ~lines.is_ring
    place, is_junction = _placed(lines, shape)
    # The inside of a line from a junction to itself stays.
    is_loop = is_line & (lines.nodes[:, 0] == lines.nodes[:, 1])
    reach = np.where(
        is_loop[:, None], np.minimum(lines.reach, lines.lengths_px()[:, None] / 4), lines.reach
    )
    inner, own = trimmed(xy, offsets, cut=is_junction, center=place, radius=reach, is_loop=is_loop)
    before, after = is_junction.T
    more = offsets_of(np.diff(own) + before + after)
    drawn = np.empty((more[-1], 2))
    drawn[np.arange(len(inner)) + (more[:-1] + before - own[:-1])[owners(own)]] = inner
    drawn[more[:-1][before]] = place[before, 0]
    drawn[more[1:][after] - 1] = place[after, 1]
    return drawn, more


def _placed(
    lines: Lines, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Where the ends of lines are put (N, 2, 2), and which of them (N, 2) are at junctions."""
    node, degree = nodes_of(lines)
    is_junction = (degree > 2)[node] & ~lines.is_ring[:, None]
    radius, reach = np.zeros(degree.size), np.zeros(degree.size)
    radius[node], reach[node] = lines.radius[:, :2], lines.reach
    met, ends = junctions(lines.xy, lines.offsets, node, is_junction, radius=radius, reach=reach)
    met = np.clip(met, 0, shape[::-1])
    return np.where(is_junction[..., None], met[node], ends), is_junction


def _snapped(
    xy: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Lines on the grid, no point the same as the one before, two at least; points and offsets."""
    on_grid = np.rint(xy / GRID_PX) * GRID_PX
    kept = np.ones(len(xy), dtype=bool)
    kept[1:] = np.any(np.diff(on_grid, axis=0) != 0, axis=1)
    kept[offsets[:-1]] = True
    count = np.bincount(owners(offsets)[kept], minlength=offsets.size - 1)
    kept[offsets[1:][count < 2] - 1] = True
    return on_grid[kept], offsets_of(np.maximum(count, 2))


def _simplified(
    xy: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.int64],
    on_grid: npt.NDArray[np.object_],
    sizes: RowSizes,
    index: npt.NDArray[np.int64],
    *,
    tolerance_m: float,
) -> npt.NDArray[np.object_]:
    """Some lines without corners within a tolerance; closed ones keep four points at least."""
    points, own = elements(offsets, index)
    owner, n = owners(own), len(index)
    whole = xy[points]
    middle = np.bincount(owner, weights=whole[:, 1], minlength=n) / np.diff(own)
    pixel_m = sizes.at(middle)
    on_ground = shapely.linestrings(whole * pixel_m[owner], indices=owner)
    simple = shapely.simplify(on_ground, tolerance_m, preserve_topology=False)
    found, line = shapely.get_coordinates(simple, return_index=True)
    found, ends = _snapped(found / pixel_m[line], offsets_of(np.bincount(line, minlength=n)))
    found[ends[:-1]], found[ends[1:] - 1] = whole[own[:-1]], whole[own[1:] - 1]
    lines = shapely.linestrings(found, indices=owners(ends))
    is_closed = (whole[own[:-1]] == whole[own[1:] - 1]).all(axis=1)
    stays = is_closed & (np.diff(ends) < 4)
    lines[stays] = on_grid[index[stays]]
    return np.asarray(lines)
