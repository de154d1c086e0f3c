from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.training.report import LossCourse

losses = st.lists(st.floats(0, 10), min_size=1, max_size=2000)


@given(losses)
def test_the_course_of_a_long_run_takes_little_room(steps: list[float]) -> None:
    course = LossCourse(steps).values
    assert len(course) <= 240
    assert min(steps) - 1e-9 <= min(course)
    assert max(course) <= max(steps) + 1e-9


@given(losses, st.integers(0, 2000))
def test_it_does_not_matter_in_how_many_parts_losses_come(steps: list[float], cut: int) -> None:
    parts = LossCourse(steps[:cut])
    parts.add(steps[cut:])
    assert parts.values == LossCourse(steps).values


@pytest.mark.parametrize("n", [1, 100, 239])
def test_a_short_run_shows_every_step(n: int) -> None:
    assert LossCourse(range(n)).values[:-1] == tuple(range(n))


def test_means_are_of_equally_many_steps() -> None:
    course = LossCourse(range(960)).values[:-1]
    assert course == pytest.approx([3.5 + 8 * k for k in range(120)])


def test_nothing_is_told_before_the_first_step() -> None:
    assert LossCourse().values == ()


def test_the_newest_value_is_that_of_the_last_steps() -> None:
    assert LossCourse([5.0] * 100 + [1.0] * 100).values[-1] == pytest.approx(1.0, abs=1e-3)
