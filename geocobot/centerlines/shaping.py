"""Give the lines of a network their final course: junctions placed, corners simplified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.lines import Line, shortened
from geocobot.centerlines.network import Network, Node
from geocobot.tracing.pixel_sizes import RowSizes

GRID_PX = 2.0**-10
"""All coordinates are multiples of this, so that lines that meet share their node exactly."""

_SHARES = (1.0, 0.5, 0.25)
"""Of the tolerance: lines that would meet others are simplified less."""


@dataclass(frozen=True)
class Shaped:
    """Lines in their final course.

    Attributes:
        geometry: (N,) lines in pixels of the scene, x = column, y = row (downwards), from those
            simplified most to those not simplified.
        lines: (N,) what is known of each.
    """

    geometry: Sequence[npt.NDArray[np.object_]]
    lines: Sequence[Line]


def shape_lines(network: Network, sizes: RowSizes, tolerance_m: float) -> Shaped:
    """Draw the lines of a network.

    Thinning pulls a junction, and what is within the class's width of it, towards the wider side.
    So junctions are put where the lines that lead to them would meet, and lines go there straight.

    Args:
        network: pruned and joined.
        sizes: of pixels on the ground.
        tolerance_m: lines keep within so much of their course when corners are left out.
    """
    place = {
        node: network.meeting_point(node) if network.degree(node) > 2 else network.nodes[node].xy
        for node in network.nodes
    }
    lines = list(network.lines.values())
    detailed = [_drawn(network, line, place) for line in lines] + [r.xy for r in network.rings]
    lines += network.rings
    on_grid = np.array([shapely.LineString(_snapped(xy)) for xy in detailed], dtype=object)
    simple = [
        np.array([_simplified(line, sizes, share * tolerance_m) for line in on_grid], dtype=object)
        for share in _SHARES
    ]
    return Shaped([*simple, on_grid], lines)


def _drawn(
    network: Network, line: Line, place: dict[int, npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """The course of a line between the places of its nodes."""
    xy = line.xy
    start, end = line.nodes
    middle = xy[len(xy) // 2] if len(xy) > 2 else xy.mean(axis=0)
    for node in (end, start):
        xy = xy[::-1]
        if network.degree(node) > 2:
            xy = shortened(xy, place[node], _left_out(network.nodes[node], line))
    inner = xy if len(xy) > 1 else middle[None]
    if len(xy) == 1 and start != end:
        inner = np.empty((0, 2))
    free = [network.degree(node) <= 2 for node in line.nodes]
    if len(inner) > 1:
        inner = inner[int(free[0]) : len(inner) - int(free[1])]
    return np.concatenate([place[start][None], inner, place[end][None]])


def _left_out(node: Node, line: Line) -> float:
    """How far from a junction a line is drawn straight; the inside of a loop stays."""
    most = line.length_px / 4 if line.nodes[0] == line.nodes[1] else np.inf
    return min(node.reach, most)


def _snapped(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Coordinates on the grid, none the same as the one before."""
    on_grid = np.rint(xy / GRID_PX) * GRID_PX
    changes = np.any(np.diff(on_grid, axis=0) != 0, axis=1)
    kept = on_grid[np.concatenate([[True], changes])]
    return kept if len(kept) > 1 else on_grid[[0, -1]]


def _simplified(
    line: shapely.LineString, sizes: RowSizes, tolerance_m: float
) -> shapely.LineString:
    """Leave out corners; a ring keeps four points at least."""
    xy = shapely.get_coordinates(line)
    pixel_m = sizes.at(xy[:, 1].mean())
    on_ground = shapely.LineString(xy * pixel_m)
    simple = shapely.get_coordinates(on_ground.simplify(tolerance_m, preserve_topology=False))
    simple = _snapped(simple / pixel_m)
    simple[0], simple[-1] = xy[0], xy[-1]
    is_closed = line.is_ring or bool((xy[0] == xy[-1]).all())
    return shapely.LineString(simple) if len(simple) > 3 or not is_closed else line
