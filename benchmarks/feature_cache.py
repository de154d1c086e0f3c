"""What kept features are worth: head-only training of ViT-B's shape with and without them, in turn.

Usage: python benchmarks/feature_cache.py [--rounds 3] [--batches 4] [--batch 8] [--side 256]

An epoch is the same patches every time, as `--pool-epochs 1` shows them. Prints seconds per epoch
without kept features, with them the first time and afterwards, the ratios, what a patch takes on
disk, and how far rounding moves features and losses. The weights are random, in the official
format; the precision is the one that training takes on this machine.
"""

from __future__ import annotations

import argparse
import copy
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import segment_anything
import torch
from torch import Tensor

from geocobot.adapters.config import AdapterConfig
from geocobot.models.cached_encoder import reusing_features
from geocobot.models.feature_cache import FeatureCache
from geocobot.models.precision import has_bfloat16
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.training.losses import SegmentationLoss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    logging.disable(logging.WARNING)  # that these are not the official weights is known
    rng = torch.Generator().manual_seed(0)
    shape = (given.batches, given.batch, 3, given.side, given.side)
    patches = torch.rand(shape, generator=rng)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "sam_vit_b.pth"
        torch.manual_seed(0)
        torch.save(segment_anything.sam_model_registry["vit_b"]().state_dict(), checkpoint)
        segmenter = build_segmenter("vit_b", 1, AdapterConfig("none"), checkpoint=checkpoint)
        print_rounding(segmenter, patches[0])
        compare(segmenter, patches, Path(folder) / "features", given.rounds)


def compare(segmenter: Segmenter, patches: Tensor, folder: Path, rounds: int) -> None:
    """Print what an epoch takes on both sides."""
    Side(copy.deepcopy(segmenter)).epoch(patches[:1])  # warms up what both sides share
    plain, kept = Side(segmenter), Side(copy.deepcopy(segmenter))
    for _ in range(1 + rounds):
        plain.epoch(patches)
        with reusing_features(kept.segmenter, FeatureCache(folder, 4 * 10**9)):
            kept.epoch(patches)
    without = statistics.median(plain.seconds)
    first, later = kept.seconds[0], statistics.median(kept.seconds[1:])
    count = patches.shape[0] * patches.shape[1]
    size = sum(path.stat().st_size for path in folder.iterdir()) / count
    print(
        f"{torch.get_num_threads()} threads, native bfloat16: {plain.half}, {count} patches of "
        f"{patches.shape[-1]} px per epoch"
    )
    print(f"without  {without:8.2f} s per epoch")
    print(f"first    {first:8.2f} s: {without / first:.2f} x")
    print(
        f"later    {later:8.2f} s: {without / later:.2f} x, {1000 * later / count:.1f} ms a patch"
    )
    print(f"disk     {size / 1000:8.0f} kB a patch")
    for name, epoch in (("first", 0), ("last", -1)):
        losses = [statistics.mean(side.losses[epoch]) for side in (plain, kept)]
        print(f"mean loss of the {name} epoch: without {losses[0]:.5f}, with {losses[1]:.5f}")


def print_rounding(segmenter: Segmenter, image: Tensor) -> None:
    """Print by how much of their root mean square formats move features."""
    x = (image - segmenter.pixel_mean) / segmenter.pixel_std
    with torch.no_grad():
        exact = segmenter.encoder(x).neck
        with torch.autocast("cpu", torch.bfloat16):
            computed = segmenter.encoder(x).neck.float()
    moved = {
        "kept in float16": exact.half().float(),
        "kept in bfloat16": exact.bfloat16().float(),
        "computed in bfloat16": computed,
    }
    for name, other in moved.items():
        print(f"{name:20} {100 * ((other - exact).norm() / exact.norm()).item():.3f} %")


class Side:
    """One of the two trainings."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter.train()
        self.half = has_bfloat16(torch.device("cpu"))
        self.optimizer = torch.optim.AdamW(segmenter.head.parameters(), lr=2e-4)
        self.seconds: list[float] = []
        self.losses: list[Sequence[float]] = []

    def epoch(self, patches: Tensor) -> None:
        """One pass over all patches, timed."""
        start = time.perf_counter()
        self.losses.append([self.step(images) for images in patches])
        self.seconds.append(time.perf_counter() - start)

    def step(self, image: Tensor) -> float:
        """One optimizer step."""
        label = (image[:, 0] > 0.5).long()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logits = self.segmenter(image)
        loss = SegmentationLoss()(logits, label, torch.ones_like(label, dtype=torch.bool))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()


if __name__ == "__main__":
    main()
