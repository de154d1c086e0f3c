"""Lead ends of lines on to the sides of others, with new nodes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.gaps import goes_on
from geocobot.centerlines.lines import Line
from geocobot.centerlines.network import Network, Node
from geocobot.centerlines.sides import Side
from geocobot.tracing.pixel_sizes import RowSizes

MOST_TURN_DEGREES = 30.0
"""No line turns by more where it is led on to the side of another one."""

LEAST_ANGLE_DEGREES = 35.0
"""Between a bridge and the line that it leads to: lines side by side are not joined."""

_NEAR_PX = 4.0
"""Lines are smoothed: so far from a pixel its line may run."""

_CLEAR_PX = 0.25
"""A bridge meets nothing but its two lines, and these not up to so much from its ends."""


@dataclass(frozen=True)
class _Place:
    """Where a bridge meets a line.

    Attributes:
        side: that it closes.
        key: of the line.
        along_px: from the beginning of the line.
        xy: (2,) column and row.
    """

    side: Side
    key: int
    along_px: float
    xy: npt.NDArray[np.float64]


def attach(network: Network, sides: Sequence[Side], sizes: RowSizes) -> int:
    """Lead free ends on to the sides of lines before them, over the shortest gaps; how many.

    Each end is used once. A line goes on within `MOST_TURN_DEGREES` of its direction, and its
    bridge meets no line but the one that it leads to, by `LEAST_ANGLE_DEGREES` at least.

    Args:
        network: in which ends are joined with ends already.
        sides: what was found before ends.
        sizes: of pixels on the ground.
    """
    free = [s for s in sorted(sides, key=_order) if network.degree(s.end) == 1]
    places = _places(network, free, sizes)
    if not places:
        return 0
    straight = shapely.linestrings([[network.nodes[p.side.end].xy, p.xy] for p in places])
    length = shapely.length(straight)
    clear = np.array(
        [
            shapely.LineString([line.interpolate(_CLEAR_PX), line.interpolate(n - _CLEAR_PX)])
            for line, n in zip(straight, length, strict=True)
        ]
    )
    every = np.array(
        [shapely.LineString(v.xy) for v in (*network.lines.values(), *network.rings)], dtype=object
    )
    is_free = length > 2 * _CLEAR_PX
    is_free[shapely.STRtree(every).query(clear, predicate="intersects")[0]] = False
    crossed: dict[int, list[int]] = {}
    for i, j in shapely.STRtree(straight).query(straight, predicate="intersects").T.tolist():
        crossed.setdefault(i, []).append(j)
    taken: list[_Place] = []
    for i in np.flatnonzero(is_free).tolist():
        if is_free[i]:
            is_free[crossed[i]] = False
            taken.append(places[i])
    _insert(network, taken)
    return len(taken)


def _order(side: Side) -> tuple[float, int, int]:
    """The shortest ones first, of equal ones the uppermost."""
    return side.gap_m, side.end, side.target


def _places(network: Network, sides: Sequence[Side], sizes: RowSizes) -> list[_Place]:
    """Where bridges would meet lines that are still there, if their own lines lead there."""
    keys = [*network.lines]
    if not keys or not sides:
        return []
    lines = np.array([shapely.LineString(network.lines[k].xy) for k in keys], dtype=object)
    row, col = np.divmod([s.target for s in sides], network.width)
    pixels = shapely.points(np.stack([col + 0.5, row + 0.5], axis=1))
    side, line = shapely.STRtree(lines).query_nearest(
        pixels, max_distance=_NEAR_PX, all_matches=False
    )
    along = shapely.line_locate_point(lines[line], pixels[side])
    met = shapely.get_coordinates(shapely.line_interpolate_point(lines[line], along))
    rest = shapely.length(lines[line]) - along
    before, after = (
        shapely.get_coordinates(shapely.line_interpolate_point(lines[line], np.maximum(at, 0)))
        for at in (along - _NEAR_PX, along + _NEAR_PX)
    )
    found = []
    for i, j, start, end, xy, course in zip(
        side.tolist(),
        line.tolist(),
        along.tolist(),
        rest.tolist(),
        met,
        after - before,
        strict=True,
    ):
        own = network.lines[network.at(sides[i].end)[0]]
        other = network.lines[keys[j]]
        apart = min(start, end) > other.radius[2] and own is not other
        apart &= own.class_number == other.class_number
        apart = apart and _crosses(network.nodes[sides[i].end].xy, xy, course, sizes)
        if apart and goes_on(network, sides[i].end, xy, sizes, MOST_TURN_DEGREES):
            found.append(_Place(sides[i], keys[j], start, xy))
    return found


def _crosses(
    end: npt.NDArray[np.float64],
    met: npt.NDArray[np.float64],
    course: npt.NDArray[np.float64],
    sizes: RowSizes,
) -> bool:
    """Whether the way from an end to a point on a line is not along this line's course there."""
    pixel_m = sizes.at(met[1])
    way, course = (met - end) * pixel_m, course * pixel_m
    across = abs(float(way[0] * course[1] - way[1] * course[0]))
    longest = float(np.hypot(*way) * np.hypot(*course))
    return bool(across >= longest * np.sin(np.radians(LEAST_ANGLE_DEGREES)) > 0)


def _insert(network: Network, places: Sequence[_Place]) -> None:
    """Cut lines where bridges meet them, and add these."""
    by_line: dict[int, list[_Place]] = {}
    for place in places:
        by_line.setdefault(place.key, []).append(place)
    for key, on_line in by_line.items():
        rest = network.remove(key)
        done = 0.0
        for place in sorted(on_line, key=lambda p: (p.along_px, p.side.end)):
            if place.along_px > done:
                node = -1 - place.side.end
                network.nodes[node] = Node(place.xy, rest.radius[2])
                before, rest = _cut(rest, place.along_px - done, node, place.xy)
                network.add(before)
                done = place.along_px
            network.add(_bridge(network, place, rest, node))
        network.add(rest)
    for place in places:
        network.dissolve(place.side.end)


def _bridge(network: Network, place: _Place, like: Line, node: int) -> Line:
    """From an end to a node on another line."""
    return replace(
        like,
        nodes=(place.side.end, node),
        xy=np.stack([network.nodes[place.side.end].xy, network.nodes[node].xy]),
        radius=(network.nodes[place.side.end].radius, like.radius[2], like.radius[2]),
        score_sum=place.side.score_sum,
        score_n=place.side.score_n,
        width_sum=0.0,
        width_n=0,
    )


def _cut(line: Line, at_px: float, node: int, xy: npt.NDArray[np.float64]) -> tuple[Line, Line]:
    """A line up to a node on it, and from there on; its measures are shared out by length."""
    step = np.hypot(*np.diff(line.xy, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(step)])
    n = int(np.searchsorted(along[1:-1], at_px)) + 1
    share = at_px / along[-1]
    return tuple(  # type: ignore[return-value] # two of them
        replace(
            line,
            nodes=nodes,
            xy=course,
            radius=radius,
            score_sum=line.score_sum / line.score_n * max(round(part * line.score_n), 1),
            score_n=max(round(part * line.score_n), 1),
            width_sum=line.width_sum / max(line.width_n, 1) * max(round(part * line.width_n), 1),
            width_n=max(round(part * line.width_n), 1),
        )
        for nodes, course, radius, part in (
            (
                (line.nodes[0], node),
                np.concatenate([line.xy[:n], xy[None]]),
                (line.radius[0], line.radius[2], line.radius[2]),
                share,
            ),
            (
                (node, line.nodes[1]),
                np.concatenate([xy[None], line.xy[n:]]),
                (line.radius[2], line.radius[1], line.radius[2]),
                1 - share,
            ),
        )
    )
