"""Sun and shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocobot.synthetic.frame import Array, Canvas

_SKY = np.array([0.36, 0.41, 0.50], np.float32)[:, None, None]
"""Light that reaches a shadow, bluer than the sun's."""

_PENUMBRA_M = 0.7


@dataclass(frozen=True)
class Sun:
    """Where the light comes from.

    Attributes:
        azimuth: direction of the sun, counter-clockwise from east, in radians.
        elevation: height above the horizon, in radians.
    """

    azimuth: float
    elevation: float

    @classmethod
    def at(cls, rng: np.random.Generator) -> Sun:
        """The sun of a late morning or an early afternoon in the northern half of the earth."""
        return cls(-np.pi / 2 + rng.uniform(-0.75, 0.75), np.deg2rad(rng.uniform(42, 54)))

    def brightness(
        self, slope_x: Array | float, slope_y: Array | float, up: Array | float
    ) -> Array:
        """Light on a surface relative to flat ground, by Lambert's law.

        Args:
            slope_x: east component of the surface's unit normal.
            slope_y: north component.
            up: upward component.
        """
        flat = np.tan(self.elevation)
        toward = slope_x * np.cos(self.azimuth) + slope_y * np.sin(self.azimuth)
        return np.maximum(np.asarray(up + toward / flat, np.float32), 0)


def cast_shadows(canvas: Canvas, sun: Sun) -> Array:
    """Find what the sun does not reach.

    Walks from every pixel towards the sun, pixel by pixel, until nothing on the canvas is high
    enough to matter.

    Returns:
        (H, W) 0 (sun) to 1 (shadow).
    """
    height = canvas.height_m
    pixel_m = canvas.frame.pixel_m
    rise_m = pixel_m * np.tan(sun.elevation)
    depth = np.zeros_like(height)
    for step in range(1, int(height.max() / rise_m) + 1):
        cols = round(step * np.cos(sun.azimuth))
        rows = -round(step * np.sin(sun.azimuth))
        here, there = _overlap(rows, cols, height.shape)
        above = height[there] - height[here] - np.float32(step * rise_m)
        np.maximum(depth[here], above, out=depth[here])
    return np.asarray(np.clip(depth / np.float32(_PENUMBRA_M), 0, 1), np.float32)


def shade(canvas: Canvas, shadow: Array) -> None:
    """Darken what lies in the shadow."""
    canvas.color *= 1 - shadow * (1 - _SKY)


def _overlap(
    rows: int, cols: int, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that have a neighbor `rows` down and `cols` right, and those neighbors."""
    pairs = [
        (slice(max(0, -move), size - max(0, move)), slice(max(0, move), size - max(0, -move)))
        for move, size in ((rows, shape[0]), (cols, shape[1]))
    ]
    return (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1])
