"""What happens around the steps of a run: seeds, time budget."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from geocobot.training.peers import ALONE, Peers, Seat
from geocobot.training.schedule import RunClock
from geocobot.training.trainer import step_seed


class StepSeeds(Callback):
    """Seeds every step by (seed, step), so that a resumed run draws what it would have drawn.

    By the step and not by the epoch: Lightning's loaders draw from the global generator too, and
    not as often in a resumed epoch. What patches come is decided by the sampler's own generator.

    Args:
        seed: of the run.
        seat: of this process; no two that train together draw the same.
    """

    def __init__(self, seed: int, seat: Seat = ALONE.seat) -> None:
        self.seed = seed
        self.seat = seat

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Seed torch: dropout draws from it, and so do the boxes of a training with boxes."""
        draw = trainer.global_step * self.seat.of + self.seat.number
        torch.manual_seed(step_seed(self.seed, draw))


class SharedClock(Callback):
    """Lets all processes that train together decide by the clock of the first one.

    Args:
        clock: of the run, in this process.
        peers: the processes.
    """

    def __init__(self, clock: RunClock, peers: Peers) -> None:
        self.clock = clock
        self.peers = peers

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Agree before the schedule chooses the first learning rate, and not on_fit_start."""
        self.clock.agree(self.peers.as_first_says(self.clock.reading()))

    def on_train_batch_start(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Agree for a step, and for what is decided after it."""
        self.clock.agree(self.peers.as_first_says(self.clock.reading()))


class TimeBudget(Callback):
    """Stops the run so that its last validation still fits into the budget.

    Args:
        clock: of the run.
    """

    def __init__(self, clock: RunClock) -> None:
        self.clock = clock
        self._validation_started = 0.0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Ask Lightning to validate and stop when time is up."""
        if self.clock.out_of_time:
            trainer.should_stop = True

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the stopwatch."""
        self._validation_started = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Reserve for the last validation what this one took."""
        self.clock.reserved_s = time.monotonic() - self._validation_started
