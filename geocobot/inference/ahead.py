"""Stages of a map that work at the same time, each in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias, TypeVar

_PATIENCE_S = 0.5

_Step: TypeAlias = tuple[Future[Any], Callable[[], Any]]
Item = TypeVar("Item")
Result = TypeVar("Result")


class Workplace(Protocol):
    """Where steps are done, one after the other."""

    def submit(self, step: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have a step done when its turn has come."""


class _End:
    """Comes after the last item."""


_END = _End()


def ahead(items: Iterable[Item], depth: int, workplace: Workplace | None = None) -> Generator[Item]:
    """Make items in another thread while the consumer works on those before.

    What is raised there is raised here, in place of the item. Who stops early closes the
    iterator, which waits for the step under way.

    Args:
        items: an iterator of that thread alone from now on; a generator is closed in the end.
        depth: how many items are made before they are asked for; 0 makes each when it is asked
            for, in the consumer's own thread.
        workplace: where they are made; default a thread of their own.

    Yields:
        The items, in their order.
    """
    source = iter(items)
    thread = None
    if depth and workplace is None:
        workplace = thread = ThreadPoolExecutor(1, thread_name_prefix="geocobot")
    try:
        if depth and workplace is not None:
            yield from _made_ahead(source, depth, workplace)
        else:
            yield from source
    finally:
        if thread is not None:
            thread.shutdown()
        if isinstance(source, Generator):
            source.close()


def _made_ahead(source: Iterator[Item], depth: int, workplace: Workplace) -> Iterator[Item]:
    """The items of an iterator that is asked at one place, one after the other."""
    coming: deque[Future[Item | _End]] = deque()
    try:
        coming.extend(workplace.submit(next, source, _END) for _ in range(depth))
        while not isinstance(item := coming.popleft().result(), _End):
            coming.append(workplace.submit(next, source, _END))
            yield item
    finally:
        wait([future for future in coming if not future.cancel()])


class Lane:
    """A workplace in the thread that has it: for a model, while all else happens beside it.

    A model that computes with OpenMP is at its fastest in the first thread that ever did. As soon
    as a second one does so too, both let their helpers sleep between any two operations, because
    together they are more than there are cores (benchmarks/predict.py).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: SimpleQueue[_Step | None] = SimpleQueue()
        self._is_open = False
        self._stopped: BaseException | None = None
        self._promised: list[Future[Any]] = []

    def submit(self, step: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have a step done by the thread that is in `beside`, or by this one if none is."""
        asked: _Step = Future(), partial(step, *args)
        with self._lock:
            if self._stopped is not None:
                asked[0].set_exception(self._stopped)
            elif self._is_open:
                self._promised = [f for f in self._promised if not f.done()] + [asked[0]]
                self._asked.put(asked)
            else:
                _do(*asked)
        return asked[0]

    def beside(self, job: Callable[[], Result]) -> Result:
        """Do a job in another thread, and in this one the steps that it asks for.

        Args:
            job: what to do.

        Returns:
            What came of it.

        Raises:
            BaseException: what stopped it. An interrupt that comes here stops it at the next step.
        """
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="geocobot") as thread:
                self._is_open = True
                done = thread.submit(job)
                done.add_done_callback(lambda _: self._asked.put(None))
                try:
                    self._serve(done)
                except BaseException as error:
                    self._stop(error)
                    raise
            return done.result()
        finally:
            self._is_open, self._stopped = False, None
            self._asked, self._promised = SimpleQueue(), []

    def _serve(self, done: Future[Any]) -> None:
        """Do what is asked until a job is done."""
        while not done.done():
            try:
                # Now and then, because not every system wakes who waits for an interrupt.
                asked = self._asked.get(timeout=_PATIENCE_S)
            except Empty:
                continue
            if asked is not None:
                _do(*asked)

    def _stop(self, error: BaseException) -> None:
        """Let whoever waits for a step, or asks for another one, know that there will be none."""
        with self._lock:
            self._stopped = error
            for future in self._promised:
                with suppress(InvalidStateError):  # it is done, or no longer wanted
                    future.set_exception(error)


def _do(future: Future[Any], step: Callable[[], Any]) -> None:
    """Do a step, unless it is no longer wanted."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = step()
    except BaseException as error:  # who has asked for it gets it
        future.set_exception(error)
    else:
        future.set_result(result)
