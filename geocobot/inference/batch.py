"""How many tiles are computed at a time, found out before the first one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from geocobot.config.values import DEFAULT_TILES
from geocobot.inference.tiles import Predictor
from geocobot.models.precision import Compute

_MOST_PIXELS = 2**22
"""Of a batch: a GPU is busy with 4 tiles of 1,024 px, or with 64 tiles of 256 px."""

_ENOUGH_PIXELS = DEFAULT_TILES * 2**16
"""Of a batch on a CPU: 4 tiles of 256 px, or one of 512 px or more."""

_SHARE = 0.8
"""Of the free memory: what is measured is not all that is needed."""


def fitting_batch(predictor: Predictor, compute: Compute, image_shape: tuple[int, int, int]) -> int:
    """How many tiles fit beside the model, by what one and two of them take.

    Args:
        predictor: the model; a module is moved to the device.
        compute: where, and how exactly.
        image_shape: (C, H, W) of a tile.

    Returns:
        A power of two.
    """
    if compute.device.type != "cuda":
        return usual_batch(compute, image_shape)
    if isinstance(predictor, torch.nn.Module):
        predictor.to(compute.device).eval()

    def peak_bytes(n: int) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(compute.device)
        before = torch.cuda.memory_allocated(compute.device)
        with torch.inference_mode(), compute.autocast():
            predictor(torch.zeros(n, *image_shape, device=compute.device))
        return torch.cuda.max_memory_allocated(compute.device) - before

    peaks = peak_bytes(1), peak_bytes(2)
    torch.cuda.empty_cache()
    free_bytes, _ = torch.cuda.mem_get_info(compute.device)
    most = max(1, _MOST_PIXELS // (image_shape[1] * image_shape[2]))
    return batch_within(lambda n: peaks[0] + (n - 1) * (peaks[1] - peaks[0]), free_bytes, most)


def usual_batch(compute: Compute, image_shape: tuple[int, int, int]) -> int:
    """How many tiles are computed at a time where nothing is measured.

    More would not make a CPU faster, and every core has a batch of its own in memory.

    Args:
        compute: where.
        image_shape: (C, H, W) of a tile.
    """
    if compute.device.type == "cuda":
        return DEFAULT_TILES
    return max(1, min(DEFAULT_TILES, _ENOUGH_PIXELS // (image_shape[1] * image_shape[2])))


def batch_within(needed_bytes: Callable[[int], float], free_bytes: float, most: int) -> int:
    """The largest power of two that takes no more than a safe share of the free memory.

    Args:
        needed_bytes: memory for so many tiles, growing.
        free_bytes: what is there.
        most: largest number that makes sense.

    Returns:
        1 where even that is too much: it will be told when it fails.
    """
    batch = 1
    while 2 * batch <= most and needed_bytes(2 * batch) <= _SHARE * free_bytes:
        batch *= 2
    return batch
