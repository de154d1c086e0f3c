"""Intervals beside SciPy's, and power beside published numbers and simulations."""

import numpy as np
import pytest
from evidence.paired import (
    bootstrap_interval,
    difference,
    least_gain,
    pairs_needed,
    power,
    spread_at_most,
    t_interval,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

RNG = np.random.default_rng(3)
VALUES = RNG.normal(0.004, 0.02, 50)
SCENES = np.repeat(["a", "b", "c", "d", "e"], 10)


@pytest.mark.parametrize("n", [2, 5, 50])
def test_t_as_scipy_has_it(n):
    known = stats.ttest_1samp(VALUES[:n], 0)
    found = difference(VALUES[:n], SCENES[:n])
    assert found.by_t == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found.p == pytest.approx(known.pvalue)
    assert (found.pairs, found.mean) == (n, pytest.approx(VALUES[:n].mean()))
    assert found.spread == pytest.approx(VALUES[:n].std(ddof=1))


def test_bootstrap_as_scipy_has_it():
    one_scene = np.repeat(["a"], 50)
    known = stats.bootstrap((VALUES,), np.mean, method="percentile", n_resamples=20_000)
    found = bootstrap_interval(VALUES, one_scene)
    assert found == pytest.approx(tuple(known.confidence_interval), abs=4e-4)
    assert found == bootstrap_interval(VALUES, one_scene)


def test_the_bootstrap_keeps_to_scenes():
    """Scenes that differ, and seeds that do not, leave nothing to draw."""
    values = np.repeat([0.0, 0.1, 0.2, 0.3, 0.4], 10)
    low, high = bootstrap_interval(values, SCENES)
    assert (low, high) == pytest.approx((0.2, 0.2))
    assert difference(values, SCENES).over_scenes == pytest.approx(
        t_interval(np.array([0.0, 0.1, 0.2, 0.3, 0.4]))
    )


def test_differences_that_are_all_alike():
    found = difference(np.full(4, 0.25), SCENES[:4])
    assert found.by_t == found.by_bootstrap == (0.25, 0.25)
    assert (found.p, found.better) == (0.0, 1.0)
    assert difference(np.zeros(4), SCENES[:4]).p == 1.0


def test_one_pair_tells_nothing():
    with pytest.raises(ValueError, match="two at least"):
        difference(VALUES[:1], SCENES[:1])


@pytest.mark.parametrize(
    ("effect", "wanted", "pairs"),
    # Cohen's tables for a paired two-sided t-test at 0.05, as G*Power gives them.
    [(0.2, 0.8, 199), (0.5, 0.8, 34), (0.8, 0.8, 15), (0.5, 0.9, 44), (0.5, 0.95, 54)],
)
def test_pairs_that_are_published(effect, wanted, pairs):
    assert pairs_needed(1.0, effect, wanted) == pairs


def test_power_as_simulated():
    seen = stats.ttest_1samp(RNG.normal(0.01, 0.03, (20_000, 40)), 0, axis=1).pvalue < 0.05
    assert power(40, 0.03) == pytest.approx(seen.mean(), abs=0.012)
    assert power(40, 0.03, gain=0.0) == pytest.approx(0.05)


@given(st.floats(1e-3, 0.2), st.floats(0.5, 0.95))
def test_no_fewer_pairs_would_do(spread, wanted):
    pairs = pairs_needed(spread, 0.01, wanted)
    assert power(pairs, spread) >= wanted
    assert pairs == 2 or power(pairs - 1, spread) < wanted


@given(st.integers(3, 300), st.floats(1e-3, 0.2))
def test_the_least_gain_is_where_power_is_reached(pairs, spread):
    assert power(pairs, spread, least_gain(pairs, spread)) == pytest.approx(0.8, abs=1e-6)


def test_no_spread_needs_no_pairs():
    assert (pairs_needed(0.0), least_gain(5, 0.0)) == (2, 0.0)


def test_the_spread_is_rarely_above_what_is_said():
    draws = RNG.normal(0, 0.02, (4000, 15))
    held = np.mean([spread_at_most(values) >= 0.02 for values in draws])
    assert held == pytest.approx(0.8, abs=0.025)
