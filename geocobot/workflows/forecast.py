"""What training and mapping will take on this machine: a step and a tile are tried out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from geocobot.adapters.config import AdapterConfig
from geocobot.config import PredictOptions, TrainOptions
from geocobot.data.module import SceneDataModule
from geocobot.inference.batch import usual_batch
from geocobot.inference.lanes import Lanes, threads_restored
from geocobot.io.scene import Scene
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.training.losses import SegmentationLoss
from geocobot.training.objectives import make_objective
from geocobot.workflows.memory import GIB, buffers_gib

_FLOAT_BYTES = 4
# Before its first step and after its last one: imports, the first fit, judging, writing.
_AROUND_S = 20.0
# Of a pixel and class, in the finished tile rows that a map is made from.
_KEPT_BYTES = 2
# Trained weights, their average and AdamW's two moments.
_CHECKPOINT_COPIES = 4


@dataclass(frozen=True)
class Forecast:
    """What training and mapping will take, about.

    Attributes:
        base: the base that is trained.
        device: "cpu" or "cuda".
        patch_px: side of validation blocks, and the largest that training patches have.
        crop_px: side of what a step sees.
        batch_size: patches per step.
        steps_per_epoch: steps until the training area was shown about once.
        validation_blocks: how many there are.
        train_minutes: of the whole run.
        train_memory_gib: main memory, or that of the GPU.
        train_disk_mb: of the run's folder while it runs.
        model_mb: of the model file.
        predict_minutes: to map the scenes that were given.
        predict_km2_per_minute: with their pixel size.
        predict_memory_gib: main memory.
        predict_disk_mb: beside the results, at most, while they are made.
    """

    base: str
    device: str
    patch_px: int
    crop_px: int
    batch_size: int
    steps_per_epoch: int
    validation_blocks: int
    train_minutes: float
    train_memory_gib: float
    train_disk_mb: float
    model_mb: float
    predict_minutes: float
    predict_km2_per_minute: float
    predict_memory_gib: float
    predict_disk_mb: float

    def rows(self) -> dict[str, str]:
        """What it says, by title."""
        return {
            "patches": f"{self.batch_size} of {self.crop_px} px a step, {self.steps_per_epoch} "
            f"steps to see the training area once, {self.validation_blocks} validation blocks of "
            f"{self.patch_px} px",
            "train": f"about {self.train_minutes:.1f} minutes on the {self.device.upper()} "
            f"({self.base}), {self.train_memory_gib:.1f} GiB of memory, {self.train_disk_mb:.0f} "
            f"MB of disk; the model file has {self.model_mb:.1f} MB",
            "predict": f"about {self.predict_minutes:.1f} minutes for these scenes, "
            f"{self.predict_km2_per_minute:.3g} km2 a minute, {self.predict_memory_gib:.1f} GiB of "
            f"memory, {self.predict_disk_mb:.0f} MB of disk at most while it runs",
        }


def forecast(
    options: TrainOptions,
    compute: Compute,
    scenes: Sequence[Scene],
    datamodule: SceneDataModule,
    *,
    n_classes: int,
    surveyed_s: float,
) -> Forecast:
    """Try out a step and a tile, with random weights, and count.

    Args:
        options: filled in.
        compute: where, and how exactly.
        scenes: all of them.
        datamodule: the patches that training would have.
        n_classes: planes of logits.
        surveyed_s: what reading scenes and labels has taken.
    """
    segmenter = _build(options, n_classes, len(scenes[0].bands)).to(compute.device)
    crop_px, batch_size = datamodule.crop_px, datamodule.batch_size
    step_s = _time_step(segmenter, compute, batch_size, crop_px, n_classes)
    memory_gib = _peak_gib(compute)
    tile_s = _time_tile(segmenter, compute, crop_px)
    trained = sum(p.numel() for p in segmenter.parameters() if p.requires_grad)
    model_mb = trained * _FLOAT_BYTES / 1e6
    pixels = sum(scene.grid.height * scene.grid.width for scene in scenes)
    pixels_per_s = (crop_px * (1 - PredictOptions.overlap)) ** 2 / tile_s
    pixel_m2 = scenes[0].grid.ground_pixel_m2
    widest = max(scene.grid.width for scene in scenes)
    buffers = buffers_gib(
        width_px=widest,
        tile_px=crop_px,
        n_classes=n_classes,
        tiles=Lanes(compute, torch.get_num_threads()).held
        * usual_batch(compute, (segmenter.n_bands, crop_px, crop_px)),
    )
    steps_s = _steps(options, datamodule) * step_s
    budget_s = None if options.max_minutes is None else 60 * options.max_minutes
    fit_s = steps_s if budget_s is None else min(steps_s, budget_s)
    return Forecast(
        base=options.base,
        device=compute.device.type,
        patch_px=options.patch_size or crop_px,
        crop_px=crop_px,
        batch_size=batch_size,
        steps_per_epoch=datamodule.steps_per_epoch,
        validation_blocks=len(datamodule.val_sampler),
        train_minutes=(surveyed_s + _AROUND_S + fit_s) / 60,
        train_memory_gib=memory_gib,
        train_disk_mb=(1 + _CHECKPOINT_COPIES) * model_mb,
        model_mb=model_mb,
        predict_minutes=pixels / pixels_per_s / 60,
        predict_km2_per_minute=60 * pixels_per_s * pixel_m2 / 1e6,
        predict_memory_gib=_main_memory_gib() + buffers,
        predict_disk_mb=_KEPT_BYTES * n_classes * pixels / 1e6,
    )


def _build(options: TrainOptions, n_classes: int, n_bands: int) -> Segmenter:
    """The network that would be trained, from random weights, which need no download."""
    assert options.head != "auto"
    return build_segmenter(
        options.base,
        n_classes,
        AdapterConfig(options.adapter),
        head=options.head,
        start="random",
        train_encoder=options.start == "random",
        n_bands=n_bands,
    )


def _steps(options: TrainOptions, datamodule: SceneDataModule) -> int:
    """Steps of all epochs."""
    assert options.epochs is not None
    return options.epochs * datamodule.steps_per_epoch


def _time_step(
    segmenter: Segmenter, compute: Compute, batch_size: int, side_px: int, n_classes: int
) -> float:
    """Seconds of a training step, the second of two."""
    segmenter.train()
    objective = make_objective(segmenter, SegmentationLoss(), 0.0)
    trained = [p for p in segmenter.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    shape = (batch_size, side_px, side_px)
    device = compute.device
    batch = {
        "image": torch.rand(batch_size, segmenter.n_bands, side_px, side_px, device=device),
        "label": torch.randint(n_classes + 1, shape, device=device),
        "valid": torch.ones(shape, dtype=torch.bool, device=device),
    }
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        with compute.autocast():
            loss = objective.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call] # torch's
        optimizer.step()
        optimizer.zero_grad()
        _wait(device)
        seconds = time.perf_counter() - started
    return seconds


def _time_tile(segmenter: Segmenter, compute: Compute, side_px: int) -> float:
    """Seconds per tile, in the second of two rounds."""
    segmenter.eval()
    image_shape = (segmenter.n_bands, side_px, side_px)
    tiles = torch.rand(usual_batch(compute, image_shape), *image_shape, device=compute.device)
    lanes = Lanes(compute, torch.get_num_threads())

    def show(batch: torch.Tensor) -> None:
        with torch.inference_mode(), compute.autocast():
            segmenter(batch)
        _wait(compute.device)

    seconds = 0.0
    with threads_restored():
        for _ in range(2):
            started = time.perf_counter()
            for _ in lanes.each([tiles] * lanes.count, show):
                pass
            seconds = time.perf_counter() - started
    return seconds / (lanes.count * len(tiles))


def _wait(device: torch.device) -> None:
    """Let a GPU finish what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_gib(compute: Compute) -> float:
    """Memory that the step has taken at most: the GPU's where there is one."""
    if compute.device.type == "cuda":
        return torch.cuda.max_memory_allocated(compute.device) / GIB
    return _main_memory_gib()


def _main_memory_gib() -> float:
    """Main memory that this process has had at most; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (GIB if sys.platform == "darwin" else 2**20)
