"""Soft clDice: whether the middle of one shape lies within the other, for lines."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

_SMOOTHING = 1.0  # pixels, as for soft Dice

MAX_RADIUS_PX = 32
"""Wider shapes have no skeleton: each pixel of radius costs an erosion of the whole batch."""


def soft_cldice_loss(scores: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """One minus the soft clDice of each class over the whole batch.

    Shit et al., "clDice: a novel topology-preserving loss function for tubular structure
    segmentation", CVPR 2021 (arXiv 2003.07311), algorithm 2. The iterations of the soft skeleton
    are as many as the widest labelled shape of the batch needs, at most `MAX_RADIUS_PX`.

    Args:
        scores: (B, K, H, W) float32, 0 to 1.
        targets: (B, K, H, W) float, 0 or 1.
        counted: (B, 1, H, W) float, 0 where a pixel must not count; shapes end there as they do at
            the edge of the patch.

    Returns:
        (K,) float, 0 to 1.
    """
    pixels = (0, 2, 3)
    ignored = counted == 0
    v_p, v_l = scores.masked_fill(ignored, 0.0), targets.masked_fill(ignored, 0.0)
    radius_px = _widest_radius(v_l, ignored)
    s_p = soft_skeleton(v_p, ignored, radius_px)
    s_l = soft_skeleton(v_l, ignored, radius_px)
    precision = ((s_p * v_l).sum(pixels) + _SMOOTHING) / (s_p.sum(pixels) + _SMOOTHING)
    sensitivity = ((s_l * v_p).sum(pixels) + _SMOOTHING) / (s_l.sum(pixels) + _SMOOTHING)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def soft_skeleton(planes: Tensor, ignored: Tensor, radius_px: int) -> Tensor:
    """The middle of soft shapes: what an opening takes away, after more and more erosions.

    Shit et al., algorithm 1.

    Args:
        planes: (B, K, H, W) float, 0 to 1; 0 where ignored.
        ignored: (B, 1, H, W) bool.
        radius_px: erosions; shapes more than twice as wide keep their core out of the skeleton.

    Returns:
        (B, K, H, W) float, 0 to 1; 0 where ignored.
    """
    skeleton = torch.zeros_like(planes)
    for _ in range(radius_px + 1):
        eroded = _erode(planes, ignored)
        ridge = (planes - _dilate(eroded, ignored)).clamp(min=0.0)
        skeleton = skeleton + (1 - skeleton) * ridge
        planes = eroded
    return skeleton.masked_fill(ignored, 0.0)


def _widest_radius(shapes: Tensor, ignored: Tensor) -> int:
    """How many erosions leave nothing of shapes, as far as erosions change anything at all."""
    with torch.no_grad():
        for radius_px in range(MAX_RADIUS_PX):
            eroded = _erode(shapes, ignored).masked_fill(ignored, 0.0)
            if torch.equal(eroded, shapes):
                return radius_px
            shapes = eroded
    return MAX_RADIUS_PX


def _erode(planes: Tensor, ignored: Tensor) -> Tensor:
    """The least of a pixel and its four neighbours; what is ignored does not count."""
    negative = (-planes).masked_fill(ignored, -1.0)
    down, across = max_pool2d(negative, (3, 1), 1, (1, 0)), max_pool2d(negative, (1, 3), 1, (0, 1))
    return -torch.maximum(down, across)


def _dilate(planes: Tensor, ignored: Tensor) -> Tensor:
    """The greatest of a pixel and its eight neighbours; what is ignored does not count."""
    return max_pool2d(planes.masked_fill(ignored, 0.0), 3, 1, 1)
