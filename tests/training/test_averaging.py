import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.training.averaging import WeightAverage

from .squares import TinySegmenter


@pytest.fixture
def model():
    return TinySegmenter()


def set_to(model, value):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def averaged(values):
    """The average after one step per value."""
    model = TinySegmenter()
    average = WeightAverage(model)
    for step, value in enumerate(values, start=1):
        set_to(model, value)
        average.update(step)
    return float(average.state_dict()["head.bias"])


@given(st.floats(-10, 10, width=32), st.integers(1, 40))
def test_what_stands_still_is_its_own_average(value, steps):
    assert averaged([value] * steps) == pytest.approx(value, abs=1e-5)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30))
def test_the_average_lies_between_the_extremes(values):
    assert min(values) - 1e-5 <= averaged(values) <= max(values) + 1e-5


def test_the_random_start_is_soon_forgotten():
    assert averaged([1.0] + [0.0] * 30) < 0.001


def test_late_steps_count_for_little():
    assert averaged([0.0] * 3000 + [1.0]) == pytest.approx(0.005)


def test_only_what_is_trained_is_averaged(model):
    average = WeightAverage(model)
    average.update(1)
    assert set(average.state_dict()) == {
        "body.weight", "body.bias", "norm.weight", "norm.bias", "head.weight", "head.bias",
    }  # fmt: skip


def test_swapping_twice_changes_nothing(model):
    average = WeightAverage(model)
    average.update(1)
    set_to(model, 7.0)
    kept = average.state_dict()["head.bias"].clone()
    average.swap()
    assert torch.equal(model.head.bias, kept)
    average.swap()
    assert torch.equal(model.head.bias, torch.full_like(kept, 7.0))
    assert torch.equal(average.state_dict()["head.bias"], kept)


def test_nothing_is_exchanged_before_the_first_step(model):
    before = {n: p.clone() for n, p in model.named_parameters()}
    WeightAverage(model).swap()
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_a_saved_average_goes_on_where_it_was(model):
    whole, first = WeightAverage(model), WeightAverage(model)
    for step in (1, 2):
        set_to(model, float(step))
        whole.update(step)
        first.update(step)
    resumed = WeightAverage(model)
    resumed.load_state_dict(first.state_dict())
    set_to(model, 3.0)
    whole.update(3)
    resumed.update(3)
    assert all(torch.equal(v, resumed.state_dict()[n]) for n, v in whole.state_dict().items())
