"""Lead ends of lines on to the sides of others, with new nodes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.gaps import straightness
from geocobot.centerlines.lines import Line
from geocobot.centerlines.network import Network, Node
from geocobot.centerlines.sides import Side
from geocobot.tracing.pixel_sizes import RowSizes

MOST_TURN_DEGREES = 30.0
"""No line turns by more where it is led on to the side of another one."""

LEAST_ANGLE_DEGREES = 35.0
"""Between a bridge and the line that it leads to: lines side by side are not joined."""

_LEAST_STRAIGHTNESS = float(np.cos(np.radians(MOST_TURN_DEGREES)))

_NEAR_PX = 4.0
"""Lines are smoothed: so far from a pixel its line may run."""

_CLEAR_PX = 0.25
"""A bridge meets nothing but its two lines, and these not up to so much from its ends."""


@dataclass(frozen=True)
class _Place:
    """Where a bridge meets a line.

    Attributes:
        side: that it closes.
        key: of the line; -1 of the first ring, -2 of the second one, and so on.
        along_px: from the beginning of the line.
        xy: (2,) column and row.
        straightness: cosine of the angle by which the line turns to go on there.
    """

    side: Side
    key: int
    along_px: float
    xy: npt.NDArray[np.float64]
    straightness: float

    @property
    def order(self) -> tuple[float, int, int]:
        """Short and straight ones first, of equal ones the uppermost."""
        return self.side.gap_m / self.straightness**2, self.side.end, self.side.target


def attach(network: Network, sides: Sequence[Side], sizes: RowSizes) -> int:
    """Lead free ends on to the sides of lines before them, over short gaps first; how many.

    Each end is used once. A line goes on within `MOST_TURN_DEGREES` of its direction, and its
    bridge meets no line but the one that it leads to, by `LEAST_ANGLE_DEGREES` at least. A gap
    that is entered at an angle counts as longer: what differs by less than a pixel is decided by
    which way is straighter.

    Args:
        network: in which ends are joined with ends already.
        sides: what was found before ends.
        sizes: of pixels on the ground.
    """
    free = [s for s in sides if network.degree(s.end) == 1]
    places = sorted(_places(network, free, sizes), key=lambda place: place.order)
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


def _places(network: Network, sides: Sequence[Side], sizes: RowSizes) -> list[_Place]:
    """Where bridges would meet lines that are still there, if their own lines lead there."""
    by_key = network.lines | {-1 - i: ring for i, ring in enumerate(network.rings)}
    keys = [*by_key]
    if not keys or not sides:
        return []
    lines = np.array([shapely.LineString(line.xy) for line in by_key.values()], dtype=object)
    row, col = np.divmod([s.target for s in sides], network.width)
    pixels = shapely.points(np.stack([col + 0.5, row + 0.5], axis=1))
    side, line = shapely.STRtree(lines).query_nearest(
        pixels, max_distance=_NEAR_PX, all_matches=False
    )
    along = shapely.line_locate_point(lines[line], pixels[side])
    met = shapely.get_coordinates(shapely.line_interpolate_point(lines[line], along))
    length = shapely.length(lines[line])
    rest = length - along
    is_ring = np.array([keys[j] < 0 for j in line.tolist()], dtype=bool) & (length > 0)
    around = np.where(is_ring, length, np.inf)
    before, after = (
        shapely.get_coordinates(
            shapely.line_interpolate_point(
                lines[line], np.where(is_ring, at % around, np.maximum(at, 0))
            )
        )
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
        other = by_key[keys[j]]
        apart = other.is_ring or (min(start, end) > other.radius[2] and own is not other)
        apart &= own.class_number == other.class_number
        apart = apart and _crosses(network.nodes[sides[i].end].xy, xy, course, sizes)
        straight = straightness(network, sides[i].end, xy, sizes)
        if apart and straight >= _LEAST_STRAIGHTNESS:
            found.append(_Place(sides[i], keys[j], start, xy, straight))
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
    rings = network.rings
    network.rings = [ring for i, ring in enumerate(rings) if -1 - i not in by_line]
    for key, on_line in by_line.items():
        on_line.sort(key=lambda p: (p.along_px, p.side.end))
        if key < 0:
            first = on_line[0]
            done, node = first.along_px, _node_of(network, first, rings[-1 - key])
            rest = _opened(rings[-1 - key], done, node, first.xy)
        else:
            done, rest = 0.0, network.remove(key)
            node = rest.nodes[0]
        for place in on_line:
            if place.along_px > done:
                node = _node_of(network, place, rest)
                before, rest = _cut(rest, place.along_px - done, node, place.xy)
                network.add(before)
                done = place.along_px
            network.add(_bridge(network, place, rest, node))
        network.add(rest)
    for place in places:
        network.dissolve(place.side.end)


def _node_of(network: Network, place: _Place, on: Line) -> int:
    """A new node, where a bridge meets a line."""
    node = -1 - place.side.end
    network.nodes[node] = Node(place.xy, on.radius[2])
    return node


def _opened(ring: Line, at_px: float, node: int, xy: npt.NDArray[np.float64]) -> Line:
    """A ring as a line from a node on it around to there."""
    n = _points_before(ring, at_px)
    course = np.concatenate([xy[None], ring.xy[n:], ring.xy[1:n], xy[None]])
    return replace(ring, nodes=(node, node), is_ring=False, xy=course, radius=(ring.radius[2],) * 3)


def _points_before(line: Line, at_px: float) -> int:
    """How many of its points a line passes up to a place between its ends."""
    along = np.cumsum(np.hypot(*np.diff(line.xy, axis=0).T))
    return int(np.searchsorted(along[:-1], at_px)) + 1


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
    n = _points_before(line, at_px)
    share = at_px / line.length_px
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
