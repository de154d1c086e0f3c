"""Judging a map: memory does not grow with its height, and small blocks promise too much.

Claims: a map ten times as high takes as much memory; intervals grow with the size of the blocks.

Usage: python benchmarks/evaluate.py --width PX
       python benchmarks/evaluate.py --pred SCORES --labels FILE

The first judges made-up scores of two heights, each in a process of its own, and prints peak of
memory and pixels per second. The second prints the width of the interval of the IoU for blocks of
several sizes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from affine import Affine
from pyproj import CRS

import geocobot
from geocobot.classes import classify, name_classes
from geocobot.grid import GeoGrid
from geocobot.io.scores import ClassWriter, ScoreWriter
from geocobot.tiling import Strip

CLASSES = name_classes(["field"])
ROWS = (2048, 20_480)
SIDES_M = (2, 4, 8, 12, 16, 20, 30, 40, 60, 80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, help="of made-up scores, in pixels")
    parser.add_argument("--folder", type=Path, help="that holds them: judge these, and no more")
    parser.add_argument("--pred")
    parser.add_argument("--labels")
    options = parser.parse_args()
    if options.folder:
        judge(options.folder)
    elif options.width:
        for rows in ROWS:
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder), rows, options.width)
                words = [sys.executable, __file__, "--folder", folder]
                subprocess.run(words, check=True)
    else:
        for side_m in SIDES_M:
            show_interval(options.pred, options.labels, float(side_m))


def write(folder: Path, rows: int, width: int) -> None:
    """Write scores of made-up fields, and the fields."""
    grid = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, 5e5, 0, -1, 5e6), (rows, width))
    rng = np.random.default_rng(0)
    step = 512
    with (
        ScoreWriter(folder / "scores.tif", grid, CLASSES) as scores,
        ClassWriter(folder / "truth.tif", grid, CLASSES) as truth,
    ):
        for row in range(0, rows, step):
            coarse = rng.random((step // 32, -(-width // 32)), dtype=np.float32)
            fields = np.kron(coarse, np.ones((32, 32), np.float32))[: rows - row, :width]
            noise = rng.normal(0, 0.1, fields.shape).astype(np.float32)
            valid = np.ones(fields.shape, bool)
            scores.write(Strip.of(row, (fields + noise).clip(0, 1)[None], valid))
            truth.write(row, classify(fields[None], valid, CLASSES))


def judge(folder: Path) -> None:
    """Print what it takes to judge the scores in a folder."""
    start_s = time.perf_counter()
    result = geocobot.evaluate(pred=folder / "scores.tif", labels=folder / "truth.tif")
    seconds = time.perf_counter() - start_s
    height, width = result.shape
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speed = height * width / seconds / 1e6
    print(f"{height:>6} x {width} px: {peak_mib:.0f} MiB, {speed:.1f} million pixels per second")


def show_interval(pred: str, labels: str, side_m: float) -> None:
    """Print the interval of the mean IoU with blocks of one size."""
    sure = geocobot.evaluate(pred=pred, labels=labels, block_size=side_m).pixels.uncertainty
    if sure is not None and sure.mean_iou is not None:
        interval = sure.mean_iou
        print(f"{side_m:>4g} m: {sure.blocks:>5} blocks, {interval.high - interval.low:.3f}")


if __name__ == "__main__":
    main()
