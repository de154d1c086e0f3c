"""Make sure that lines meet at nodes and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.shaping import GRID_PX, Shape
from geocobot.tracing.lists import offsets_of

_ROUNDS = 8


def clean_lines(
    n: int, shapes: Sequence[Shape]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Let no line cross or touch itself or another one but at its ends.

    Lines that do are simplified less; those that still do get nodes where they meet.

    Args:
        n: how many lines there are.
        shapes: draw them, simplified less and less.

    Returns:
        (M,) lines, and (M,) which of those given each is, or is a part of.
    """
    draw, *in_more_detail = shapes
    source = np.arange(n)
    source = source[shapely.length(shapes[-1](source)) > 0]
    lines = draw(source)
    changed = np.arange(len(source))
    for draw in in_more_detail:
        changed = np.flatnonzero(conflicts(lines, changed))
        lines[changed] = draw(source[changed])
    bad = conflicts(lines, changed)
    for _ in range(_ROUNDS):
        if not bad.any():
            break
        parts, part_of = _noded(lines[bad])
        lines = np.concatenate([lines[~bad], parts])
        source = np.concatenate([source[~bad], source[bad][part_of]])
        bad = conflicts(lines, np.arange(len(lines) - len(parts), len(lines)))
    order = np.argsort(source, kind="stable")
    return lines[order], source[order]


def conflicts(
    lines: npt.NDArray[np.object_], changed: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.bool_]:
    """Which lines (N,) meet themselves or others elsewhere than at ends of both.

    Args:
        lines: all of them.
        changed: those that may do, by their numbers, or their meeting others; None for all.
    """
    if changed is None:
        changed = np.arange(len(lines))
    bad = np.zeros(len(lines), dtype=bool)
    bad[changed] = ~shapely.is_simple(lines[changed]) | (shapely.length(lines[changed]) == 0)
    if not changed.size:
        return bad
    is_changed = np.zeros(len(lines), dtype=bool)
    is_changed[changed] = True
    a, b = shapely.STRtree(lines).query(lines[changed])
    a = changed[a]
    once = (a < b) | (~is_changed[b] & (a != b))
    a, b = a[once], b[once]
    shapely.prepare(lines[changed])
    meet = shapely.intersects(lines[a], lines[b])
    a, b = a[meet], b[meet]
    shared = shapely.intersection(lines[a], lines[b])
    is_point = np.isin(
        shapely.get_type_id(shared),
        (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT),
    )
    at_ends = np.ones(len(a), dtype=bool)
    xy, pair = shapely.get_coordinates(shared, return_index=True)
    ends = _ends_of(lines)
    for index in (a, b):
        is_end = (xy[:, None] == ends[index[pair]]).all(axis=2).any(axis=1)
        at_ends[pair[~is_end]] = False
    meets = ~(is_point & at_ends)
    bad[a[meets]] = True
    bad[b[meets]] = True
    return bad


def _ends_of(lines: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Both ends of every line (N, 2, 2)."""
    xy = shapely.get_coordinates(lines)
    offsets = offsets_of(shapely.get_num_coordinates(lines))
    return np.stack([xy[offsets[:-1]], xy[offsets[1:] - 1]], axis=1)


def _noded(
    lines: npt.NDArray[np.object_],
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Lines cut where they meet, what several have in common only once; and which each is of."""
    whole = lines[shapely.length(lines) > 0]
    if not whole.size:
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
    parts = shapely.get_parts(shapely.union_all(whole, grid_size=GRID_PX))
    middle = shapely.line_interpolate_point(parts, 0.5, normalized=True)
    part, nearest = shapely.STRtree(lines).query_nearest(middle, all_matches=False)
    return parts[part], nearest
