"""Houses along the streets and halls in the yards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from geocobot.synthetic.blocks import Block
from geocobot.synthetic.frame import Array, Canvas, rgb, rng_for
from geocobot.synthetic.light import Sun
from geocobot.synthetic.network import Network, Road
from geocobot.synthetic.noise import Relief
from geocobot.synthetic.shapes import Box, coverage

_TILES = (
    rgb(158, 106, 88), rgb(132, 92, 80), rgb(168, 124, 104), rgb(104, 94, 88),
    rgb(112, 110, 108), rgb(128, 126, 124), rgb(86, 88, 92), rgb(150, 144, 134),
)  # fmt: skip
_FLATS = (rgb(112, 112, 111), rgb(124, 123, 121), rgb(136, 134, 131), rgb(178, 176, 172),
          rgb(100, 101, 103), rgb(118, 117, 114), rgb(140, 128, 116))  # fmt: skip
_FENCES = (rgb(70, 82, 52), rgb(112, 100, 84), rgb(148, 144, 136))
_DRIVES = (rgb(150, 146, 138), rgb(122, 121, 119), rgb(136, 128, 116))


@dataclass(frozen=True)
class Building:
    """A box with a roof.

    Attributes:
        box: footprint; the ridge runs along its length.
        eave_m: height of the walls.
        slope: rise of a gable roof per metre, 0 for a flat roof.
        color: (3, 1, 1) of the roof in full sun.
    """

    box: Box
    eave_m: float
    slope: float
    color: Array


@dataclass(frozen=True)
class Lot:
    """What belongs to a house besides it.

    Attributes:
        garden: the fenced land.
        drive: the sealed way from the street to the house.
    """

    garden: Box
    drive: Box


@dataclass(frozen=True)
class Settlement:
    """All buildings of a place.

    Attributes:
        buildings: houses, sheds and halls.
        lots: one per house.
    """

    buildings: tuple[Building, ...]
    lots: tuple[Lot, ...]

    @cached_property
    def footprints(self) -> shapely.STRtree:
        """Outlines of all buildings."""
        return shapely.STRtree([b.box.polygon() for b in self.buildings])


def plan_settlement(seed: int, network: Network, blocks: Sequence[Block]) -> Settlement:
    """Place houses along the streets of residential blocks and halls in the yards."""
    rng = rng_for(seed, "buildings")
    homes = [b.polygon for b in blocks if b.use == "homes"]
    houses, lots = _houses(rng, network, homes)
    halls = [h for b in blocks if b.use == "yard" for h in _halls(rng, b)]
    return Settlement((*houses, *halls), tuple(lots))


def _houses(
    rng: np.random.Generator, network: Network, homes: Sequence[shapely.Polygon]
) -> tuple[list[Building], list[Lot]]:
    """Walk along every street and put a house wherever it fits into a residential block."""
    stations = [(road, *at) for road in network.roads for at in _stations(rng, road)]
    wanted = [_house(rng, *station) for station in stations]
    plots = [house.box.polygon(grow_m=1.5) for house, _ in wanted]
    houses: list[Building] = []
    lots: list[Lot] = []
    for n in _that_fit(plots, homes):
        house, lot = wanted[n]
        houses.append(house)
        lots.append(lot)
        if rng.uniform() < 0.5:
            houses.append(_shed(rng, lot.garden))
    return houses, lots


def _that_fit(plots: Sequence[shapely.Polygon], homes: Sequence[shapely.Polygon]) -> Iterator[int]:
    """Indices of the plots that lie in a block and off all plots chosen before them."""
    within = np.unique(shapely.STRtree(list(homes)).query(list(plots), predicate="within")[0])
    chosen = np.zeros(len(plots), bool)
    tree = shapely.STRtree(list(plots))
    for n in within:
        if not chosen[tree.query(plots[n], predicate="intersects")].any():
            chosen[n] = True
            yield int(n)


def _stations(rng: np.random.Generator, road: Road) -> Iterator[tuple[float, float, float]]:
    """Places along both sides of a road, with the direction that faces away from it."""
    line = shapely.LineString(road.line)
    for side in (1, -1):
        at = rng.uniform(8, 16)
        while at < line.length:
            x, y = shapely.get_coordinates(line.interpolate(at))[0]
            ahead = shapely.get_coordinates(line.interpolate(min(at + 1, line.length)))[0]
            behind = shapely.get_coordinates(line.interpolate(max(at - 1, 0)))[0]
            dx, dy = ahead - behind
            yield float(x), float(y), float(np.arctan2(dy, dx)) + side * np.pi / 2
            at += rng.uniform(16.5, 23.0)


def _house(
    rng: np.random.Generator, road: Road, x: float, y: float, away: float
) -> tuple[Building, Lot]:
    """A house with garden and drive, `away` from the street at (x, y)."""
    front_m, depth_m = rng.uniform(9.5, 14.0), rng.uniform(8.0, 10.5)
    setback = road.width_m / 2 + rng.uniform(8.0, 11.5)
    street = Box(x, y, 1.0, 1.0, away)
    skew = rng.normal(0, 0.03)
    turn = np.pi / 2 if rng.uniform() < 0.75 else 0.0
    sides = (front_m, depth_m) if turn else (depth_m, front_m)
    body = Box(*street.at(setback + depth_m / 2, 0.0), *sides, away + turn + skew)
    flat = rng.uniform() < 0.25
    color = _FLATS[rng.integers(len(_FLATS))] if flat else _TILES[rng.integers(len(_TILES))]
    house = Building(
        body, rng.uniform(3.2, 6.0), 0.0 if flat else rng.uniform(0.35, 0.75),
        color * np.float32(rng.uniform(0.9, 1.1)),
    )  # fmt: skip
    side = rng.choice([-1.0, 1.0]) * (front_m / 2 - 1.8)
    reach = setback + 2.0 - road.width_m / 2
    drive = Box(*street.at(road.width_m / 2 + reach / 2, side), reach, rng.uniform(2.8, 4.2), away)
    near = road.width_m / 2 + 3.6
    garden = Box(*street.at(near + 16.0, 0.0), 32.0, 19.0, away)
    return house, Lot(garden, drive)


def _shed(rng: np.random.Generator, garden: Box) -> Building:
    """A garden shed or garage at the back."""
    x, y = garden.at(rng.uniform(9, 13), rng.choice([-1.0, 1.0]) * rng.uniform(4, 7))
    box = Box(x, y, rng.uniform(3, 6), rng.uniform(2.5, 3.5), garden.angle)
    return Building(box, 2.4, 0.0, _FLATS[rng.integers(len(_FLATS))])


def _halls(rng: np.random.Generator, block: Block) -> list[Building]:
    """Up to four flat halls, along the yard's longest side, as large as fits."""
    halls: list[Building] = []
    room = block.polygon.buffer(-5)
    shapely.prepare(room)
    for _ in range(40):
        spot = _point_in(rng, block.polygon)
        box = Box(*spot, rng.uniform(24, 64), rng.uniform(15, 34), block.angle)
        outline = box.polygon()
        apart = all(outline.distance(h.box.polygon()) > 14 for h in halls)
        if apart and room.contains(outline):
            color = _FLATS[rng.integers(len(_FLATS))] * np.float32(rng.uniform(0.95, 1.05))
            halls.append(Building(box, rng.uniform(5, 10), 0.0, color))
        if len(halls) == 4:
            break
    return halls


def _point_in(rng: np.random.Generator, polygon: shapely.Polygon) -> tuple[float, float]:
    """Any place within the bounds of a polygon."""
    west, south, east, north = polygon.bounds
    return float(rng.uniform(west, east)), float(rng.uniform(south, north))


def paint_lots(canvas: Canvas, lots: Sequence[Lot], relief: Relief, seed: int) -> None:
    """Paint gardens, their fences and the drives."""
    rng = rng_for(seed, "lots")
    pixel_m = canvas.frame.pixel_m
    for lot in lots:
        cut = canvas.frame.cut_around(lot.garden.x_m, lot.garden.y_m, lot.garden.radius_m + 1)
        if cut is None:
            continue
        patchy = relief.under(cut).patchy
        dry = rng.uniform(0, 1)
        lawn = rgb(98, 118, 74) * (1 - dry) + rgb(146, 142, 104) * dry
        distance = lot.garden.distance(cut)
        canvas.paint(cut, coverage(distance, pixel_m) * 0.6, lawn * (1 + 0.1 * patchy))
        fence = _FENCES[rng.integers(len(_FENCES))]
        canvas.paint(cut, coverage(np.abs(distance) - 0.25, pixel_m) * 0.7, fence)
    for lot in lots:
        cut = canvas.frame.cut_around(lot.drive.x_m, lot.drive.y_m, lot.drive.radius_m + 1)
        tone = _DRIVES[rng.integers(len(_DRIVES))] * np.float32(rng.uniform(0.92, 1.08))
        if cut is not None:
            fine = relief.under(cut).fine
            canvas.paint(cut, coverage(lot.drive.distance(cut), pixel_m), tone * (1 + 0.05 * fine))


def paint_buildings(
    canvas: Canvas, buildings: Sequence[Building], relief: Relief, sun: Sun, seed: int
) -> None:
    """Paint roofs and raise them."""
    rng = rng_for(seed, "roofs")
    for building in buildings:
        if building.slope > 0:
            _paint_gable(canvas, building, relief, sun)
        else:
            _paint_flat(canvas, building, relief, rng)


def _paint_gable(canvas: Canvas, building: Building, relief: Relief, sun: Sun) -> None:
    """Two sloping sides, one brighter than the other, with rows of tiles."""
    box = building.box
    cut = canvas.frame.cut_around(box.x_m, box.y_m, box.radius_m + 1)
    if cut is None:
        return
    _, q = box.coordinates(cut)
    lean = float(np.sin(np.arctan(building.slope)))
    away = box.axes[1] * lean
    up = float(np.sqrt(1 - lean**2))
    right, left = (float(sun.brightness(s * away[0], s * away[1], up)) for s in (-1, 1))
    # Sky light evens out what the sun makes of the two sides.
    light = 1 + 0.7 * (np.where(q > 0, left, right) - 1)
    fine = relief.under(cut).fine
    shade = light * (1 + 0.05 * fine)
    shade = shade + 0.12 * coverage(np.abs(q) - 0.15, canvas.frame.pixel_m)
    cover = coverage(box.distance(cut), canvas.frame.pixel_m)
    canvas.paint(cut, cover, np.asarray(building.color * shade, np.float32))
    top = building.eave_m + building.slope * (box.width_m / 2 - np.abs(q))
    canvas.raise_to(cut, cover, top.astype(np.float32))


def _paint_flat(
    canvas: Canvas, building: Building, relief: Relief, rng: np.random.Generator
) -> None:
    """A flat roof with a parapet, stains and machines."""
    box = building.box
    cut = canvas.frame.cut_around(box.x_m, box.y_m, box.radius_m + 1)
    if cut is None:
        return
    pixel_m = canvas.frame.pixel_m
    distance = box.distance(cut)
    p, _ = box.coordinates(cut)
    seams = 0.03 * (np.abs(p % np.float32(5.0) - 2.5) < 0.25)
    stains = 0.06 * relief.under(cut).patchy + 0.04 * relief.under(cut).fine
    cover = coverage(distance, pixel_m)
    canvas.paint(cut, cover, np.asarray(building.color * (1 + stains - seams), np.float32))
    rim = coverage(np.abs(distance + 0.35) - 0.25, pixel_m) * 0.5
    canvas.paint(cut, rim, building.color * np.float32(1.25))
    canvas.raise_to(cut, cover, building.eave_m)
    for _ in range(int(box.length_m * box.width_m / 110)):
        along, across = rng.uniform(-0.4, 0.4, 2) * (box.length_m, box.width_m)
        x, y = box.at(along, across)
        machine = Box(x, y, rng.uniform(1.2, 3.2), rng.uniform(1.2, 3.2), box.angle)
        spot = canvas.frame.cut_around(machine.x_m, machine.y_m, 4.0)
        if spot is not None:
            over = coverage(machine.distance(spot), pixel_m)
            canvas.paint(spot, over, rgb(*[rng.uniform(110, 200)] * 3))
            canvas.raise_to(spot, over, building.eave_m + 1.3)
