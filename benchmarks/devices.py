"""Scores of one scene and model on a CPU and on a GPU: how far they are apart.

Claim: in float32 at most one step of the scores raster, of 254, on 99.9 % of the pixels.

Usage: python benchmarks/devices.py SCENE MODEL

Without a GPU the two sides are one tile and four at a time on the CPU, whose kernels differ as
well. The map in bfloat16 is told of beside them: it is another map, and makes no claim.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import rasterio
import torch

from geocobot.config import PredictOptions
from geocobot.steps import NODATA
from geocobot.workflows.predict import predict


def main() -> None:
    """Print the largest difference and the shares of pixels that differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene")
    parser.add_argument("model")
    given = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    other = "cuda" if has_gpu else "cpu"
    where = torch.cuda.get_device_name() if has_gpu else "one tile at a time"
    with tempfile.TemporaryDirectory() as folder:
        usual = {"raster": (given.scene,), "model": given.model, "save_scores": True}
        first = scores(PredictOptions(**usual, out=f"{folder}/a.gpkg", device="cpu", **exact(4)))
        second = scores(PredictOptions(**usual, out=f"{folder}/b.gpkg", device=other, **exact(1)))
        coarse = PredictOptions(**usual, out=f"{folder}/c.gpkg", device=other, precision="bfloat16")
        print("| | Largest, steps of 254 | More than one step, % of pixels | Any, % |")
        print("| --- | --- | --- | --- |")
        tell(f"float32, CPU against {where}", first, second)
        tell("float32 against bfloat16 there", second, scores(coarse))


def exact(tiles: int) -> dict[str, object]:
    """Options of a map in float32."""
    return {"precision": "float32", "batch_size": tiles}


def scores(options: PredictOptions) -> np.ndarray:
    """Steps (K, H, W) of a map."""
    (mapped,) = predict(options).scenes
    assert mapped.scores is not None
    with rasterio.open(Path(mapped.scores)) as source:
        found: np.ndarray = source.read()
    return found


def tell(name: str, first: np.ndarray, second: np.ndarray) -> None:
    """Print a row."""
    assert np.array_equal(first == NODATA, second == NODATA)
    apart = np.abs(first.astype(int) - second.astype(int))[first != NODATA]
    more, some = (100 * (apart > steps).mean() for steps in (1, 0))
    print(f"| {name} | {apart.max()} | {more:.4f} | {some:.3f} |")


if __name__ == "__main__":
    main()
