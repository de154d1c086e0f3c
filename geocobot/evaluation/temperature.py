"""Temperature and bias that make logits as honest as they can be: one fit for all who need it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

_MOST = 20.0
"""No temperature is larger, nor its inverse: beyond it scores say nothing, or everything."""

_PRECISION = 1e-12

_Numbers = npt.NDArray[Any]


def fit_temperature(logits: _Numbers, positives: _Numbers, negatives: _Numbers) -> float:
    """The number that logits have to be divided by to be most likely (Guo et al., 1706.04599, 4.2).

    Args:
        logits: (N,) of a class against all others.
        positives: (N,) how many pixels with this logit are of the class; one pixel each has 0
            or 1.
        negatives: (N,) how many are not.

    Returns:
        1 / 20 to 20; 1 where there are no pixels of one kind, or all logits are 0.

    Raises:
        ValueError: the shapes differ.
    """
    return fit_platt(logits, positives, negatives, most_temperature=_MOST)[0]


def fit_platt(
    logits: _Numbers,
    positives: _Numbers,
    negatives: _Numbers,
    *,
    most_temperature: float,
    most_bias: float = 0.0,
    spread: tuple[float, float] = (math.inf, math.inf),
) -> tuple[float, float]:
    """Temperature and bias that make logits most likely (Platt scaling, Guo et al., 4.1).

    The negative log-likelihood per pixel is convex in the inverse of the temperature and the bias
    together, and so is what the best bias leaves of it for each inverse: it has one minimum, where
    its slope is 0, or at a bound.

    Args:
        logits: as of `fit_temperature`; so are the counts of pixels.
        positives: of the class.
        negatives: of others.
        most_temperature: the largest, and the inverse of the smallest.
        most_bias: the farthest from 0; with 0 there is a temperature alone.
        spread: standard deviations that the inverse has around 1 and the bias around 0 by what is
            known before, where all pixels together count as one witness.

    Returns:
        Both; 1 and 0 where there are no pixels of one kind, or all logits are 0.

    Raises:
        ValueError: the shapes differ.
    """
    if not logits.shape == positives.shape == negatives.shape:
        raise ValueError(
            f"logits {logits.shape}, positives {positives.shape} and negatives "
            f"{negatives.shape} are not of the same pixels"
        )
    z = logits.astype(np.float64)
    total = positives.astype(np.float64) + negatives
    if not np.any(positives) or not np.any(negatives) or not (z * total).any():
        return 1.0, 0.0
    weights, shares = total / total.sum(), positives / total.sum()

    def wrong(inverse: float, bias: float) -> npt.NDArray[np.float64]:
        """By how much scores exceed shares of the class (N,), as parts of all pixels."""
        scores = 0.5 + 0.5 * np.tanh(0.5 * (inverse * z + bias))
        return np.asarray(weights * scores - shares)

    def best_bias(inverse: float) -> float:
        """The most likely bias beside an inverse of the temperature."""
        pull = 1 / spread[1] ** 2
        return _root(lambda b: float(wrong(inverse, b).sum()) + b * pull, -most_bias, most_bias)

    def slope(inverse: float) -> float:
        """Of the negative log-likelihood and the prior, along the best biases."""
        away = (inverse - 1) / spread[0] ** 2
        return float((z * wrong(inverse, best_bias(inverse))).sum()) + away

    inverse = _root(slope, 1 / most_temperature, most_temperature)
    return 1 / inverse, best_bias(inverse)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function is 0, or the bound that is nearer to it."""
    if low == high or rising(low) >= 0:
        return low
    if rising(high) <= 0:
        return high
    return float(brentq(rising, low, high, xtol=_PRECISION, rtol=_PRECISION))
