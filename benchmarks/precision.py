"""What bfloat16 is worth, in training and in mapping: the same in float32 and in bfloat16, in turn.

Usage: python benchmarks/precision.py [--rounds 15] [--batch 8] [--side 128]
       [--model runs/roads/model.safetensors --raster scene.tif --maps 3]

Prints the medians of a training step of `tiny`, their ratio and how far the two losses are apart
after the same steps; with a model and a scene also the medians of mapping it, and on how many
pixels the two maps differ.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
import torch
from torch import Tensor, nn

import geocobot
from geocobot.adapters.config import AdapterConfig
from geocobot.config.values import DtypeName
from geocobot.models.precision import Compute, has_bfloat16
from geocobot.models.segmenter import build_segmenter
from geocobot.training.losses import SegmentationLoss

WARM_UP = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--raster", type=Path)
    parser.add_argument("--maps", type=int, default=3)
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"device {device}, native bfloat16: {has_bfloat16(device)}")
    compare_steps(device, given)
    if given.model and given.raster:
        compare_maps(given.model, given.raster, given.maps)


def compare_steps(device: torch.device, given: argparse.Namespace) -> None:
    """Train in both, step by step."""
    single = Side(build_segmenter("tiny", 1, AdapterConfig()), Compute(device, "float32"))
    half = Side(copy.deepcopy(single.segmenter), Compute(device, "bfloat16"))
    rng = torch.Generator().manual_seed(0)
    for _ in range(WARM_UP + given.rounds):
        image = torch.rand(given.batch, 3, given.side, given.side, generator=rng)
        label = (image[:, 0] > 0.5).long()
        single.step(image.to(device), label.to(device))
        half.step(image.to(device), label.to(device))
    a, b = (statistics.median(side.seconds[WARM_UP:]) for side in (single, half))
    print(f"float32 {1000 * a:.0f} ms, bfloat16 {1000 * b:.0f} ms per step: {a / b:.2f} x")
    print(f"last losses: float32 {single.loss:.4f}, bfloat16 {half.loss:.4f}")


def compare_maps(model: Path, raster: Path, rounds: int) -> None:
    """Map a scene in both, in turn."""
    names: tuple[DtypeName, DtypeName] = ("float32", "bfloat16")
    seconds: Mapping[str, list[float]] = {name: [] for name in names}
    maps = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name in names:
                result = geocobot.predict(
                    raster=raster,
                    model=model,
                    out=Path(folder) / f"{name}.gpkg",
                    save_classes=True,
                    overwrite=True,
                    precision=name,
                ).scenes[0]
                seconds[name].append(result.seconds)
                assert result.classes is not None
                with rasterio.open(result.classes) as source:
                    maps[name] = source.read(1)
    a, b = (statistics.median(seconds[name]) for name in names)
    print(f"{raster.name}: float32 {a:.1f} s, bfloat16 {b:.1f} s: {a / b:.2f} x")
    differing = maps["float32"] != maps["bfloat16"]
    print(f"another class on {differing.sum():,} of {differing.size:,} pixels")
    for number in np.unique(maps["float32"][maps["float32"] > 0]):
        one, other = (maps[name] == number for name in names)
        print(
            f"class {number}: IoU of the two maps {(one & other).sum() / (one | other).sum():.5f}"
        )


class Side:
    """One of the two trainings."""

    def __init__(self, segmenter: nn.Module, compute: Compute) -> None:
        self.segmenter = segmenter.to(compute.device).train()
        self.compute = compute
        self.optimizer = torch.optim.AdamW(
            [p for p in segmenter.parameters() if p.requires_grad], lr=1e-3
        )
        self.seconds: list[float] = []
        self.loss = float("nan")

    def step(self, image: Tensor, label: Tensor) -> None:
        """One optimizer step, timed."""
        start = time.perf_counter()
        with self.compute.autocast():
            logits = self.segmenter(image)
        loss = SegmentationLoss()(logits, label, torch.ones_like(label, dtype=torch.bool))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.item()  # also waits for the device
        self.seconds.append(time.perf_counter() - start)


if __name__ == "__main__":
    main()
