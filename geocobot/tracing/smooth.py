"""Round polygons that touch together, so that shared borders stay shared."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.rings import close_rings, following_of, opened, preceding_of
from geocobot.tracing.simplify import is_sound, members

Points = npt.NDArray[np.float64]

# A corner that turns less than the first angle becomes a chord, one that turns less than the second
# a curve of two, others one of four.
_FEW_DEGREES, _MANY_DEGREES = 15.0, 50.0

logger = logging.getLogger("geocobot.tracing")


def smooth_groups(
    polygons: npt.NDArray[np.object_],
    group: npt.NDArray[np.int64],
    pixel_m: npt.NDArray[np.float64],
    radius_m: float,
    *,
    fixed: npt.NDArray[np.bool_],
    edges: tuple[Sequence[float], Sequence[float]],
) -> npt.NDArray[np.object_]:
    """Round the corners of groups of polygons.

    Corners of a staircase, which turn the other way than those beside them, are cut off; then
    every corner becomes the curve that corner cutting (Chaikin) ends in, a parabola from one of
    its edges to the other. A corner keeps to the triangle that it spans, and stays where a vertex
    lies in there, so that no outline can run into another. Those in which three outlines meet,
    and those on the edges, stay.

    Args:
        polygons: (N,) valid coverages, in pixels of the scene.
        group: (N,) the group of each.
        pixel_m: width and height (2,) of a pixel on the ground, in metres.
        radius_m: how far along an edge a corner is rounded; half of the edge at most.
        fixed: (N,) whose outlines, shared ones too, stay.
        edges: columns and rows on which vertices stay.

    Returns:
        (N,) polygons in pixels of the scene; those of a group that would overlap as they were.
    """
    round_ = partial(_rounded, edges=edges, pixel_m=pixel_m, radius_m=radius_m)
    smooth = round_(polygons, fixed)
    if is_sound(smooth):
        return smooth
    for own in members(group, np.ones(len(group), dtype=np.bool_)):
        smooth[own] = round_(polygons[own], fixed[own])
        if not is_sound(smooth[own]):
            logger.warning("%d polygons could not be smoothed without overlaps", len(own))
            smooth[own] = polygons[own]
    return smooth


def _rounded(
    polygons: npt.NDArray[np.object_],
    fixed: npt.NDArray[np.bool_],
    edges: tuple[Sequence[float], Sequence[float]],
    pixel_m: npt.NDArray[np.float64],
    radius_m: float,
) -> npt.NDArray[np.object_]:
    """Round corners, whatever comes of it; see `smooth_groups`."""
    _, closed, (offsets, parts) = shapely.to_ragged_array(polygons)
    xy, offsets = opened(closed, offsets)
    vertex = _vertex_numbers(xy)
    stays = _is_node(vertex, offsets)
    stays |= np.isin(xy[:, 0], edges[0]) | np.isin(xy[:, 1], edges[1])
    of_polygon = np.repeat(np.arange(len(polygons)), np.diff(offsets[parts]))
    stays |= np.isin(vertex, vertex[fixed[of_polygon]])
    outline = _Outline(xy, offsets, stays, pixel_m)
    for is_curve in (False, True):
        outline = outline.cut(radius_m, is_curve=is_curve)
    return close_rings(outline.xy, outline.offsets, np.diff(parts)).build()


@dataclass(frozen=True)
class _Outline:
    """Open rings: vertices (V, 2), offsets (R + 1,), which vertices stay (V,), metres per pixel."""

    xy: Points
    offsets: npt.NDArray[np.int64]
    stays: npt.NDArray[np.bool_]
    pixel_m: Points

    def cut(self, radius_m: float, *, is_curve: bool) -> _Outline:
        """Cut the corners of staircases, or round all corners."""
        corner, before = self.xy, self.xy[preceding_of(self.offsets)]
        after = self.xy[following_of(self.offsets)]
        turn = _cross(corner - before, after - corner)
        wanted = ~self.stays & (turn != 0)
        if not is_curve:
            for beside in (preceding_of(self.offsets), following_of(self.offsets)):
                # How an outline turns where it stays may differ between both sides of a border.
                wanted &= (turn * turn[beside] < 0) | self.stays[beside]
        start, end = self._toward(before, radius_m), self._toward(after, radius_m)
        wanted[wanted] = _are_empty(start[wanted], corner[wanted], end[wanted], corner)
        angle = np.degrees(np.arctan2(np.abs(turn), _dot(corner - before, after - corner)))
        points = [start, end]
        uses = [wanted, wanted]
        if is_curve:
            # Sums of two first, so that both polygons along a border round alike.
            curved, much = wanted & (angle > _FEW_DEGREES), wanted & (angle > _MANY_DEGREES)
            quarter = ((9 * start + end) + 6 * corner) / 16
            half = ((start + end) + 2 * corner) / 4
            other_quarter = ((start + 9 * end) + 6 * corner) / 16
            points = [start, quarter, half, other_quarter, end]
            uses = [wanted, much, curved, much, wanted]
        points.append(corner)
        uses.append(~wanted)
        return self._with(np.stack(points, axis=1), np.stack(uses, axis=1))

    def _toward(self, other: Points, radius_m: float) -> Points:
        """From each vertex to the radius, or half the way, to another one."""
        step = other - self.xy
        length_m = np.hypot(*(step * self.pixel_m).T)
        near = self.xy + step * (radius_m / np.maximum(length_m, radius_m))[:, None]
        is_half = (length_m <= 2 * radius_m)[:, None]
        return np.where(is_half, (self.xy + other) / 2, near)

    def _with(self, points: npt.NDArray[np.float64], uses: npt.NDArray[np.bool_]) -> _Outline:
        """Put (V, P) points in the places of the vertices, those used, none twice in a row."""
        count = uses.sum(axis=1)
        xy = points[uses]
        stays = np.repeat(self.stays, count)
        offsets = np.concatenate([[0], np.cumsum(count)])[self.offsets]
        keep = (xy != xy[preceding_of(offsets)]).any(axis=1)
        kept = np.concatenate([[0], np.cumsum(keep)])[offsets]
        return _Outline(xy[keep], kept, stays[keep], self.pixel_m)


def _vertex_numbers(xy: Points) -> npt.NDArray[np.int64]:
    """(V,) one number for each place."""
    order = np.lexsort([xy[:, 1], xy[:, 0]])
    is_new = np.ones(len(xy), dtype=np.bool_)
    is_new[1:] = (np.diff(xy[order], axis=0) != 0).any(axis=1)
    number = np.empty(len(xy), dtype=np.int64)
    number[order] = np.cumsum(is_new) - 1
    return number


def _is_node(
    vertex: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which vertices (V,) have another number of different edges than two."""
    other = vertex[following_of(offsets)]
    low, high = np.minimum(vertex, other), np.maximum(vertex, other)
    edges = np.unique(low * (vertex.max(initial=0) + 1) + high)
    ends = np.concatenate(np.divmod(edges, vertex.max(initial=0) + 1))
    return np.asarray(np.bincount(ends)[vertex] != 2)


def _are_empty(a: Points, b: Points, c: Points, vertices: Points) -> npt.NDArray[np.bool_]:
    """Which triangles (T,) hold no vertex but their own corner `b`."""
    triangles = shapely.polygons(np.stack([a, b, c, a], axis=1))
    triangle, vertex = shapely.STRtree(shapely.points(vertices)).query(
        triangles, predicate="intersects"
    )
    is_other = (vertices[vertex] != b[triangle]).any(axis=1)
    empty = np.ones(len(triangles), dtype=np.bool_)
    empty[triangle[is_other]] = False
    return empty


def _cross(a: Points, b: Points) -> Points:
    """Cross products."""
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _dot(a: Points, b: Points) -> Points:
    """Scalar products."""
    return np.asarray(a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1])
