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

# Validation samples are counted in so many groups, to see how much a threshold hangs on a few, and
# each in its quarters: a lone sample has no others to be compared with.
_GROUPS = 20
_QUARTERS = 4


@dataclass(frozen=True)
class Tuning:
    """What the tuning found.

    Attributes:
        thresholds: one per class; 0.5 for a class without a validation pixel.
        iou: IoU of each class at its threshold; None for a class without a validation pixel.
        mean_error: standard error of the mean IoU; 0 where there is nothing to compare.
    """

    thresholds: tuple[float, ...]
    iou: tuple[float | None, ...]
    mean_error: float = 0.0

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
        first: number of the first sample that is added, among those of all processes.
        step: from it to the number of the next one.
    """

    def __init__(self, n_classes: int, *, first: int = 0, step: int = 1) -> None:
        shape = (_GROUPS, _QUARTERS, 2, n_classes, _BINS)
        self.counts = torch.zeros(shape, dtype=torch.int64)
        self._next, self._step = first, step

    def add(self, logits: Tensor, label: Tensor, valid: Tensor) -> None:
        """Count a batch.

        Args:
            logits: (B, K, H, W) float.
            label: (B, H, W) integer class numbers, `IGNORE` where nobody labelled.
            valid: (B, H, W) bool, True where there is data.
        """
        n_classes = logits.shape[1]
        known = valid & (label != IGNORE)
        counted = known.unsqueeze(1).expand_as(logits)
        is_class = binary_targets(label, n_classes).long()
        bins = (logits.float().sigmoid() * _BINS).long().clamp(max=_BINS - 1)
        plane = torch.arange(n_classes, device=logits.device).view(1, -1, 1, 1)
        sample = self._next + self._step * torch.arange(len(logits), device=logits.device)
        group = (sample % _GROUPS).view(-1, 1, 1, 1)
        part = group * _QUARTERS + _quarter_of_pixels(known)
        cells = (((part * 2 + is_class) * n_classes + plane) * _BINS + bins)[counted]
        counts = torch.bincount(cells, minlength=self.counts.numel())
        self.counts += counts.reshape(self.counts.shape).cpu()
        self._next += self._step * len(logits)

    def tune(self) -> Tuning:
        """Find a threshold for every class: the best on these samples, as far as they can tell.

        A handful of samples prefers extreme thresholds by chance. So the threshold moves from the
        best to where it should be if scores were probabilities, half the F1 (Lipton et al.,
        arXiv 1402.1892), as long as that costs less IoU than the standard error of the cost, as
        known from leaving out each group of samples in turn (jackknife), or each quarter of the
        only one; the rule is that of Breiman et al., "Classification and Regression Trees", 1984.
        Many samples that agree leave it where it is.
        """
        counts = self._groups()
        whole = counts.sum(dim=0)
        iou, truth = iou_by_threshold(whole), whole[1].sum(dim=-1)
        without = torch.stack([iou_by_threshold(whole - group) for group in counts] or [iou])
        found = [
            _choose(iou[k], _cost_error(without[:, k], int(iou[k].argmax())))
            if int(truth[k])
            else (_DEFAULT, None)
            for k in range(len(truth))
        ]
        thresholds = tuple(t for t, _ in found)
        present = [k for k in range(len(truth)) if int(truth[k])]
        bins = [round(thresholds[k] * _BINS) for k in present]
        error = float(_jackknife(without[:, present, bins].mean(dim=1))) if present else 0.0
        return Tuning(thresholds, tuple(v for _, v in found), error)

    def _groups(self) -> Tensor:
        """Counts (G, 2, K, bins) of the groups that have any; a lone group is its quarters."""
        counted = self.counts[self.counts.flatten(1).any(dim=1)]
        groups = counted[0] if len(counted) == 1 else counted.sum(dim=1)
        return groups[groups.flatten(1).any(dim=1)]


def _quarter_of_pixels(known: Tensor) -> Tensor:
    """Which quarter of what is known of its sample a pixel lies in, 0 to 3.

    Args:
        known: (B, H, W) bool; a block may lie anywhere in what is seen around it.

    Returns:
        (B, 1, H, W) int64.
    """
    lower = _second_half(known.any(dim=2))[:, :, None]
    right = _second_half(known.any(dim=1))[:, None, :]
    return (lower * 2 + right).unsqueeze(1)


def _second_half(known: Tensor) -> Tensor:
    """1 past the middle of the first and the last that are known in each row (B, N), else 0."""
    length = known.shape[1]
    first = known.int().argmax(dim=1)
    end = length - known.flip(1).int().argmax(dim=1)
    position = torch.arange(length, device=known.device)
    return (2 * position >= (first + end)[:, None]).long()


def iou_by_threshold(counts: Tensor) -> Tensor:
    """IoU of every class at every threshold.

    Args:
        counts: (2, K, bins) int64, scores of other and of true pixels.

    Returns:
        (K, bins) float; entry t is for pixels whose score is at least t / bins.
    """
    false, hit = counts.flip(-1).cumsum(-1).flip(-1)
    iou: Tensor = hit / (hit[:, :1] + false).clamp(min=1)
    return iou


def _cost_error(iou: Tensor, best: int) -> Tensor:
    """Standard error of what each threshold costs against the best one, by the jackknife.

    Args:
        iou: (G, bins) IoU without each of G groups of samples.
        best: position of the best threshold.

    Returns:
        (bins,) float; 0 where there is one group only.
    """
    return _jackknife(iou[:, best : best + 1] - iou)


def _jackknife(without: Tensor) -> Tensor:
    """Standard error of a figure, from what it is without each of G groups of samples.

    Args:
        without: (G, ...) float.

    Returns:
        (...) float; 0 where there is one group only.
    """
    spread = ((without - without.mean(dim=0)) ** 2).sum(dim=0)
    return (spread * (len(without) - 1) / len(without)).sqrt()


def _choose(iou: Tensor, error: Tensor) -> tuple[float, float]:
    """The threshold to use, and the IoU there.

    Args:
        iou: (bins,) IoU when a pixel needs a score of at least bin / bins.
        error: (bins,) standard error of what a threshold costs.
    """
    best = int(iou.argmax())
    chosen, calibrated = middle_of_plateau(iou, best), round(half_f1(float(iou[best])) * _BINS)
    step = 1 if chosen < calibrated else -1
    while chosen != calibrated and iou[best] - iou[chosen + step] < error[chosen + step]:
        chosen += step
    return chosen / _BINS, float(iou[chosen])


def half_f1(iou: float) -> float:
    """Half the F1 of an IoU, 0 to 0.5: the best threshold if scores are probabilities."""
    return iou / (1 + iou)


def middle_of_plateau(iou: Tensor, best: int) -> int:
    """The middle of the thresholds around the best that are as good.

    Args:
        iou: (bins,) IoU when a pixel needs a score of at least bin / bins.
        best: bin of the best.
    """
    good = (iou >= iou[best] - _PLATEAU).tolist()
    first = last = best
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(good) - 1 and good[last + 1]:
        last += 1
    return (first + last) // 2
