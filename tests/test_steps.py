"""Scores in whole steps: classified as the scores that they stand for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geocobot.classes import ClassSpec, classify
from geocobot.steps import NODATA, SCORE_SCALE, classify_steps, scores_of


@st.composite
def stacks(draw):
    """Steps (K, 3, 4) without data in the same places, and K classes with thresholds."""
    n = draw(st.integers(1, 5))
    # Thresholds that lie on a step or between two, and the same one for several classes.
    threshold = st.integers(0, 2 * SCORE_SCALE).map(lambda half: half / (2 * SCORE_SCALE))
    classes = tuple(
        ClassSpec(number, f"class {number}", "#000000", draw(threshold))
        for number in draw(st.lists(st.integers(1, 254), min_size=n, max_size=n, unique=True))
    )
    steps = draw(arrays(np.uint8, (n, 3, 4), elements=st.integers(0, SCORE_SCALE)))
    steps[:, draw(arrays(np.bool_, (3, 4)))] = NODATA
    return steps, classes


@settings(deadline=None, max_examples=300)
@given(stacks())
def test_steps_are_classified_as_the_scores_they_stand_for(stack):
    steps, classes = stack
    expected = classify(scores_of(steps), steps[0] != NODATA, classes)
    found = classify_steps(steps, classes)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


def test_many_classes_with_thresholds_of_their_own():
    rng = np.random.default_rng(0)
    classes = tuple(
        ClassSpec(k + 1, f"class {k}", "#000000", float(rng.random())) for k in range(254)
    )
    steps = rng.integers(0, SCORE_SCALE + 1, (254, 10, 10), dtype=np.uint8)
    expected = classify(scores_of(steps), np.ones((10, 10), bool), classes)
    assert np.array_equal(classify_steps(steps, classes), expected)
