"""What happens around the steps of a run: seeds, time budget."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

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

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Agree on whether there is time for more."""
        self.clock.agree(self.peers.as_first_says(self.clock.reading()))


class Patience(EarlyStopping):
    """Stops a run whose figure has not become better for so many epochs.

    A resumed run has the patience that is asked for now, not that of its checkpoint, and one whose
    patience had run out trains no more.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with how long the interrupted run has waited."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop at once if there is nothing left to wait for."""
        if self.wait_count >= self.patience:
            self.stopped_epoch = trainer.current_epoch
            trainer.should_stop = True


class TimeBudget(Callback):
    """Stops the run so that its last validation still fits into the budget.

    Until one has been measured, it is thought to take as long as as many batches of training, and
    no more than half of the budget.

    Args:
        clock: of the run.
    """

    def __init__(self, clock: RunClock) -> None:
        self.clock = clock
        self._validation_started = 0.0
        self._is_measured = False
        self._batches = 0
        self._steps = 0
        self._first_step_ended = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Count what there is to validate."""
        module = getattr(trainer, "datamodule", None)
        self._batches = 0 if module is None else len(module.val_dataloader())

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Ask Lightning to validate and stop when time is up."""
        self._expect_validation()
        if self.clock.out_of_time:
            trainer.should_stop = True

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the stopwatch."""
        self._validation_started = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Reserve for the last validation what this one took; if it was the last one, stop."""
        self.clock.reserved_s = time.monotonic() - self._validation_started
        self._is_measured = True
        if self.clock.out_of_time:
            trainer.should_stop = True

    def _expect_validation(self) -> None:
        """Reserve for the first validation what it may take, by the steps so far."""
        self._steps += 1
        if self._is_measured or self.clock.budget_s is None:
            return
        if self._steps == 1:  # it does what no other step has to
            self._first_step_ended = time.monotonic()
            return
        step_s = (time.monotonic() - self._first_step_ended) / (self._steps - 1)
        self.clock.reserved_s = min(self._batches * step_s, self.clock.budget_s / 2)
