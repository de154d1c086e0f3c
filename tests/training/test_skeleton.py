import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.training.skeleton import MAX_RADIUS_PX, soft_cldice_loss, soft_skeleton


def plane(height=40, width=60):
    return torch.zeros(1, 1, height, width)


def everywhere(planes):
    return torch.ones_like(planes[:, :1])


def nowhere(planes):
    return torch.zeros_like(planes[:, :1], dtype=torch.bool)


@pytest.mark.parametrize("half_width", [0, 1, 3, 6])
def test_the_skeleton_of_a_bar_lies_in_its_middle(half_width):
    bar = plane()
    bar[..., 20 - half_width : 21 + half_width, 10:50] = 1
    skeleton = soft_skeleton(bar, nowhere(bar), half_width + 1)
    middle = skeleton[0, 0, 20, 10 + half_width : 50 - half_width]
    assert (middle == 1).all()
    inner = skeleton[0, 0, :, 10 + 2 * half_width + 1 : 50 - 2 * half_width - 1]
    assert inner.sum() == inner[20].sum()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_skeleton_lies_within_the_shape(seed):
    planes = torch.rand(2, 2, 9, 11, generator=torch.Generator().manual_seed(seed))
    skeleton = soft_skeleton(planes, nowhere(planes), 4)
    assert (skeleton >= 0).all()
    # A pixel of one half may be the end of several half-true ridges.
    assert (skeleton[planes == 0] == 0).all()
    shapes = (planes > 0.5).float()
    assert (soft_skeleton(shapes, nowhere(shapes), 4) <= shapes).all()


def test_the_same_map_costs_nothing():
    bars = plane()
    bars[..., 10:17, :] = 1
    bars[..., :, 30:33] = 1
    assert soft_cldice_loss(bars, bars, everywhere(bars)).item() == pytest.approx(0.0, abs=1e-6)


def test_a_gap_costs_more_than_a_thinner_line():
    line = plane()
    line[..., 18:23, :] = 1
    broken, thin = line.clone(), plane()
    broken[..., 28:32] = 0
    thin[..., 19:22, :] = 1
    costs = [soft_cldice_loss(p, line, everywhere(line)).item() for p in (broken, thin)]
    assert costs[0] > 0.02
    assert costs[1] == pytest.approx(0.0, abs=1e-6)


def test_a_line_where_none_is_costs():
    line, two = plane(), plane()
    line[..., 10:13, :] = 1
    two[..., 10:13, :] = 1
    two[..., 30:33, :] = 1
    loss = soft_cldice_loss(two, line, everywhere(line))
    # Half of the drawn skeletons is right, all of the true one is found.
    assert loss.item() == pytest.approx(1 - 2 * 0.5 / 1.5, abs=0.01)


def test_every_class_for_itself():
    line, none = plane(), plane()
    line[..., 10:13, :] = 1
    planes = torch.cat([line, none], dim=1)
    losses = soft_cldice_loss(planes, torch.cat([line, line], dim=1), everywhere(line))
    assert losses[0].item() == pytest.approx(0.0, abs=1e-6)
    assert losses[1] > 0.9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_what_is_ignored_is_as_good_as_cut_away(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(1, 2, 14, 16, generator=generator, requires_grad=True)
    targets = (torch.rand(1, 2, 14, 16, generator=generator) < 0.7).float()
    counted = everywhere(targets)
    counted[..., :3, :] = 0
    counted[..., 12:] = 0
    loss = soft_cldice_loss(scores, targets, counted)
    loss.sum().backward()
    assert (scores.grad[(counted == 0).expand_as(scores)] == 0).all()
    cut = (..., slice(3, None), slice(None, 12))
    torch.testing.assert_close(
        loss, soft_cldice_loss(scores[cut], targets[cut], everywhere(targets[cut]))
    )


def test_it_teaches_to_close_a_gap():
    line = plane()
    line[..., 18:23, :] = 1
    scores = (0.8 * line + 0.1).requires_grad_()
    with torch.no_grad():
        scores[..., 28:32] = 0.1
    soft_cldice_loss(scores, line, everywhere(line)).sum().backward()
    assert (scores.grad[0, 0, 20, 28:32] < 0).all()
    assert torch.isfinite(scores.grad).all()


def test_shapes_without_an_end_do_not_take_for_ever(monkeypatch):
    wide = torch.ones(1, 1, 8, 4 * MAX_RADIUS_PX)
    wide[..., :1] = 0
    assert torch.isfinite(soft_cldice_loss(wide, wide, everywhere(wide))).all()
    assert soft_cldice_loss(wide, wide, everywhere(wide)).item() == pytest.approx(0.0, abs=1e-6)
