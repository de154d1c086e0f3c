"""Tiling and putting together, beside two other packages: time and peak memory, same scores in.

Claim: from tiles to a scores raster, geocobot blends in less time than geoai, and in a fraction of
its memory. segment-geospatial crops, which is less work and quicker.

Usage: python benchmarks/peers.py --python PEERS/bin/python [5000 10000 20000]
       [--tile 512] [--overlap 128] [--tools NAME ...] [--limit-gb 16] [--limit-minutes 15]

PEERS is a virtual environment of Python 3.11 with segment-geospatial 1.4.2 and geoai-py 0.40.1
(`pip install segment-geospatial==1.4.2 geoai-py==0.40.1`), best with the same torch, rasterio and
NumPy as beside geocobot; what cannot be imported there is skipped. Measured are

- geocobot-scores: `load_tiles`, `predict_tiles`, `blend_rows`, `merge_rows`, `ScoreWriter`: blended
  logits into a cloud-optimized raster with overviews, read again when it is whole.
- geocobot-map: `map_scene`, which keeps every row for `--resume` and draws polygons as well.
- samgeo-scores: `samgeo.common.tiff_to_tiff`, behind `SamGeo.generate(batch=True)`: cropped tiles.
- samgeo-masks: `samgeo.samgeo3.SamGeo3.generate_masks_tiled`: one mask per tile (score above 0.5),
  pasted where the ones before have nothing. No scores come out of it.
- geoai-scores: `geoai.inference.predict_geotiff` with its default, "spline": blended scores.

All have tiles of the same side and overlap, one tile per batch, one class, uint8 out, and the same
stand-in for the model: a sigmoid of the brightness that takes 5 ms a tile. Every tool and size has
a process of its own; seconds and peak are the process's after its imports, except that "peak" holds
them. A process that takes more memory or time than it may is ended, which is its result.
"Differs" is the share of pixels more than 2 of 254 steps away from geocobot's (masks: on the other
side of a half), so that nobody is quick by leaving work out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import rasterio
from memory import peak_mb, stand_in_card, write_scene
from rasterio.windows import Window

if TYPE_CHECKING:
    from torch import Tensor

SIZES_PX = (5_000, 10_000, 20_000)
STAND_IN_S = 0.005
SCALE = 254
TOLERANCE = 2
WATCH_S = 0.1
# A new process starts with its parent's peak: this one's has to stay below what imports take.
OWN_CACHE_BYTES = 64 * 2**20
ROWS_AT_ONCE = 512
NOT_THERE = 77  # exit status of a tool that cannot be imported

Run: TypeAlias = Callable[[Path, Path, int, int], None]
"""Scene, raster to write, tile side and overlap in pixels."""


class StandIn:
    """Scores by brightness, 5 ms for every tile."""

    def __init__(self) -> None:
        self.tiles = 0

    def logits(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of images (B, 3, H, W), 0 to 1."""
        start_s = time.perf_counter()
        found = (image.mean(dim=1, keepdim=True) - 0.6) * 20
        self._wait(start_s, len(image))
        return found

    def steps(self, image: Tensor) -> Tensor:
        """Scores of the same, times 254."""
        start_s = time.perf_counter()
        found = ((image.mean(dim=1, keepdim=True) - 0.6) * 20).sigmoid_() * SCALE
        self._wait(start_s, len(image))
        return found

    def steps_of_rgb(self, rgb: np.ndarray) -> np.ndarray:
        """The same for one image (H, W, 3) of bytes: (H, W) of bytes."""
        import torch

        start_s = time.perf_counter()
        image = torch.from_numpy(rgb).permute(2, 0, 1).float()[None] / 255
        found = ((image.mean(dim=1) - 0.6) * 20).sigmoid_() * SCALE
        steps: np.ndarray = found[0].round_().byte().numpy()
        self._wait(start_s, 1)
        return steps

    def _wait(self, start_s: float, tiles: int) -> None:
        """Be busy until the tiles' time is over."""
        self.tiles += tiles
        while time.perf_counter() < start_s + tiles * STAND_IN_S:
            pass


@dataclass(frozen=True)
class Tool:
    """One of those compared.

    Attributes:
        prepare: imports all that it needs, and returns what is timed.
        is_peer: whether the peers' interpreter runs it.
        is_mask: whether it writes 0 and 1 in place of scores.
    """

    prepare: Callable[[StandIn], Run]
    is_peer: bool = True
    is_mask: bool = False


def geocobot_scores(stand_in: StandIn) -> Run:
    """The stages of a prediction up to the scores raster."""
    import torch

    from geocobot.data.dataset import SceneDataset
    from geocobot.inference.blend import merge_rows
    from geocobot.inference.blended_row import blend_rows
    from geocobot.inference.tiles import load_tiles, plan_tiles, predict_tiles
    from geocobot.io.scene import Scene
    from geocobot.io.scores import ScoreWriter
    from geocobot.models.precision import Compute
    from geocobot.workflows.allocator import release_large_arrays

    def run(scene: Path, out: Path, tile_px: int, overlap_px: int) -> None:
        release_large_arrays()
        card = stand_in_card(tile_px)
        dataset = SceneDataset(Scene.open(scene), card.ranges)
        plan = plan_tiles(dataset, size_px=tile_px, overlap_px=overlap_px)
        compute = Compute(torch.device("cpu"))
        tiles = predict_tiles(stand_in.logits, load_tiles(dataset, plan), compute, n_classes=1)
        with ScoreWriter(out, dataset.grid, card.classes) as writer:
            for strip in merge_rows(blend_rows(tiles, plan), plan):
                writer.write(strip)

    return run


def geocobot_map(stand_in: StandIn) -> Run:
    """All of a prediction, polygons too."""
    import torch

    from geocobot.config import PredictOptions
    from geocobot.inference.engines import LocalEngine
    from geocobot.io.scene import Scene
    from geocobot.models.precision import Compute
    from geocobot.workflows.map_job import MapJob
    from geocobot.workflows.map_scene import map_scene
    from geocobot.workflows.mapping_run import MappingRun
    from geocobot.workflows.targets import choose_targets

    def run(scene: Path, out: Path, tile_px: int, overlap_px: int) -> None:
        options = PredictOptions(
            raster=(str(scene),),
            model="none",
            out=str(out.with_name("map.gpkg")),
            overlap=overlap_px / tile_px,
            batch_size=1,
            save_scores=True,
        )
        compute = Compute(torch.device("cpu"))
        (targets,) = choose_targets(
            options.raster, options.out, save_scores=True, save_classes=False
        )
        map_scene(
            MapJob.of(Scene.open(scene), targets, options, compute),
            LocalEngine(stand_in.logits, compute),
            stand_in_card(tile_px),
            MappingRun.claim(targets, resume=False, overwrite=False),
            compute=compute,
        )
        assert targets.scores is not None
        targets.scores.replace(out)

    return run


def samgeo_scores(stand_in: StandIn) -> Run:
    """segment-geospatial: tiles cut to their centres."""
    from samgeo.common import tiff_to_tiff

    def segment(rgb: np.ndarray, **_: Any) -> np.ndarray:
        return stand_in.steps_of_rgb(rgb)

    def run(scene: Path, out: Path, tile_px: int, overlap_px: int) -> None:
        side_px = tile_px - overlap_px
        tiff_to_tiff(
            str(scene), str(out), segment, sample_size=(side_px, side_px), bound=overlap_px // 2
        )

    return run


def samgeo_masks(stand_in: StandIn) -> Run:
    """segment-geospatial with SAM 3: masks pasted over each other."""
    from samgeo.samgeo3 import SamGeo3

    class Stub(SamGeo3):
        def __init__(self) -> None:
            self.backend = "none"

        def generate_masks(self, *_: Any, **__: Any) -> None:
            self.masks = [stand_in.steps_of_rgb(self.image) > SCALE // 2]

    def run(scene: Path, out: Path, tile_px: int, overlap_px: int) -> None:
        Stub().generate_masks_tiled(
            str(scene),
            "bright",
            str(out),
            tile_size=tile_px,
            overlap=overlap_px,
            unique=False,
            dtype="uint8",
            verbose=False,
        )

    return run


def geoai_scores(stand_in: StandIn) -> Run:
    """geoai: blended tiles, summed up in two arrays as large as the scene."""
    import torch
    from geoai.inference import predict_geotiff
    from geoai.utils import get_device

    class Module(torch.nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return stand_in.steps(image)

    get_device()  # `predict_geotiff` imports it late

    def run(scene: Path, out: Path, tile_px: int, overlap_px: int) -> None:
        predict_geotiff(
            Module(),
            str(scene),
            str(out),
            tile_size=tile_px,
            overlap=overlap_px,
            batch_size=1,
            output_dtype="uint8",
            output_nodata=255,
            device="cpu",
            verbose=False,
        )

    return run


REFERENCE = "geocobot-scores"
TOOLS = {
    REFERENCE: Tool(geocobot_scores, is_peer=False),
    "geocobot-map": Tool(geocobot_map, is_peer=False),
    "samgeo-scores": Tool(samgeo_scores),
    "samgeo-masks": Tool(samgeo_masks, is_mask=True),
    "geoai-scores": Tool(geoai_scores),
}


def main(given: argparse.Namespace) -> None:
    """Measure every size with every tool, the first of which is compared with."""
    print(
        "| Scene, px | Tool | Tiles | Seconds | without the stand-in | Peak, MB | above the "
        "imports | Differs |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for size_px in given.sizes:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            scene = Path(folder) / "scene.tif"
            write_scene(scene, size_px, size_px)
            for name in [REFERENCE, *(t for t in given.tools if t != REFERENCE)]:
                figures = measure(name, scene, given)
                print(f"| {size_px:,} | {name} | {figures} |", flush=True)


def measure(name: str, scene: Path, given: argparse.Namespace) -> str:
    """Run one tool in a process of its own; its figures as cells of a table."""
    tool = TOOLS[name]
    if tool.is_peer and given.python is None:
        return "skipped: --python names no interpreter"
    out = scene.with_name(f"{name}.tif")
    command = [
        given.python if tool.is_peer else sys.executable, __file__, "--measure", name,
        "--scene", scene, "--raster", out, "--tile", given.tile, "--overlap", given.overlap,
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        process = subprocess.Popen([*map(str, command)], stdout=said, stderr=complained)
        status, peak, reason = watch(process.pid, given.limit_gb * 1e9, given.limit_minutes * 60)
        process.returncode = status
        said.seek(0)
        complained.seek(0)
        if reason:
            return f"ended: {reason} | | | {peak:,.0f} | | "
        if status:
            why = (complained.read().splitlines() or [f"status {status}"])[-1]
            return f"skipped: {why}" if status == NOT_THERE else f"failed: {why}"
        figures = json.loads(said.read().splitlines()[-1])
    reference = scene.with_name(f"{REFERENCE}.tif")
    return (
        f"{figures['tiles']:,} | {figures['seconds']:.1f} | "
        f"{figures['seconds'] - figures['tiles'] * STAND_IN_S:.1f} | {peak:,.0f} | "
        f"{peak - figures['baseline_mb']:,.0f} | {differing(reference, out, tool.is_mask):.3%}"
    )


def watch(pid: int, limit_bytes: float, limit_s: float) -> tuple[int, float, str]:
    """Wait for a process, and end it where it takes too much.

    Returns:
        Its exit status; the peak memory in MB of it and its own children, whichever is the
        largest; and why it was ended, or nothing.
    """
    start_s, reason = time.perf_counter(), ""
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024 / 1e6, reason
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        if resident > limit_bytes:
            reason = f"more than {limit_bytes / 1e9:.0f} GB"
        elif time.perf_counter() - start_s > limit_s:
            reason = f"more than {limit_s / 60:.0f} minutes"
        if reason:
            os.kill(pid, signal.SIGKILL)
        time.sleep(WATCH_S)


def differing(reference: Path, raster: Path, is_mask: bool) -> float:
    """Share of the pixels that are not what they are in the reference."""
    count = 0
    with rasterio.open(reference) as ours, rasterio.open(raster) as theirs:
        for row in range(0, ours.height, ROWS_AT_ONCE):
            window = Window(0, row, ours.width, min(ROWS_AT_ONCE, ours.height - row))
            a, b = (source.read(1, window=window).astype(np.int16) for source in (ours, theirs))
            wrong = (a > SCALE // 2) != (b > 0) if is_mask else np.abs(a - b) > TOLERANCE
            count += int(wrong.sum())
        return count / (ours.height * ours.width)


def measure_here(given: argparse.Namespace) -> None:
    """Run one tool and print what it took."""
    stand_in = StandIn()
    try:
        run = TOOLS[given.measure].prepare(stand_in)
    except ImportError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(NOT_THERE) from None
    baseline_mb = peak_mb()
    start_s = time.perf_counter()
    run(given.scene, given.raster, given.tile, given.overlap)
    figures = {
        "baseline_mb": baseline_mb,
        "seconds": time.perf_counter() - start_s,
        "tiles": stand_in.tiles,
    }
    print(json.dumps(figures))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES_PX))
    parser.add_argument("--python", type=Path, help="interpreter that has the peers")
    parser.add_argument(
        "--tools", nargs="+", default=list(TOOLS), choices=list(TOOLS), metavar="NAME"
    )
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=128, help="in pixels")
    parser.add_argument("--limit-gb", type=float, default=16)
    parser.add_argument("--limit-minutes", type=float, default=15)
    parser.add_argument("--folder", type=Path, help="where scenes and rasters are written")
    for hidden, kind in (("--measure", str), ("--scene", Path), ("--raster", Path)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    asked = parse()
    if asked.measure is None:
        with rasterio.Env(GDAL_CACHEMAX=OWN_CACHE_BYTES):
            main(asked)
    else:
        measure_here(asked)
