"""Stages of a map that work at the same time, in threads of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import TypeVar

PATIENCE_S = 0.5
"""How long a turn of waiting lasts."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class LeftError(Exception):
    """Nobody waits any more for what is being made."""


class _End:
    """Comes after the last item."""


_END = _End()


def ahead(
    items: Iterable[Item],
    depth: int,
    *,
    on_leave: Callable[[], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Generator[Item]:
    """Make items in another thread while the consumer works on those before.

    What is raised there is raised here, in place of the item. Who stops early closes the
    iterator, which waits for the step under way.

    Args:
        items: an iterator of that thread alone from now on; a generator is closed in the end.
        depth: how many items are made before they are asked for; 0 makes each when it is asked
            for, in the consumer's own thread.
        on_leave: called before that wait, so that the step under way may end sooner.
        meanwhile: called now and then while the consumer waits; what it raises ends the wait.

    Yields:
        The items, in their order.
    """
    source = iter(items)
    try:
        if depth:
            with ThreadPoolExecutor(1, thread_name_prefix="geocobot") as thread:
                yield from _made_ahead(source, depth, thread, on_leave, meanwhile)
        else:
            yield from source
    finally:
        if isinstance(source, Generator):
            source.close()


def _made_ahead(
    source: Iterator[Item],
    depth: int,
    thread: Executor,
    on_leave: Callable[[], None] | None,
    meanwhile: Callable[[], None] | None,
) -> Iterator[Item]:
    """The items of an iterator that one thread is asked for."""
    coming: deque[Future[Item | _End]] = deque()
    try:
        coming.extend(thread.submit(next, source, _END) for _ in range(depth))
        while not isinstance(item := result_of(coming[0], meanwhile), _End):
            coming.popleft()
            coming.append(thread.submit(next, source, _END))
            yield item
    finally:
        if on_leave is not None:
            on_leave()
        wait([future for future in coming if not future.cancel()])


def each_in_order(
    items: Iterable[Item], work: Callable[[Item], Result], pool: Executor | None, depth: int
) -> Generator[tuple[Item, Result]]:
    """Do something with every item, several at the same time.

    What is raised for an item is raised in its place. Who stops early closes the iterator, which
    waits for what is under way.

    Args:
        items: taken in the consumer's own thread; a generator is closed in the end.
        work: what to do, in one of the pool's threads.
        pool: threads, which may do other things besides; None does it in the consumer's own.
        depth: how many items are under way, or done and not yet asked for; nothing without a pool.

    Yields:
        Every item and what came of it, in their order.
    """
    coming: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            if pool is None:
                yield item, work(item)
                continue
            coming.append((item, pool.submit(work, item)))
            if len(coming) > depth:
                yield _first(coming)
        while coming:
            yield _first(coming)
    finally:
        wait([future for _, future in coming if not future.cancel()])
        if isinstance(items, Generator):
            items.close()


def _first(coming: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Result]:
    """The first item and its result, for which it waits."""
    item, future = coming[0]
    result = result_of(future)
    coming.popleft()
    return item, result


def result_of(future: Future[Result], meanwhile: Callable[[], None] | None = None) -> Result:
    """What comes of a future.

    Waits in short turns, because not every system wakes who waits for an interrupt.

    Args:
        future: to wait for.
        meanwhile: called after every turn.
    """
    while not future.done():
        wait([future], timeout=PATIENCE_S)
        if meanwhile is not None:
            meanwhile()
    return future.result()
