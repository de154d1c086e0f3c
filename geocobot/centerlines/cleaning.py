"""Make sure that lines meet at nodes and nowhere else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.shaping import GRID_PX, Shaped

_ROUNDS = 8


def clean_lines(
    shaped: Shaped,
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Let no line cross or touch itself or another one but at its ends.

    Lines that do are simplified less; those that still do get nodes where they meet.

    Args:
        shaped: lines, and the same simplified less and less.

    Returns:
        (M,) lines, and (M,) which of those given each is, or is a part of.
    """
    lines, *in_more_detail = shaped.geometry
    lines, source = lines.copy(), np.arange(len(lines))
    for detailed in in_more_detail:
        bad = conflicts(lines)
        lines[bad] = detailed[bad]
    for _ in range(_ROUNDS):
        bad = conflicts(lines)
        if not bad.any():
            break
        parts, part_of = _noded(lines[bad])
        lines = np.concatenate([lines[~bad], parts])
        source = np.concatenate([source[~bad], source[bad][part_of]])
    order = np.argsort(source, kind="stable")
    return lines[order], source[order]


def conflicts(lines: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Which lines (N,) meet themselves or others elsewhere than at ends of both."""
    bad = ~shapely.is_simple(lines) | (shapely.length(lines) == 0)
    a, b = shapely.STRtree(lines).query(lines, predicate="intersects")
    a, b = a[a < b], b[a < b]
    shared = shapely.intersection(lines[a], lines[b])
    is_point = np.isin(
        shapely.get_type_id(shared),
        (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT),
    )
    at_ends = np.ones(len(a), dtype=bool)
    xy, pair = shapely.get_coordinates(shared, return_index=True)
    for index in (a, b):
        ends = [shapely.get_coordinates(shapely.get_point(lines[index], i)) for i in (0, -1)]
        is_end = (xy == ends[0][pair]).all(axis=1) | (xy == ends[1][pair]).all(axis=1)
        at_ends[pair[~is_end]] = False
    meets = ~(is_point & at_ends)
    bad[a[meets]] = True
    bad[b[meets]] = True
    return np.asarray(bad)


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
