"""What one of several processes takes of the samples that all of them go through together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from rasterio.windows import Window
from torch.utils.data import Sampler

from geocobot.data.collection import SampleKey

_NOTHING = Window(0, 0, 0, 0)


class SizedSampler(Protocol):
    """Samples in an order, and how many there are."""

    def __iter__(self) -> Iterator[Any]:
        """Yield what names the samples."""

    def __len__(self) -> int:
        """Number of samples."""


class ShareSampler(Sampler[Any]):
    """Every process's part of another sampler's samples, in their order.

    The samples are dealt out like cards, some at a time: every process goes through all of them
    and keeps its own, so that together they see what one process would have seen. With as many at
    a time as a process has in a batch, the batches of all are the batch of one.

    Args:
        sampler: of all samples; the same in every process.
        number: of this process, from 0.
        of: how many processes there are.
        at_a_time: samples that a process gets before the next one does.
    """

    def __init__(self, sampler: SizedSampler, *, number: int, of: int, at_a_time: int = 1) -> None:
        self.sampler = sampler
        self.number = number
        self.of = of
        self.at_a_time = at_a_time

    def set_epoch(self, epoch: int) -> None:
        """Choose which samples come next, if they change; Lightning calls it before every epoch."""
        choose = getattr(self.sampler, "set_epoch", None)
        if choose is not None:
            choose(epoch)

    def __iter__(self) -> Iterator[Any]:
        """Yield the samples of this process."""
        for position, key in enumerate(self.sampler):
            if position // self.at_a_time % self.of == self.number:
                yield key

    def __len__(self) -> int:
        """Number of samples of this process."""
        rounds, rest = divmod(len(self.sampler), self.at_a_time * self.of)
        left = rest - self.number * self.at_a_time
        return rounds * self.at_a_time + min(max(left, 0), self.at_a_time)


class UnjudgedSampler(Sampler[SampleKey]):
    """The first sample of another sampler, with nothing in it to judge.

    For a process that gets no validation block where there are more processes than blocks:
    Lightning leaves out the validation of a process without a sample, and the others would wait
    for its counts for ever.

    Args:
        sampler: has one sample at least.
    """

    def __init__(self, sampler: Sampler[SampleKey]) -> None:
        self.sampler = sampler

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the sample."""
        yield replace(next(iter(self.sampler)), judged=_NOTHING)

    def __len__(self) -> int:
        """Number of samples."""
        return 1
