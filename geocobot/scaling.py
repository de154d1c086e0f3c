"""Scores that are probabilities: logits scaled class by class before they become scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from geocobot.classes import ClassSpec
from geocobot.steps import (
    LOGIT_NODATA,
    LOGIT_STEPS,
    NODATA,
    SCORE_SCALE,
    encode_scores,
    exact_scores,
    score_steps,
    scores_of,
    sigmoid,
)

MOST_TEMPERATURE = 4.0
"""No temperature is larger, nor its inverse; beyond it what was measured is no matter of scale."""

MOST_BIAS = 4.0
"""No bias is farther from 0."""

_LARGEST_SHIFT = 0.1
"""Of a logit, that a threshold may be moved by to lie between two steps of scores."""


@dataclass(frozen=True)
class Scaling:
    """What becomes of the logits of a class: divided by the temperature, the bias added.

    With a bias this is Platt scaling, without it temperature scaling (Guo et al., arXiv
    1706.04599, 4.1 and 4.2).

    Attributes:
        temperature: above 1 where scores are too sure.
        bias: above 0 where they are too low.
    """

    temperature: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no fit yields."""
        if not 1 / MOST_TEMPERATURE <= self.temperature <= MOST_TEMPERATURE:
            raise ValueError(
                f"temperature {self.temperature} is not in "
                f"{1 / MOST_TEMPERATURE:g}..{MOST_TEMPERATURE:g}"
            )
        if not abs(self.bias) <= MOST_BIAS:
            raise ValueError(f"bias {self.bias} is not in -{MOST_BIAS:g}..{MOST_BIAS:g}")

    def of(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The scaled logits, of any shape."""
        return logits / self.temperature + self.bias

    def undone(self, logit: float) -> float:
        """The logit of the network whose scaled one this is."""
        return (logit - self.bias) * self.temperature

    def in_words(self) -> str:
        """What is done, for a report."""
        bias = f" {self.bias:+.2f}" if self.bias else ""
        return f"logits / {self.temperature:.2f}{bias}"


UNSCALED = Scaling()


def scaled_steps(
    logits: npt.NDArray[np.int16], scaling: Sequence[Scaling] = ()
) -> npt.NDArray[np.uint8]:
    """Scores of scaled logits as they are written.

    Args:
        logits: (K, h, w) in steps.
        scaling: of the first planes; the others are left as they are.

    Returns:
        (K, h, w) uint8, `NODATA` for `LOGIT_NODATA`.
    """
    steps = score_steps(logits)
    for plane, own, scaled in zip(steps, logits, scaling, strict=False):
        if scaled != UNSCALED:
            plane[...] = _tables(scaled)[0][own.view(np.uint16)]
    return steps


def scaled_scores(
    logits: npt.NDArray[np.int16], scaling: Sequence[Scaling] = ()
) -> npt.NDArray[np.float32]:
    """Scores of scaled logits, 0 to 1, with all their digits; arguments as of `scaled_steps`.

    Returns:
        (K, h, w) float32, NaN for `LOGIT_NODATA`.
    """
    scores = exact_scores(logits)
    for plane, own, scaled in zip(scores, logits, scaling, strict=False):
        if scaled != UNSCALED:
            plane[...] = _tables(scaled)[1][own.view(np.uint16)]
    return scores


def at_threshold(spec: ClassSpec, scaling: Scaling) -> tuple[ClassSpec, Scaling]:
    """Move the threshold of a class along, so that the same logits are above it.

    Scores are written in steps, and the threshold has to lie between two of them. So the bias is
    changed by what separates it from there, less than half a step of a score.

    Args:
        spec: with the threshold of scores that are not scaled.
        scaling: as it was fitted.

    Returns:
        The class with its threshold between two steps, and the scaling in force; both as they
        were, without scaling, where no pixel or none but the surest could be of the class.
    """
    first = _first_above(spec.threshold)
    if scaling == UNSCALED or first is None:
        return spec, UNSCALED
    border = float(scaling.of(np.array([(first - 0.5) / LOGIT_STEPS]))[0])
    score = 1 / (1 + math.exp(-border))
    step = min(max(round(score * SCORE_SCALE + 0.5), 1), SCORE_SCALE)
    threshold = (step - 0.5) / SCORE_SCALE
    shift = math.log(threshold / (1 - threshold)) - border
    bias = scaling.bias + shift
    if abs(shift) > _LARGEST_SHIFT or abs(bias) > MOST_BIAS:
        return spec, UNSCALED
    return replace(spec, threshold=threshold), replace(scaling, bias=bias)


def _first_above(threshold: float) -> int | None:
    """The lowest logit in steps whose score, as it is written, is above a threshold."""
    logits = np.arange(LOGIT_NODATA + 1, -LOGIT_NODATA, dtype=np.int16)
    is_above = scores_of(score_steps(logits)) - np.float32(threshold) > 0
    return int(logits[is_above.argmax()]) if is_above.any() else None


@lru_cache(maxsize=256)
def _tables(scaling: Scaling) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The score of every logit in steps, by its bits as an unsigned number: written, and exact."""
    logits = np.arange(2**16, dtype=np.uint16).view(np.int16)
    has_data = logits != LOGIT_NODATA
    scores = sigmoid(scaling.of(logits / LOGIT_STEPS))
    written = encode_scores(scores, has_data)
    exact = np.where(has_data, scores, np.float32(np.nan))
    assert written[LOGIT_NODATA] == NODATA
    return written, exact
