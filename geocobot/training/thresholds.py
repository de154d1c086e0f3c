"""Which score makes a pixel a class: thresholds tuned on validation pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geocobot.classes import IGNORE
from geocobot.training.losses import binary_targets

_BINS = 200
_DEFAULT = 0.5

# An IoU within this of the best is as good; of such thresholds the middle one is the safest.
_PLATEAU = 0.002


@dataclass(frozen=True)
class Tuning:
    """What the tuning found.

    Attributes:
        thresholds: one per class; 0.5 for a class without a validation pixel.
        iou: IoU of each class at its threshold; None for a class without a validation pixel.
    """

    thresholds: tuple[float, ...]
    iou: tuple[float | None, ...]

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that have an IoU; 0 where none has."""
        defined = [v for v in self.iou if v is not None]
        return sum(defined) / len(defined) if defined else 0.0


class ScoreHistograms:
    """Counts the scores of true and of other pixels, class by class, in a stream.

    From them follows the confusion at every threshold at once, each class against all others.

    Args:
        n_classes: number of classes.
    """

    def __init__(self, n_classes: int) -> None:
        self.counts = torch.zeros(2, n_classes, _BINS, dtype=torch.int64)

    def add(self, logits: Tensor, label: Tensor, valid: Tensor) -> None:
        """Count a batch.

        Args:
            logits: (B, K, H, W) float.
            label: (B, H, W) integer class numbers, `IGNORE` where nobody labelled.
            valid: (B, H, W) bool, True where there is data.
        """
        n_classes = logits.shape[1]
        counted = (valid & (label != IGNORE)).unsqueeze(1).expand_as(logits)
        is_class = binary_targets(label, n_classes).long()
        bins = (logits.float().sigmoid() * _BINS).long().clamp(max=_BINS - 1)
        plane = torch.arange(n_classes, device=logits.device).view(1, -1, 1, 1)
        cells = ((is_class * n_classes + plane) * _BINS + bins)[counted]
        counts = torch.bincount(cells, minlength=self.counts.numel())
        self.counts += counts.reshape(self.counts.shape).cpu()

    def tune(self) -> Tuning:
        """Find the threshold with the best IoU for every class."""
        # Entry t of these sums counts the pixels whose score is at least t / _BINS.
        at_least = self.counts.flip(-1).cumsum(-1).flip(-1)
        false, hit = at_least[0], at_least[1]
        truth = hit[:, :1]
        iou = hit / (truth + false).clamp(min=1)
        found = [
            _safest(row) if int(pixels) else (_DEFAULT, None)
            for row, pixels in zip(iou, truth, strict=True)
        ]
        return Tuning(tuple(t for t, _ in found), tuple(v for _, v in found))


def _safest(iou: Tensor) -> tuple[float, float]:
    """The middle of the plateau around the best threshold, and the IoU there.

    Args:
        iou: (bins,) IoU when a pixel needs a score of at least bin / bins.
    """
    best = int(iou.argmax())
    good = (iou >= iou[best] - _PLATEAU).tolist()
    first = last = best
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(good) - 1 and good[last + 1]:
        last += 1
    middle = (first + last) // 2
    return middle / _BINS, float(iou[middle])
