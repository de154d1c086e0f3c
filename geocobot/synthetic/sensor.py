"""What the camera makes of it: light falloff, haze, blur, noise, whole numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocobot.synthetic.frame import Array, Canvas, rgb, rng_for
from geocobot.synthetic.noise import smooth_noise

_BLUR_PX = 0.65
_HAZE = rgb(168, 180, 196)


def expose(canvas: Canvas, seed: int) -> npt.NDArray[np.uint8]:
    """Take the picture.

    Returns:
        (3, H, W) uint8.
    """
    rng = rng_for(seed, "sensor")
    light = _illumination(rng, canvas)
    haze = np.float32(rng.uniform(0.03, 0.07))
    seen = canvas.color * light * (1 - haze) + _HAZE * haze
    seen = blur(seen, _BLUR_PX)
    common = rng.standard_normal(seen.shape[1:], dtype=np.float32) * np.float32(0.010)
    own = rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(0.007)
    # Photon noise grows with the square root of the light.
    seen += blur(common + own, 0.45) * np.sqrt(np.maximum(seen, 0) / np.float32(0.25) + 0.3)
    return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)


def _illumination(rng: np.random.Generator, canvas: Canvas) -> Array:
    """(H, W) light that falls off across the picture, with the faint shade of thin clouds."""
    whole = canvas.frame.whole
    angle = rng.uniform(0, 2 * np.pi)
    width_m, height_m = canvas.frame.size_m
    slope_x = np.cos(angle) * 0.09 / width_m * (whole.x_m - width_m / 2)
    slope_y = np.sin(angle) * 0.09 / height_m * (whole.y_m - height_m / 2)
    clouds = smooth_noise(rng, canvas.frame, 400.0) * np.float32(0.025)
    return np.asarray(1.04 + slope_x + slope_y + clouds, np.float32)


def blur(image: Array, sigma_px: float) -> Array:
    """Blur the last two axes by a Gaussian, cut at three sigma; edges repeat."""
    reach = max(1, int(np.ceil(3 * sigma_px)))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (-2, -1):
        pad = [(0, 0)] * image.ndim
        pad[axis] = (reach, reach)
        padded = np.moveaxis(np.pad(image, pad, mode="edge"), axis, 0)
        size = image.shape[axis]
        total = sum(w * padded[k : k + size] for k, w in enumerate(weights))
        image = np.moveaxis(np.asarray(total, np.float32), 0, axis)
    return image
