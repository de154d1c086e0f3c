"""How a run is watched while it is under way: rate, loss and IoU for a progress task."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from geocobot.progress import Course, Task
from geocobot.training.module import SegmentationTask
from geocobot.training.peers import ALONE, Seat
from geocobot.training.schedule import RunClock

_TELL_EVERY_S = 0.5
# Single batches jump; about the last ten of them do not.
_NEWEST_WEIGHT = 0.1
_MOST_MEANS = 240


@dataclass(frozen=True)
class Past:
    """What an interrupted run has logged.

    Attributes:
        losses: of every step.
        ious: mean IoU of every epoch.
    """

    losses: tuple[float, ...] = ()
    ious: tuple[float, ...] = ()


class ProgressReport(Callback):
    """Tells a progress task how far the run is, with rate, loss and IoU.

    Args:
        task: with a total of 1.0, the whole run.
        clock: of the run.
        past: of the run that is resumed.
        seat: of this process; the others are taken to be as fast.
    """

    def __init__(
        self, task: Task, clock: RunClock, *, past: Past | None = None, seat: Seat = ALONE.seat
    ) -> None:
        past = past or Past()
        self.task = task
        self.clock = clock
        self.seat = seat
        self._told = 0.0
        self._told_at = 0.0
        self._begun_at = 0.0
        self._patches = 0
        self._losses = LossCourse(past.losses)
        self._ious = list(past.ious)
        self._waiting: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the stopwatch."""
        self._begun_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Advance, and tell the figures now and then: a GPU has to be waited for to read them."""
        self._waiting.append(outputs["loss"].detach())
        if isinstance(pl_module, SegmentationTask):
            self._patches += len(batch["image"]) * self.seat.of
        progress = self.clock.progress(trainer.global_step)
        self.task.advance(max(0.0, progress - self._told))
        self._told = max(self._told, progress)
        now = time.monotonic()
        if trainer.is_last_batch or now - self._told_at >= _TELL_EVERY_S:
            self._tell(trainer)
            self._told_at = now

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the IoU of an epoch."""
        if isinstance(pl_module, SegmentationTask) and pl_module.tuning is not None:
            self._ious.append(pl_module.tuning.mean_iou)
            self._tell(trainer)

    def _tell(self, trainer: Trainer) -> None:
        """Tell how the run stands."""
        if self._waiting:
            self._losses.add(torch.stack(self._waiting).tolist())
            self._waiting.clear()
        self.task.note(self._pace(trainer))
        courses = {"loss": self._losses.values, "IoU": tuple(self._ious)}
        self.task.chart([Course(name, values) for name, values in courses.items() if values])

    def _pace(self, trainer: Trainer) -> str:
        """Epoch and rate, validation and all else that takes time included."""
        seconds = max(time.monotonic() - self._begun_at, 1e-9)
        if not self._patches:
            return f"{trainer.global_step / self.clock.elapsed_s:.1f} steps/s"
        epoch = f"epoch {trainer.current_epoch + 1}"
        if self.clock.budget_s is None:
            epoch = f"{epoch} of {trainer.max_epochs}"
        return f"{epoch}, {self._patches / seconds:.1f} patches/s"


class LossCourse:
    """The loss of all steps in bounded memory: means of equally many steps, and the newest.

    Args:
        losses: of the first steps.
    """

    def __init__(self, losses: Iterable[float] = ()) -> None:
        self._means: list[float] = []
        self._steps_per_mean = 1
        self._open: list[float] = []
        self._newest: float | None = None
        self.add(losses)

    @property
    def values(self) -> tuple[float, ...]:
        """The means, oldest first, and last the mean of about the last ten steps."""
        return () if self._newest is None else (*self._means, self._newest)

    def add(self, losses: Iterable[float]) -> None:
        """Take the losses of steps."""
        for loss in losses:
            before = loss if self._newest is None else self._newest
            self._newest = before + _NEWEST_WEIGHT * (loss - before)
            self._open.append(loss)
            if len(self._open) == self._steps_per_mean:
                self._means.append(sum(self._open) / len(self._open))
                self._open.clear()
            if len(self._means) == _MOST_MEANS:
                pairs = zip(self._means[::2], self._means[1::2], strict=True)
                self._means = [(first + second) / 2 for first, second in pairs]
                self._steps_per_mean *= 2
