import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.classes import IGNORE
from geocobot.config.values import LossName
from geocobot.training.losses import (
    SegmentationLoss,
    balanced_weights,
    binary_targets,
    focal_loss,
    soft_dice_loss,
)

NAMES = get_args(LossName)


@pytest.fixture(params=[(n, w) for n in NAMES for w in (None, (0.5, 4.0))], ids=str)
def loss(request):
    return SegmentationLoss(*request.param)


def problem(seed=0, n_classes=2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, n_classes, 4, 5, generator=generator, requires_grad=True)
    label = torch.randint(0, n_classes + 1, (2, 4, 5), generator=generator)
    return logits, label, torch.ones(2, 4, 5, dtype=torch.bool)


def test_planes_hold_their_class():
    label = torch.tensor([[[0, 1, 2, IGNORE]]])
    assert binary_targets(label, 2).tolist() == [[[[0, 1, 0, 0]], [[0, 0, 1, 0]]]]


def test_cross_entropy_and_dice_by_hand():
    logits = torch.zeros(1, 1, 1, 2)
    label = torch.tensor([[[1, 0]]])
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    # 2 * 0.5 + 1 over 1 + 1 + 1
    assert SegmentationLoss()(logits, label, valid).item() == pytest.approx(math.log(2) + 1 - 2 / 3)


def test_weights_multiply_what_own_pixels_cost():
    label = torch.tensor([[[1, 0], [0, 2]]])
    logits, valid = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    plain = SegmentationLoss()(logits, label, valid)
    weighted = SegmentationLoss(positive_weights=(3.0, 5.0))(logits, label, valid)
    # Eight pixels of two planes, of which one each costs 2 and 4 times ln 2 more.
    assert (weighted - plain).item() == pytest.approx(6 * math.log(2) / 8)


def test_dice_by_hand():
    scores = torch.tensor([[[[0.5, 0.25]]]])
    targets = torch.tensor([[[[1.0, 0.0]]]])
    # 2 * 0.5 + 1 over 0.75 + 1 + 1
    assert soft_dice_loss(scores, targets, torch.ones(1, 1, 1, 2)).item() == pytest.approx(
        1 - 2 / 2.75
    )


@pytest.mark.parametrize(("logit", "target"), [(1.5, 1.0), (1.5, 0.0), (-30.0, 1.0)])
def test_focal_by_hand(logit, target):
    score = 1 / (1 + math.exp(-logit))
    right = score if target else 1 - score
    found = focal_loss(torch.tensor(logit), torch.tensor(target), 2.0).item()
    assert found == pytest.approx(-((1 - right) ** 2) * math.log(right), rel=1e-5)


@given(st.integers(0, 10_000))
def test_focal_without_gamma_is_the_cross_entropy(seed):
    logits, label, _ = problem(seed)
    targets = binary_targets(label, 2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, targets, reduction="none"
    )
    torch.testing.assert_close(focal_loss(logits, targets, 0.0), expected)
    torch.testing.assert_close(focal_loss(logits, targets, 1e-6), expected, rtol=1e-4, atol=1e-4)


def test_focal_has_a_gradient_where_all_is_right():
    logits = torch.tensor([200.0, 20.0, 0.0], requires_grad=True)
    focal_loss(logits, torch.ones(3), 2.0).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[2] < logits.grad[1] <= 0


def test_a_perfect_map_costs_nothing(loss):
    _, label, valid = problem()
    logits = (binary_targets(label, 2) - 0.5) * 200
    assert loss(logits, label, valid).item() == pytest.approx(0.0, abs=1e-6)


def test_ignored_and_invalid_pixels_change_nothing(loss):
    logits, label, valid = problem()
    valid[:, 0] = False
    label[:, :, 0] = IGNORE
    before = loss(logits, label, valid)
    before.backward()
    assert (logits.grad[:, :, 0] == 0).all()
    assert (logits.grad[:, :, :, 0] == 0).all()
    assert (logits.grad[:, :, 1:, 1:] != 0).any(dim=-1).all()
    label[:, 0] = 1
    other = logits.detach().clone()
    other[:, :, 0], other[:, :, :, 0] = 50.0, -50.0
    assert loss(other, label, valid) == before


@given(st.integers(0, 10_000), st.sampled_from(NAMES))
def test_logits_of_ignored_pixels_never_count(seed, name):
    logits, label, valid = problem(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    label[torch.rand(label.shape, generator=generator) < 0.3] = IGNORE
    valid &= torch.rand(label.shape, generator=generator) < 0.8
    ignored = (~valid | (label == IGNORE)).unsqueeze(1)
    other = torch.where(ignored, 100 * torch.randn(logits.shape, generator=generator), logits)
    loss = SegmentationLoss(name)
    assert loss(other, label, valid) == loss(logits, label, valid)


def test_dice_alone_has_a_gradient_everywhere():
    logits, label, _ = problem()
    everywhere = torch.ones(2, 1, 4, 5)
    soft_dice_loss(logits.sigmoid(), binary_targets(label, 2), everywhere).sum().backward()
    assert (logits.grad != 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_class_learns_pixel_by_pixel_only(name):
    logits, label, valid = problem()
    label[label == 2] = 0
    SegmentationLoss(name)(logits, label, valid).backward()
    alone = logits.detach().clone().requires_grad_()
    gamma, weight = (2.0, 20.0) if name == "focal-dice" else (0.0, 1.0)
    (weight * focal_loss(alone, binary_targets(label, 2), gamma)).mean().backward()
    torch.testing.assert_close(logits.grad[:, 1], alone.grad[:, 1])
    assert not torch.allclose(logits.grad[:, 0], alone.grad[:, 0])


def test_nothing_labelled_costs_nothing(loss):
    logits, label, valid = problem()
    cost = loss(logits, label, torch.zeros_like(valid))
    cost.backward()
    assert cost.item() == 0.0
    assert (logits.grad == 0).all()


def test_half_precision_is_summed_in_full(loss):
    logits, label, valid = problem()
    rough = logits.detach().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cost = loss(rough, label, valid)
    assert cost.dtype == torch.float32
    assert torch.isfinite(cost)
    assert cost == loss(rough.float(), label, valid)


@given(st.integers(0, 10_000), st.sampled_from(NAMES))
def test_a_step_downhill_lowers_the_loss(seed, name):
    logits, label, valid = problem(seed)
    loss = SegmentationLoss(name)
    before = loss(logits, label, valid)
    before.backward()
    after = loss((logits - 0.01 * logits.grad).detach(), label, valid)
    assert after < before


def test_rare_classes_weigh_more_up_to_a_limit():
    assert balanced_weights([0.5, 0.1, 0.9]) == pytest.approx((1.0, 3.0, 1 / 3))
    assert balanced_weights([0.0, 1e-9, 1.0]) == (10.0, 10.0, 0.1)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_the_rarer_the_heavier(shares):
    weights = balanced_weights(sorted(shares))
    assert list(weights) == sorted(weights, reverse=True)
