"""A stream from west to east: planned in metres, painted with its banks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from geocobot.synthetic.frame import Canvas, Points, rgb, rng_for
from geocobot.synthetic.noise import Relief, smooth_noise
from geocobot.synthetic.shapes import coverage, segment_distance

_BANK_M = 5.0
_MARGIN_M = 14.0
_FAR_M = 50.0


@dataclass(frozen=True)
class Stream:
    """Running water.

    Attributes:
        line: (N, 2) middle of the water.
        half_m: (N,) half of the water's width.
    """

    line: Points
    half_m: Points

    @property
    def land(self) -> shapely.Geometry:
        """The water and its banks: nothing is built or sown there."""
        return shapely.LineString(self.line).buffer(float(self.half_m.max()) + _BANK_M)


def plan_stream(seed: int, size_m: tuple[float, float]) -> Stream:
    """Plan a winding stream through a place of (width, height) metres."""
    rng = rng_for(seed, "stream")
    width_m, height_m = size_m
    x = np.arange(-40.0, width_m + 40.0, 8.0)
    y = height_m * rng.uniform(0.25, 0.75) + 45 * np.sin(x / 150 + rng.uniform(0, 6))
    y += 14 * np.sin(x / 47 + rng.uniform(0, 6))
    return Stream(np.stack([x, y], axis=1), 4.5 + 1.2 * np.sin(x / 60))


def paint_stream(canvas: Canvas, stream: Stream, relief: Relief, seed: int) -> None:
    """Paint reed, gravel and water."""
    rng = rng_for(seed, "ripples")
    shore = np.full(canvas.frame.grid.shape, _FAR_M, np.float32)
    for start, end, half in zip(stream.line[:-1], stream.line[1:], stream.half_m, strict=False):
        x, y = (start + end) / 2
        cut = canvas.frame.cut_around(float(x), float(y), float(half) + _MARGIN_M)
        if cut is not None:
            here = shore[cut.rows, cut.cols]
            np.minimum(here, segment_distance(cut, start, end)[0] - np.float32(half), out=here)
    whole = canvas.frame.whole
    shore += 0.7 * relief.patchy
    reed = rgb(94, 98, 68) * (1 + 0.2 * relief.fine)
    canvas.paint(whole, coverage(shore - 3.0, 3.0) * 0.8, reed)
    canvas.paint(whole, coverage(shore - 0.5, 1.0) * 0.7, rgb(136, 128, 112))
    ripples = 1 + 0.05 * smooth_noise(rng, canvas.frame, 3.0) + 0.08 * relief.broad
    canvas.paint(whole, coverage(shore, 0.8), rgb(68, 80, 76) * ripples)
