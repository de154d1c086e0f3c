"""What finished rows and rasters are packed with: milliseconds and bytes for a real map's scores.

Claims: looking for runs only takes the journal half the time of zlib's fastest level, for a tenth
more bytes, and keeping noise as it is a fraction of that, for a fifth more; ZSTD's lowest level
takes the stage before a cloud-optimized file a quarter of the time of DEFLATE's; DEFLATE's lowest
level takes the file itself half the time of the default, for 2 % more.

Usage: python benchmarks/packing.py SCORES.tif

SCORES.tif comes from `geocobot predict --save-scores`. Logits are made of the scores again, with
noise of 30 steps where the raster has rounded it off. Best of three, one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.shutil import copy

from geocobot.inference.journal import _packed
from geocobot.steps import LOGIT_STEPS, SCORE_SCALE

NOISE_STEPS = 30


def main() -> None:
    """Print a table of both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", type=Path)
    path = parser.parse_args().scores
    with rasterio.open(path) as source:
        scores = source.read()
    print("| | Packed by | ms per Mpx | Bytes per pixel |")
    print("| --- | --- | --- | --- |")
    for name, values in (("scores", scores), ("logits", logits_of(scores))):
        for how, strategy in (("zlib 1", zlib.Z_DEFAULT_STRATEGY), ("runs only", zlib.Z_RLE)):
            tell(name, how, scores.size, lambda v=values, s=strategy: packed(v, s))
        tell(name, "journal", scores.size, lambda v=values: len(_packed(v)))
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder) / "stage.tif"
        for kind, level in (("DEFLATE", {"zlevel": 1}), ("ZSTD", {"zstd_level": 1})):
            tell("stage", kind, scores.size, lambda k=kind, n=level: staged(scores, stage, k, **n))
        for level in ("1", "6"):
            target = Path(folder) / "cog.tif"
            tell("raster", f"COG {level}", scores.size, lambda t=target, n=level: cog(path, t, n))


def logits_of(scores: np.ndarray) -> np.ndarray:
    """Logits in steps that have these scores, int16."""
    share = np.clip(scores / SCORE_SCALE, 0.5 / SCORE_SCALE, 1 - 0.5 / SCORE_SCALE)
    exact = np.log(share / (1 - share)) * LOGIT_STEPS
    noise = np.random.default_rng(0).integers(-NOISE_STEPS, NOISE_STEPS, scores.shape)
    return np.rint(exact + noise).astype(np.int16)


def packed(values: np.ndarray, strategy: int) -> int:
    """Bytes of what the journal would write."""
    compressor = zlib.compressobj(1, strategy=strategy)
    return len(compressor.compress(values.data) + compressor.flush())


def staged(scores: np.ndarray, target: Path, kind: str, **level: int) -> int:
    """Bytes of a plain file that is written and read again."""
    count, height, width = scores.shape
    size = {"count": count, "height": height, "width": width, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512}
    with rasterio.open(target, "w", driver="GTiff", compress=kind, **size, **tiles, **level) as to:
        to.write(scores)
    with rasterio.open(target) as source:
        source.read()
    return target.stat().st_size


def cog(source: Path, target: Path, level: str) -> int:
    """Bytes of a cloud-optimized copy."""
    options = {"compress": "DEFLATE", "predictor": "YES", "overview_resampling": "AVERAGE"}
    copy(source, target, driver="COG", blocksize=512, overviews="AUTO", level=level, **options)
    return target.stat().st_size


def tell(name: str, how: str, pixels: int, work: Callable[[], int]) -> None:
    """Time one way and print its line."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        size = work()
        times.append(time.perf_counter() - started)
    print(f"| {name} | {how} | {min(times) * 1e9 / pixels:.1f} | {size / pixels:.2f} |")


if __name__ == "__main__":
    main()
