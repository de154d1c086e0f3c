"""Stages of a map that work at the same time, each in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


class _End:
    """Comes after the last item."""


_END = _End()


def ahead(items: Iterable[Item], depth: int) -> Generator[Item]:
    """Make items in a thread while the consumer works on those before.

    What the thread raises is raised here, in place of the item. Who stops early closes the
    iterator, which waits for the step under way.

    Args:
        items: an iterator of this thread alone from now on; a generator is closed in the end.
        depth: how many items are made before they are asked for; 0 makes each when it is asked
            for, in the consumer's own thread.

    Yields:
        The items, in their order.
    """
    source = iter(items)
    try:
        if depth:
            yield from _made_ahead(source, depth)
        else:
            yield from source
    finally:
        if isinstance(source, Generator):
            source.close()


def _made_ahead(source: Iterator[Item], depth: int) -> Iterator[Item]:
    """The items of an iterator that a single thread asks, one after the other."""
    coming: deque[Future[Item | _End]] = deque()
    thread = ThreadPoolExecutor(1, thread_name_prefix="geocobot")
    try:
        coming.extend(thread.submit(next, source, _END) for _ in range(depth))
        while not isinstance(item := coming.popleft().result(), _End):
            coming.append(thread.submit(next, source, _END))
            yield item
    finally:
        thread.shutdown(wait=True, cancel_futures=True)
