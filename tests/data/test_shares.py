"""Samples dealt out among processes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from geocobot.data.collection import SampleKey
from geocobot.data.shares import ShareSampler, UnjudgedSampler

lengths, crews, hands = st.integers(0, 60), st.integers(1, 9), st.integers(1, 5)


def shares(samples: list[int], of: int, at_a_time: int) -> list[list[int]]:
    samplers = [ShareSampler(samples, number=k, of=of, at_a_time=at_a_time) for k in range(of)]
    found = [list(sampler) for sampler in samplers]
    assert [len(share) for share in found] == [len(sampler) for sampler in samplers]
    return found


@given(lengths, crews, hands)
def test_every_sample_is_dealt_to_one_process(length: int, of: int, at_a_time: int) -> None:
    found = shares(list(range(length)), of, at_a_time)
    assert sorted(sample for share in found for sample in share) == list(range(length))
    assert all(share == sorted(share) for share in found)


@given(st.integers(0, 9), crews, hands)
def test_the_batches_of_all_are_the_batch_of_one(steps: int, of: int, at_a_time: int) -> None:
    batch = of * at_a_time
    found = shares(list(range(steps * batch)), of, at_a_time)
    for step in range(steps):
        own = [share[step * at_a_time : (step + 1) * at_a_time] for share in found]
        whole = list(range(step * batch, (step + 1) * batch))
        assert [sample for part in own for sample in part] == whole


def test_the_epoch_is_passed_on() -> None:
    class Epochs(list):  # type: ignore[type-arg]
        def set_epoch(self, epoch: int) -> None:
            self[:] = [epoch * 10 + k for k in range(4)]

    sampler = ShareSampler(Epochs(), number=1, of=2)
    sampler.set_epoch(3)
    assert list(sampler) == [31, 33]
    ShareSampler([1, 2], number=0, of=2).set_epoch(3)  # validation blocks stay the same


def test_what_is_not_judged_is_the_first_sample() -> None:
    key = SampleKey(2, (slice(0, 1), slice(0, 1)), judged=Window(3, 4, 64, 64))
    sampler = UnjudgedSampler([key, key])
    (found,) = sampler
    assert len(sampler) == 1
    assert (found.scene, found.slices) == (key.scene, key.slices)
    assert found.judged == Window(0, 0, 0, 0)
