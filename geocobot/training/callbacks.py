"""What happens around the steps of a run: seeds, time budget, progress."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from geocobot.progress import Task
from geocobot.training.module import SegmentationTask
from geocobot.training.peers import ALONE, Peers, Seat
from geocobot.training.schedule import RunClock
from geocobot.training.trainer import step_seed

_NOTE_EVERY_S = 0.5


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


class ProgressReport(Callback):
    """Tells a progress task how far the run is, with rate, loss and IoU.

    Args:
        task: with a total of 1.0, the whole run.
        clock: of the run.
    """

    def __init__(self, task: Task, clock: RunClock) -> None:
        self.task = task
        self.clock = clock
        self._told = 0.0
        self._noted_at = 0.0
        self._loss: torch.Tensor | None = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Advance, and note the figures now and then: a GPU has to be waited for to read them."""
        loss = outputs["loss"].detach()
        # Single batches jump; about the last ten of them do not.
        self._loss = loss if self._loss is None else torch.lerp(self._loss, loss, 0.1)
        progress = self.clock.progress(trainer.global_step)
        self.task.advance(max(0.0, progress - self._told))
        self._told = max(self._told, progress)
        now = time.monotonic()
        if trainer.is_last_batch or now - self._noted_at >= _NOTE_EVERY_S:
            self.task.note(self._figures(trainer, pl_module, float(self._loss)))
            self._noted_at = now

    def _figures(self, trainer: Trainer, module: LightningModule, loss: float) -> str:
        """Steps per second and loss in one line; of a segmenter also epoch and IoU."""
        rate = trainer.global_step / self.clock.elapsed_s
        parts = [f"{rate:.1f} steps/s", f"loss {loss:.3f}"]
        if isinstance(module, SegmentationTask):
            parts.insert(0, f"epoch {trainer.current_epoch + 1}")
            if module.tuning is not None:
                parts.append(f"IoU {module.tuning.mean_iou:.3f}")
        return ", ".join(parts)
