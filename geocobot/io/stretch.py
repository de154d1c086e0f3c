"""Which values of a scene are shown black and white, from some of its pixels."""

from __future__ import annotations

import math

import numpy as np
from rasterio.windows import Window

from geocobot.io.scene import Scene

_SAMPLES = 4
"""Windows along each side."""
_SAMPLE_PX = 128
_SHARE = 2.0
"""Percent of the values that are darker than black, and as many brighter than white."""

Range = tuple[float, float]


def shown_ranges(scene: Scene) -> tuple[Range, ...] | None:
    """Black and white of each band that is read; None where values are shown as they are.

    Bytes are shown as they are. Of others a few windows all over the scene are read.

    Args:
        scene: may be of any size; is left closed.
    """
    if scene.dtype == "uint8":
        return None
    try:
        found = [_valid_values(scene, window) for window in _windows(scene)]
    finally:
        scene.close()
    values = np.concatenate(found, axis=1)
    if not values.shape[1]:
        return None
    low, high = np.percentile(values, (_SHARE, 100 - _SHARE), axis=1)
    return tuple((float(lo), float(hi)) for lo, hi in zip(low, high, strict=True))


def _valid_values(
    scene: Scene, window: Window
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Values (C, N) where there is data."""
    patch = scene.read(window)
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]] = patch.image[:, patch.valid].astype(
        np.float64
    )
    return values


def _windows(scene: Scene) -> list[Window]:
    """Small windows all over a scene."""
    height, width = scene.grid.shape
    return [
        Window(col, row, min(_SAMPLE_PX, width), min(_SAMPLE_PX, height))
        for row in _offsets(height)
        for col in _offsets(width)
    ]


def _offsets(length: int) -> list[int]:
    """Where windows begin along one side, evenly spread."""
    last = max(0, length - _SAMPLE_PX)
    return sorted({math.floor(last * i / (_SAMPLES - 1)) for i in range(_SAMPLES)})
