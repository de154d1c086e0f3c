"""Whether patches come faster than the model learns from them.

Usage: python benchmarks/loader.py [--base tiny] [--device auto] [--side-px 6000] [--crop-size 256]
       [--batch-size 8] [--workers 0] [--seconds 10] [--rounds 3]

A GeoTIFF of random terrain (three bands of uint8, tiled, deflate) and a GeoPackage with as many
houses as fit, from both of which `geocobot train` cuts its patches. What is not given is as
`geocobot train` has it on that device. Measured in turn: the loader alone; the model alone, whole
steps of adapters and head on a batch that is there; augmentation alone; and a loop of all three, as
training runs it. Claim: the loader alone has at least twice the patches per second of the model
alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from label_patches import houses
from pyproj import CRS
from rasterio.enums import Resampling
from torch import Tensor

from geocobot.adapters.config import AdapterConfig
from geocobot.config.values import BATCH_SIZES, CPU_CROP_PX, WORKERS
from geocobot.data.augmentation import augment
from geocobot.data.dataset import Sample
from geocobot.data.module import SceneDataModule
from geocobot.data.split import split_scenes
from geocobot.grid import GeoGrid
from geocobot.io.label_files import read_labels
from geocobot.io.scene import Scene
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.progress import SilentProgress
from geocobot.training.losses import SegmentationLoss
from geocobot.training.objectives import make_objective
from geocobot.workflows.device import choose_compute, device_name
from geocobot.workflows.ground import Ground, Inputs, survey_ground

_PIXEL_M = 0.3
_HOUSE_EVERY_PX = 90
_GRAIN_PX = 16
_PATCH_PX = 512
_WARM_UP = 3


@dataclass
class Rate:
    """Patches per second of one part.

    Attributes:
        run: does a batch and says how many patches it had.
        tries: what came out.
    """

    run: Callable[[], int]
    tries: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Patches per second."""
        return statistics.median(self.tries)

    def measure(self, seconds: float, device: torch.device) -> None:
        """Do batches for so long."""
        self.run()
        _wait(device)
        start, patches = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            patches += self.run()
        _wait(device)
        self.tries.append(patches / (time.perf_counter() - start))


class Steps:
    """Training steps of adapters and head, with random weights.

    Args:
        base: name of the base.
        compute: where, and how exactly.
    """

    def __init__(self, base: str, compute: Compute) -> None:
        segmenter: Segmenter = build_segmenter(
            base, 1, AdapterConfig("lora"), start="random", train_encoder=False
        )
        self.compute = compute
        self.segmenter = segmenter.to(compute.device).train()
        self.objective = make_objective(self.segmenter, SegmentationLoss(), 0.0)
        trained = [p for p in self.segmenter.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def __call__(self, batch: Sample) -> int:
        """Do one step."""
        with self.compute.autocast():
            loss: Tensor = self.objective.loss(batch)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return len(batch["image"])


def main() -> None:
    given = parse()
    compute = choose_compute(given.device, "auto")
    kind = compute.device.type
    crop_px = given.crop_size or (1024 if kind == "cuda" else CPU_CROP_PX["pretrained"])
    batch_size = given.batch_size or BATCH_SIZES[kind]
    workers = WORKERS[kind] if given.workers is None else given.workers
    print(
        f"{device_name(compute.device)}, {compute.precision}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads; {given.base}, {batch_size} patches of {crop_px} px, "
        f"{workers} workers"
    )
    with tempfile.TemporaryDirectory() as folder:
        scene, labels = write_place(Path(folder), given.side_px)
        module = make_module(
            survey_place(scene, labels),
            crop_px,
            batch_size=batch_size,
            workers=workers,
            pin_memory=kind == "cuda",
        )
        report(measure(module, Steps(given.base, compute), given))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--side-px", type=int, default=6000)
    parser.add_argument("--crop-size", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def write_place(folder: Path, side_px: int) -> tuple[Path, Path]:
    """A scene and its labels."""
    transform = Affine(_PIXEL_M, 0, 5e5, 0, -_PIXEL_M, 5e6)
    grid = GeoGrid(CRS.from_epsg(32633), transform, (side_px, side_px))
    coarse = np.random.default_rng(0).integers(0, 256, (3, *(side_px // _GRAIN_PX,) * 2))
    fine = np.random.default_rng(1).integers(0, 24, (3, side_px, side_px), dtype=np.uint8)
    scene, labels = folder / "scene.tif", folder / "houses.gpkg"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.MemoryFile() as memory:
        small = profile | {"width": coarse.shape[2], "height": coarse.shape[1]}
        with memory.open(**small, transform=transform) as target:
            target.write(coarse.astype(np.uint8))
        with memory.open() as source:
            shape = (3, side_px, side_px)
            smooth = source.read(out_shape=shape, resampling=Resampling.bilinear)
    size = {"width": side_px, "height": side_px, "transform": transform}
    with rasterio.open(scene, "w", **profile, **size) as target:
        target.write(np.minimum(smooth, 231) + fine)
    houses(grid, (side_px // _HOUSE_EVERY_PX) ** 2).to_file(labels)
    return scene, labels


def survey_place(scene_path: Path, labels_path: Path) -> Ground:
    """What is known of them before training."""
    scene, labels = Scene.open(scene_path), read_labels([labels_path])
    inputs = Inputs((scene,), labels, (labels.on(scene.grid, scene.name),))
    return survey_ground(inputs, 0, SilentProgress())


def make_module(ground: Ground, crop_px: int, **how: Any) -> SceneDataModule:
    """The data module that `geocobot train` makes of it."""
    return SceneDataModule(
        ground.scenes,
        ground.ranges,
        ground.rasters,
        split_scenes(ground.surveys, max(_PATCH_PX, crop_px), 0),
        ground.surveys,
        crop_px=crop_px,
        **how,
    )


def measure(module: SceneDataModule, steps: Steps, given: argparse.Namespace) -> dict[str, Rate]:
    """Rates of the parts and of the whole."""
    device = steps.compute.device
    batches = endless(module)
    held = module.transfer_batch_to_device(next(batches), device, 0)
    shown = module.on_after_batch_transfer(held, 0)

    def train_from_loader() -> int:
        moved = module.transfer_batch_to_device(next(batches), device, 0)
        return steps(module.on_after_batch_transfer(moved, 0))

    rates = {
        "loader alone": Rate(lambda: len(next(batches)["image"])),
        "augmentation alone": Rate(lambda: len(augment(held)["image"])),
        "model alone": Rate(lambda: steps(shown)),
        "all three": Rate(train_from_loader),
    }
    for _ in range(_WARM_UP):
        train_from_loader()
    for _ in range(given.rounds):
        for rate in rates.values():
            rate.measure(given.seconds / given.rounds, device)
    return rates


def endless(module: SceneDataModule) -> Iterator[Sample]:
    """Batches of one epoch after the other, from the same workers."""
    loader, epoch = module.train_dataloader(), 0
    while True:
        module.train_sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def report(rates: dict[str, Rate]) -> None:
    """Print the table and the ratios."""
    print("| | Patches per s |\n| --- | --- |")
    for name, rate in rates.items():
        print(f"| {name} | {rate.median:,.1f} |")
    model, whole = rates["model alone"].median, rates["all three"].median
    print(f"loader over model: {rates['loader alone'].median / model:.1f} x")
    print(f"training reaches {whole / model:.0%} of the model's own rate")


def _wait(device: torch.device) -> None:
    """Let a GPU finish what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
