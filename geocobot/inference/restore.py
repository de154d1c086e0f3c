"""Scores of a resampled scene brought back to the pixels of its file."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from rasterio.windows import Window

from geocobot.inference.blend import STRIP_ROWS
from geocobot.io.resampled import ResampledScene
from geocobot.resampling import reach_px, resample
from geocobot.tiling import Strip


def restore(strips: Iterable[Strip], scene: ResampledScene) -> Iterator[Strip]:
    """Turn strips of a resampled scene into strips of its file, top to bottom.

    Memory does not grow with the scene's height.

    Args:
        strips: cover the resampled scene's grid once, top first.
        scene: whose strips they are.

    Yields:
        Strips of at most `STRIP_ROWS` rows that cover the grid of `scene.native` once, top first;
        valid where the file has data.

    Raises:
        UnreadableFileError: the file cannot be read.
    """
    native = scene.native
    height, width = native.grid.shape
    coarse_height, coarse_width = scene.grid.shape
    scale_x, scale_y = (1 / scale for scale in scene.scale_xy)
    reach = reach_px(scale_y)
    coming = iter(strips)
    held: deque[Strip] = deque()
    for row in range(0, height, STRIP_ROWS):
        rows = min(STRIP_ROWS, height - row)
        top, bottom = row * scale_y, min((row + rows) * scale_y, coarse_height)
        first = max(0, math.floor(top) - reach)
        last = min(coarse_height, math.ceil(bottom) + reach)
        while held and held[0].row_off + held[0].height <= first:
            held.popleft()
        while not held or held[-1].row_off + held[-1].height < last:
            held.append(next(coming))
        band = _joined(held)
        box = (0.0, top - band.row_off, min(width * scale_x, coarse_width), bottom - band.row_off)
        shape = (rows, width)
        valid = native.read(Window(0, row, width, rows)).valid
        strip = Strip.of(row, np.clip(resample(band.scores, band.valid, box, shape), 0, 1), valid)
        if band.exact is not None:
            # Beside what polygons are drawn of, so that they are the same whatever is written.
            exact = np.clip(resample(band.exact, band.valid, box, shape), 0, 1)
            strip = replace(strip, exact=np.where(valid, exact, np.float32(np.nan)))
        yield strip
    next(coming, None)  # what makes the strips has a last word


def _joined(strips: Sequence[Strip]) -> Strip:
    """Strips below each other as one."""
    exact = [strip.exact for strip in strips if strip.exact is not None]
    return Strip(
        strips[0].row_off,
        np.concatenate([strip.steps for strip in strips], axis=1),
        np.concatenate(exact, axis=1) if exact else None,
    )
