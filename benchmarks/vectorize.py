"""`geocobot vectorize` against rasterio with shapely and geopandas, and against GDAL's polygonize.

Claim: at least 5 x as fast as the former, attributes included, and 12 x as the latter, at a tenth
of the former's memory.

Usage: python benchmarks/vectorize.py [--side 10000] [--objects 62000] [--rounds 3]
       [--polygonize gdal_polygonize.py] [--copies 1]

A scene of ragged objects, some of which meet, is written as a raster of scores, and as classes for
GDAL, which knows no thresholds. Every side takes the file and leaves a GeoPackage, in a process of
its own; seconds from the open file to the closed one, imports left out (GDAL's script pays for its
own), and the peak of memory above that after the imports. The rasterio side is what its
documentation and geopandas' suggest: `shapes`, geometries, geodesic area and perimeter polygon by
polygon, mean score by `rasterize` and `bincount`. `gdal_polygonize.py` writes bare polygons: of a
raster of classes as `geocobot predict --save-classes` writes it, which has a background, and of one
whose background is nodata; once more, with the attributes of the rasterio side afterwards. Sides
and rounds alternate, medians. Their polygons are compared: as many of the class, of the same area,
with the same scores.

`--copies 10` shows geocobot alone, on a mosaic (VRT) of 10 x 10 copies of the scene.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
import rasterio.features
import shapely
from affine import Affine
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.config import VectorizeOptions
from geocobot.steps import SCORE_SCALE

PIXEL_M = 0.3
CLASSES, MASKED = "classes.tif", "masked.tif"
THRESHOLD = 127  # in steps, of 254
ROWS_AT_ONCE = 500
CORNERS = 96


@dataclass(frozen=True)
class Figures:
    """What a side took, and what it left.

    Attributes:
        seconds: from file to file.
        cpu_s: of all cores together.
        peak_mb: memory beyond that of the imports.
        polygons: how many.
        area_m2: of all together, on the ground; 0 where nobody measured.
        score: mean of the polygons' scores; 0 where nobody asked.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    polygons: int
    area_m2: float = 0.0
    score: float = 0.0


def main() -> None:
    """Print a table of medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=62_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--polygonize", default="gdal_polygonize.py")
    given = parser.parse_args()
    sides = {"geocobot": by_geocobot, "rasterio": by_rasterio}
    if given.copies > 1:
        sides = {"geocobot": by_geocobot}
    elif shutil.which(given.polygonize):
        sides |= {
            "gdal": by_gdal,
            "gdal, classes alone": by_gdal_masked,
            "gdal, then attributes": by_gdal_attributed,
        }
    found: dict[str, list[Figures]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        scores = Path(folder) / "scores.tif"
        write_scene(scores, given.side, given.objects)
        if given.copies > 1:
            scores = write_mosaic(scores, given.side, given.copies)
        for _ in range(given.rounds):
            for name, side in sides.items():
                found[name].append(alone(side, scores, given.polygonize))
                print(f"{name}: {found[name][-1]}", flush=True)
    if given.copies == 1:
        check(found)
    print(table(found, given.side * given.copies))


def alone(side: object, scores: Path, program: str) -> Figures:
    """One side in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(side, scores, program).result()  # type: ignore[arg-type]


def by_geocobot(scores: Path, program: str) -> Figures:  # noqa: ARG001 # sides are called alike
    """The command, as Python calls it."""
    from geocobot.workflows.vectorize import vectorize  # with all its imports

    out = scores.with_name("geocobot.gpkg")
    options = VectorizeOptions(
        scores=str(scores), out=str(out), min_area=0, simplify=0, close_holes=0, overwrite=True
    )
    clock = Clock()
    vectorize(options)
    return left(out, clock)


def by_rasterio(scores: Path, program: str) -> Figures:  # noqa: ARG001 # sides are called alike
    """What a user of the libraries writes."""
    out = scores.with_name("rasterio.gpkg")
    clock = Clock()
    steps, transform, crs = whole(scores)
    found = (steps > THRESHOLD).astype(np.uint8)
    shapes = rasterio.features.shapes(found, mask=found > 0, connectivity=4, transform=transform)
    frame = gpd.GeoDataFrame(
        geometry=[shapely.geometry.shape(shape) for shape, _ in shapes], crs=crs
    )
    attributed(frame, steps, transform).to_file(out, driver="GPKG")
    return left(out, clock)


def whole(scores: Path) -> tuple[npt.NDArray[np.uint8], Affine, rasterio.crs.CRS]:
    """A raster of scores, and where it lies."""
    with rasterio.open(scores) as source:
        return source.read(1), source.transform, source.crs


def attributed(
    frame: gpd.GeoDataFrame, steps: npt.NDArray[np.uint8], transform: Affine
) -> gpd.GeoDataFrame:
    """Give polygons the attributes that geocobot gives them, as a user of the libraries does."""
    number = rasterio.features.rasterize(
        zip(frame.geometry, range(1, len(frame) + 1), strict=True),
        out_shape=steps.shape,
        transform=transform,
        dtype=np.int32,
    )
    pixels = np.bincount(number.ravel(), minlength=len(frame) + 1)
    total = np.bincount(number.ravel(), weights=steps.ravel(), minlength=len(frame) + 1)
    degrees = frame.to_crs(4326)
    geod = degrees.crs.get_geod()
    measures = [geod.geometry_area_perimeter(polygon) for polygon in degrees.geometry]
    frame["class_id"] = 1
    frame["class_name"] = "objects"
    frame["score"] = (total / np.maximum(pixels, 1))[1:] / SCORE_SCALE
    frame["area_m2"] = [abs(area) for area, _ in measures]
    frame["perimeter_m"] = [perimeter for _, perimeter in measures]
    return frame


def by_gdal(scores: Path, program: str) -> Figures:
    """GDAL's own script, on the raster of classes."""
    return _polygonized(scores.with_name(CLASSES), program)


def by_gdal_attributed(scores: Path, program: str) -> Figures:
    """GDAL's own script, and then attributes as the libraries' user makes them."""
    out = scores.with_name("gdal_attributed.gpkg")
    clock = Clock()
    bare = _polygonized(scores.with_name(CLASSES), program)
    polygons = scores.with_name(CLASSES).with_suffix(".gpkg")
    frame = gpd.read_file(polygons, where="DN = 1", columns=[])
    steps, transform, _ = whole(scores)
    attributed(frame, steps, transform).to_file(out, driver="GPKG")
    own = left(out, clock)
    return replace(own, cpu_s=own.cpu_s + bare.cpu_s, peak_mb=max(own.peak_mb, bare.peak_mb))


def by_gdal_masked(scores: Path, program: str) -> Figures:
    """The same where all that is no class is nodata."""
    return _polygonized(scores.with_name(MASKED), program)


def _polygonized(classes: Path, program: str) -> Figures:
    """GDAL's own script, on a file."""
    out = classes.with_suffix(".gpkg")
    out.unlink(missing_ok=True)
    start_s = time.perf_counter()
    subprocess.run([program, "-q", classes, out], check=True)
    seconds = time.perf_counter() - start_s
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    found = pyogrio.read_dataframe(out, where="DN = 1", columns=["DN"], read_geometry=False)
    return Figures(seconds, cpu_s, used.ru_maxrss / 1024, len(found))


class Clock:
    """Seconds and memory from now on."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        self._before_mb = _peak_mb()
        self._start_s, self._cpu_s = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float, float]:
        """Seconds, seconds of all cores, and megabytes."""
        now_s, cpu_s = time.perf_counter(), time.process_time()
        return now_s - self._start_s, cpu_s - self._cpu_s, _peak_mb() - self._before_mb


def _peak_mb() -> float:
    """Most memory that this process has had since its peak was forgotten."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


def left(out: Path, clock: Clock) -> Figures:
    """What a side took, and what is in its file."""
    figures = clock.read()
    columns = ["area_m2", "score"]
    frame = pyogrio.read_dataframe(out, layer=out.stem, columns=columns, read_geometry=False)
    return Figures(*figures, len(frame), frame["area_m2"].sum(), frame["score"].mean())


def check(found: dict[str, list[Figures]]) -> None:
    """All sides have found the same."""
    ours, theirs = found["geocobot"][0], found["rasterio"][0]
    assert {f.polygons for figures in found.values() for f in figures} == {ours.polygons}
    assert abs(ours.area_m2 / theirs.area_m2 - 1) < 1e-6, (ours, theirs)
    assert abs(ours.score - theirs.score) < 1e-4, (ours, theirs)


def table(found: dict[str, list[Figures]], side: int) -> str:
    """Medians and ratios, as Markdown."""
    first = found["geocobot"][0]
    names = {"seconds": ".2f", "cpu_s": ".2f", "peak_mb": ".0f"}
    lines = [
        f"{side:,} x {side:,} px, {first.polygons:,} polygons",
        f"| | {' | '.join(f'{name} | x geocobot' for name in names)} |",
        f"| --- {'| --- ' * 2 * len(names)}|",
    ]
    for side_name, figures in found.items():
        cells = []
        for name, form in names.items():
            own, other = (
                statistics.median(getattr(f, name) for f in some)
                for some in (found["geocobot"], figures)
            )
            cells += [f"{other:{form}}", f"{other / own:.1f}"]
        lines.append(f"| {side_name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_scene(scores: Path, side: int, objects: int) -> None:
    """Scores of so many ragged objects, and their classes beside them."""
    rng = np.random.default_rng(0)
    outlines = ragged(objects, side, rng)
    tree = shapely.STRtree(outlines)
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 1,
        "dtype": "uint8",
        "crs": "EPSG:32631",
        "transform": Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 4_000_000),
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }
    with (
        rasterio.open(scores, "w", **profile) as score_file,
        rasterio.open(scores.with_name(CLASSES), "w", nodata=IGNORE, **profile) as class_file,
        rasterio.open(scores.with_name(MASKED), "w", nodata=BACKGROUND, **profile) as masked_file,
    ):
        score_file.scales = (1 / SCORE_SCALE,)
        for row in range(0, side, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, side - row)
            window = Window(0, row, side, rows)
            here = outlines[tree.query(shapely.box(0, row, side, row + rows))]
            inside = rasterio.features.rasterize(
                here, out_shape=(rows, side), transform=Affine.translation(0, row), dtype=np.uint8
            ).astype(bool)
            score_file.write(shaded(inside, rng), 1, window=window)
            class_file.write(inside.astype(np.uint8), 1, window=window)
            masked_file.write(inside.astype(np.uint8), 1, window=window)


def write_mosaic(scores: Path, side: int, copies: int) -> Path:
    """A raster of so many copies of a scene either way."""
    sources = [
        f"<SimpleSource><SourceFilename relativeToVRT='1'>{scores.name}</SourceFilename>"
        f"<SourceBand>1</SourceBand><SrcRect xOff='0' yOff='0' xSize='{side}' ySize='{side}'/>"
        f"<DstRect xOff='{col * side}' yOff='{row * side}' xSize='{side}' ySize='{side}'/>"
        "</SimpleSource>"
        for row in range(copies)
        for col in range(copies)
    ]
    mosaic = scores.with_suffix(".vrt")
    mosaic.write_text(
        f"<VRTDataset rasterXSize='{side * copies}' rasterYSize='{side * copies}'>"
        f"<SRS>EPSG:32631</SRS><GeoTransform>500000,{PIXEL_M},0,4000000,0,{-PIXEL_M}"
        f"</GeoTransform><VRTRasterBand dataType='Byte' band='1'><Scale>{1 / SCORE_SCALE}</Scale>"
        f"{''.join(sources)}</VRTRasterBand></VRTDataset>"
    )
    return mosaic


def ragged(n: int, side: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    """Outlines (n,) as a segmentation draws them: round, long or winged, never smooth."""
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    radius = 8 * rng.lognormal(0, 0.4, (n, 1)) * (side / 10_000) / np.sqrt(n / 62_000)
    waves = range(2, 8)
    radius = radius * (
        1
        + sum(
            rng.normal(0, 0.25 / wave, (n, 1)) * np.cos(wave * turn + rng.uniform(0, 7, (n, 1)))
            for wave in waves
        )
    )
    radius = np.abs(radius + rng.normal(0, 0.7, (n, CORNERS)))
    long, tilt = rng.uniform(0.5, 1, (n, 1)), rng.uniform(0, np.pi, (n, 1))
    x, y = radius * np.cos(turn), radius * np.sin(turn) * long
    place = rng.uniform(0, side, (n, 2, 1))
    across = x * np.cos(tilt) - y * np.sin(tilt) + place[:, 0]
    down = x * np.sin(tilt) + y * np.cos(tilt) + place[:, 1]
    return np.asarray(shapely.polygons(np.stack([across, down], axis=-1)))


def shaded(inside: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Scores in steps that are above the threshold inside alone, in patches of 8 px."""
    rows, cols = inside.shape
    patches = rng.integers(0, 60, (-(-rows // 8), -(-cols // 8)), dtype=np.uint8)
    shade = patches.repeat(8, axis=0).repeat(8, axis=1)[:rows, :cols]
    return np.where(inside, 160 + shade, 20 + shade).astype(np.uint8)


if __name__ == "__main__":
    main()
