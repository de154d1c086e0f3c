"""Peak memory of a prediction against height and width of the scene.

Claim: it does not grow with the height, and 1.5 GiB are enough for 100,000 px of width. Every scene
is mapped in a process of its own, with a stand-in for the model whose memory is known, through
everything else that `geocobot predict` does: reading, blending, both rasters, polygons, GeoPackage.
Two buffers of fixed size fill up first: GDAL's cache (64 MB, or one row of tiles) and the 20,000
polygons that are written at a time.

Usage: python benchmarks/memory.py [--width 2000] [--tile 512] [--exact] [--model-m 0.6] [HEIGHT ..]

`--exact` writes the scores as float32; `--model-m` shows the scene, whose pixels have 0.5 m, to the
model in pixels of that size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

if TYPE_CHECKING:
    from geocobot.io.scene import Scene
    from geocobot.models.card import ModelCard

HEIGHTS = (4_000, 16_000, 64_000)
ROWS_AT_ONCE = 512
PIXEL_M = 0.5


@dataclass(frozen=True)
class How:
    """How scenes are mapped.

    Attributes:
        tile_px: side of a tile.
        ahead: tile rows that may wait between two stages; None as foreseen.
        exact: whether scores are written as float32.
        model_m: size of the pixels that the model is shown.
    """

    tile_px: int
    ahead: int | None
    exact: bool
    model_m: float


def main(heights: list[int], width: int, how: How) -> None:
    """Measure each height in turn and print the ratio of the tallest to the shortest."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for height in heights:
            raster = Path(folder) / f"scene_{height}.tif"
            write_scene(raster, width, height)
            figures = measure(raster, how)
            raster.unlink()
            peaks.append(figures["peak_mb"] - figures["baseline_mb"])
            print(
                f"{width} x {height:>6}: {figures['polygons']:>6} polygons, "
                f"{figures['seconds']:6.1f} s, peak {peaks[-1]:4.0f} MB above the imports' "
                f"{figures['baseline_mb']:.0f} MB ({figures['foreseen_mb']:.0f} MB foreseen)"
            )
    print(
        f"tallest / shortest: {heights[-1] / heights[0]:.0f} x the height, "
        f"{peaks[-1] / peaks[0]:.2f} x the memory"
    )


def measure(raster: Path, how: How) -> dict[str, float]:
    """Map one scene in a process of its own."""
    more = [] if how.ahead is None else ["--ahead", str(how.ahead)]
    more += ["--exact"] if how.exact else []
    more += ["--tile", str(how.tile_px), "--model-m", str(how.model_m)]
    done = subprocess.run(
        [sys.executable, __file__, "--map", str(raster), *more],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def write_scene(path: Path, width: int, height: int) -> None:
    """Write blobs of about 40 px, a few hundred in every thousand rows, block row by block row."""
    rng = np.random.default_rng(0)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=3,
        dtype="uint8",
        crs="EPSG:32633",
        transform=Affine(PIXEL_M, 0, 5e5, 0, -PIXEL_M, 5e6),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
    ) as sink:
        for row in range(0, height, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, height - row)
            coarse = rng.integers(0, 255, (3, ROWS_AT_ONCE // 32, width // 32 + 1), dtype=np.uint8)
            image = np.kron(coarse, np.ones((32, 32), np.uint8))[:, :rows, :width]
            sink.write(image, window=Window(0, row, width, rows))


def map_one(raster: Path, how: How) -> None:
    """Map one scene and print what it took."""
    import torch

    from geocobot.config import PredictOptions
    from geocobot.inference.batch import usual_batch
    from geocobot.inference.engines import LocalEngine
    from geocobot.io.fitting import open_scene_for
    from geocobot.models.precision import Compute
    from geocobot.workflows.map_job import MapJob
    from geocobot.workflows.map_scene import map_scene
    from geocobot.workflows.mapping_run import MappingRun
    from geocobot.workflows.memory import DEFAULT_GIB, GIB, buffers_gib
    from geocobot.workflows.targets import choose_targets

    card = stand_in_card(how)
    baseline_mb = peak_mb()
    scene = open_scene_for(raster, card.ranges, card.ground_pixel_m, resampling=True)
    compute = Compute(torch.device("cpu"))
    engine = LocalEngine(lambda image: (image[:, :1] - 0.6) * 20, compute)
    tiles = engine.batches * usual_batch(compute, (3, how.tile_px, how.tile_px))
    foreseen = [
        buffers_gib(
            width_px=scene.grid.width,
            file_width_px=width_in_file(scene),
            tile_px=how.tile_px,
            n_classes=1,
            tiles=tiles,
            rows_ahead=rows,
            exact=how.exact,
        )
        for rows in (0, 1)
    ]
    rows_ahead = int(foreseen[1] <= DEFAULT_GIB) if how.ahead is None else how.ahead
    options = PredictOptions(
        raster=(str(raster),),
        model="none",
        out=str(raster.with_suffix(".gpkg")),
        save_scores=True,
        save_classes=True,
        scores_dtype="float32" if how.exact else "uint8",
        max_memory=foreseen[rows_ahead],
    )
    (targets,) = choose_targets(options.raster, options.out, save_scores=True, save_classes=True)
    start_s = time.perf_counter()
    result = map_scene(
        MapJob.of(scene, targets, options, compute),
        engine,
        card,
        MappingRun.claim(targets, resume=False, overwrite=False),
        compute=compute,
    )
    figures = {
        "foreseen_mb": foreseen[rows_ahead] * GIB / 1e6,
        "baseline_mb": baseline_mb,
        "peak_mb": peak_mb(),
        "polygons": result.n_polygons,
        "seconds": time.perf_counter() - start_s,
    }
    print(json.dumps(figures))


def width_in_file(scene: Scene) -> int:
    """Columns of the file, whatever pixels the model is shown."""
    (part,) = scene.parts
    return part.grid.width


def stand_in_card(how: How) -> ModelCard:
    """What a model for the scene would say of itself: one class, tiles of this side."""
    from geocobot.adapters.config import AdapterConfig
    from geocobot.bands import BandRange
    from geocobot.classes import name_classes
    from geocobot.models.architecture import HeadConfig, SegmenterConfig
    from geocobot.models.card import ModelCard

    return ModelCard(
        segmenter=SegmenterConfig(
            base="tiny",
            base_sha256=None,
            adapter=AdapterConfig(method="none"),
            head=HeadConfig(1),
            encoder_trained=True,
        ),
        classes=name_classes(["bright"]),
        ranges=tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3)),
        ground_pixel_m=(how.model_m, how.model_m),
        patch_px=how.tile_px,
    )


def peak_mb() -> float:
    """The most memory this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("heights", nargs="*", type=int, default=list(HEIGHTS))
    parser.add_argument("--ahead", type=int, choices=[0, 1], help="tile rows; default as foreseen")
    parser.add_argument("--width", type=int, default=2_000)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--model-m", type=float, default=PIXEL_M)
    parser.add_argument("--map", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    chosen = How(given.tile, given.ahead, given.exact, given.model_m)
    if given.map is not None:
        map_one(given.map, chosen)
    else:
        main(given.heights, given.width, chosen)
