"""Statistics of paired differences: intervals, and how many pairs a gain needs to show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.95
GAIN = 0.01
"""A gain worth having: one IoU point."""

POWER = 0.8
_RESAMPLES = 10_000
_SPREAD_LEVEL = 0.8

Interval = tuple[float, float]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Paired differences of two arms, pooled over scenes and seeds.

    Attributes:
        pairs: how many.
        mean: of the differences.
        spread: their standard deviation.
        by_t: 95 % interval of the mean, Student's t over pairs.
        by_bootstrap: the same by drawing pairs again, within each scene.
        over_scenes: the same by t over the means of the scenes: what other scenes may say.
        p: two-sided, of Student's t over pairs.
        better: share of pairs above 0.
    """

    pairs: int
    mean: float
    spread: float
    by_t: Interval
    by_bootstrap: Interval
    over_scenes: Interval
    p: float
    better: float


def difference(values: Values, scenes: npt.NDArray[np.str_]) -> Difference:
    """Sum paired differences up.

    Args:
        values: (N,), two or more.
        scenes: (N,), the scene of each.
    """
    if len(values) < 2:
        raise ValueError("one pair has no spread: two at least are needed")
    means = np.array([values[scenes == scene].mean() for scene in np.unique(scenes)])
    return Difference(
        pairs=len(values),
        mean=float(values.mean()),
        spread=float(values.std(ddof=1)),
        by_t=t_interval(values),
        by_bootstrap=bootstrap_interval(values, scenes),
        over_scenes=t_interval(means) if len(means) > 1 else (-math.inf, math.inf),
        p=_p_value(values),
        better=float((values > 0).mean()),
    )


def t_interval(values: Values, level: float = LEVEL) -> Interval:
    """Student's t interval of a mean, of two values or more."""
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half), float(values.mean() + half)


def bootstrap_interval(
    values: Values, scenes: npt.NDArray[np.str_], level: float = LEVEL, seed: int = 0
) -> Interval:
    """Percentile interval of a mean; pairs are drawn again within their scene."""
    rng = np.random.default_rng(seed)
    total = np.zeros(_RESAMPLES)
    for scene in np.unique(scenes):
        here = values[scenes == scene]
        total += rng.choice(here, (_RESAMPLES, len(here))).sum(axis=1)
    low, high = np.quantile(total / len(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def power(pairs: int, spread: float, gain: float = GAIN, alpha: float = 1 - LEVEL) -> float:
    """How likely a paired two-sided t-test is to see a true gain.

    Args:
        pairs: two or more.
        spread: standard deviation of the differences.
        gain: their true mean.
        alpha: how often it sees one where there is none.
    """
    freedom = pairs - 1
    shift = gain / spread * pairs**0.5
    least = stats.t.ppf(1 - alpha / 2, freedom)
    # The second is the lower tail, mirrored: SciPy's own is not a number where it is far away.
    return float(stats.nct.sf(least, freedom, shift) + stats.nct.sf(least, freedom, -shift))


def pairs_needed(
    spread: float, gain: float = GAIN, wanted: float = POWER, alpha: float = 1 - LEVEL
) -> int:
    """The fewest pairs with which a true gain is seen as likely as wanted."""
    if spread <= 0:
        return 2
    high = 2
    while power(high, spread, gain, alpha) < wanted:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if power(middle, spread, gain, alpha) < wanted:
            low = middle
        else:
            high = middle
    return max(2, high)


def least_gain(pairs: int, spread: float, wanted: float = POWER) -> float:
    """The smallest true gain that so many pairs see as likely as wanted."""
    if spread <= 0:
        return 0.0
    low, high = 0.0, 10 * spread
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power(pairs, spread, middle) < wanted else (low, middle)
    return high


def spread_at_most(values: Values, level: float = _SPREAD_LEVEL) -> float:
    """What the standard deviation is not above, at a confidence: few pairs tell little of it."""
    freedom = len(values) - 1
    return float(values.std(ddof=1) * (freedom / stats.chi2.ppf(1 - level, freedom)) ** 0.5)


def _p_value(values: Values) -> float:
    """Two-sided, that the mean is 0."""
    deviation = values.std(ddof=1)
    if deviation == 0:
        return 0.0 if values.mean() else 1.0
    return float(2 * stats.t.sf(abs(values.mean()) / deviation * len(values) ** 0.5,
                                len(values) - 1))  # fmt: skip
