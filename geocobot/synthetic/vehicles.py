"""Cars on roads and in yards, and the stalls they stand in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import shapely

from geocobot.synthetic.blocks import Block
from geocobot.synthetic.buildings import Settlement
from geocobot.synthetic.frame import Canvas, rgb, rng_for
from geocobot.synthetic.network import Network
from geocobot.synthetic.shapes import Box, coverage, inside, turned

_STALL_M, _STALL_DEPTH_M, _AISLE_M = 2.7, 5.2, 7.0
_ROW_M = 2 * _STALL_DEPTH_M + _AISLE_M
_PAINTS = (rgb(206, 206, 204), rgb(60, 62, 66), rgb(150, 152, 154), rgb(118, 40, 36),
           rgb(44, 62, 96), rgb(92, 94, 96), rgb(226, 226, 222))  # fmt: skip


def parking_of(block: Block, settlement: Settlement) -> shapely.Geometry:
    """The part of a yard where cars stand: off its edge, off its halls."""
    halls = settlement.footprints
    near = halls.geometries[halls.query(block.polygon, predicate="intersects")]
    walls = shapely.union_all(shapely.buffer(near, 4.0))
    return block.polygon.buffer(-2.5).difference(walls)


def paint_stalls(canvas: Canvas, blocks: Sequence[Block], settlement: Settlement) -> None:
    """Paint the lines between the stalls of the yards."""
    for block in blocks:
        cut = canvas.frame.cut(block.polygon.bounds)
        if block.use != "yard" or cut is None:
            continue
        center = block.polygon.centroid
        p, q = turned(cut, center.x, center.y, block.angle)
        spine = np.abs((q + _ROW_M / 2) % np.float32(_ROW_M) - _ROW_M / 2)
        between = np.abs((p + _STALL_M / 2) % np.float32(_STALL_M) - _STALL_M / 2)
        lines = np.where(spine < _STALL_DEPTH_M, np.minimum(between, spine), 9.0)
        pixel_m = canvas.frame.pixel_m
        cover = np.clip((0.1 + pixel_m / 2 - lines) / np.float32(pixel_m), 0, 0.2 / pixel_m)
        here = inside(parking_of(block, settlement), cut)
        canvas.paint(cut, np.minimum(cover, 1) * here * 0.6, rgb(205, 204, 198))


def plan_cars(
    seed: int, network: Network, blocks: Sequence[Block], settlement: Settlement
) -> tuple[Box, ...]:
    """Put cars into stalls, onto lanes, along streets and into drives."""
    rng = rng_for(seed, "cars")
    parked = [c for b in blocks if b.use == "yard" for c in _in_stalls(rng, b, settlement)]
    driving = list(_on_roads(rng, network))
    at_home = [
        _car(rng, *lot.drive.at(rng.uniform(-1, 2), 0.0), lot.drive.angle)
        for lot in settlement.lots
        if rng.uniform() < 0.4
    ]
    return (*parked, *driving, *at_home)


def _car(rng: np.random.Generator, x: float, y: float, angle: float) -> Box:
    """A car of usual size."""
    return Box(x, y, rng.uniform(4.1, 4.9), rng.uniform(1.75, 1.95), angle + rng.normal(0, 0.03))


def _in_stalls(rng: np.random.Generator, block: Block, settlement: Settlement) -> Iterator[Box]:
    """Cars in the stalls of a yard, here crowded, there empty."""
    ground = parking_of(block, settlement)
    shapely.prepare(ground)
    yard = Box(block.polygon.centroid.x, block.polygon.centroid.y, 1, 1, block.angle)
    reach = int(block.polygon.length / 4)
    busy = rng.uniform(0.15, 0.6)
    for row in range(-int(reach / _ROW_M), int(reach / _ROW_M) + 1):
        for side in (-1, 1):
            for stall in range(-int(reach / _STALL_M), int(reach / _STALL_M) + 1):
                across = row * _ROW_M + side * _STALL_DEPTH_M / 2
                x, y = yard.at((stall + 0.5) * _STALL_M, across)
                if rng.uniform() < busy and shapely.contains_xy(ground, x, y):
                    yield _car(rng, x, y, block.angle + np.pi / 2)


def _on_roads(rng: np.random.Generator, network: Network) -> Iterator[Box]:
    """Cars in the lanes; in towns also along the curbs of streets."""
    for road in network.roads:
        line = shapely.LineString(road.line)
        spacing_m = {"main": 45.0, "collector": 70.0, "street": 75.0, "lane": 260.0}[road.kind]
        for at in np.cumsum(rng.exponential(spacing_m, int(line.length / spacing_m) + 1)):
            if at > line.length - 2:
                break
            (x, y), ahead = (
                shapely.get_coordinates(line.interpolate(s))[0] for s in (at, at + 1.5)
            )
            angle = float(np.arctan2(*(ahead - (x, y))[::-1]))
            side = rng.choice([-1.0, 1.0])
            curb = road.kind == "street" and rng.uniform() < 0.6
            off = road.width_m / 2 - 1.2 if curb else road.width_m / 4
            spot = Box(float(x), float(y), 1, 1, angle).at(0.0, side * off)
            yield _car(rng, *spot, angle)


def paint_cars(canvas: Canvas, cars: Sequence[Box], seed: int) -> None:
    """Paint cars with dark windows and raise them."""
    rng = rng_for(seed, "paint")
    pixel_m = canvas.frame.pixel_m
    for car in cars:
        color = _PAINTS[rng.integers(len(_PAINTS))] * np.float32(rng.uniform(0.85, 1.1))
        cut = canvas.frame.cut_around(car.x_m, car.y_m, car.radius_m + 1)
        if cut is None:
            continue
        cover = coverage(car.distance(cut), pixel_m)
        canvas.paint(cut, cover, color)
        cabin = Box(*car.at(-0.3, 0.0), car.length_m * 0.55, car.width_m * 0.85, car.angle)
        canvas.paint(cut, coverage(cabin.distance(cut), pixel_m) * 0.75, rgb(38, 42, 48))
        roof = Box(*car.at(-0.35, 0.0), car.length_m * 0.28, car.width_m * 0.8, car.angle)
        canvas.paint(cut, coverage(roof.distance(cut), pixel_m), color)
        canvas.raise_to(cut, cover, 1.5)
