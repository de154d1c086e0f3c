from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.training.lovasz import lovasz_extension, lovasz_hinge_loss

bits = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


def jaccard_loss(truth, wrong):
    """One minus the Jaccard index of a set and the set with some elements flipped."""
    predicted = {i for i, (t, w) in enumerate(zip(truth, wrong, strict=True)) if t != w}
    true = {i for i, t in enumerate(truth) if t}
    union = predicted | true
    return 1 - len(predicted & true) / len(union) if union else 0.0


def numbers(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@given(bits)
def test_at_the_corners_it_is_the_jaccard_loss(pixels):
    truth, wrong = zip(*pixels, strict=True)
    extension = lovasz_extension(torch.tensor([wrong]).float(), torch.tensor([truth]))
    assert extension.item() == pytest.approx(jaccard_loss(truth, wrong), abs=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_in_between_it_is_an_average_over_thresholds(seed, n):
    errors, truth = numbers(seed, 1, n), numbers(seed + 1, 1, n) < 0.5
    # Errors of 0 to 1 are an average over the sets of pixels above a threshold.
    levels = [0.0, *sorted(errors[0].tolist())]
    expected = sum(
        (high - low) * jaccard_loss(truth[0].tolist(), (errors[0] >= high).tolist())
        for low, high in pairwise(levels)
    )
    assert lovasz_extension(errors, truth).item() == pytest.approx(expected, abs=1e-5)


@given(st.integers(0, 10_000))
def test_it_is_convex(seed):
    truth = numbers(seed, 1, 12) < 0.4
    a, b = numbers(seed + 1, 1, 12), numbers(seed + 2, 1, 12)
    middle = lovasz_extension((a + b) / 2, truth)
    assert middle <= (lovasz_extension(a, truth) + lovasz_extension(b, truth)) / 2 + 1e-6


def test_classes_do_not_touch_each_other():
    errors, truth = numbers(0, 3, 50), numbers(1, 3, 50) < 0.3
    alone = torch.cat([lovasz_extension(errors[k : k + 1], truth[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(lovasz_extension(errors, truth), alone)


def problem(seed):
    logits = 4 * numbers(seed, 2, 3, 4, 5) - 2
    targets = (numbers(seed + 1, 2, 3, 4, 5) < 0.4).float()
    return logits.requires_grad_(), targets, (numbers(seed + 2, 2, 1, 4, 5) < 0.7).float()


def test_a_map_with_a_margin_costs_nothing():
    _, targets, counted = problem(0)
    right = 2 * targets - 1
    assert lovasz_hinge_loss(right, targets, counted).tolist() == [0.0] * 3
    assert (lovasz_hinge_loss(0.9 * right, targets, counted) > 0).all()


@given(st.integers(0, 10_000))
def test_ignored_pixels_are_as_good_as_absent(seed):
    logits, targets, counted = problem(seed)
    loss = lovasz_hinge_loss(logits, targets, counted)
    loss.sum().backward()
    ignored = (counted == 0).expand_as(logits)
    assert (logits.grad[ignored] == 0).all()
    kept = counted.flatten().bool()
    left = [t.transpose(0, 1).reshape(1, 3, 1, -1)[..., kept] for t in (logits, targets)]
    if kept.any():
        alone = lovasz_hinge_loss(*left, torch.ones(1, 1, 1, int(kept.sum())))
        torch.testing.assert_close(loss, alone)
