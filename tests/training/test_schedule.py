import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.training.schedule import RunClock, learning_rate_factor

shares = st.floats(0, 1)


@given(shares, shares)
def test_the_peak_is_never_passed(progress, warmup):
    assert 0 <= learning_rate_factor(progress, warmup) <= 1


def test_warm_up_is_a_line_to_the_peak():
    assert learning_rate_factor(0.0, 0.1) == 0
    assert learning_rate_factor(0.05, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor(0.1, 0.1) == pytest.approx(1.0)


@given(shares, shares)
def test_after_the_warm_up_it_only_falls(a, b):
    early, late = sorted((0.1 + 0.9 * a, 0.1 + 0.9 * b))
    assert learning_rate_factor(early, 0.1) >= learning_rate_factor(late, 0.1)


def test_it_ends_near_nothing():
    assert learning_rate_factor(1.0, 0.1) == pytest.approx(0.01)


def test_steps_count_where_there_is_no_budget():
    clock = RunClock(total_steps=10)
    assert clock.progress(5) == 0.5
    assert clock.progress(99) == 1.0
    assert not clock.out_of_time


def test_the_clock_counts_where_it_is_ahead(monkeypatch):
    now = [106.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    first = RunClock(total_steps=100, budget_s=10.0, _started=100.0)
    late = RunClock(total_steps=100, budget_s=10.0, reserved_s=5.0, _started=103.0)
    assert first.progress(0) == pytest.approx(0.6)
    late.agree(first.reading())
    assert late.progress(0) == first.progress(0)
    now[0] = 111.0
    assert first.out_of_time
    assert not late.out_of_time  # until they agree again
    assert late.elapsed_s == pytest.approx(8.0)
    late.agree(first.reading())
    assert late.out_of_time
