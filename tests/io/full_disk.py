"""Write a file again and again with less room than it needs, and say as JSON what became of it.

The tests run this in a process of its own: a limit on the size of files stands in for a full disk,
and pytest's own files must not feel it.

    python full_disk.py FOLDER scores.tif|classes.tif|result.gpkg|result.fgb|...
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.centerlines import CenterlineWriter
from geocobot.io.features import write_features
from geocobot.io.imagery import write_image
from geocobot.io.output import new_file, new_files
from geocobot.io.polygons import PolygonWriter
from geocobot.io.regions import Region, write_regions
from geocobot.io.scores import ClassWriter, ScoreWriter
from geocobot.io.vector_formats import parts_of
from geocobot.tiling import Strip

MOMENT = datetime(2024, 5, 6, tzinfo=UTC)
CLASSES = name_classes(["road", "roof"])
GRID = GeoGrid(CRS("EPSG:32631"), Affine(0.5, 0, 5e5, 0, -0.5, 5e6), (600, 300))


@contextmanager
def room(n_bytes: int) -> Iterator[None]:
    """Let no file grow larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_scores(path: Path, n_bytes: int) -> None:
    scores = np.random.default_rng(0).random((2, *GRID.shape), dtype=np.float32)
    valid = np.ones(GRID.shape, bool)
    with room(n_bytes), new_file(path) as temporary, ScoreWriter(temporary, GRID, CLASSES) as w:
        w.write(Strip.of(0, scores, valid))


def write_classes(path: Path, n_bytes: int) -> None:
    labels = np.random.default_rng(0).integers(0, 3, GRID.shape, dtype=np.uint8)
    with room(n_bytes), new_file(path) as temporary, ClassWriter(temporary, GRID, CLASSES) as w:
        w.write(0, labels)


def write_polygons(path: Path, n_bytes: int) -> None:
    """Formats that are converted lack room only at the end: what waits is larger than they."""
    at = np.arange(300)
    frame = gpd.GeoDataFrame(
        {"object_id": at, "class_id": 1, "class_name": pd.array(["road"] * 300, dtype="str")}
        | {"score": at / 300, "score_p10": at / 600, "width_m": at + 0.125}
        | {"area_m2": at + 0.5, "perimeter_m": at + 0.25},
        geometry=shapely.box(5e5 + 10 * at, 5e6, 5e5 + 10 * at + 5, 5e6 + 5),
        crs=GRID.crs,
    )
    is_staged = path.suffix in {".fgb", ".geojson"}
    with (
        room(resource.RLIM_INFINITY if is_staged else n_bytes),
        PolygonWriter(path, GRID.crs, CLASSES, "result") as writer,
    ):
        writer.append(frame)
        if is_staged:
            writer._finish = in_room(writer._finish, n_bytes)


def write_centerlines(path: Path, n_bytes: int) -> None:
    """Beside polygons, which are on the disk already."""
    at = np.arange(300)
    frame = gpd.GeoDataFrame(
        {"class_id": 1, "class_name": pd.array(["road"] * 300, dtype="str")}
        | {"length_m": at + 5.0, "width_m": at + 0.125, "score": at / 300},
        geometry=[shapely.LineString([(5e5 + 10 * k, 5e6), (5e5 + 10 * k, 5e6 + 5)]) for k in at],
        crs=GRID.crs,
    )
    polygons = path.with_stem(path.stem.removesuffix("_centerlines"))
    with new_files([path, path.with_suffix(".qml")]) as unfinished, room(n_bytes):
        CenterlineWriter(
            polygons, GRID.crs, CLASSES, unfinished=unfinished, origin=None, moment=MOMENT
        ).write(frame)


def write_picture(path: Path, n_bytes: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, *GRID.shape), dtype=np.uint8)
    with room(n_bytes):
        write_image(path, image, GRID)


def write_plain(path: Path, n_bytes: int) -> None:
    at = np.arange(300)
    shapes = shapely.box(5e5 + 10 * at, 5e6, 5e5 + 10 * at + 5, 5e6 + 5)
    frame = gpd.GeoDataFrame({"kind": "road"}, index=at, geometry=shapes, crs=GRID.crs)
    with room(n_bytes):
        write_features(path, frame, layer="result")


def write_split(path: Path, n_bytes: int) -> None:
    at = np.arange(300)
    shapes = shapely.box(5e5 + 10 * at, 5e6, 5e5 + 10 * at + 5, 5e6 + 5)
    parts = [Region("scene", GRID.crs, "train", shapely.union_all(shapes[k::3])) for k in range(3)]
    with room(n_bytes):
        write_regions(path, parts, layer="result")


def in_room(finish: Callable[[], None], n_bytes: int) -> Callable[[], None]:
    def finish_in_room() -> None:
        with room(n_bytes):
            finish()

    return finish_in_room


def same_bytes(path: Path) -> Callable[[], bool]:
    whole = path.read_bytes()
    return lambda: path.read_bytes() == whole


def same_polygons(path: Path) -> Callable[[], bool]:
    whole = read_polygons(path)
    return lambda: read_polygons(path).equals(whole) and is_sound(path)


def read_polygons(path: Path) -> gpd.GeoDataFrame:
    if path.suffix == ".parquet":
        return gpd.read_parquet(path)
    return gpd.read_file(path, layer="result")


def is_sound(path: Path) -> bool:
    """Whether what belongs to the polygons is there, too: their index and their style."""
    if path.suffix != ".gpkg":
        return "</qgis>" in path.with_suffix(".qml").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as db:
        return (
            db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            and db.execute("SELECT count(*) FROM rtree_result_geom").fetchone() == (300,)
            and db.execute("SELECT count(*) FROM layer_styles").fetchone() == (2,)
            and db.execute("SELECT count(*) FROM gpkg_metadata_reference").fetchone() == (1,)
        )


def same_features(path: Path) -> Callable[[], bool]:
    whole = gpd.read_file(path, layer="result")

    def is_whole() -> bool:
        with closing(sqlite3.connect(path)) as db:
            is_sound = db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            indexed = db.execute("SELECT count(*) FROM rtree_result_geom").fetchone()
        found = gpd.read_file(path, layer="result")
        return is_sound and indexed == (len(whole),) and found.equals(whole)

    return is_whole


def same_lines(path: Path) -> Callable[[], bool]:
    whole = read_any(path)
    return lambda: read_any(path).equals(whole) and path.with_suffix(".qml").exists()


def read_any(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)


KINDS = {
    "scores.tif": (write_scores, same_bytes),
    "classes.tif": (write_classes, same_bytes),
    "result.gpkg": (write_polygons, same_polygons),
    "result.fgb": (write_polygons, same_polygons),
    "result.geojson": (write_polygons, same_polygons),
    "result.parquet": (write_polygons, same_polygons),
    "result.shp": (write_polygons, same_polygons),
    "map_centerlines.fgb": (write_centerlines, same_lines),
    "map_centerlines.geojson": (write_centerlines, same_lines),
    "map_centerlines.parquet": (write_centerlines, same_lines),
    "image.tif": (write_picture, same_bytes),
    "features.gpkg": (write_plain, same_features),
    "regions.gpkg": (write_split, same_features),
}


def limits(size: int) -> list[int]:
    """Limits all the way up, most of them where the last bytes are written."""
    return sorted({*range(0, size, size // 30 + 1), *range(max(0, size - 400), size, 19), size})


def main(folder: Path, kind: str) -> dict[str, list[int]]:
    """Sort the limits by what became of the file."""
    write, comparison = KINDS[kind]
    path = folder / kind
    write(path, resource.RLIM_INFINITY)
    is_whole = comparison(path)
    found: dict[str, list[int]] = {"whole": [], "refused": [], "broken": [], "left behind": []}
    size = max(file.stat().st_size for file in (path, *parts_of(path)))
    for n_bytes in limits(size):
        for file in folder.iterdir():
            file.unlink()
        try:
            write(path, n_bytes)
        except OutputError:
            found["left behind" if any(folder.iterdir()) else "refused"].append(n_bytes)
        else:
            found["whole" if is_whole() else "broken"].append(n_bytes)
    return found


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), sys.argv[2]), sys.stdout)
