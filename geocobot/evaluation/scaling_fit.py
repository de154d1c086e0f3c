"""What makes scores of a model probabilities, fitted to validation pixels and tried on others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geocobot.classes import IGNORE, ClassSpec
from geocobot.evaluation.blocks import quarters
from geocobot.evaluation.score_counts import expected_error, reliability
from geocobot.evaluation.temperature import fit_platt
from geocobot.scaling import MOST_TEMPERATURE, UNSCALED, Scaling, at_threshold
from geocobot.steps import LOGIT_STEPS

_BIN_STEPS = 64
_BINS = 2**16 // _BIN_STEPS
_LOGITS = ((np.arange(_BINS) + 0.5) * _BIN_STEPS - 2**15) / LOGIT_STEPS

_GROUPS = 20
"""Groups of blocks, each of which is left out once."""

_LEAST_BLOCKS = 4
"""Fewer are taken apart into their quarters."""

_LEAST_GROUPS = 3
_LEAST_PX = 500
"""A fit needs so many groups with pixels of the class, and so many pixels of it and of others."""

_FITTED_BIAS = 3.0
"""Leaves room up to `scaling.MOST_BIAS` for a threshold to be moved along."""

# Pixels of a block are no independent witnesses: a group of blocks counts as so many of them beside
# what is known before, an inverse temperature of 1 and a bias of 0 with these standard deviations.
_WITNESSES = 16
_SLOPE_SPREAD, _BIAS_SPREAD = 0.5, 1.0

_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ScalingFit:
    """What was found for a class.

    Attributes:
        name: the class.
        method: "platt" (temperature and bias), "temperature" or "none": the simplest that is not
            clearly worse than a richer one on blocks that were left out.
        reason: why it is "none", or an empty text.
        scaling: in force, fitted to all blocks.
        groups: of blocks, each left out once.
        error_before: expected calibration error of the scores as they are; None without pixels.
        error_after: the same of every group's scores, scaled by a fit to the other groups.
    """

    name: str
    method: str
    reason: str
    scaling: Scaling
    groups: int
    error_before: float | None
    error_after: float | None


class LogitCounts:
    """Counts the logits of true and of other pixels of each class, block by block.

    Args:
        classes: K classes.
    """

    def __init__(self, classes: Sequence[ClassSpec]) -> None:
        self._classes = tuple(classes)
        self._counts = np.zeros((_GROUPS, 4, 2, len(self._classes), _BINS), dtype=np.int64)
        self._next = 0

    def add(
        self,
        truth: npt.NDArray[np.uint8],
        logits: npt.NDArray[np.int16],
        judged: npt.NDArray[np.bool_],
    ) -> None:
        """Count the next block.

        Args:
            truth: (h, w) class numbers; `IGNORE` is not judged.
            logits: (K, h, w) in steps.
            judged: (h, w), True where there is data and pixels count.
        """
        known = judged & (truth != IGNORE)
        group = self._counts[self._next % _GROUPS]
        for part, (rows, cols) in zip(group, quarters(known), strict=True):
            counted = known[rows, cols]
            numbers = truth[rows, cols][counted]
            for k, (spec, plane) in enumerate(zip(self._classes, logits, strict=True)):
                values = plane[rows, cols][counted].astype(np.int32) + 2**15
                cells = values // _BIN_STEPS + _BINS * (numbers == spec.number)
                part[:, k] += np.bincount(cells, minlength=2 * _BINS).reshape(2, _BINS)
        self._next += 1

    def fits(self) -> tuple[ScalingFit, ...]:
        """The scaling of each class, tried on blocks that it was not fitted to."""
        groups = self.groups()
        return tuple(fit_scaling(c.name, groups[:, :, k]) for k, c in enumerate(self._classes))

    def groups(self) -> _Counts:
        """Pixels (G, 2, K, bins), other and true ones of each class, by group of blocks."""
        if self._next < _LEAST_BLOCKS:
            quarters: _Counts = self._counts[: self._next].reshape(-1, *self._counts.shape[2:])
            return quarters
        whole: _Counts = self._counts.sum(axis=1)
        return whole


def put_in_force(spec: ClassSpec, fit: ScalingFit) -> tuple[ClassSpec, ScalingFit]:
    """A class with its threshold moved along, and the fit with the scaling that goes with it."""
    moved, scaling = at_threshold(spec, fit.scaling)
    if scaling == fit.scaling:
        return moved, fit
    if scaling == UNSCALED:
        reason = f"the threshold {spec.threshold:g} would be among the last scores"
        nothing = replace(fit, method="none", reason=reason, error_after=fit.error_before)
        return spec, replace(nothing, scaling=UNSCALED)
    return moved, replace(fit, scaling=scaling)


def fit_scaling(name: str, counts: _Counts) -> ScalingFit:
    """Choose and fit what makes probabilities of a class's logits.

    Temperature and bias are fitted by likelihood, with a prior that a few blocks do not overcome.
    Every group of blocks is left out once: a richer scaling replaces a simpler one if the groups
    left out are more likely by it, by more than the standard error of that.

    Args:
        name: of the class.
        counts: (G, 2, bins) logits of other and of true pixels, by group.
    """
    groups = counts[counts.any(axis=(1, 2))]
    whole = groups.sum(axis=0)
    before = _error([whole], [UNSCALED]) if len(groups) else None
    other_px, own_px = whole.sum(axis=-1)
    enough = min(other_px, own_px) >= _LEAST_PX and groups[:, 1].any(axis=-1).sum() >= _LEAST_GROUPS
    nothing = ScalingFit(name, "none", "too few pixels", UNSCALED, len(groups), before, before)
    if not enough:
        return nothing
    chosen = replace(nothing, reason="no gain on blocks left out")
    loss = np.array([_loss(group, UNSCALED) for group in groups])
    for method in ("temperature", "platt"):
        has_bias = method == "platt"
        tried = [most_likely(whole - group, len(groups) - 1, has_bias) for group in groups]
        own_loss = np.array([_loss(g, s) for g, s in zip(groups, tried, strict=True)])
        if not _is_better(own_loss, loss):
            continue
        loss, scaling = own_loss, most_likely(whole, len(groups), has_bias)
        after = _error(groups, tried)
        chosen = replace(chosen, method=method, reason="", scaling=scaling, error_after=after)
    return chosen


def _is_better(loss: npt.NDArray[np.float64], than: npt.NDArray[np.float64]) -> bool:
    """Whether the sum over groups is less, by more than its standard error."""
    gains = than - loss
    return bool(gains.sum() > math.sqrt(len(gains) * gains.var(ddof=1)))


def most_likely(counts: _Counts, n_groups: int, has_bias: bool) -> Scaling:
    """The most likely scaling, by the logits of pixels and by what is known before.

    Args:
        counts: (2, bins) logits of other and of true pixels.
        n_groups: of blocks, that these pixels come from.
        has_bias: whether there is a bias; else it is 0.
    """
    witnesses = math.sqrt(_WITNESSES * n_groups)
    temperature, bias = fit_platt(
        _LOGITS,
        counts[1],
        counts[0],
        most_temperature=MOST_TEMPERATURE,
        most_bias=_FITTED_BIAS if has_bias else 0.0,
        spread=(_SLOPE_SPREAD * witnesses, _BIAS_SPREAD * witnesses),
    )
    # Digits that another machine computes too.
    return Scaling(round(temperature, 4), round(bias, 4))


def _loss(counts: _Counts, scaling: Scaling) -> float:
    """Negative log-likelihood of pixels (2, bins), summed."""
    logits = scaling.of(_LOGITS)
    return float((counts.sum(axis=0) * np.logaddexp(0, logits) - counts[1] * logits).sum())


def _error(groups: Sequence[_Counts] | _Counts, scaling: Sequence[Scaling]) -> float | None:
    """Expected calibration error of groups (2, bins), each with a scaling of its own."""
    logits = [scaled.of(_LOGITS) for scaled in scaling]
    scores = 0.5 + 0.5 * np.tanh(0.5 * np.concatenate(logits))
    return expected_error(reliability(scores, np.concatenate(list(groups), axis=1)))
