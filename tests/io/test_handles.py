"""Open datasets: few at a time, however many rasters there are."""

from __future__ import annotations

import threading

import pytest

from geocobot.io import handles
from geocobot.io.handles import Handles


class Dataset:
    """Counts how many of its kind are open."""

    now = 0

    def __init__(self):
        type(self).now += 1

    def close(self):
        type(self).now -= 1


@pytest.fixture
def dataset(monkeypatch):
    monkeypatch.setattr(handles, "MOST_OPEN", 3)
    return type("Own", (Dataset,), {"now": 0})


def in_a_thread(job):
    thread = threading.Thread(target=job)
    thread.start()
    thread.join()


def test_of_many_rasters_few_are_open(dataset):
    def ask_around():
        all_of_them = [Handles() for _ in range(10)]
        for _ in range(2):
            for each in all_of_them:
                assert isinstance(each.get(dataset), dataset)
        assert dataset.now == 3
        assert [len(each) for each in all_of_them] == [0] * 7 + [1] * 3
        for each in all_of_them:
            each.close()
        assert dataset.now == 0

    in_a_thread(ask_around)


def test_what_is_used_stays_open(dataset):
    def ask_around():
        often = Handles()
        opened = often.get(dataset)
        for other in [Handles() for _ in range(10)]:
            other.get(dataset)
            assert often.get(dataset) is opened

    in_a_thread(ask_around)


def test_each_thread_closes_its_own_alone(dataset):
    shared = Handles()
    mine = shared.get(dataset)

    def ask_around():
        shared.get(dataset)
        kept = [Handles() for _ in range(5)]
        for other in kept:
            other.get(dataset)

    in_a_thread(ask_around)
    assert len(shared) == 1
    assert shared.get(dataset) is mine
    shared.close()
