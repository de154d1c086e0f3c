"""Batches in order, read by this process or by workers; what stops one stops the run in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from geocobot.data.dataset import Sample
from geocobot.errors import GeocobotError, WorkerError
from geocobot.processes import ended_before_it_began, start_method

_OF_A_WORKER = "DataLoader worker "
_EXIT_CODE = re.compile(r"exit code (\d+)")


def make_loader(
    dataset: Dataset[Sample],
    sampler: Sampler[Any],
    *,
    batch_size: int,
    workers: int,
    pin_memory: bool = False,
) -> DataLoader[Sample]:
    """A loader that gives the same batches, and raises the same errors, with and without workers.

    Args:
        dataset: `SceneDataset` for a `TileSampler`, `SceneCollection` for sampled keys.
        sampler: decides windows and order.
        batch_size: samples per batch; the last one may be smaller.
        workers: processes that read; 0 reads in this process.
        pin_memory: whether batches come in memory that CUDA copies from faster.
    """
    # Not as batches: Lightning tells the loader's sampler the epoch.
    return _make(dataset, workers, pin_memory, sampler=sampler, batch_size=batch_size)


def load_batches(
    dataset: Dataset[Sample],
    batches: Iterable[list[Any]],
    *,
    workers: int,
    pin_memory: bool = False,
) -> DataLoader[Sample]:
    """A loader as `make_loader` makes it, of batches that are given.

    Args:
        dataset: what to read.
        batches: keys of the samples of each batch.
        workers: processes that read; 0 reads in this process.
        pin_memory: whether batches come in memory that CUDA copies from faster.
    """
    return _make(dataset, workers, pin_memory, batch_sampler=batches)


def _make(
    dataset: Dataset[Sample], workers: int, pin_memory: bool, **batching: Any
) -> DataLoader[Sample]:
    """A loader of batches in some order."""
    return _Loader(
        _Answers(dataset),
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        multiprocessing_context=start_method() if workers else None,
        **batching,
    )


class _Loader(DataLoader[Sample]):
    """Raises in the consumer's process the errors that came in place of a batch.

    Torch tells of a worker's exception by the class and one text, from which an error of four
    parts cannot be built again: it would arrive as a RuntimeError.
    """

    def __iter__(self) -> Iterator[Sample]:  # type: ignore[override] # all that anybody asks of it
        """Yield the batches; workers start at once, and not with the first one."""
        return _asked(super().__iter__())


class _Answers(Dataset[Sample]):
    """Samples of another dataset, or in place of a whole batch the error that stopped it.

    Args:
        dataset: what to read.
    """

    def __init__(self, dataset: Dataset[Sample]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Sample:
        """Read one sample."""
        return self.dataset[key]

    def __getitems__(self, keys: Sequence[Any]) -> list[Sample] | GeocobotError:
        """Read the samples of a batch; torch asks for them together where it finds this."""
        try:
            return [self.dataset[key] for key in keys]
        except GeocobotError as error:
            return error


def _collate(answer: list[Sample] | GeocobotError) -> Any:
    """Join samples into a batch; an error stays what it is.

    By NumPy: torch does it with OpenMP, whose threads would take the cores from the model's.
    """
    if isinstance(answer, GeocobotError):
        return answer
    return {
        name: torch.from_numpy(np.stack([sample[name].numpy() for sample in answer]))
        for name in answer[0]
    }


def _asked(batches: Iterator[Any]) -> Iterator[Sample]:
    """The batches of a loader, or what has stopped one raised."""
    workers = getattr(batches, "_workers", ())
    while True:
        with workers_in_words(workers):
            try:
                answer = next(batches)
            except StopIteration:
                return
        if isinstance(answer, GeocobotError):
            raise answer
        yield answer


@contextmanager
def workers_in_words(workers: Sequence[Any] = ()) -> Iterator[None]:
    """Say in four parts that a worker has ended, which torch may tell a main thread at any time.

    Args:
        workers: of the loader, whose exit codes tell why; torch's words do where there are none.

    Raises:
        WorkerError: a worker has ended before its time.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_OF_A_WORKER):
            raise
        raise _ended(str(error), workers) from error


def _ended(said: str, workers: Sequence[Any]) -> WorkerError:
    """What to say of a worker that is gone."""
    found = _EXIT_CODE.search(said)
    codes = [int(found[1])] if found else [worker.exitcode for worker in workers]
    code = next((code for code in codes if code), None)
    subject = "A process that was to read patches"
    return ended_before_it_began(subject, code, "geocobot.train or predict") or WorkerError(
        "A process that read patches",
        "has ended before its time" + ("" if code is None else f" (exit code {code})"),
        "Each of --workers needs memory for the patches of a batch, some of it shared memory; a "
        "system that runs out of it ends processes",
        "Repeat the command with --resume and fewer --workers; with 0 it reads by itself",
    )
