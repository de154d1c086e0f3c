"""Loss of a segmenter: binary cross-entropy plus soft Dice, on labelled pixels only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.classes import IGNORE

# Pixels added to both sides of the Dice fraction, against dividing by next to nothing.
_DICE_SMOOTHING = 1.0


def binary_targets(label: Tensor, n_classes: int) -> Tensor:
    """Turn class numbers into one yes-or-no plane per class.

    Args:
        label: (B, H, W) integer class numbers; plane k holds class number k + 1.
        n_classes: number of planes.

    Returns:
        (B, K, H, W) float32, 0 or 1.
    """
    numbers = torch.arange(1, n_classes + 1, device=label.device).view(1, -1, 1, 1)
    return (label.unsqueeze(1) == numbers).float()


def segmentation_loss(
    logits: Tensor, label: Tensor, valid: Tensor, *, dice_weight: float = 1.0
) -> Tensor:
    """Binary cross-entropy plus soft Dice, one sigmoid per class.

    Args:
        logits: (B, K, H, W) float.
        label: (B, H, W) integer class numbers, `IGNORE` where nobody labelled.
        valid: (B, H, W) bool, True where there is data.
        dice_weight: weight of Dice beside the cross-entropy.

    Returns:
        () float32; 0, with a gradient of 0, where no pixel is labelled.
    """
    logits = logits.float()
    targets = binary_targets(label, logits.shape[1])
    counted = (valid & (label != IGNORE)).unsqueeze(1).float()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    mean = (cross_entropy * counted).sum() / (counted.sum() * logits.shape[1]).clamp(min=1.0)
    return mean + dice_weight * soft_dice_loss(logits.sigmoid(), targets, counted)


def soft_dice_loss(scores: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """One minus soft Dice, per class over the whole batch, averaged over classes.

    Over the batch, because a patch with a sliver of road would otherwise weigh as much as one full
    of roads. A class without a pixel in the batch is left out: its Dice could only say "less",
    at full weight, which the cross-entropy says in proportion. Milletari et al., "V-Net", 2016,
    with scores instead of a threshold, so that there is a gradient.

    Args:
        scores: (B, K, H, W) float, 0 to 1.
        targets: (B, K, H, W) float, 0 or 1.
        counted: (B, 1, H, W) float, 0 where a pixel must not count.

    Returns:
        () float, 0 to 1.
    """
    pixels = (0, 2, 3)
    truth = (targets * counted).sum(pixels)
    common = (scores * targets * counted).sum(pixels)
    predicted = (scores * counted).sum(pixels)
    dice = (2 * common + _DICE_SMOOTHING) / (predicted + truth + _DICE_SMOOTHING)
    present = (truth > 0).to(dice.dtype)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1.0)
