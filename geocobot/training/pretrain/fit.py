"""Pretraining from the first step to the averaged weights of the last."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from geocobot.models.bases import BaseSpec
from geocobot.models.checkpoint import Checkpoint
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress
from geocobot.training.callbacks import TimeBudget
from geocobot.training.groups import GroupSettings
from geocobot.training.logs import csv_path, quiet_lightning
from geocobot.training.pretrain.images import ImageBank
from geocobot.training.pretrain.model import PretrainedParts
from geocobot.training.pretrain.module import PretrainObjectives, PretrainTask
from geocobot.training.report import ProgressReport
from geocobot.training.schedule import RunClock
from geocobot.training.trainer import (
    checkpoint_path,
    interruptible,
    keeping,
    read_checkpoint,
    run_trainer,
)

_LOGGED_STEPS = 1000


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """How to pretrain.

    Attributes:
        steps: optimizer steps at most.
        objectives: what a step asks.
        learning_rate: at the peak, of the heads.
        encoder_rate: of the encoder; at that of the heads its tokens soon lose their differences.
        weight_decay: of matrices and kernels.
        checkpoint_every: steps from one checkpoint to the next; an interruption loses no more.
        budget_s: seconds after which the run ends in any case, its schedule with it; None for none.
        warmup: share of the run over which the learning rate rises.
        clip_norm: largest norm of the gradient.
        seed: of everything random in the run, together with the step.
        compute: where, and how exactly.
        resume: continue the interrupted run in the folder.
    """

    steps: int
    objectives: PretrainObjectives
    learning_rate: float
    encoder_rate: float
    weight_decay: float
    checkpoint_every: int
    budget_s: float | None = None
    warmup: float = 0.05
    clip_norm: float = 1.0
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
        log: CSV file with the errors of about a thousand steps.
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
    *,
    weights: Checkpoint | None = None,
) -> Pretrained:
    """Train a base.

    Every step draws by (seed, step), so that a resumed run goes on with what it would have seen.

    Args:
        spec: the base.
        bank: real pixels; None trains on the made-up world alone.
        settings: how.
        folder: of the run; logs and checkpoints go there.
        progress: shows rate and errors.
        weights: to go on from; None begins at random.

    Raises:
        ResumeError: there is nothing to resume in the folder.
    """
    begun = read_checkpoint(folder) if settings.resume else None
    clock = RunClock(total_steps=settings.steps, budget_s=settings.budget_s)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        parts = PretrainedParts(spec)
    if weights is not None:
        parts.start_from(weights)
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
    shown = (progress or SilentProgress()).task("Pretraining", total=1.0)
    with quiet_lightning(), interruptible(), torch.random.fork_rng(devices=[]), shown as told:
        trainer = run_trainer(
            folder,
            settings.compute,
            [ProgressReport(told, clock), errors, TimeBudget(clock), keeping(folder)],
            begun,
            log_every=max(1, settings.steps // _LOGGED_STEPS),
            max_steps=settings.steps,
            gradient_clip_val=settings.clip_norm,
        )
        trainer.fit(
            task,
            # An epoch is what lies between two checkpoints; what a step sees is drawn in the step.
            DataLoader(TensorDataset(torch.empty(settings.checkpoint_every))),
            ckpt_path=checkpoint_path(folder) if begun else None,
        )
    task.cpu()
    task.average.swap()
    return Pretrained(
        parts.eval(), trainer.global_step, clock.elapsed_s, errors.smooth(), csv_path(folder)
    )


class _Errors(Callback):
    """Averages the errors over about a hundred steps, without reading them: see `Asked`."""

    def __init__(self) -> None:
        self._smooth: dict[str, Tensor] = {}

    def smooth(self) -> dict[str, float]:
        """The averages by name."""
        return {name: float(value) for name, value in self._smooth.items()}

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take in the errors of a step."""
        for name, metric in trainer.callback_metrics.items():
            value = metric.detach()
            before = self._smooth.get(name, value).to(value.device)
            self._smooth[name] = torch.lerp(before, value, 0.01)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"smooth": dict(self._smooth)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._smooth = dict(state_dict["smooth"])
