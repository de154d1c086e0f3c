"""Batches side by side: in their order, and nothing that goes on by itself."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.inference.lanes import MOST_LANES, Lanes
from geocobot.models.precision import Compute

CPU = Compute(torch.device("cpu"))
GPU = Compute(torch.device("cuda"))


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 5))
def test_items_come_in_their_order_whichever_is_done_first(items, threads):
    def work(item):
        time.sleep(item / 1000)
        return item**2

    lanes = Lanes(CPU, threads)
    for _ in range(2):
        assert list(lanes.each(items, work)) == [(item, item**2) for item in items]


def test_every_core_has_a_batch_of_its_own():
    lanes = Lanes(CPU, 3)
    assert (lanes.count, lanes.threads) == (3, 1)
    together = threading.Barrier(3, timeout=20)  # none of the three goes on alone

    def work(item):
        together.wait()
        return torch.get_num_threads(), threading.get_ident()

    found = [result for _, result in lanes.each(range(9), work)]
    assert {threads for threads, _ in found} == {1}
    assert {ident for _, ident in found}.isdisjoint({threading.get_ident()})


def test_a_gpu_takes_one_batch_after_the_other():
    lanes = Lanes(GPU, 8)
    assert (lanes.count, lanes.threads) == (1, 8)


def test_many_cores_share_few_batches():
    lanes = Lanes(CPU, 4 * MOST_LANES)
    assert (lanes.count, lanes.threads) == (MOST_LANES, 4)


def test_few_items_are_held():
    lanes, asked = Lanes(CPU, 2), []

    def items():
        for k in range(100):
            asked.append(k)
            yield k

    for item, _ in lanes.each(items(), lambda k: k):
        assert len(asked) - item <= lanes.held


@pytest.mark.parametrize("threads", [1, 3])
def test_what_goes_wrong_is_raised_where_the_item_was_due(threads):
    def work(item):
        if item == 4:
            raise KeyError("fifth")
        return item

    coming = Lanes(CPU, threads).each(range(100), work)
    assert [next(coming)[1] for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(KeyError, match="fifth"):
        next(coming)
    assert list(coming) == []


def test_what_goes_wrong_with_the_items_is_raised():
    def items():
        yield from range(5)
        raise OSError("of the items")

    with pytest.raises(OSError, match="of the items"):
        list(Lanes(CPU, 2).each(items(), lambda k: k))


def test_who_stops_early_waits_for_what_is_under_way_and_closes_the_items():
    is_closed, running = [], []

    def items():
        try:
            yield from range(1000)
        finally:
            is_closed.append(True)

    def work(item):
        running.append(item)
        time.sleep(0.02)
        running.remove(item)

    coming = Lanes(CPU, 2).each(items(), work)
    next(coming)
    coming.close()
    assert is_closed == [True]
    assert running == []


@pytest.fixture
def heeded_interrupts():
    """What a shell starts in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_an_interrupt_ends_it_at_the_next_step():
    done = []

    def work(item):
        time.sleep(0.02)
        if item == 5:
            signal.raise_signal(signal.SIGINT)
        done.append(item)

    with pytest.raises(KeyboardInterrupt):
        for _ in Lanes(CPU, 2).each(range(1000), work):
            pass
    assert 5 <= len(done) <= 12
