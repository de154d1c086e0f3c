"""Pretraining from the first step to the averaged weights of the last."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from geocobot.errors import ResumeError
from geocobot.models.bases import BaseSpec
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress, Task
from geocobot.training.fit import interruptible
from geocobot.training.groups import FROM_SCRATCH_RATE, GroupSettings
from geocobot.training.logs import csv_path, make_loggers, quiet_lightning
from geocobot.training.pretrain.images import ImageBank
from geocobot.training.pretrain.model import PretrainedParts
from geocobot.training.pretrain.module import PretrainObjectives, PretrainTask
from geocobot.training.schedule import RunClock

_CHECKPOINTS, _LAST = "checkpoints", "last"


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """How to pretrain.

    Attributes:
        steps: optimizer steps.
        objectives: what a step asks.
        learning_rate: at the peak, of the heads.
        encoder_rate: of the encoder; at that of the heads its tokens soon lose their differences.
        weight_decay: of matrices and kernels.
        warmup: share of the run over which the learning rate rises.
        clip_norm: largest norm of the gradient.
        checkpoint_every: steps from one checkpoint to the next; an interruption loses no more.
        seed: of everything random in the run, together with the step.
        compute: where, and how exactly.
        resume: continue the interrupted run in the folder.
    """

    steps: int
    objectives: PretrainObjectives = field(default_factory=PretrainObjectives)
    learning_rate: float = FROM_SCRATCH_RATE
    encoder_rate: float = 4e-4
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip_norm: float = 1.0
    checkpoint_every: int = 250
    seed: int = 0
    compute: Compute = field(default_factory=lambda: Compute(torch.device("cpu")))
    resume: bool = False


@dataclass(frozen=True)
class Pretrained:
    """What came of it.

    Attributes:
        parts: with the averaged weights, on the CPU, in evaluation mode.
        steps: optimizer steps.
        seconds: wall time, interrupted parts included.
        errors: what was lowered, by name, averaged over about the last hundred steps.
        log: CSV file with the errors of every step.
    """

    parts: PretrainedParts
    steps: int
    seconds: float
    errors: dict[str, float]
    log: Path


def pretrain_parts(
    spec: BaseSpec,
    bank: ImageBank | None,
    settings: PretrainSettings,
    folder: Path,
    progress: Progress | None = None,
) -> Pretrained:
    """Train a base from a random start.

    Every step draws by (seed, step), so that a resumed run goes on with what it would have seen.

    Args:
        spec: the base.
        bank: real pixels; None trains on the made-up world alone.
        settings: how.
        folder: of the run; logs and checkpoints go there.
        progress: shows rate and errors.

    Raises:
        ResumeError: there is nothing to resume in the folder.
    """
    last = folder / _CHECKPOINTS / f"{_LAST}.ckpt"
    begun = _read_begun(last, folder) if settings.resume else None
    clock = RunClock(total_steps=settings.steps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        parts = PretrainedParts(spec)
    task = PretrainTask(
        parts,
        bank,
        settings.objectives,
        clock,
        groups=GroupSettings(
            learning_rate=settings.learning_rate,
            encoder_rate=settings.encoder_rate,
            weight_decay=settings.weight_decay,
        ),
        warmup=settings.warmup,
        seed=settings.seed,
    )
    errors = _Errors()
    shown = (progress or SilentProgress()).task("Pretraining", settings.steps)
    with quiet_lightning(), interruptible(), torch.random.fork_rng(devices=[]), shown as told:
        callbacks = [errors, _Report(told, errors, clock)]
        trainer = _make_trainer(settings, folder, begun, callbacks)
        trainer.fit(
            task,
            DataLoader(_Steps(settings.checkpoint_every), batch_size=None),
            ckpt_path=last if begun else None,
        )
    task.cpu()
    task.average.swap()
    return Pretrained(
        parts.eval(), trainer.global_step, clock.elapsed_s, errors.smooth, csv_path(folder)
    )


class _Steps(torch.utils.data.Dataset[int]):
    """As many steps as an epoch has, from one checkpoint to the next."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.n:
            raise IndexError(index)
        return index


class _Errors(Callback):
    """Averages the errors over about a hundred steps.

    Attributes:
        smooth: by name.
    """

    def __init__(self) -> None:
        self.smooth: dict[str, float] = {}

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take in the errors of a step."""
        for name, value in trainer.callback_metrics.items():
            before = self.smooth.get(name, float(value))
            self.smooth[name] = 0.99 * before + 0.01 * float(value)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"smooth": dict(self.smooth)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.smooth = dict(state_dict["smooth"])


class _Report(Callback):
    """Tells a progress task how far the run is."""

    def __init__(self, task: Task, errors: _Errors, clock: RunClock) -> None:
        self.task = task
        self.errors = errors
        self.clock = clock
        self._told = 0
        self._first = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note where a resumed run goes on."""
        self._first = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Advance and note the figures."""
        self.task.advance(trainer.global_step - self._told)
        self._told = trainer.global_step
        seconds = max(self.clock.elapsed_s - self.clock.elapsed_before_s, 1e-9)
        rate = (trainer.global_step - self._first) / seconds
        self.task.note(f"{rate:.1f} steps/s, loss {self.errors.smooth['train_loss']:.3f}")


def _read_begun(last: Path, folder: Path) -> dict[str, Any]:
    """The checkpoint of an interrupted run."""
    if not last.is_file():
        raise ResumeError(
            folder,
            "holds no interrupted pretraining (no checkpoint was written, or it is finished)",
            "--resume continues a run that was stopped after its first checkpoint",
            "Pretrain without --resume, with -f to replace what is there",
        )
    begun: dict[str, Any] = torch.load(last, map_location="cpu", weights_only=True)
    return begun


def _make_trainer(
    settings: PretrainSettings,
    folder: Path,
    begun: dict[str, Any] | None,
    callbacks: list[Callback],
) -> Trainer:
    """A quiet trainer on one device, with a checkpoint at the end of every epoch."""
    keep = ModelCheckpoint(
        dirpath=folder / _CHECKPOINTS,
        filename=_LAST,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    return Trainer(
        accelerator="gpu" if settings.compute.device.type == "cuda" else "cpu",
        devices=1,
        plugins=[LightningEnvironment()],
        precision="bf16-mixed" if settings.compute.precision == "bfloat16" else "32-true",
        max_steps=settings.steps,
        gradient_clip_val=settings.clip_norm,
        callbacks=[*callbacks, keep],
        logger=make_loggers(
            folder,
            resumed_epoch=begun["epoch"] if begun else None,
            resumed_step=begun["global_step"] if begun else 0,
        ),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
