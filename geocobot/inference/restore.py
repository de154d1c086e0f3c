"""Scores of a resampled scene brought back to the pixels of its file."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.inference.portions import PIXELS_AT_ONCE, STRIP_ROWS, few_rows
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene
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
    coming = iter(strips)
    held = deque([next(coming)])
    n_classes, _, coarse_width = held[0].steps.shape
    for top in range(0, height, STRIP_ROWS):
        valid = _validity(native, top, min(STRIP_ROWS, height - top))
        for rows in few_rows((n_classes, len(valid), max(width, coarse_width))):
            yield _restored(coming, held, scene, top + rows.start, valid[rows])
    next(coming, None)  # what makes the strips has a last word


def _restored(
    coming: Iterator[Strip],
    held: deque[Strip],
    scene: ResampledScene,
    row: int,
    valid: npt.NDArray[np.bool_],
) -> Strip:
    """The strip of the file that begins at a row.

    Args:
        coming: strips of the resampled scene.
        held: those of them that are still needed.
        scene: whose strips they are.
        row: first row of the file.
        valid: (h, W) where the file has data in these rows.
    """
    rows, width = valid.shape
    coarse_height, coarse_width = scene.grid.shape
    scale_x, scale_y = (1 / scale for scale in scene.scale_xy)
    reach = reach_px(scale_y)
    top, bottom = row * scale_y, min((row + rows) * scale_y, coarse_height)
    first = max(0, math.floor(top) - reach)
    last = min(coarse_height, math.ceil(bottom) + reach)
    while held and held[0].row_off + held[0].height <= first:
        held.popleft()
    while held[-1].row_off + held[-1].height < last:
        held.append(next(coming))
    band = _joined(held)
    box = (0.0, top - band.row_off, min(width * scale_x, coarse_width), bottom - band.row_off)

    def shown(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.clip(resample(scores, band.valid, box, valid.shape), 0, 1)

    strip = Strip.of(row, shown(band.scores), valid)
    if band.exact is None:
        return strip
    # Beside what polygons are drawn of, so that they are the same whatever is written.
    exact = np.where(valid, shown(band.exact), np.float32(np.nan))
    return replace(strip, exact=exact)


def _validity(scene: Scene, row: int, rows: int) -> npt.NDArray[np.bool_]:
    """Where (rows, W) a scene has data, without all its pixels at once."""
    step = max(1, PIXELS_AT_ONCE // rows)
    width = scene.grid.width
    parts = (
        scene.read(Window(col, row, min(step, width - col), rows)).valid
        for col in range(0, width, step)
    )
    return np.concatenate(list(parts), axis=1)


def _joined(strips: Sequence[Strip]) -> Strip:
    """Strips below each other as one."""
    exact = [strip.exact for strip in strips if strip.exact is not None]
    return Strip(
        strips[0].row_off,
        np.concatenate([strip.steps for strip in strips], axis=1),
        np.concatenate(exact, axis=1) if exact else None,
    )
