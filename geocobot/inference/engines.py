"""Who computes the tile rows of a scene: this process, or whatever else keeps to the protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Protocol

import torch

from geocobot.ahead import ahead
from geocobot.inference.batch import fitting_batch
from geocobot.inference.blended_row import BlendedRow
from geocobot.inference.lanes import Lanes
from geocobot.inference.rows import BATCHES_AHEAD, RowWork, compute_rows
from geocobot.inference.tiles import Predictor
from geocobot.models.precision import Compute


class Engine(Protocol):
    """Computes tile rows, in any order, and hands them out from top to bottom.

    Attributes:
        threads: with which a batch is computed.
        batches: of tiles that this process holds at the same time.
    """

    threads: int
    batches: int

    def fitting_batch(self, image_shape: tuple[int, int, int]) -> int:
        """How many tiles (C, H, W) it computes at a time, if nobody says otherwise.

        It is found out once, so that all scenes of a run are computed alike.
        """

    def rows(
        self, work: RowWork, numbers: Sequence[int], told: Callable[[int], None]
    ) -> Generator[BlendedRow]:
        """Compute rows of a scene.

        Args:
            work: the scene and its tiles.
            numbers: of the tile rows, ascending.
            told: of how many more tiles have been through the model, of none now and then; what
                it raises ends the work.

        Yields:
            The rows, in this order; each is kept in the journal before it comes.
        """


class LocalEngine:
    """Computes in this process.

    Args:
        predictor: the model, or anything that makes logits of images; on a CPU asked from several
            threads at the same time.
        compute: where, and how exactly.
        threads: CPU threads; default as many as torch uses.
    """

    def __init__(self, predictor: Predictor, compute: Compute, threads: int | None = None) -> None:
        self._predictor = predictor
        self._compute = compute
        self._lanes = Lanes(compute, threads or torch.get_num_threads())
        self.threads, self.batches = self._lanes.threads, self._lanes.held + BATCHES_AHEAD
        self._batch: int | None = None

    def fitting_batch(self, image_shape: tuple[int, int, int]) -> int:
        """As many tiles as fit beside the model; the same for all scenes."""
        if self._batch is None:
            self._batch = fitting_batch(self._predictor, self._compute, image_shape)
        return self._batch

    def rows(
        self, work: RowWork, numbers: Sequence[int], told: Callable[[int], None]
    ) -> Generator[BlendedRow]:
        """Compute rows of a scene; see `Engine`."""
        return compute_rows(work, numbers, self._predictor, self._compute, told, lanes=self._lanes)


def finished_rows(
    work: RowWork, engine: Engine, told: Callable[[int], None]
) -> Generator[BlendedRow]:
    """All tile rows, top to bottom: those that are kept, and the others as they are computed.

    Args:
        work: the scene and its tiles.
        engine: computes what is missing.
        told: of how many more tiles are finished.
    """
    layout = list(work.plan.rows())
    journal = work.journal
    kept = journal.finished()
    missing = [number for number in range(len(layout)) if number not in kept]
    with closing(engine.rows(work, missing, told)) as computed:
        for number, row in enumerate(layout):
            if number in kept:
                told(len(row.windows))
                yield journal.recall(number)
            else:
                yield next(computed)
        next(computed, None)  # which says if tiles are left over


def in_order(
    work: RowWork,
    numbers: Sequence[int],
    finished: Callable[[threading.Event], Generator[int]],
    told: Callable[[int], None],
) -> Generator[BlendedRow]:
    """Rows that others put into the journal in any order, from top to bottom.

    Args:
        work: the scene and its tiles.
        numbers: of the rows to hand out.
        finished: numbers of rows in the journal, as they come; asked in a thread of its own, which
            goes on however slowly the rows are taken, until the event is set.
        told: of how many more tiles are finished.
    """
    tiles = [len(row.windows) for row in work.plan.rows()]
    known: set[int] = set()
    is_left = threading.Event()
    numbers_made = ahead(
        finished(is_left), len(numbers), on_leave=is_left.set, meanwhile=partial(told, 0)
    )
    with closing(numbers_made) as coming:
        for number in numbers:
            while number not in known:
                found = next(coming)
                known.add(found)
                told(tiles[found])
            yield work.journal.recall(number)
