"""What the land between the roads is used for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import shapely

from geocobot.synthetic.frame import rng_for
from geocobot.synthetic.network import Network
from geocobot.synthetic.stream import Stream

Use: TypeAlias = Literal["homes", "yard", "park", "field", "fallow", "meadow", "forest"]

_MIN_TOWNNESS = 0.4
_TOWN_USES: tuple[Use, ...] = ("homes", "yard", "homes", "homes", "yard", "homes", "park")
_COUNTRY_USES: tuple[Use, ...] = ("fallow", "field", "meadow", "yard", "fallow", "forest", "field")
_MIN_AREA_M2 = 900.0
_MAX_YARD_M2 = 14_000.0


@dataclass(frozen=True)
class Block:
    """Land enclosed by roads.

    Attributes:
        polygon: the land, without the roads and their verges.
        use: what it is used for.
        angle: direction of its longest side, in radians.
    """

    polygon: shapely.Polygon
    use: Use
    angle: float


def plan_blocks(
    seed: int, network: Network, stream: Stream, size_m: tuple[float, float]
) -> tuple[Block, ...]:
    """Cut the land along roads and stream and give every part a use.

    Uses take turns from west to east, so that no part of the place lacks one that another has.
    """
    rng = rng_for(seed, "blocks")
    land = shapely.box(0, 0, *size_m).buffer(60, join_style="mitre")
    roads = shapely.union_all([r.asphalt.buffer(_verge_m(r.width_m)) for r in network.roads])
    parts = [
        part
        for part in shapely.get_parts(land.difference(roads).difference(stream.land))
        if part.area > _MIN_AREA_M2
    ]
    parts.sort(key=lambda part: part.centroid.x)
    centers = np.array([[p.centroid.x, p.centroid.y] for p in parts]).reshape(-1, 2)
    is_town = network.townness(centers) > _MIN_TOWNNESS
    turn = rng.integers(0, 7, 2)
    blocks = []
    for part, in_town in zip(parts, is_town, strict=True):
        uses = _TOWN_USES if in_town else _COUNTRY_USES
        use = uses[turn[int(in_town)] % len(uses)]
        if use == "yard" and part.area > _MAX_YARD_M2:
            use = "fallow"
        blocks.append(Block(part, use, _longest_side(part)))
        turn[int(in_town)] += 1
    return tuple(blocks)


def _verge_m(road_width_m: float) -> float:
    """Grass, gutter and pavement beside a road."""
    return 2.2 + 0.12 * road_width_m


def _longest_side(polygon: shapely.Polygon) -> float:
    """Direction of the longest side of the smallest rectangle around a polygon."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))
    sides = np.diff(corners, axis=0)
    dx, dy = sides[np.linalg.norm(sides, axis=1).argmax()]
    return float(np.arctan2(dy, dx))
