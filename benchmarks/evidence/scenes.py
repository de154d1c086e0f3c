"""The scenes of the grid as places: a part to learn from, a part that is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import rasterio
from filelock import FileLock
from places import PLACES, Part, Place
from rasterio.enums import ColorInterp
from rasterio.merge import merge
from real_scenes import DATA

from geocobot.synthetic.place import make_place, write_place

RIO = "rio_buildings"
_RIO_TILE = "3band/3band_013022223130_Public_img{}.tif"
# Tiles are numbered from south to north and overlap by 3 rows; the first three hold no building.
_RIO_NORTH, _RIO_SOUTH = (10, 9, 8), (7, 6, 5, 4)

_MADE_UP_SEED = 5
_MADE_UP_HW = (768, 1024)

FEW_PATCH_PX: Mapping[str, int] = {"kampala_buildings": 256, "flanders_fields": 64}
"""Side of a labelled patch where only a few are, if it is not the usual one."""

USUAL_FEW_PATCH_PX = 128


def find_scene(name: str, folder: Path) -> Place:
    """A scene by its name; what has to be made for it is made once, in a folder.

    Args:
        name: among `MADE`, or of `places.PLACES`.
        folder: several processes may share it.
    """
    if name not in MADE:
        return PLACES[name]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        return MADE[name](folder / name)


def make_rio(folder: Path) -> Place:
    """Rio's strip: learned from its north (83 buildings), judged in its south (36).

    Black pixels, which the files do not flag, have no data.
    """
    with rasterio.open(DATA / RIO / _RIO_TILE.format(_RIO_SOUTH[0])) as first:
        border = first.bounds.top
    north = _mosaic(_RIO_NORTH, folder / "north.tif", south_of_it=border)
    south = _mosaic(_RIO_SOUTH, folder / "south.tif")
    return Place(f"{RIO}/vectorData/geoJson", Part(str(north)), Part(str(south)))


def make_made_up(folder: Path) -> Place:
    """A place that was made up: roads, learned from its west and judged in its east."""
    if not (folder / "done").is_file():
        # What an interrupted process has left is written again.
        write_place(make_place(_MADE_UP_SEED, _MADE_UP_HW), folder, overwrite=True)
        (folder / "done").touch()
    return Place(
        str(folder / "roads.gpkg"),
        Part(str(folder / "scene_train.tif")),
        Part(str(folder / "scene_unseen.tif")),
    )


MADE: dict[str, Callable[[Path], Place]] = {RIO: make_rio, "made_up_roads": make_made_up}


def _mosaic(tiles: tuple[int, ...], path: Path, south_of_it: float | None = None) -> Path:
    """Put tiles together, cut to the columns with data, alpha 0 where all bands are black.

    Args:
        tiles: by number, from north to south.
        path: GeoTIFF to write, unless it is there.
        south_of_it: latitude where the mosaic ends; None for the end of the last tile.
    """
    if path.is_file():
        return path
    names = [DATA / RIO / _RIO_TILE.format(number) for number in tiles]
    with rasterio.open(names[0]) as top, rasterio.open(names[-1]) as bottom:
        west = min(top.bounds.left, bottom.bounds.left)
        east = max(top.bounds.right, bottom.bounds.right)
        south = bottom.bounds.bottom if south_of_it is None else south_of_it
        bounds, crs = (west, south, east, top.bounds.top), top.crs
        size = (top.res[0], top.res[1])
    image, transform = merge(names, bounds=bounds, res=size)
    seen = image.any(axis=0)
    first, last = np.flatnonzero(seen.any(axis=0))[[0, -1]]
    columns = slice(int(first), int(last) + 1)
    bands = np.concatenate([image, 255 * seen[None].astype(np.uint8)])[:, :, columns]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"unfinished_{path.name}")
    with rasterio.open(
        partial_path,
        "w",
        driver="GTiff",
        count=4,
        height=bands.shape[1],
        width=bands.shape[2],
        dtype="uint8",
        crs=crs,
        transform=transform @ rasterio.Affine.translation(int(first), 0),
    ) as target:
        target.write(bands)
        target.colorinterp = (
            ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha,
        )  # fmt: skip
    return partial_path.replace(path)
