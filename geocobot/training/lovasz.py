"""The Lovász hinge: a convex loss that equals the Jaccard loss where scores are certain."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_hinge_loss(logits: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """The Lovász hinge of each class over the whole batch.

    Berman et al., "The Lovász-Softmax loss", arXiv 1705.08790, section 3.1.

    Args:
        logits: (B, K, H, W) float32.
        targets: (B, K, H, W) float, 0 or 1.
        counted: (B, 1, H, W) float, 0 where a pixel must not count.

    Returns:
        (K,) float, at least 0.
    """
    ignored = counted == 0
    margins = 1 - logits * (2 * targets - 1)
    # No error and no truth: such a pixel sorts last and adds nothing to either sum.
    errors = margins.clamp(min=0.0).masked_fill(ignored, 0.0)
    truth = (targets > 0).logical_and(~ignored)
    errors, truth = (t.transpose(0, 1).flatten(1) for t in (errors, truth))
    return lovasz_extension(errors, truth)


def lovasz_extension(errors: Tensor, truth: Tensor) -> Tensor:
    """The Lovász extension of the Jaccard loss.

    Args:
        errors: (K, P) float, how wrong each pixel is, at least 0; with zeros and ones alone the
            result is one minus the Jaccard index of the truth and the truth with the ones flipped.
        truth: (K, P) bool.

    Returns:
        (K,) float.
    """
    # Stable, so that ties give the same gradient every time.
    m, order = errors.sort(dim=1, descending=True, stable=True)
    hit = truth.gather(1, order)
    # Whole numbers, which float32 cannot count beyond 16 million pixels.
    total = hit.sum(dim=1, keepdim=True)
    intersection = total - hit.cumsum(dim=1)
    union = total + (~hit).cumsum(dim=1)
    jaccard = 1 - intersection / union
    # What each pixel, taken as wrong together with all worse ones, adds.
    g = torch.diff(jaccard, dim=1, prepend=torch.zeros_like(jaccard[:, :1]))
    return (m * g).sum(dim=1)
