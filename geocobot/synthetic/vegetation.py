"""Trees: in gardens, parks and woods, along roads and hedges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from geocobot.synthetic.blocks import Block, Use
from geocobot.synthetic.buildings import Settlement
from geocobot.synthetic.frame import Canvas, Points, rgb, rng_for
from geocobot.synthetic.light import Sun
from geocobot.synthetic.network import Network
from geocobot.synthetic.noise import Relief
from geocobot.synthetic.stream import Stream

_AREA_PER_TREE_M2: dict[Use, float] = {
    "homes": 150.0,
    "yard": 900.0,
    "park": 150.0,
    "meadow": 1500.0,
    "field": 6000.0,
    "fallow": 9000.0,
    "forest": 24.0,
}
_OVERHANG = 0.75
"""Share of its radius that a crown keeps off the asphalt, at least."""

_GREENS = (rgb(84, 102, 60), rgb(72, 92, 58), rgb(98, 112, 68), rgb(112, 120, 76), rgb(76, 88, 62))


@dataclass(frozen=True)
class Trees:
    """All trees of a place.

    Attributes:
        xy: (N, 2) stems.
        radius_m: (N,) of the crowns.
        height_m: (N,) of the tops.
    """

    xy: Points
    radius_m: Points
    height_m: Points


def plan_trees(
    seed: int,
    network: Network,
    stream: Stream,
    blocks: Sequence[Block],
    settlement: Settlement,
) -> Trees:
    """Plant trees by the use of the land, along roads and stream, off asphalt and roofs."""
    rng = rng_for(seed, "trees")
    stems = [_scatter(rng, block) for block in blocks]
    stems += [_along_roads(rng, network), _along_stream(rng, stream)]
    xy = np.concatenate(stems)
    radius = rng.gamma(9.0, 0.29, len(xy)) + 0.7
    height = radius * rng.uniform(1.8, 3.0, len(xy)) + 1.0
    asphalt = shapely.STRtree([road.asphalt for road in network.roads])
    roofs = settlement.footprints
    stands = np.ones(len(xy), bool)
    for obstacles, share in ((asphalt, _OVERHANG), (roofs, 0.6)):
        if len(obstacles):
            points = shapely.points(xy)
            hit = obstacles.query(points, predicate="dwithin", distance=radius * share)[0]
            stands[hit] = False
    return Trees(xy[stands], radius[stands], height[stands])


def _scatter(rng: np.random.Generator, block: Block) -> Points:
    """(N, 2) places in a block, in clumps where it is open land."""
    west, south, east, north = block.polygon.bounds
    n = int((east - west) * (north - south) / _AREA_PER_TREE_M2[block.use])
    xy = rng.uniform((west, south), (east, north), (n, 2))
    if block.use in {"meadow", "park"}:
        xy[: n // 2] = xy[: n // 2] // 40 * 40 + rng.normal(12, 5, (n // 2, 2))
    return np.asarray(xy[shapely.contains_xy(block.polygon, xy)])


def _along_roads(rng: np.random.Generator, network: Network) -> Points:
    """(N, 2) places beside the roads: rows in towns, here and there in the country."""
    rows = []
    for road in network.roads:
        for side in (1, -1):
            beside = shapely.LineString(road.line).offset_curve(side * (road.width_m / 2 + 3.0))
            at = np.cumsum(rng.uniform(8, 17, max(1, int(beside.length / 12))))
            xy = shapely.get_coordinates(shapely.line_interpolate_point(beside, at))
            chance = 0.18 + 0.4 * network.townness(xy)
            rows.append(xy[rng.uniform(size=len(xy)) < chance])
    return np.concatenate([*rows, np.empty((0, 2))])


def _along_stream(rng: np.random.Generator, stream: Stream) -> Points:
    """(N, 2) places on the banks."""
    spots = rng.integers(len(stream.line), size=len(stream.line))
    side = rng.choice([-1.0, 1.0], len(spots))
    xy = stream.line[spots] + rng.normal(0, 3, (len(spots), 2))
    xy[:, 1] += side * (stream.half_m[spots] + rng.uniform(2.5, 7.0, len(spots)))
    return np.asarray(xy)


def paint_trees(canvas: Canvas, trees: Trees, relief: Relief, sun: Sun, seed: int) -> None:
    """Paint crowns, the lowest first, and raise them."""
    rng = rng_for(seed, "crowns")
    greens = rng.integers(len(_GREENS), size=len(trees.xy))
    tones = rng.uniform(0.82, 1.18, len(trees.xy)).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, len(trees.xy))
    for n in np.argsort(trees.height_m, kind="stable"):
        (x, y), radius = trees.xy[n], float(trees.radius_m[n])
        cut = canvas.frame.cut_around(x, y, radius * 1.4)
        if cut is None:
            continue
        fine = relief.under(cut).fine
        dx = (cut.x_m - np.float32(x)) / np.float32(radius)
        dy = (cut.y_m - np.float32(y)) / np.float32(radius)
        lobes = 0.1 * np.sin(4 * np.arctan2(dy, dx) + phases[n]).astype(np.float32)
        away = np.hypot(dx, dy) * (1 + lobes) + 0.12 * fine
        dome = np.sqrt(np.maximum(1 - away**2, 0.02))
        light = 0.5 + 0.5 * sun.brightness(0.8 * dx, 0.8 * dy, dome) + 0.13 * fine
        cover = np.clip((1 - away) * np.float32(radius / 0.8), 0, 1)
        canvas.paint(cut, cover, _GREENS[greens[n]] * tones[n] * np.clip(light, 0.25, 1.7))
        canvas.raise_to(cut, cover, trees.height_m[n] * (0.5 + 0.5 * dome).astype(np.float32))
