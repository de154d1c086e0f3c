"""A made-up place: its picture, its roads and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
import shapely.affinity
from affine import Affine
from pyproj import CRS
from rasterio.windows import Window

from geocobot.grid import GeoGrid
from geocobot.io.features import write_features
from geocobot.io.imagery import write_image
from geocobot.synthetic.blocks import Block, plan_blocks
from geocobot.synthetic.buildings import Settlement, paint_buildings, paint_lots, plan_settlement
from geocobot.synthetic.frame import Canvas, Frame, rng_for
from geocobot.synthetic.light import Sun, cast_shadows, shade
from geocobot.synthetic.network import Network, plan_network
from geocobot.synthetic.noise import Relief
from geocobot.synthetic.roads import measure_roads, paint_roads
from geocobot.synthetic.sensor import expose
from geocobot.synthetic.shapes import Box
from geocobot.synthetic.stream import Stream, paint_stream, plan_stream
from geocobot.synthetic.terrain import paint_blocks, paint_ground
from geocobot.synthetic.vegetation import Trees, paint_trees, plan_trees
from geocobot.synthetic.vehicles import paint_cars, paint_stalls, plan_cars

EPSG = 32632
SOUTH_WEST_M = (652_000.0, 5_402_000.0)
"""Farmland in Bavaria, where the projection stretches by less than 0.1 %."""

TRAIN_SHARE = 0.6
GAP_M = 32.0
SCENE_HW = (1536, 2048)
SCENE_PIXEL_M = 0.5
ROADS_LAYER = "roads"


@dataclass(frozen=True)
class Plan:
    """Everything that stands in a place, in metres from its south-west corner.

    Attributes:
        network: roads.
        stream: running water.
        blocks: land between them.
        settlement: buildings.
        trees: trees.
        cars: cars.
    """

    network: Network
    stream: Stream
    blocks: tuple[Block, ...]
    settlement: Settlement
    trees: Trees
    cars: tuple[Box, ...]


@dataclass(frozen=True)
class Place:
    """A made-up place.

    Attributes:
        image: (3, H, W) uint8, red, green and blue.
        roads: polygons of the asphalt in the grid's CRS, clipped to it, with `kind` and `width_m`.
        grid: where the image lies.
    """

    image: npt.NDArray[np.uint8]
    roads: gpd.GeoDataFrame
    grid: GeoGrid

    def parts(self) -> tuple[Window, Window]:
        """The west, to learn from, and the east, to be judged on, with a gap between them."""
        split = round(self.grid.width * TRAIN_SHARE)
        gap_px = round(GAP_M / self.grid.res_xy[0])
        height, width = self.grid.shape
        rest = max(1, width - split - gap_px)
        return Window(0, 0, split, height), Window(width - rest, 0, rest, height)


@dataclass(frozen=True)
class PlaceFiles:
    """A place on disk.

    Attributes:
        train_scene: GeoTIFF of the west.
        unseen_scene: GeoTIFF of the east.
        roads: GeoPackage with the roads of the whole place.
    """

    train_scene: Path
    unseen_scene: Path
    roads: Path


def plan_place(seed: int, size_m: tuple[float, float]) -> Plan:
    """Plan a place of (width, height) metres."""
    network = plan_network(seed, size_m)
    stream = plan_stream(seed, size_m)
    blocks = plan_blocks(seed, network, stream, size_m)
    settlement = plan_settlement(seed, network, blocks)
    trees = plan_trees(seed, network, stream, blocks, settlement)
    cars = plan_cars(seed, network, blocks, settlement)
    return Plan(network, stream, blocks, settlement, trees, cars)


def make_place(
    seed: int, shape_hw: tuple[int, int] = SCENE_HW, ground_pixel_m: float = SCENE_PIXEL_M
) -> Place:
    """Make up a place and take its picture.

    The same seed and size in metres give the same plan at every pixel size, and the same seed,
    shape and pixel size give the same pixels.

    Args:
        seed: any whole number from 0.
        shape_hw: height and width in pixels.
        ground_pixel_m: pixel side in metres.
    """
    frame = Frame.of(CRS.from_epsg(EPSG), shape_hw, ground_pixel_m)
    plan = plan_place(seed, frame.size_m)
    grid = GeoGrid(
        frame.grid.crs, Affine.translation(*SOUTH_WEST_M) @ frame.grid.transform, shape_hw
    )
    return Place(paint_place(seed, frame, plan), label_roads(plan.network, grid), grid)


def paint_place(seed: int, frame: Frame, plan: Plan) -> npt.NDArray[np.uint8]:
    """Paint a plan, from the ground up, and take its picture, (3, H, W) uint8."""
    canvas, relief = Canvas.blank(frame), Relief.of(seed, frame)
    sun = Sun.at(rng_for(seed, "sun"))
    paint_ground(canvas, relief)
    paint_blocks(canvas, plan.blocks, relief, seed)
    paint_stream(canvas, plan.stream, relief, seed)
    paint_stalls(canvas, plan.blocks, plan.settlement)
    paint_lots(canvas, plan.settlement.lots, relief, seed)
    paint_roads(canvas, plan.network, measure_roads(frame, plan.network), relief, seed)
    paint_cars(canvas, plan.cars, seed)
    paint_buildings(canvas, plan.settlement.buildings, relief, sun, seed)
    paint_trees(canvas, plan.trees, relief, sun, seed)
    shade(canvas, cast_shadows(canvas, sun))
    return expose(canvas, seed)


def label_roads(network: Network, grid: GeoGrid) -> gpd.GeoDataFrame:
    """The asphalt as polygons in the grid's CRS, one per road, clipped to the grid."""
    west, south, east, north = grid.bounds
    extent = shapely.box(west, south, east, north)
    surfaces = [
        shapely.intersection(shapely.affinity.translate(r.asphalt, west, south), extent)
        for r in network.roads
    ]
    frame = gpd.GeoDataFrame(
        {
            "kind": [r.kind for r in network.roads],
            "width_m": [r.width_m for r in network.roads],
        },
        geometry=surfaces,
        crs=grid.crs,
    )
    return frame[~frame.geometry.is_empty].reset_index(drop=True)


def write_place(place: Place, folder: str | Path, overwrite: bool = False) -> PlaceFiles:
    """Write a place as a user would have it: two scenes and a vector layer.

    Args:
        place: what to write.
        folder: where; it is made if it does not exist.
        overwrite: whether existing files may be replaced.

    Raises:
        OutputError: a file exists and may not be replaced, or cannot be written.
    """
    home = Path(folder)
    files = PlaceFiles(
        home / "scene_train.tif", home / "scene_unseen.tif", home / f"{ROADS_LAYER}.gpkg"
    )
    for path, window in zip((files.train_scene, files.unseen_scene), place.parts(), strict=True):
        rows, cols = window.toslices()
        write_image(
            path,
            place.image[:, rows, cols],
            place.grid.crop(window),
            band_names=("red", "green", "blue"),
            overwrite=overwrite,
        )
    write_features(files.roads, place.roads, layer=ROADS_LAYER, overwrite=overwrite)
    return files
