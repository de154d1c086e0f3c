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
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = RunClock(total_steps=10, budget_s=60, _started=now[0])
    now[0] += 30
    assert clock.progress(1) == pytest.approx(0.5)
    assert clock.progress(8) == pytest.approx(0.8)
    clock.reserved_s = 20
    assert clock.progress(1) == pytest.approx(0.75)
    assert not clock.out_of_time
    now[0] += 10
    assert clock.out_of_time


def test_interrupted_parts_count(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = RunClock(total_steps=10, budget_s=60, _started=0.0)
    clock.elapsed_before_s = 45
    now[0] = 10.0
    assert clock.elapsed_s == 55
    assert clock.progress(0) == pytest.approx(55 / 60)


def test_what_came_before_the_first_step_is_no_part_of_the_schedule(monkeypatch):
    now = [30.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = RunClock(total_steps=10, budget_s=60, prepared_s=30, _started=0.0)
    assert clock.progress(0) == 0.0
    now[0] = 45.0
    assert clock.progress(0) == pytest.approx(0.5)
    now[0] = 60.0
    assert clock.out_of_time
    assert RunClock(total_steps=10, budget_s=20, prepared_s=30, _started=0.0).out_of_time
