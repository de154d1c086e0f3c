import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.classes import IGNORE
from geocobot.training.losses import binary_targets, segmentation_loss, soft_dice_loss


def problem(seed=0, n_classes=2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, n_classes, 4, 5, generator=generator, requires_grad=True)
    label = torch.randint(0, n_classes + 1, (2, 4, 5), generator=generator)
    return logits, label, torch.ones(2, 4, 5, dtype=torch.bool)


def test_planes_hold_their_class():
    label = torch.tensor([[[0, 1, 2, IGNORE]]])
    assert binary_targets(label, 2).tolist() == [[[[0, 1, 0, 0]], [[0, 0, 1, 0]]]]


def test_cross_entropy_by_hand():
    logits = torch.zeros(1, 1, 1, 2)
    label = torch.tensor([[[1, 0]]])
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    loss = segmentation_loss(logits, label, valid, dice_weight=0.0)
    assert loss.item() == pytest.approx(0.693147, abs=1e-6)


def test_dice_by_hand():
    scores = torch.tensor([[[[0.5, 0.25]]]])
    targets = torch.tensor([[[[1.0, 0.0]]]])
    # 2 * 0.5 + 1 over 0.75 + 1 + 1
    assert soft_dice_loss(scores, targets, torch.ones(1, 1, 1, 2)).item() == pytest.approx(
        1 - 2 / 2.75
    )


def test_a_perfect_map_costs_nothing():
    _, label, valid = problem()
    logits = (binary_targets(label, 2) - 0.5) * 200
    assert segmentation_loss(logits, label, valid).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("dice_weight", [0.0, 1.0])
def test_ignored_and_invalid_pixels_change_nothing(dice_weight):
    logits, label, valid = problem()
    valid[:, 0] = False
    label[:, :, 0] = IGNORE
    loss = segmentation_loss(logits, label, valid, dice_weight=dice_weight)
    loss.backward()
    assert (logits.grad[:, :, 0] == 0).all()
    assert (logits.grad[:, :, :, 0] == 0).all()
    assert (logits.grad[:, :, 1:, 1:] != 0).all()
    label[:, 0] = 1
    assert segmentation_loss(logits, label, valid, dice_weight=dice_weight) == loss


def test_dice_alone_has_a_gradient_everywhere():
    logits, label, _ = problem()
    soft_dice_loss(logits.sigmoid(), binary_targets(label, 2), torch.ones(2, 1, 4, 5)).backward()
    assert (logits.grad != 0).all()


def test_an_absent_class_has_no_dice():
    logits, label, valid = problem()
    label[label == 2] = 0
    both = soft_dice_loss(logits.sigmoid(), binary_targets(label, 2), valid.unsqueeze(1).float())
    one = soft_dice_loss(
        logits[:, :1].sigmoid(), binary_targets(label, 1), valid.unsqueeze(1).float()
    )
    assert both == one


def test_nothing_labelled_costs_nothing():
    logits, label, valid = problem()
    loss = segmentation_loss(logits, label, torch.zeros_like(valid))
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


def test_half_precision_is_summed_in_full():
    logits, label, valid = problem()
    assert segmentation_loss(logits.bfloat16(), label, valid).dtype == torch.float32


@given(st.integers(0, 10_000))
def test_a_step_downhill_lowers_the_loss(seed):
    logits, label, valid = problem(seed)
    before = segmentation_loss(logits, label, valid)
    before.backward()
    after = segmentation_loss((logits - 0.1 * logits.grad).detach(), label, valid)
    assert after < before
