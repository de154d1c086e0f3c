"""Curves and calibration: scikit-learn and torchmetrics find the same."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve
from torchmetrics.functional.classification import (
    binary_average_precision,
    binary_calibration_error,
)

from geocobot.classes import IGNORE, name_classes
from geocobot.evaluation.score_counts import N_BINS, ScoreCounts, reliability
from geocobot.steps import NODATA, sigmoid

CLASSES = name_classes(["road"])


def made_up(seed=0, n=4000, sharpness=1.0):
    """Truth and steps (1, n) such that scores are probabilities where sharpness is 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, n)
    truth = (rng.random(n) < sigmoid(logits)).astype(np.uint8)[None]
    # Without scores of 1, for which torchmetrics keeps a bin of its own.
    steps = np.rint(sigmoid(logits * sharpness) * 254).clip(0, 253).astype(np.uint8)
    return truth, steps[None]


def counted(truth, steps, judged=None):
    counts = ScoreCounts(CLASSES)
    counts.add(truth, steps[None], np.ones(truth.shape, bool) if judged is None else judged)
    return counts


def test_the_curve_is_that_of_scikit_learn():
    truth, steps = made_up()
    curve = counted(truth, steps).curves()[0]
    precision, recall, thresholds = precision_recall_curve(truth[0], steps[0])
    ours = {round(t * 254 + 0.5): k for k, t in enumerate(curve.thresholds)}
    for p, r, step in zip(precision[:-1], recall[:-1], thresholds, strict=True):
        if step:
            assert curve.precision[ours[step]] == pytest.approx(p, abs=1e-6)
            assert curve.recall[ours[step]] == pytest.approx(r, abs=1e-6)
    assert curve.average_precision == pytest.approx(
        average_precision_score(truth[0], steps[0]), abs=1e-6
    )
    theirs = binary_average_precision(torch.from_numpy(steps[0] / 254), torch.from_numpy(truth[0]))
    assert curve.average_precision == pytest.approx(float(theirs), abs=1e-6)


def test_no_threshold_is_better_than_the_best():
    truth, steps = made_up(1)
    curve = counted(truth, steps).curves()[0]
    tried = [f1_score(truth[0], steps[0] / 254 > t) for t in curve.thresholds]
    assert curve.best_f1 == pytest.approx(max(tried), abs=1e-9)
    assert f1_score(truth[0], steps[0] / 254 > curve.best_threshold) == pytest.approx(max(tried))
    assert curve.best_iou == pytest.approx(curve.best_f1 / (2 - curve.best_f1))


def test_of_many_best_thresholds_it_is_the_middle_one():
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    curve = counted(truth, np.array([[10, 20, 200, 210]], np.uint8)).curves()[0]
    assert curve.best_f1 == 1.0
    assert curve.best_threshold == pytest.approx((20 + 200) / 2 / 254, abs=1 / 254)


def test_pixels_without_prediction_score_nothing_and_unknown_ones_do_not_count():
    truth = np.array([[1, 1, IGNORE, 0]], np.uint8)
    judged = np.array([[True, True, True, False]])
    counts = counted(truth, np.array([[NODATA, 254, 254, 7]], np.uint8), judged).counts
    assert counts.sum() == 2
    assert counts[0, 1, [0, 254]].tolist() == [1, 1]


def test_a_class_without_a_pixel_has_no_curve_to_speak_of():
    truth = np.zeros((1, 3), np.uint8)
    curve = counted(truth, np.array([[0, 100, 254]], np.uint8)).curves()[0]
    assert (curve.average_precision, curve.best_threshold, curve.best_f1) == (None, None, None)
    assert set(curve.recall) == {None}


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 2.5])
def test_the_calibration_error_is_that_of_torchmetrics(sharpness):
    truth, steps = made_up(2, sharpness=sharpness)
    found = counted(truth, steps).calibration()[0]
    scores = torch.from_numpy(steps[0] / 254)
    theirs = binary_calibration_error(scores, torch.from_numpy(truth[0]), n_bins=N_BINS, norm="l1")
    assert found.expected_error == pytest.approx(float(theirs), abs=1e-6)
    assert sum(b.pixels for b in found.bins) == truth.size


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_temperature_undoes_what_was_too_sure(sharpness):
    truth, steps = made_up(3, n=60_000, sharpness=sharpness)
    found = counted(truth, steps).calibration()[0]
    assert found.temperature == pytest.approx(sharpness, rel=0.05)
    assert found.scaled_error < 0.02
    assert found.scaled_error <= found.expected_error + 0.005


def test_bins_hold_what_is_theirs():
    bins = reliability(np.array([0.0, 0.99, 1.0]), np.array([[1, 0, 1], [0, 2, 3]]))
    assert [b.pixels for b in bins] == [1, *[0] * (N_BINS - 2), 6]
    assert bins[0].share_true == 0
    assert bins[1].mean_score is None
    assert bins[-1].share_true == pytest.approx(5 / 6)
