"""What a map takes beside the model: `geocobot predict` from end to end against the model alone.

Claims: at most 1.10 times the time of the model on the same tiles, on a CPU with `tiny`; at most
1.25 times to the scores raster, on an H200 with ViT-B in bfloat16.

Usage: python benchmarks/predict.py [--side 20000] [--rounds 3] [--base vit_b] [--workers 0]

A tiled GeoTIFF is put together of the demo's unseen scene and its mirror images. `tiny` is trained
on the demo first (1.5 minutes, kept in build/predict); ViT-B has random weights, and draws dark
roads by its input's brightness instead, so that there is something to trace. The model alone takes
the first tiles from memory, again and again, a batch on each core as the map has it, and for
comparison all cores on one batch. Then every stage runs alone, which names the one that
limits the others. Medians of the rounds, in one process.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window

from geocobot.adapters.config import AdapterConfig
from geocobot.config import DemoOptions, PredictOptions
from geocobot.data.dataset import SceneDataset
from geocobot.inference.batch import fitting_batch
from geocobot.inference.blend import merge_rows
from geocobot.inference.blended_row import blend_rows
from geocobot.inference.engines import LocalEngine
from geocobot.inference.lanes import Lanes
from geocobot.inference.predictor import PredictorSource
from geocobot.inference.rows import RowWork
from geocobot.inference.tiles import Predictor, load_tiles, predict_tiles
from geocobot.io.scene import Scene
from geocobot.io.scores import ScoreWriter
from geocobot.models.card import ModelCard, read_card
from geocobot.models.precision import Compute
from geocobot.models.segmenter import build_segmenter
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.workflows.demo import demo
from geocobot.workflows.device import choose_compute
from geocobot.workflows.map_job import MapJob
from geocobot.workflows.map_scene import map_scene
from geocobot.workflows.mapped import SceneResult
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.targets import choose_targets

DEMO = Path("build/predict/demo")
VIT_TILE_PX = 1024
BATCHES = 8
"""How many of them the model alone sees, again and again."""

STAGE_ROWS = 4
"""Tile rows in which every stage is timed alone."""


class Drawn(torch.nn.Module):
    """Computes as the model does, and says that what is dark is a road."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1, H, W)."""
        dark = torch.nn.functional.avg_pool2d(0.35 - image[:, :1], 9, 1, 4)
        return 20 * dark + 0 * self.model(image)


def main() -> None:
    """Measure the model alone, the whole map, the map without polygons, and the stages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base", choices=["tiny", "vit_b"], default="tiny")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--batch-size", type=int, help="default as many as fit")
    given = parser.parse_args()
    compute = choose_compute("auto", "auto")
    predictor, card = load(given.base)
    threads = torch.get_num_threads()
    lanes = Lanes(compute, threads)
    seconds: dict[str, list[float]] = {"model": [], "together": [], "scores": [], "whole": []}
    with tempfile.TemporaryDirectory() as folder:
        raster = Path(folder) / "scene.tif"
        write_mosaic(raster, given.side)
        shape = (len(card.ranges), card.patch_px, card.patch_px)
        options = PredictOptions(
            raster=(str(raster),),
            model="none",
            out=str(raster.with_suffix(".gpkg")),
            save_scores=True,
            overwrite=True,
            workers=given.workers,
            batch_size=given.batch_size or fitting_batch(predictor, compute, shape),
        )
        work = work_of(raster, card, options, Path(folder))
        for _ in range(given.rounds):
            seconds["model"].append(time_model(predictor, work, compute, lanes))
            torch.set_num_threads(threads)
            seconds["together"].append(time_model(predictor, work, compute))
            for name, threshold in (("scores", 1.0), ("whole", None)):
                result = make_map(replace(options, threshold=threshold), predictor, card, compute)
                seconds[name].append(result.seconds)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        tell(medians, result, given.side, compute, work.batch_size)
        stages(predictor, card, work, compute, Path(folder))


def load(base: str) -> tuple[Predictor, ModelCard]:
    """The model, and what it says of itself."""
    if not (DEMO / "run").exists():
        demo(DemoOptions(out=str(DEMO)))
    model = DEMO / "run" / "model.safetensors"
    card = read_card(model)
    if base == "tiny":
        return PredictorSource(str(model)).load(), card
    segmenter = build_segmenter(base, 1, AdapterConfig()).eval()
    return Drawn(segmenter), replace(card, patch_px=VIT_TILE_PX)


def write_mosaic(path: Path, side: int) -> None:
    """Repeat the demo's unseen scene and its mirror images over a square."""
    with rasterio.open(DEMO / "scene_unseen.tif") as scene:
        part, profile = scene.read(), scene.profile
    part = np.concatenate([part, part[:, ::-1]], axis=1)
    part = np.concatenate([part, part[:, :, ::-1]], axis=2)
    profile.update(width=side, height=side, tiled=True, blockxsize=512, blockysize=512)
    profile.update(driver="GTiff", compress="deflate", interleave="pixel", bigtiff="IF_SAFER")
    n_rows, n_cols = part.shape[1:]
    with rasterio.open(path, "w", **profile) as sink:
        for row in range(0, side, 512):
            rows = np.arange(row, min(row + 512, side)) % n_rows
            wide = np.tile(part[:, rows], (1, 1, -(-side // n_cols)))[:, :, :side]
            sink.write(wide, window=Window(0, row, side, len(rows)))


def work_of(raster: Path, card: ModelCard, options: PredictOptions, folder: Path) -> RowWork:
    """The tiles of the map, for what is measured without it."""
    (folder / "rows").mkdir()
    return RowWork(
        SceneDataset(Scene.open(raster), card.ranges),
        size_px=card.patch_px,
        overlap_px=round(options.overlap * card.patch_px),
        n_classes=1,
        batch_size=options.batch_size or 1,
        folder=folder / "rows",
        workers=options.workers,
    )


def make_map(
    options: PredictOptions, predictor: Predictor, card: ModelCard, compute: Compute
) -> SceneResult:
    """Map the scene as `geocobot predict` does."""
    (targets,) = choose_targets(options.raster, options.out, save_scores=True, save_classes=False)
    job = MapJob.of(Scene.open(options.raster[0]), targets, options, compute)
    run = MappingRun.claim(targets, resume=False, overwrite=True)
    return map_scene(job, LocalEngine(predictor, compute), card, run, compute=compute)


def time_model(
    predictor: Predictor, work: RowWork, compute: Compute, lanes: Lanes | None = None
) -> float:
    """Seconds for as many tiles as the map has, in batches as it has them.

    Args:
        predictor: the model.
        work: the scene and its tiles.
        compute: where.
        lanes: in which it computes; None for all cores on one batch after the other.
    """
    loader = load_tiles(work.dataset, work.plan, batch_size=work.batch_size)
    some = list(itertools.islice(loader, BATCHES))
    rows = [len(row.windows) for row in work.plan.rows()]
    sizes = [min(work.batch_size, n - k) for n in rows for k in range(0, n, work.batch_size)]
    coming = ({n: v[:size] for n, v in b.items()} for b, size in zip(itertools.cycle(some), sizes))
    for _ in predict_tiles(predictor, some, compute, n_classes=1, lanes=lanes):
        pass
    started = time.perf_counter()
    for _ in predict_tiles(predictor, coming, compute, n_classes=1, lanes=lanes):
        pass
    return time.perf_counter() - started


def tell(
    medians: dict[str, float], result: SceneResult, side: int, compute: Compute, batch_size: int
) -> None:
    """Print what was measured."""
    where = (
        torch.cuda.get_device_name(compute.device)
        if compute.device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    print(
        f"{side} x {side} px, {result.tiles} tiles, {result.n_polygons} polygons; {where}, "
        f"{compute.precision}, {batch_size} tiles at a time"
    )
    for name, label in (
        ("model", "the model alone"),
        ("together", "all cores on a batch"),
        ("scores", "map without polygons"),
        ("whole", "map with polygons"),
    ):
        rate = result.tiles / medians[name]
        print(
            f"  {label:<21} {medians[name]:7.1f} s, {rate:7.1f} tiles/s, "
            f"{medians[name] / medians['model']:.2f} x"
        )


def stages(
    predictor: Predictor, card: ModelCard, work: RowWork, compute: Compute, folder: Path
) -> None:
    """Time every stage alone on the first tile rows, one thread each but for the model."""
    numbers = range(min(STAGE_ROWS, len(list(work.plan.rows()))))
    loader = load_tiles(work.dataset, work.plan, rows=numbers, batch_size=work.batch_size)
    batches, read_s = timed(lambda: list(loader))
    tiles, model_s = timed(
        lambda: list(predict_tiles(predictor, batches, compute, n_classes=work.n_classes))
    )
    rows, blend_s = timed(lambda: list(blend_rows(iter(tiles), work.plan, numbers)))
    _, keep_s = timed(lambda: [work.journal.keep(k, row) for k, row in enumerate(rows)])
    strips, merge_s = timed(lambda: list(merge_rows(iter(rows), work.plan)))
    height = sum(strip.height for strip in strips)
    grid = replace(work.dataset.grid, shape=(height, work.dataset.grid.width))

    def write() -> None:
        with ScoreWriter(folder / "part.tif", grid, card.classes) as sink:
            for strip in strips:
                sink.write(strip)

    def trace() -> Iterator[int]:
        least, tolerance = PredictOptions.min_area, PredictOptions.simplify
        clean = CleanOptions(min_area_m2=least, simplify_m=tolerance)
        yield from (len(frame) for frame in polygonize(strips, grid, card.classes, clean))

    _, write_s = timed(write)
    _, trace_s = timed(lambda: sum(trace()))
    found = {
        "reading": read_s,
        "model": model_s,
        "blending": blend_s + merge_s,
        "journal": keep_s,
        "scores raster": write_s,
        "tracing": trace_s,
    }
    mpx = height * grid.width / 1e6
    print(
        "  alone, one after the other: "
        + ", ".join(f"{name} {mpx / seconds:.1f} Mpx/s" for name, seconds in found.items())
    )
    slowest = max(found, key=found.__getitem__)
    print(f"  the slowest is {slowest}, with {mpx / found[slowest]:.1f} Mpx/s")


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """What came of it, and the seconds that it took."""
    started = time.perf_counter()
    made = work()
    return made, time.perf_counter() - started


if __name__ == "__main__":
    main()
