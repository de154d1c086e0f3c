"""The one fit of temperature and bias: beside scikit-learn's, with a prior, and at its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from geocobot.evaluation.scaling_fit import most_likely
from geocobot.evaluation.temperature import fit_platt, fit_temperature
from geocobot.steps import sigmoid


def made_up(seed: int, temperature: float = 1.0, bias: float = 0.0, n: int = 400):
    """Logits (n,), and 0 or 1 as their scores would have it after a scaling."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 3, n)
    return z, (rng.random(n) < sigmoid(z / temperature + bias)).astype(int)


@pytest.mark.parametrize("has_bias", [False, True])
@given(seed=st.integers(0, 50), temperature=st.floats(0.5, 3), bias=st.floats(-1, 1))
def test_without_a_prior_it_is_logistic_regression(has_bias, seed, temperature, bias):
    z, y = made_up(seed, temperature, bias if has_bias else 0.0)
    most_bias = 50.0 if has_bias else 0.0
    found = fit_platt(z, y, 1 - y, most_temperature=50.0, most_bias=most_bias)
    theirs = LogisticRegression(
        C=np.inf, fit_intercept=has_bias, solver="newton-cholesky", tol=1e-12
    ).fit(z[:, None], y)
    assert found[0] == pytest.approx(1 / theirs.coef_[0, 0], rel=1e-6)
    assert found[1] == pytest.approx(np.ravel(theirs.intercept_)[0], abs=1e-6)


@given(st.integers(0, 50), st.floats(0.5, 3))
def test_training_and_evaluation_find_the_same(seed, temperature):
    steps = np.arange(1024)
    logits = ((steps + 0.5) * 64 - 2**15) / 1024
    rng = np.random.default_rng(seed)
    pixels = rng.poisson(300 * np.exp(-((logits / 3) ** 2)))
    true = rng.binomial(pixels, sigmoid(logits / temperature))
    of_evaluation = fit_temperature(logits, true, pixels - true)
    # As of so many blocks, beside which the prior is nothing; four digits are kept.
    of_training = most_likely(np.stack([pixels - true, true]), 10**12, has_bias=False)
    assert of_training.temperature == pytest.approx(of_evaluation, abs=5.1e-5)
    exact = fit_platt(logits, true, pixels - true, most_temperature=4.0)
    assert exact[0] == pytest.approx(of_evaluation, abs=1e-6)


@given(st.integers(0, 50), st.floats(0.3, 4), st.floats(-2, 2), st.floats(0.1, 10))
def test_nothing_nearby_is_more_likely(seed, temperature, bias, spread):
    z, y = made_up(seed, temperature, bias)
    if not 0 < y.sum() < len(y):
        return
    found = fit_platt(z, y, 1 - y, most_temperature=4.0, most_bias=3.0, spread=(spread, 2 * spread))

    def loss(inverse, bias):
        data = np.logaddexp(0, np.where(y, -1, 1) * (inverse * z + bias)).mean()
        return data + 0.5 * ((inverse - 1) / spread) ** 2 + 0.5 * (bias / (2 * spread)) ** 2

    inverse = 1 / found[0]
    for di, db in [(1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3), (1e-3, 1e-3), (1e-3, -1e-3)]:
        near = np.clip(inverse + di, 0.25, 4.0), np.clip(found[1] + db, -3.0, 3.0)
        assert loss(inverse, found[1]) <= loss(*near) + 1e-12


def test_both_are_bounded():
    z = np.array([1.0, 2.0, -1.0])
    always = fit_platt(
        z, np.array([9, 9, 9]), np.array([0, 0, 1]), most_temperature=4.0, most_bias=0.5
    )
    assert always[1] == 0.5
    never = fit_platt(
        z, np.array([0, 1, 0]), np.array([9, 9, 9]), most_temperature=4.0, most_bias=0.5
    )
    assert never[1] == -0.5
    sure = fit_platt(
        np.array([1.0, -1.0]), np.array([9, 0]), np.array([0, 9]), most_temperature=4.0
    )
    assert sure == (0.25, 0.0)


def test_a_narrow_prior_leaves_scores_as_they_are():
    z, y = made_up(0, 3.0, 1.0)
    spread = (1e-4, 1e-4)
    found = fit_platt(z, y, 1 - y, most_temperature=4.0, most_bias=3.0, spread=spread)
    assert found == pytest.approx((1.0, 0.0), abs=1e-6)


def test_pixels_of_one_kind_tell_nothing():
    z = np.array([1.0, -2.0])
    for true, other in [((1, 1), (0, 0)), ((0, 0), (5, 5))]:
        found = fit_platt(z, np.array(true), np.array(other), most_temperature=4.0, most_bias=3.0)
        assert found == (1.0, 0.0)


@given(st.integers(0, 20), st.floats(0.2, 5))
def test_no_temperature_nearby_is_more_likely(seed, sharpness):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 3, 200)
    y = (rng.random(200) < sigmoid(z / sharpness)).astype(int)
    best = fit_temperature(z, y, 1 - y)

    def loss(temperature):
        return np.logaddexp(0, np.where(y, -z, z) / temperature).sum()

    assert loss(best) <= min(loss(best * 1.02), loss(best / 1.02)) + 1e-9 or best in {0.05, 20.0}


def test_temperature_needs_pixels_of_both_kinds():
    z = np.array([1.0, -2.0])
    assert fit_temperature(z, np.array([1, 1]), np.array([0, 0])) == 1.0
    assert fit_temperature(z, np.array([0, 0]), np.array([5, 5])) == 1.0
    assert fit_temperature(np.zeros(2), np.array([1, 2]), np.array([5, 5])) == 1.0


def test_temperature_is_bounded():
    z = np.array([1.0, -1.0])
    assert fit_temperature(z, np.array([9, 0]), np.array([0, 9])) == pytest.approx(1 / 20)
    assert fit_temperature(z, np.array([0, 9]), np.array([9, 0])) == pytest.approx(20)


def test_temperature_refuses_other_shapes():
    with pytest.raises(ValueError, match="not of the same pixels"):
        fit_temperature(np.zeros(2), np.zeros(3), np.zeros(2))
