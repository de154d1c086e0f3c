"""Images in pixels of another size, where some pixels have no data."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of an image, fractions included."""

_LEAST_COVER = 1e-6  # less is rounding


def reach_px(scale: float) -> int:
    """How far beyond a box pixels have a say in it.

    Args:
        scale: pixels of the image per pixel asked for, along one axis.
    """
    return math.ceil(max(scale, 1.0)) + 1


def resample(
    image: npt.NDArray[np.generic], valid: npt.NDArray[np.bool_], box: Box, shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Show a box of an image in pixels of another size.

    Bilinear between the pixels, and over as many of them as a larger pixel covers, so that
    shrinking does not alias. Pixels without data have no weight. What lies beyond the box counts
    up to `reach_px`, so that boxes side by side give what one large box would.

    Args:
        image: (C, h, w), any real dtype.
        valid: (h, w), True where there is data.
        box: within the image.
        shape: (H, W), height and width of the result.

    Returns:
        (C, H, W) float32, 0 where no pixel with data has a say.
    """
    if valid.all():
        return np.stack([_resized(plane, box, shape) for plane in image])
    cover = _resized(valid, box, shape)
    covered = cover > _LEAST_COVER
    planes = [_resized(np.where(valid, plane, 0), box, shape) for plane in image]
    weighted = np.stack(planes) / np.where(covered, cover, 1)
    return np.where(covered, weighted, np.float32(0))


def _resized(
    plane: npt.NDArray[np.generic], box: Box, shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """One plane (h, w) as (H, W)."""
    source = Image.fromarray(plane.astype(np.float32))
    height, width = shape
    return np.asarray(source.resize((width, height), Image.Resampling.BILINEAR, box=box))
