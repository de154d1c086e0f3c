"""Stages side by side: the same items in the same order, and nothing that goes on by itself."""

from __future__ import annotations

import _thread
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.inference.ahead import Lane, ahead


@given(st.lists(st.integers()), st.integers(0, 5))
def test_items_come_in_their_order(items, depth):
    assert list(ahead(iter(items), depth)) == items


def test_stages_follow_each_other():
    squares = (n**2 for n in ahead(range(100), 2))
    assert list(ahead(squares, 3)) == [n**2 for n in range(100)]


def test_items_are_made_before_they_are_asked_for():
    made = [threading.Event() for _ in range(10)]

    def items():
        for k, event in enumerate(made):
            event.set()
            yield k

    coming = ahead(items(), 3)
    assert next(coming) == 0
    assert made[3].wait(10)
    assert not made[5].is_set()
    coming.close()


def test_without_depth_everything_happens_here():
    threads = (threading.get_ident() for _ in range(3))
    assert set(ahead(threads, 0)) == {threading.get_ident()}
    others = (threading.get_ident() for _ in range(30))
    (other,) = set(ahead(others, 2))
    assert other != threading.get_ident()


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_what_goes_wrong_is_raised_where_the_item_was_due(depth):
    def items():
        yield 1
        yield 2
        raise KeyError("third")

    coming = ahead(items(), depth)
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(coming)
    assert list(coming) == []


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_who_stops_early_ends_the_thread_and_closes_the_items(depth):
    is_closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            is_closed.append(True)

    before = threading.active_count()
    coming = ahead(items(), depth)
    next(coming)
    coming.close()
    assert is_closed == [True]
    assert threading.active_count() == before


def test_the_lane_works_in_the_thread_that_has_it():
    lane, here = Lane(), threading.get_ident()

    def job():
        threads = (threading.get_ident() for _ in range(20))
        return set(ahead(threads, 3, lane)), threading.get_ident()

    done_in, job_in = lane.beside(job)
    assert done_in == {here}
    assert job_in != here
    assert list(ahead(range(5), 2, lane)) == list(range(5))  # nobody to wait for


@given(st.lists(st.integers()), st.integers(1, 5), st.integers(0, 3))
def test_items_of_a_lane_come_in_their_order(items, depth, before):
    lane = Lane()

    def stages():
        return list(ahead(ahead(iter(items), before), depth, lane))

    assert lane.beside(stages) == items
    assert lane.beside(stages) == items


def test_what_goes_wrong_in_a_lane_is_raised_in_the_job_and_what_goes_wrong_there_here():
    lane = Lane()

    def items():
        yield 1
        raise KeyError("second")

    def job():
        coming = ahead(items(), 2, lane)
        assert next(coming) == 1
        with pytest.raises(KeyError, match="second"):
            next(coming)
        raise OSError("of the job")

    with pytest.raises(OSError, match="of the job"):
        lane.beside(job)


def test_a_job_that_stops_early_leaves_nothing_to_do():
    lane, is_closed = Lane(), []

    def items():
        try:
            yield from range(1000)
        finally:
            is_closed.append(True)

    def job():
        coming = ahead(items(), 4, lane)
        found = next(coming)
        coming.close()
        return found

    assert lane.beside(job) == 0
    assert is_closed == [True]
    assert lane.beside(lambda: list(ahead(range(3), 2, lane))) == [0, 1, 2]


@pytest.fixture
def heeded_interrupts():
    """What a shell starts in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
@pytest.mark.parametrize("at", ["a step", "no step"])
def test_an_interrupt_ends_the_job_at_its_next_step(at):
    lane, made = Lane(), []

    def items():
        for k in range(100):
            if at == "a step" and k == 5:
                raise KeyboardInterrupt
            yield k

    def job():
        for item in ahead(items(), 2, lane):
            made.append(item)
            if at == "no step" and item == 5:
                _thread.interrupt_main()
                time.sleep(0.3)

    with pytest.raises(KeyboardInterrupt):
        lane.beside(job)
    assert 5 <= len(made) <= 9
