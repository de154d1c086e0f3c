"""Stages side by side: the same items in the same order, and nothing that goes on by itself."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.ahead import LeftError, ahead, each_in_order


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


def test_who_leaves_has_the_step_under_way_end_sooner():
    is_left, is_begun = threading.Event(), threading.Event()

    def items():
        yield 1
        is_begun.set()
        assert is_left.wait(60)
        raise LeftError

    coming = ahead(items(), 1, on_leave=is_left.set)
    assert next(coming) == 1
    assert is_begun.wait(60)
    coming.close()
    assert is_left.is_set()


def test_who_waits_can_be_told_to_stop():
    is_left = threading.Event()
    turns = []

    def items():
        assert is_left.wait(60)
        yield 1

    def meanwhile():
        turns.append(True)
        if len(turns) == 2:
            raise LeftError

    coming = ahead(items(), 1, on_leave=is_left.set, meanwhile=meanwhile)
    with pytest.raises(LeftError, match=r"^$"):
        next(coming)
    assert len(turns) == 2


def test_without_a_pool_each_item_is_made_when_it_is_asked_for():
    made = each_in_order(iter(range(3)), lambda item: (item, threading.get_ident()), None, 5)
    assert next(made) == (0, (0, threading.get_ident()))
    assert [item for item, _ in made] == [1, 2]
