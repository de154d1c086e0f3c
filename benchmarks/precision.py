"""What bfloat16 is worth in training: a step of `tiny` in float32 and in bfloat16, in turn.

Usage: python benchmarks/precision.py [--rounds 15] [--batch 8] [--side 128]

Prints the medians, their ratio and how far the two losses are apart after the same steps.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch
from torch import Tensor, nn

from geocobot.adapters.config import AdapterConfig
from geocobot.models.precision import has_bfloat16
from geocobot.models.segmenter import build_segmenter
from geocobot.training.losses import SegmentationLoss

WARM_UP = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    single = Side(build_segmenter("tiny", 1, AdapterConfig()), device, half=False)
    half = Side(copy.deepcopy(single.segmenter), device, half=True)
    rng = torch.Generator().manual_seed(0)
    for _ in range(WARM_UP + given.rounds):
        image = torch.rand(given.batch, 3, given.side, given.side, generator=rng)
        label = (image[:, 0] > 0.5).long()
        single.step(image.to(device), label.to(device))
        half.step(image.to(device), label.to(device))
    a, b = (statistics.median(side.seconds[WARM_UP:]) for side in (single, half))
    print(f"device {device}, native bfloat16: {has_bfloat16(device)}")
    print(f"float32 {1000 * a:.0f} ms, bfloat16 {1000 * b:.0f} ms per step: {a / b:.2f} x")
    print(f"last losses: float32 {single.loss:.4f}, bfloat16 {half.loss:.4f}")


class Side:
    """One of the two trainings."""

    def __init__(self, segmenter: nn.Module, device: torch.device, *, half: bool) -> None:
        self.segmenter = segmenter.to(device).train()
        self.device = device
        self.half = half
        self.optimizer = torch.optim.AdamW(
            [p for p in segmenter.parameters() if p.requires_grad], lr=1e-3
        )
        self.seconds: list[float] = []
        self.loss = float("nan")

    def step(self, image: Tensor, label: Tensor) -> None:
        """One optimizer step, timed."""
        start = time.perf_counter()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits = self.segmenter(image)
        loss = SegmentationLoss()(logits, label, torch.ones_like(label, dtype=torch.bool))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.item()  # also waits for the device
        self.seconds.append(time.perf_counter() - start)


if __name__ == "__main__":
    main()
