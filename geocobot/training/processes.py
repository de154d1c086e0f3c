"""A training by several processes of this machine, a GPU or some CPU cores each."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from multiprocessing import connection
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined] # it is documented there

from geocobot.errors import GeocobotError, WorkerError
from geocobot.processes import end_with_parent, ended_before_it_began, sendable, start_method
from geocobot.progress import Progress, SilentProgress
from geocobot.training.fit import FitResult, restore_best
from geocobot.training.job import Job, kept_in_file
from geocobot.training.peers import Seat, joined
from geocobot.training.telling import Display, LogTeller, Teller, show

_HERE = "127.0.0.1"
# When a process dies, the others find out, too, and may be the first to tell.
_HINDSIGHT_S = 2.0
_PATIENCE_S = 5.0


def fit_in_processes(job: Job, progress: Progress | None = None, *, devices: int) -> FitResult:
    """Train as `fit` does, by several processes; the segmenter here has the best state afterwards.

    Args:
        job: what to train; its data module has `shared`, as `SceneDataModule`.
        progress: shows rate, loss and IoU of the first process.
        devices: how many; process k of a GPU machine takes its k-th GPU.

    Raises:
        WorkerError: a process has ended before its time; the run can be resumed.
        GeocobotError: what else stopped one.
    """
    threads = max(1, torch.get_num_threads() // devices)
    with (
        kept_in_file(job) as path,
        Display(progress or SilentProgress()) as display,
    ):
        display.begin(f"Starting {devices} processes", 1.0)
        store = _open_store(0, is_host=True)
        seats = [Seat(number=k, local=k, devices=devices) for k in range(devices)]
        crew = [_Process(path, seat, store.port, threads) for seat in seats]
        try:
            for process in crew:
                process.start()
            result = _followed(crew, display)
        finally:
            for process in crew:
                process.end()
    restore_best(job.segmenter, job.folder)
    return result


class _Process:
    """One process, and the line to it."""

    def __init__(self, job: Path, seat: Seat, port: int, threads: int) -> None:
        context: Any = start_method()
        self.seat = seat
        self.answers, self._theirs = context.Pipe(duplex=False)
        # No daemon, which could not have workers of its own that cut patches.
        self._process = context.Process(
            target=_serve, args=(self._theirs, job, seat, port, threads)
        )

    def start(self) -> None:
        """Start it."""
        self._process.start()
        # With a copy of the other end left here, the end of the process would not show.
        self._theirs.close()

    @property
    def exit_code(self) -> int | None:
        """Of a process that has ended; a signal's number is negative."""
        self._process.join(_PATIENCE_S)
        code: int | None = self._process.exitcode
        return code

    def end(self) -> None:
        """End it now, if it was started: checkpoints appear whole or not at all."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self.answers.close()


def _followed(crew: list[_Process], display: Display) -> FitResult:
    """Show what the processes tell until all are done; the result of the first one.

    Raises:
        GeocobotError: what stopped one of them.
    """
    results: dict[int, FitResult] = {}
    running = {process.answers: process for process in crew}
    while running:
        for line in connection.wait(list(running)):
            said = _heard(line)
            if isinstance(said, BaseException | None):
                raise _cause(said, running.pop(line), list(running.values()))
            if isinstance(said, FitResult):
                results[running.pop(line).seat.number] = said
            else:
                show(said, display)
    return results[0]


def _heard(line: Any) -> Any:
    """What a process says; None where it is gone without a word."""
    try:
        return line.recv()
    except (EOFError, ConnectionResetError):
        return None


def _cause(said: BaseException | None, process: _Process, others: list[_Process]) -> BaseException:
    """What stopped a training: of one process's error and another's end the likelier reason.

    Args:
        said: by the process that was heard first; None where it has ended without a word.
        process: that one.
        others: those that were still at work.
    """
    found = [(said, process)]
    waiting = {other.answers: other for other in others}
    until = time.monotonic() + _HINDSIGHT_S
    while waiting and (left := until - time.monotonic()) > 0:
        for line in connection.wait(list(waiting), left):
            other = _heard(line)
            if isinstance(other, BaseException | None):
                found.append((other, waiting.pop(line)))
    told = next((error for error, _ in found if isinstance(error, GeocobotError)), None)
    if told is not None:
        return told
    ended = next((process for error, process in found if error is None), None)
    return _ended(ended) if ended is not None else (said or _ended(process))


def _ended(process: _Process) -> WorkerError:
    """What to say of a process that is gone."""
    code = process.exit_code
    subject = "A process that was to train with others"
    return ended_before_it_began(subject, code, "geocobot.train") or WorkerError(
        "A process that trained with others",
        f"has ended before its time (exit code {code})",
        "Each of --devices needs memory for the model and its share of a batch; a system that runs "
        "out of it ends processes",
        "Repeat the command with --resume, and fewer --devices or a smaller --batch-size",
    )


def _open_store(port: int, *, is_host: bool) -> TCPStore:
    """Where the processes meet.

    Args:
        port: of the host; 0 has it choose one.
        is_host: whether others come here.
    """
    # PyTorch's builds for Windows lack libuv.
    return TCPStore(
        _HERE, port, is_master=is_host, wait_for_workers=False, use_libuv=os.name != "nt"
    )


def _serve(line: Any, path: Path, seat: Seat, port: int, threads: int) -> None:
    """Train as one of several, and tell the process that has started this one how it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who has started it ends it
    end_with_parent()
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # or Lightning sets another number
    _stay_here()
    logging.captureWarnings(capture=True)
    logging.getLogger("geocobot").setLevel(logging.DEBUG)  # what is shown is decided there
    # What all of them say is said once.
    logging.getLogger().addHandler(LogTeller(line) if seat.is_first else logging.NullHandler())
    try:
        job = Job.read(path)
        store = _open_store(port, is_host=False)
        with joined(seat, store, job.settings.compute.device.type) as peers:
            told = Teller(line) if seat.is_first else None
            result = job.done(told, peers)
    except Exception as error:
        line.send(sendable(error))
    else:
        line.send(result)


def _stay_here() -> None:
    """Have gloo talk within this machine, and not by what its name is resolved to."""
    loops = [name for _, name in socket.if_nameindex() if name in {"lo", "lo0"}]
    if loops:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loops[0])
