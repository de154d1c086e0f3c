"""Gaps between ends of lines, and what the scores say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import KDTree

from geocobot.centerlines.lines import Line, shortened
from geocobot.centerlines.network import Network
from geocobot.centerlines.thinning import MAX_HALF_WIDTH_PX
from geocobot.classes import ClassSpec
from geocobot.steps import NODATA, SCORE_SCALE
from geocobot.tracing.pixel_sizes import RowSizes

SUPPORT = 0.5
"""A gap is bridged where the mean score along it is at least this share of the threshold."""

MOST_TURN_DEGREES = 45.0
"""No line turns by more where it enters a gap."""

_LEAST_STRAIGHTNESS = float(np.cos(np.radians(MOST_TURN_DEGREES)))

_SAMPLES_PER_PX = 2


@dataclass(frozen=True)
class Gap:
    """Two ends of lines of a class that could belong together.

    Attributes:
        ends: their pixels, as flat indices of the scene.
        gap_m: how much of the straight line between them lies outside the class, on the ground.
        score_sum: of the class there, in steps.
        score_n: of so many pixels.
    """

    ends: tuple[int, int]
    gap_m: float
    score_sum: float
    score_n: int


class GapFinder:
    """Takes the ends of lines from top to bottom and finds gaps between them.

    Args:
        classes: of the planes of scores.
        most_m: the longest gap.
        sizes: of pixels on the ground.
        width: of the scene, in pixels.
    """

    def __init__(
        self, classes: Sequence[ClassSpec], most_m: float, sizes: RowSizes, width: int
    ) -> None:
        self._classes = {spec.number: (i, spec) for i, spec in enumerate(classes)}
        self._most_m = most_m
        self._sizes = sizes
        self._width = width
        self.reach_px = int(np.ceil(most_m / sizes.least_m)) + 2 * MAX_HALF_WIDTH_PX + 2
        """Rows above an end in which the other one may lie."""
        self._ends = np.empty((0, 3))

    def add(
        self,
        ends: npt.NDArray[np.float64],
        first_row: int,
        labels: npt.NDArray[np.uint8],
        planes: npt.NDArray[np.uint8],
        row_off: int,
    ) -> Iterator[Gap]:
        """Find the gaps between the next ends, and between them and earlier ones.

        Args:
            ends: (N, 3) flat index, class and distance to the outline in pixels of each.
            first_row: of the window that the ends lie in.
            labels: (n, W) class numbers, of `reach_px` rows above the window and of its own.
            planes: (K, n, W) scores of all classes, in steps.
            row_off: row of the scene that these start with.
        """
        ends = ends[ends[:, 2] <= MAX_HALF_WIDTH_PX]
        rows = self._ends[:, 0] // self._width
        known = np.concatenate([self._ends[rows >= first_row - self.reach_px], ends])
        n_old = len(known) - len(ends)
        self._ends = known
        if not len(ends):
            return
        row, col = np.divmod(known[:, 0].astype(np.int64), self._width)
        most_px = self._most_m / self._sizes.least_m + 2 * known[:, 2].max() + 4
        pairs = KDTree(np.stack([row, col], axis=1)).query_pairs(most_px, output_type="ndarray")
        a, b = np.sort(pairs, axis=1).T
        pixel_m = self._sizes.at((row[a] + row[b]) / 2 + 0.5)
        away_m = np.hypot(*((np.stack([col[a] - col[b], row[a] - row[b]], 1)) * pixel_m).T)
        beyond_px = np.hypot(row[a] - row[b], col[a] - col[b]) - known[a, 2] - known[b, 2] - 2
        share = beyond_px / np.hypot(row[a] - row[b], col[a] - col[b])
        near = (b >= n_old) & (known[a, 1] == known[b, 1]) & (share * away_m <= self._most_m)
        for i, j, length_m in zip(a[near], b[near], away_m[near], strict=True):
            place = np.array([[row[i] - row_off, col[i]], [row[j] - row_off, col[j]]])
            found = self._look(int(known[i, 1]), place, labels, planes)
            if found is not None and found[0] * length_m <= self._most_m:
                pixels = sorted((int(known[i, 0]), int(known[j, 0])))
                yield Gap((pixels[0], pixels[1]), float(found[0] * length_m), found[1], found[2])

    def _look(
        self,
        number: int,
        place: npt.NDArray[np.int64],
        labels: npt.NDArray[np.uint8],
        planes: npt.NDArray[np.uint8],
    ) -> tuple[float, float, int] | None:
        """Share of a straight line outside a class, and the class's scores there.

        None where they do not support a bridge.
        """
        index, spec = self._classes[number]
        n = int(_SAMPLES_PER_PX * np.hypot(*(place[1] - place[0]))) + 2
        # Counted from the first end, so that halves are rounded alike in whichever row it lies.
        row, col = (
            (place[0] + np.floor(np.linspace(0.5, place[1] - place[0] + 0.5, n))).astype(int).T
        )
        outside = labels[row, col] != number
        steps = planes[index, row[outside], col[outside]]
        if not steps.size or (steps == NODATA).any():
            return None
        if steps.mean() < SUPPORT * spec.threshold * SCORE_SCALE:
            return None
        pixels = max(round(steps.size / _SAMPLES_PER_PX), 1)
        return float(outside.mean()), float(steps.mean() * pixels), pixels


def bridge(network: Network, gaps: Sequence[Gap], sizes: RowSizes) -> int:
    """Close gaps, the shortest ones first; how many.

    Each end is used once. Lines go on within `MOST_TURN_DEGREES` of their direction, and a bridge
    meets no other line.
    """
    fitting = [g for g in sorted(gaps, key=_gap_length) if _fits(network, g, sizes)]
    if not fitting:
        return 0
    xy = np.array([[network.nodes[end].xy for end in gap.ends] for gap in fitting])
    straight = shapely.linestrings(xy)
    free = ~_meets_lines(network, straight, xy)
    crossed: dict[int, list[int]] = {}
    for i, j in shapely.STRtree(straight).query(straight, predicate="intersects").T.tolist():
        crossed.setdefault(i, []).append(j)
    count = 0
    for i in np.flatnonzero(free).tolist():
        a, b = fitting[i].ends
        if not free[i] or network.degree(a) != 1 or network.degree(b) != 1:
            continue
        if network.at(a) == network.at(b):
            continue
        free[crossed[i]] = False
        network.add(_as_line(network.lines[network.at(a)[0]], fitting[i], xy[i]))
        network.dissolve(a)
        network.dissolve(b)
        count += 1
    return count


def _gap_length(gap: Gap) -> tuple[float, tuple[int, int]]:
    """The shortest ones first, of equal ones the uppermost."""
    return gap.gap_m, gap.ends


def _fits(network: Network, gap: Gap, sizes: RowSizes) -> bool:
    """Whether both ends are ends still, and their lines lead to one another."""
    a, b = gap.ends
    if network.degree(a) != 1 or network.degree(b) != 1:
        return False
    to_b, to_a = network.nodes[b].xy, network.nodes[a].xy
    return goes_on(network, a, to_b, sizes) and goes_on(network, b, to_a, sizes)


def _meets_lines(
    network: Network, straight: npt.NDArray[np.object_], xy: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Which bridges (N,), from and to `xy` (N, 2, 2), meet a line elsewhere than at their ends."""
    every = (*network.lines.values(), *network.rings)
    lines = np.array([shapely.LineString(line.xy) for line in every], dtype=object)
    bridge, line = shapely.STRtree(lines).query(straight, predicate="intersects")
    shared = shapely.intersection(straight[bridge], lines[line])
    point, pair = shapely.get_coordinates(shared, return_index=True)
    ends = xy[bridge[pair]]
    is_end = (point[:, None] == ends).all(axis=2).any(axis=1)
    meets = np.zeros(len(straight), dtype=bool)
    meets[bridge[pair[~is_end]]] = True
    is_line = shapely.length(shared) > 0
    meets[bridge[is_line]] = True
    return meets


def _as_line(like: Line, gap: Gap, xy: npt.NDArray[np.float64]) -> Line:
    """A bridge."""
    return Line(
        class_number=like.class_number,
        nodes=gap.ends,
        is_ring=False,
        xy=xy,
        radius=(like.radius[2],) * 3,
        score_sum=gap.score_sum,
        score_n=gap.score_n,
        width_sum=0.0,
        width_n=0,
    )


def goes_on(
    network: Network,
    node: int,
    towards: npt.NDArray[np.float64],
    sizes: RowSizes,
) -> bool:
    """Whether the line that ends at a node goes on to a point within `MOST_TURN_DEGREES`."""
    return straightness(network, node, towards, sizes) >= _LEAST_STRAIGHTNESS


def straightness(
    network: Network, node: int, towards: npt.NDArray[np.float64], sizes: RowSizes
) -> float:
    """Cosine of the angle by which the line that ends at a node turns to go on to a point."""
    line = network.lines[network.at(node)[0]]
    end, radius = network.nodes[node].xy, network.nodes[node].radius
    from_end = line.xy if line.nodes[0] == node else line.xy[::-1]
    # What it does in the last width before its end says little of its direction.
    near = shortened(from_end, end, radius)[0]
    far = shortened(from_end, end, 3 * radius + 4)[0]
    back = near - far if np.any(near != far) else end - far
    if not np.any(back):
        back = end - from_end[-1]
    pixel_m = sizes.at(end[1])
    back, ahead = back * pixel_m, (towards - end) * pixel_m
    return float(back @ ahead) / max(float(np.hypot(*back) * np.hypot(*ahead)), 1e-12)
