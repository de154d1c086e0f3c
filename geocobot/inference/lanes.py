"""The model on several batches at the same time, each on CPU cores of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from geocobot.ahead import each_in_order
from geocobot.models.precision import Compute

MOST_LANES = 16
"""Each holds in memory what the model makes of a batch, and all take turns in Python."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lanes:
    """Threads that each show the model a batch.

    All cores on one batch would wait, after every operation, until the last of them is done, and
    whatever else takes a core for a moment holds up all. A core with a batch of its own waits for
    nobody (benchmarks/lanes.py). What is computed on one core does not depend on how many there
    are, either.

    Args:
        compute: where; a GPU takes one batch after the other.
        threads: CPU threads in all.

    Attributes:
        count: batches at the same time.
        threads: of each.
        held: batches that are there at the same time.
    """

    def __init__(self, compute: Compute, threads: int) -> None:
        self.count = min(threads, MOST_LANES) if compute.device.type == "cpu" else 1
        self.threads = threads // self.count
        self.held = self.count + 2  # one waits, and what came of another is used
        self._pool: ThreadPoolExecutor | None = None

    def each(
        self, items: Iterable[Item], work: Callable[[Item], Result]
    ) -> Generator[tuple[Item, Result]]:
        """Do something with every item.

        What is raised for an item is raised in its place. Who stops early closes the iterator,
        which waits for what is under way.

        Args:
            items: batches; a generator is closed in the end.
            work: what to do, in one of the threads.

        Yields:
            Every item and what came of it, in their order.
        """
        yield from each_in_order(items, work, self._opened(), self.count)

    def _opened(self) -> ThreadPoolExecutor:
        """The threads, which stay for whoever comes next."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(
                self.count, "model", torch.set_num_threads, (self.threads,)
            )
        return self._pool


@contextmanager
def threads_restored() -> Iterator[None]:
    """After the `with` block torch has as many threads as before.

    What lanes say of theirs holds for this thread as well, as far as MKL computes.
    """
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
