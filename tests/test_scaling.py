"""Scaled scores: exact tables, thresholds that move along, and nothing changed where T is 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geocobot.classes import BACKGROUND, ClassSpec, name_classes
from geocobot.scaling import UNSCALED, Scaling, at_threshold, scaled_scores, scaled_steps
from geocobot.steps import (
    LOGIT_NODATA,
    LOGIT_STEPS,
    NODATA,
    SCORE_SCALE,
    classify_steps,
    exact_scores,
    score_steps,
)

ALL = np.arange(2**16, dtype=np.uint16).view(np.int16).reshape(1, 256, 256)
"""Every logit there is, the one without data among them."""

SCALINGS = st.builds(Scaling, st.floats(0.25, 4.0), st.floats(-3.0, 3.0))
THRESHOLDS = st.floats(0.02, 0.98)


def road(threshold: float = 0.5) -> ClassSpec:
    return replace(name_classes(["road"])[0], threshold=threshold)


@pytest.mark.parametrize("scaling", [(), (UNSCALED,), (Scaling(1.0, 0.0),)])
def test_a_temperature_of_1_changes_no_byte(scaling):
    assert scaled_steps(ALL, scaling).tobytes() == score_steps(ALL).tobytes()
    assert scaled_scores(ALL, scaling).tobytes() == exact_scores(ALL).tobytes()


@settings(deadline=None, max_examples=60)
@given(SCALINGS)
def test_tables_hold_the_score_of_every_logit(scaling):
    logits = ALL.astype(np.float64) / LOGIT_STEPS / scaling.temperature + scaling.bias
    expected = np.where(ALL == LOGIT_NODATA, np.nan, 1 / (1 + np.exp(-logits)))
    exact, written = scaled_scores(ALL, (scaling,)), scaled_steps(ALL, (scaling,))
    np.testing.assert_allclose(exact, expected, atol=2e-7)
    off = np.abs(written - expected * SCORE_SCALE)[ALL != LOGIT_NODATA]
    assert off.max() <= 0.5 + 1e-4
    assert np.array_equal(written == NODATA, ALL == LOGIT_NODATA)


@settings(deadline=None, max_examples=60)
@given(SCALINGS)
def test_what_was_surer_stays_surer(scaling):
    ascending = np.arange(LOGIT_NODATA + 1, -LOGIT_NODATA, dtype=np.int16).reshape(1, 1, -1)
    assert (np.diff(scaled_steps(ascending, (scaling,)).astype(int)) >= 0).all()
    assert (np.diff(scaled_scores(ascending, (scaling,))) >= 0).all()


@settings(deadline=None, max_examples=200)
@given(THRESHOLDS, SCALINGS)
def test_the_map_of_one_class_stays_as_it_was(threshold, scaling):
    spec = road(threshold)
    moved, in_force = at_threshold(spec, scaling)
    before = classify_steps(score_steps(ALL), [spec])
    assert np.array_equal(classify_steps(scaled_steps(ALL, (in_force,)), [moved]), before)
    if in_force == UNSCALED:
        return
    # A raster of scores with all their digits is the same map, rounded or not.
    exact = scaled_scores(ALL, (in_force,))[0]
    has_data = ALL[0] != LOGIT_NODATA
    assert np.array_equal((exact > moved.threshold)[has_data], (before == 1)[has_data])


@settings(deadline=None, max_examples=200)
@given(THRESHOLDS, SCALINGS)
def test_the_bias_in_force_is_the_fitted_one_but_for_half_a_step(threshold, scaling):
    moved, in_force = at_threshold(road(threshold), scaling)
    assume(in_force != UNSCALED)
    assert in_force.temperature == scaling.temperature
    assert abs(in_force.bias - scaling.bias) <= 0.1
    assert (moved.threshold * SCORE_SCALE) % 1 == pytest.approx(0.5)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(THRESHOLDS, SCALINGS), min_size=2, max_size=4), st.integers(0, 99))
def test_of_several_classes_what_is_mapped_at_all_stays(given_classes, seed):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-9000, 9000, (len(given_classes), 30, 30), dtype=np.int16)
    specs = name_classes([f"class {k}" for k in range(len(given_classes))])
    specs = [replace(s, threshold=t) for s, (t, _) in zip(specs, given_classes, strict=True)]
    moved = [at_threshold(s, scaling) for s, (_, scaling) in zip(specs, given_classes, strict=True)]
    before = classify_steps(score_steps(logits), specs)
    after = classify_steps(
        scaled_steps(logits, [scaling for _, scaling in moved]), [spec for spec, _ in moved]
    )
    assert np.array_equal(before == BACKGROUND, after == BACKGROUND)


def test_planes_beyond_the_classes_are_left_as_they_are():
    logits = np.concatenate([ALL, ALL])
    steps = scaled_steps(logits, (Scaling(2.0),))
    assert not np.array_equal(steps[0], score_steps(ALL)[0])
    assert np.array_equal(steps[1], score_steps(ALL)[0])


@pytest.mark.parametrize("threshold", [1.0, 0.0])
def test_a_threshold_at_the_end_is_not_moved(threshold):
    spec = road(threshold)
    assert at_threshold(spec, Scaling(0.25, -3.0)) == (spec, UNSCALED)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0, 0.0), "temperature 0.0 is not in 0.25..4"),
        ((4.1, 0.0), "temperature 4.1 is not in 0.25..4"),
        ((float("nan"), 0.0), "temperature nan is not in 0.25..4"),
        ((1.0, -4.5), "bias -4.5 is not in -4..4"),
        ((1.0, float("nan")), "bias nan is not in -4..4"),
    ],
)
def test_what_no_fit_yields_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Scaling(*values)
