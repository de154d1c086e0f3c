"""Fitting a scaling: found again where it is known, and left alone where nothing tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geocobot.classes import IGNORE, name_classes
from geocobot.evaluation.scaling_fit import LogitCounts, ScalingFit, put_in_force
from geocobot.scaling import UNSCALED, Scaling
from geocobot.steps import LOGIT_STEPS, as_steps, sigmoid

CLASSES = name_classes(["road"])


def block(rng, temperature=1.0, bias=0.0, side=100, mean=-1.0):
    """Truth (h, w) and logits in steps (1, h, w) that are honest once they are scaled."""
    honest = rng.normal(mean, 2, (side, side))
    truth = (rng.random((side, side)) < sigmoid(honest)).astype(np.uint8)
    logits = ((honest - bias) * temperature).astype(np.float32)
    return truth, as_steps(logits[None], np.ones(truth.shape, bool))


def counted(blocks, classes=CLASSES):
    counts = LogitCounts(classes)
    for truth, logits in blocks:
        counts.add(truth, logits, np.ones(truth.shape, bool))
    return counts


@pytest.mark.parametrize(("temperature", "bias"), [(2.0, 0.0), (0.5, 0.0), (1.5, 0.8), (0.8, -1.0)])
def test_a_known_scaling_is_found_again(temperature, bias):
    rng = np.random.default_rng(0)
    (fit,) = counted([block(rng, temperature, bias) for _ in range(40)]).fits()
    # Within what 20 groups leave of the prior.
    assert fit.scaling.temperature == pytest.approx(temperature, rel=0.1)
    assert fit.scaling.bias == pytest.approx(bias, abs=0.15)
    assert fit.method == "platt" if bias else fit.method in {"temperature", "platt"}
    assert fit.error_after < 0.015 < fit.error_before
    assert fit.groups == 20


def test_honest_scores_stay_as_honest():
    rng = np.random.default_rng(1)
    (fit,) = counted([block(rng) for _ in range(20)]).fits()
    assert fit.scaling.temperature == pytest.approx(1, abs=0.03)
    assert fit.scaling.bias == pytest.approx(0, abs=0.03)
    assert fit.error_after < 0.01


def test_the_order_of_blocks_within_a_group_does_not_matter():
    rng = np.random.default_rng(2)
    blocks = [block(rng, 2.0) for _ in range(40)]
    swapped = blocks[20:] + blocks[:20]
    assert counted(blocks).fits() == counted(swapped).fits()


def test_blocks_that_disagree_prove_nothing():
    rng = np.random.default_rng(3)
    (fit,) = counted([block(rng, bias=b) for b in (-2.0, 2.0, -2.0, 2.0)]).fits()
    assert fit.scaling.bias == 0


def test_few_blocks_are_pulled_towards_what_they_are():
    rng = np.random.default_rng(4)
    many = [block(rng, 3.0) for _ in range(20)]
    (sure,) = counted(many).fits()
    (unsure,) = counted(many[:4]).fits()
    assert 1.5 < unsure.scaling.temperature < sure.scaling.temperature


@pytest.mark.parametrize("n_blocks", [1, 2, 3])
def test_fewer_than_four_blocks_are_their_quarters(n_blocks):
    rng = np.random.default_rng(5)
    counts = counted([block(rng, 2.0, side=101) for _ in range(n_blocks)])
    assert len(counts.groups()) == 4 * n_blocks
    assert counts.groups().sum() == n_blocks * 101**2
    assert counts.fits()[0].scaling.temperature > 1.2


def test_what_is_seen_around_a_block_makes_no_group():
    rng = np.random.default_rng(5)
    truth, logits = block(rng, 2.0, side=100)
    around = ((0, 0), (0, 100), (100, 0))
    counts = LogitCounts(CLASSES)
    seen = np.pad(truth, around[1:], constant_values=IGNORE)
    counts.add(seen, np.pad(logits, around), np.ones(seen.shape, bool))
    assert counts.groups().sum(axis=(1, 2, 3)).tolist() == [50 * 50] * 4


@pytest.mark.parametrize("mean", [-40.0, 40.0])
def test_without_pixels_of_both_kinds_nothing_is_fitted(mean):
    rng = np.random.default_rng(6)
    (fit,) = counted([block(rng, mean=mean) for _ in range(5)]).fits()
    assert (fit.method, fit.reason, fit.scaling) == ("none", "too few pixels", UNSCALED)


def test_without_any_pixel_nothing_is_known():
    counts = LogitCounts(CLASSES)
    truth, logits = block(np.random.default_rng(7))
    counts.add(np.full_like(truth, IGNORE), logits, np.ones(truth.shape, bool))
    counts.add(truth, logits, np.zeros(truth.shape, bool))
    (fit,) = counts.fits()
    assert (fit.method, fit.error_before, fit.error_after) == ("none", None, None)


def test_never_beyond_the_bounds():
    rng = np.random.default_rng(8)
    sure = np.full((1, 100, 100), 20 * LOGIT_STEPS, np.int16)
    chance = [(rng.integers(0, 2, (100, 100)).astype(np.uint8), sure) for _ in range(20)]
    (fit,) = counted(chance).fits()
    assert 1 <= fit.scaling.temperature <= 4
    assert abs(fit.scaling.bias) <= 3


def test_each_class_has_its_own():
    rng = np.random.default_rng(9)
    counts = LogitCounts(name_classes(["one", "other"]))
    for _ in range(20):
        truth, sharp = block(rng, 2.0)
        other = as_steps(np.where(truth == 2, 1, -3).astype(np.float32)[None], truth < 3)
        counts.add(truth, np.concatenate([sharp, other]), np.ones(truth.shape, bool))
    one, other = counts.fits()
    assert one.scaling.temperature == pytest.approx(2, rel=0.05)
    assert (other.name, other.method) == ("other", "none")


def fitted(scaling):
    return ScalingFit("road", "platt", "", scaling, 20, 0.2, 0.1)


def test_a_threshold_moves_along():
    spec, fit = put_in_force(CLASSES[0], fitted(Scaling(2.0, 1.0)))
    assert spec.threshold == pytest.approx(sigmoid(np.array([1.0]))[0], abs=1 / 254)
    assert (fit.method, fit.scaling.temperature) == ("platt", 2.0)


def test_a_threshold_that_cannot_move_along_leaves_scores_as_they_are():
    unsure = replace(CLASSES[0], threshold=0.05)
    spec, fit = put_in_force(unsure, fitted(Scaling(0.25, -3.0)))
    assert (spec, fit.scaling, fit.method) == (unsure, UNSCALED, "none")
    assert fit.reason == "the threshold 0.05 would be among the last scores"
    assert fit.error_after == fit.error_before
