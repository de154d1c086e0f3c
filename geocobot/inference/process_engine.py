"""Tile rows computed by several processes of this machine, a GPU or some CPU cores each."""

from __future__ import annotations

import pickle
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from types import TracebackType
from typing import Any, Self

import torch

from geocobot.ahead import PATIENCE_S
from geocobot.errors import WorkerError
from geocobot.inference.batch import fitting_batch, usual_batch
from geocobot.inference.blended_row import BlendedRow
from geocobot.inference.engines import in_order
from geocobot.inference.lanes import Lanes
from geocobot.inference.predictor import PredictorSource
from geocobot.inference.row_maker import RowMaker
from geocobot.inference.rows import RowWork
from geocobot.models.precision import Compute
from geocobot.processes import end_with_parent, ended_before_it_began, sendable, start_method

_ATTEMPTS = 2
_PATIENCE_S = 5.0


class ProcessEngine:
    """Computes in processes that each hold the model; use it as a context.

    Rows go to whoever is free. A process that ends before its row does is replaced, once per row.

    Args:
        source: the model.
        compute: where, and how exactly; process k of a GPU machine takes its k-th GPU.
        processes: how many.
        threads: of each.
    """

    def __init__(
        self, source: PredictorSource, compute: Compute, processes: int, threads: int
    ) -> None:
        self.threads, self.batches = Lanes(compute, threads).threads, 0
        self._threads = threads
        self._source = source
        self._compute = compute
        self._crew: list[_Process | None] = [None] * processes
        self._batch: int | None = None

    def fitting_batch(self, image_shape: tuple[int, int, int]) -> int:
        """As many tiles as fit beside the model, on the first GPU."""
        if self._compute.device.type != "cuda":
            return usual_batch(self._compute, image_shape)
        if self._batch is None:
            self._batch = fitting_batch(self._source.load(), self._on_device(0), image_shape)
            torch.cuda.empty_cache()  # the model is gone, and the first process needs its place
        return self._batch

    def __enter__(self) -> Self:
        """Processes start with the first row."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all processes."""
        self._end(process for process in self._crew if process is not None)

    def rows(
        self, work: RowWork, numbers: Sequence[int], told: Callable[[int], None]
    ) -> Generator[BlendedRow]:
        """Compute rows of a scene; see `Engine`."""
        return in_order(work, numbers, partial(self._finished, pickle.dumps(work), numbers), told)

    def _finished(
        self, packed: bytes, numbers: Sequence[int], is_left: threading.Event
    ) -> Generator[int]:
        """Hand rows out; the numbers of those that are in the journal, as they come."""
        waiting = deque(numbers)
        running: dict[Any, tuple[_Process, int]] = {}
        attempts: Counter[int] = Counter()
        try:
            while (waiting or running) and not is_left.is_set():
                busy = {process for process, _ in running.values()}
                for process in self._staffed(min(len(self._crew), len(waiting) + len(busy))):
                    if waiting and process not in busy:
                        number = waiting.popleft()
                        attempts[number] += 1
                        process.ask(packed, number)
                        running[process.answers] = process, number
                for ready in connection.wait(list(running), PATIENCE_S):
                    process, number = running.pop(ready)
                    if process.answer():
                        yield number
                        continue
                    self._end([process])
                    if attempts[number] == _ATTEMPTS:
                        raise _ended(process)
                    waiting.appendleft(number)
        finally:
            self._end([process for process, _ in running.values()])

    def _staffed(self, n: int) -> list[_Process]:
        """The first processes; those that are missing are started."""
        for k in range(n):
            if self._crew[k] is None:
                self._crew[k] = _Process(self._source, self._on_device(k), self._threads)
        return [process for process in self._crew if process is not None]

    def _on_device(self, k: int) -> Compute:
        """Where a process computes."""
        if self._compute.device.type != "cuda":
            return self._compute
        return Compute(torch.device("cuda", k), self._compute.precision)

    def _end(self, processes: Any) -> None:
        """End processes, whatever they are at: a row appears in the journal whole or not at all."""
        for process in processes:
            process.end()
            self._crew[self._crew.index(process)] = None


class _Process:
    """One process, and the line to it."""

    def __init__(self, source: PredictorSource, compute: Compute, threads: int) -> None:
        context: Any = start_method()
        self.answers, theirs = context.Pipe()
        # No daemon, which could not have workers of its own that read tiles.
        self._process = context.Process(target=_serve, args=(theirs, source, compute, threads))
        self._process.start()
        # With a copy of the other end left here, the end of the process would not show.
        theirs.close()

    def ask(self, packed: bytes, number: int) -> None:
        """Have it compute a row, as soon as it has loaded the model."""
        with suppress(BrokenPipeError):  # it has ended, and `answer` will say so
            self.answers.send((packed, number))

    def answer(self) -> bool:
        """Whether the row is there, or the process has ended.

        Raises:
            BaseException: what stopped the row.
        """
        try:
            error = self.answers.recv()
        except (EOFError, ConnectionResetError):
            return False
        if error is not None:
            raise error
        return True

    @property
    def exit_code(self) -> int | None:
        """Of a process that has ended; a signal's number is negative."""
        self._process.join(_PATIENCE_S)
        code: int | None = self._process.exitcode
        return code

    def end(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.join()
        self.answers.close()


def _ended(process: _Process) -> WorkerError:
    """What to say of a process that is gone."""
    code = process.exit_code
    subject = "A process that was to compute a part of the map"
    return ended_before_it_began(subject, code, "geocobot.predict") or WorkerError(
        "A process that computed a part of the map",
        f"has ended before its time (exit code {code})",
        "Each of --devices needs memory for the model and a batch of tiles; a system that runs out "
        "of it ends processes",
        "Repeat the command with --resume, and fewer --devices or a smaller --batch-size",
    )


def _serve(line: Any, source: PredictorSource, compute: Compute, threads: int) -> None:
    """Compute rows until the other end of the line closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who has started it ends it
    maker: RowMaker | None = None
    while True:
        try:
            packed, number = line.recv()
        except EOFError:
            return
        try:
            if maker is None:
                maker = RowMaker(source, compute, threads)
            maker.make(packed, number)
        except Exception as error:
            line.send(sendable(error))
        else:
            line.send(None)
