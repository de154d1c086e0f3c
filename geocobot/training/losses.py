"""Losses of a segmenter: one term pixel by pixel, one for the overlap; labelled pixels only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.classes import IGNORE
from geocobot.config.values import LossName
from geocobot.training.lovasz import lovasz_hinge_loss
from geocobot.training.skeleton import soft_cldice_loss

# Pixels added to both sides of the Dice fraction, against dividing by next to nothing.
_DICE_SMOOTHING = 1.0

# As SAM itself was trained: focal to Dice 20 to 1 (Kirillov et al., arXiv 2304.02643, appendix A).
FOCAL_GAMMA = 2.0
FOCAL_WEIGHT = 20.0

_CLDICE_SHARE = 0.5  # alpha of Shit et al.; no more than half, because clDice knows no widths

_MAX_WEIGHT = 10.0  # of a pixel, against a class of a handful of pixels that outweighs all others


@dataclass(frozen=True)
class SegmentationLoss:
    """What training lowers, one sigmoid per class.

    - "bce-dice": binary cross-entropy plus soft Dice.
    - "focal-dice": 20 times the focal loss plus soft Dice.
    - "lovasz": binary cross-entropy plus the Lovász hinge. Its authors fine-tune by the hinge
      what cross-entropy has trained; together they do both, and scores stay near probabilities.
    - "cldice": binary cross-entropy plus half of soft Dice and half of soft clDice.

    Attributes:
        name: one of these.
        positive_weights: what a class's own pixels weigh in its cross-entropy or focal loss, K
            values; None for 1 throughout.
    """

    name: LossName = "bce-dice"
    positive_weights: tuple[float, ...] | None = None

    def __call__(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """Compute the loss of a batch, in float32 whatever the logits are.

        Args:
            logits: (B, K, H, W) float.
            label: (B, H, W) integer class numbers, `IGNORE` where nobody labelled.
            valid: (B, H, W) bool, True where there is data.

        Returns:
            () float32; 0, with a gradient of 0, where no pixel is labelled.
        """
        logits = logits.float()
        targets = binary_targets(label, logits.shape[1])
        counted = (valid & (label != IGNORE)).unsqueeze(1).float()
        weights = counted * self._weights(targets)
        n_counted = (counted.sum() * logits.shape[1]).clamp(min=1.0)
        if self.name == "focal-dice":
            each = FOCAL_WEIGHT * focal_loss(logits, targets, FOCAL_GAMMA)
        else:
            each = focal_loss(logits, targets, 0.0)
        overlap = self._overlap(logits, targets, counted)
        present = ((targets * counted).sum((0, 2, 3)) > 0).float()
        # Of an absent class an overlap could only say "less", at full weight, which the
        # cross-entropy says in proportion.
        shared = (overlap * present).sum() / present.sum().clamp(min=1.0)
        return (each * weights).sum() / n_counted + shared

    def _weights(self, targets: Tensor) -> Tensor:
        """Weight of every pixel in every class, (B, K, H, W)."""
        if self.positive_weights is None:
            return torch.ones_like(targets)
        own = targets.new_tensor(self.positive_weights).view(1, -1, 1, 1)
        return torch.where(targets > 0, own, 1.0)

    def _overlap(self, logits: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        """What each class's overlap with its labels costs, (K,)."""
        if self.name == "lovasz":
            return lovasz_hinge_loss(logits, targets, counted)
        scores = logits.sigmoid()
        dice = soft_dice_loss(scores, targets, counted)
        if self.name != "cldice":
            return dice
        lines = soft_cldice_loss(scores, targets, counted)
        return (1 - _CLDICE_SHARE) * dice + _CLDICE_SHARE * lines


def sample_errors(logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
    """How badly each sample of a batch is mapped: cross-entropy averaged over its labelled pixels.

    Args:
        logits: (B, K, H, W) float.
        label: (B, H, W) integer class numbers, `IGNORE` where nobody labelled.
        valid: (B, H, W) bool, True where there is data.

    Returns:
        (B,) float32; 0 where no pixel is labelled.
    """
    known = (valid & (label != IGNORE))[:, None].float()
    targets = binary_targets(label, logits.shape[1])
    errors = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    per_pixel = errors.mean(dim=1, keepdim=True) * known
    return per_pixel.sum(dim=(1, 2, 3)) / known.sum(dim=(1, 2, 3)).clamp(min=1)


def balanced_weights(shares: Sequence[float]) -> tuple[float, ...]:
    """Weights of the classes' own pixels, by how rare these are.

    The square root of other pixels per own pixel, between 0.1 and 10. Without the root own and
    others would count the same, and rare classes would be drawn far too large; the root is the
    usual middle way (Mahajan et al., arXiv 1805.00932, after Mikolov et al., arXiv 1310.4546).

    Args:
        shares: of each class in the labelled pixels, 0 to 1.
    """
    most = _MAX_WEIGHT
    others = ((1 - share) / share if share > 0 else math.inf for share in shares)
    return tuple(min(max(math.sqrt(ratio), 1 / most), most) for ratio in others)


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


def focal_loss(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Binary cross-entropy of every pixel, turned down where the score is right already.

    Lin et al., "Focal loss for dense object detection", arXiv 1708.02002, equation 4; their alpha
    is what class weights are for.

    Args:
        logits: (B, K, H, W) float32.
        targets: (B, K, H, W) float, 0 or 1.
        gamma: how much it is turned down; 0 leaves the cross-entropy as it is.

    Returns:
        (B, K, H, W) float32.
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if gamma == 0:
        return cross_entropy
    # One minus the score of the truth, exact also where that is next to 1.
    wrong = -torch.expm1(-cross_entropy)
    return cross_entropy * wrong**gamma


def soft_dice_loss(scores: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """One minus the soft Dice of each class over the whole batch.

    Over the batch, because a patch with a sliver of road would otherwise weigh as much as one full
    of roads. Milletari et al., "V-Net", 2016, with scores instead of a threshold, so that there is
    a gradient.

    Args:
        scores: (B, K, H, W) float, 0 to 1.
        targets: (B, K, H, W) float, 0 or 1.
        counted: (B, 1, H, W) float, 0 where a pixel must not count.

    Returns:
        (K,) float, 0 to 1.
    """
    pixels = (0, 2, 3)
    truth = (targets * counted).sum(pixels)
    common = (scores * targets * counted).sum(pixels)
    predicted = (scores * counted).sum(pixels)
    return 1 - (2 * common + _DICE_SMOOTHING) / (predicted + truth + _DICE_SMOOTHING)
