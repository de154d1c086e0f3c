"""Temperature scaling: one number that makes scores as honest as they can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

_MOST = 20.0
"""No temperature is larger, nor its inverse: beyond it scores say nothing, or everything."""


def fit_temperature(
    logits: npt.NDArray[np.floating[Any]],
    positives: npt.NDArray[Any],
    negatives: npt.NDArray[Any],
) -> float:
    """The number that logits have to be divided by to be most likely (Guo et al., 1706.04599, 4.2).

    The negative log-likelihood is convex in the inverse of the temperature, so that it has one
    minimum, where its slope is 0.

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
    if not logits.shape == positives.shape == negatives.shape:
        raise ValueError(
            f"logits {logits.shape}, positives {positives.shape} and negatives "
            f"{negatives.shape} are not of the same pixels"
        )
    z = logits.astype(np.float64)
    n_true = positives.astype(np.float64)
    total = n_true + negatives
    if not n_true.any() or not np.any(negatives) or not (z * total).any():
        return 1.0
    weights = total / total.sum()
    shares = n_true / total.sum()

    def slope(inverse: float) -> float:
        """Slope of the negative log-likelihood per pixel."""
        scores = 0.5 + 0.5 * np.tanh(0.5 * inverse * z)
        return float((z * (weights * scores - shares)).sum())

    low, high = 1 / _MOST, _MOST
    if slope(low) >= 0:
        return _MOST
    if slope(high) <= 0:
        return 1 / _MOST
    inverse = math.exp(brentq(lambda x: slope(math.exp(x)), math.log(low), math.log(high)))
    return 1 / inverse
