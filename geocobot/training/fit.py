"""Training from the first step to the best state."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch import nn

from geocobot.data.loader import workers_in_words
from geocobot.models.precision import Compute
from geocobot.progress import Progress, SilentProgress
from geocobot.training.callbacks import Patience, SharedClock, StepSeeds, TimeBudget
from geocobot.training.first_fit import can_fit_first, fit_readers
from geocobot.training.groups import GroupSettings, default_groups
from geocobot.training.health import AdapterHealth
from geocobot.training.logs import csv_path, logged, quiet_lightning
from geocobot.training.losses import SegmentationLoss
from geocobot.training.module import (
    KEPT_EPOCH,
    TRAIN_LOSS,
    VALIDATION_IOU,
    SegmentationTask,
)
from geocobot.training.peers import ALONE, Peers, Seat
from geocobot.training.report import Past, ProgressReport
from geocobot.training.samples import SampleSheets, Sampling
from geocobot.training.schedule import RunClock
from geocobot.training.trackers import Tracking
from geocobot.training.trainer import (
    checkpoint_path,
    interruptible,
    keeping,
    read_checkpoint,
    run_trainer,
)

StopReason: TypeAlias = Literal["epochs", "time", "patience"]

_BEST = "best"


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How to train.

    Attributes:
        n_classes: planes of logits.
        epochs: epochs at most; None for as many as fit into the minutes.
        max_minutes: wall time of the training, its last validation included; None for no limit.
        groups: learning rates at the peak and weight decays; None takes `default_groups`.
        warmup: share of the run over which the learning rate rises.
        loss: what training lowers.
        box_jitter_px: how far a side of a box moves at most, where the segmenter wants boxes.
        tile_px: side of the tiles that validation samples are shown in, as the model will map with
            them; None shows them whole.
        clip_norm: largest norm of the gradient.
        patience: epochs without a better validation IoU before the run stops; None lets it go
            through its whole schedule, because much is gained when the learning rate falls.
        log_health: log condition numbers of the adapters' matrices and spikes of the loss.
        readers_first: whether the readers of a pretrained dense head are fitted before the first
            step, see `fit_readers`.
        seed: of everything random in the run, together with the step.
        compute: where, and how exactly.
        tracking: where the figures go beside the CSV file.
        samples: which validation patches are drawn after epochs; None draws none.
        resume: continue the interrupted run in the folder.
    """

    n_classes: int
    epochs: int | None = 60
    max_minutes: float | None = None
    groups: GroupSettings | None = None
    warmup: float = 0.05
    loss: SegmentationLoss = field(default_factory=SegmentationLoss)
    box_jitter_px: float = 0.0
    tile_px: int | None = None
    clip_norm: float = 1.0
    patience: int | None = None
    log_health: bool = False
    readers_first: bool = True
    seed: int = 0
    compute: Compute = field(default_factory=lambda: Compute(torch.device("cpu")))
    tracking: Tracking = field(default_factory=Tracking)
    samples: Sampling | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        """Refuse a run without an end."""
        if self.epochs is None and self.max_minutes is None:
            raise ValueError("a run needs epochs or max_minutes to end")


@dataclass(frozen=True)
class FitResult:
    """What came of a training.

    Attributes:
        thresholds: tuned on the validation patches, one per class, for `ClassSpec.threshold`.
        iou: validation IoU per class at these thresholds, each class against all others; None
            for a class without a validation pixel.
        mean_iou: mean of `iou`.
        kept_epoch: the epoch, from 1, whose weights the segmenter now has: the latest one that is
            within one standard error of the best mean IoU.
        epochs: epochs that were begun.
        steps: optimizer steps.
        seconds: wall time, interrupted parts included.
        seconds_before: of them, in interrupted parts.
        stopped_by: what ended the run.
        log: CSV file with the loss of every step and the IoU of every epoch.
    """

    thresholds: tuple[float, ...]
    iou: tuple[float | None, ...]
    mean_iou: float
    kept_epoch: int
    epochs: int
    steps: int
    seconds: float
    seconds_before: float
    stopped_by: StopReason
    log: Path


def fit(
    segmenter: nn.Module,
    datamodule: LightningDataModule,
    settings: FitSettings,
    folder: Path,
    progress: Progress | None = None,
    *,
    peers: Peers = ALONE,
) -> FitResult:
    """Train a segmenter and leave its best state in it.

    Every epoch ends with a checkpoint, so that an interrupted run loses one epoch at most. On a
    CPU with the same threads, the resumed run logs the same losses and ends in the same weights
    as one that was never interrupted, as long as steps and not the clock decide its end.

    Args:
        segmenter: (B, C, H, W) image to (B, K, H, W) logits, or one that wants boxes as well;
            trained in place, on the CPU and in evaluation mode afterwards.
        datamodule: training and validation batches with "image", "label" and "valid"; its
            training sampler draws by `set_epoch`.
        settings: how to train.
        folder: of the run; logs and checkpoints go there. The checkpoints stay until
            `remove_checkpoints`, so that nothing is lost until the result is in a safe place.
        progress: shows the first fit of the readers, then rate, loss and IoU.
        peers: the processes that train together. All of them call this with the same segmenter,
            settings and folder; a data module has `shared`, as `SceneDataModule`.

    Raises:
        ResumeError: there is nothing to resume in the folder.
        ConfigError: the learning rate is too high for the data, or a service takes no figures.
    """
    begun = read_checkpoint(folder) if settings.resume else None
    clock = RunClock(
        total_steps=1,
        budget_s=None if settings.max_minutes is None else settings.max_minutes * 60,
    )
    task = SegmentationTask(
        segmenter,
        clock,
        n_classes=settings.n_classes,
        groups=settings.groups or default_groups(segmenter),
        warmup=settings.warmup,
        loss=settings.loss,
        box_jitter_px=settings.box_jitter_px,
        tile_px=settings.tile_px,
        peers=peers,
    )
    # Steps are seeded; whoever called has a generator that must not notice.
    progress = progress or SilentProgress()
    with quiet_lightning(), interruptible(), workers_in_words(), torch.random.fork_rng(devices=[]):
        if begun is None and settings.readers_first and can_fit_first(segmenter):
            if peers.seat.is_first:  # DDP gives the others what it has
                # A task of its own: what it takes would spoil the time left of the training.
                with progress.task("First fit", total=1.0) as told:
                    fit_readers(segmenter, datamodule, settings.compute, settings.seed, task=told)
            clock.prepared_s = clock.elapsed_s
        with progress.task("Training", total=1.0) as shown:
            trainer = run_trainer(
                folder,
                settings.compute,
                [
                    ProgressReport(shown, clock, past=_past(folder, begun), seat=peers.seat),
                    *_make_callbacks(settings, folder, clock, peers),
                ],
                begun,
                tracking=settings.tracking,
                peers=peers,
                max_epochs=-1 if settings.epochs is None else settings.epochs,
                gradient_clip_val=settings.clip_norm,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
            )
            with _share(datamodule, peers.seat):
                if begun is not None:
                    # Workers draw ahead once their loader is iterated, and Lightning does that
                    # before it tells the sampler which epoch it resumes.
                    sampler: Any = datamodule.train_dataloader().sampler
                    sampler.set_epoch(begun["epoch"] + 1)
                trainer.fit(task, datamodule, ckpt_path=checkpoint_path(folder) if begun else None)
        return _finish(trainer, task, folder)


def _share(datamodule: LightningDataModule, seat: Seat) -> AbstractContextManager[Any]:
    """Inside this `with` block the loaders hand out this process's share."""
    module: Any = datamodule
    shared: AbstractContextManager[Any] = (
        nullcontext() if seat.of == 1 else module.shared(seat.number, seat.of)
    )
    return shared


def _make_callbacks(
    settings: FitSettings, folder: Path, clock: RunClock, peers: Peers
) -> list[Callback]:
    """Seeds, budget, patience, and the checkpoints last, so that they hold what the rest knows."""
    callbacks: list[Callback] = [StepSeeds(settings.seed, peers.seat), TimeBudget(clock)]
    if settings.samples is not None and peers.seat.is_first:
        # Before the budget, which has to know how long they take.
        callbacks.insert(0, SampleSheets(settings.samples, folder))
    if peers.seat.of > 1:
        callbacks.insert(0, SharedClock(clock, peers))
    if settings.log_health:
        callbacks.append(AdapterHealth())
    if settings.patience is not None:
        callbacks.append(
            Patience(
                VALIDATION_IOU,
                mode="max",
                patience=settings.patience,
                check_on_train_epoch_end=True,
            )
        )
    best = keeping(folder, _BEST, monitor=KEPT_EPOCH, mode="max", save_weights_only=True)
    return [*callbacks, best, keeping(folder)]


def _past(folder: Path, begun: dict[str, Any] | None) -> Past:
    """What the interrupted run has logged up to its checkpoint."""
    if begun is None:
        return Past()
    losses, ious = (logged(folder, name, begun["epoch"]) for name in (TRAIN_LOSS, VALIDATION_IOU))
    return Past(losses, ious)


def restore_best(segmenter: nn.Module, folder: Path) -> dict[str, Any]:
    """Put the best state of a run into its segmenter, on the CPU; what else is known of it."""
    best: dict[str, Any] = torch.load(
        checkpoint_path(folder, _BEST), map_location="cpu", weights_only=True
    )
    segmenter.load_state_dict(best["average"], strict=False)
    segmenter.eval()
    return best


def _finish(trainer: Trainer, task: SegmentationTask, folder: Path) -> FitResult:
    """Put the best state into the segmenter and say how the run went."""
    task.cpu()
    best = restore_best(task.segmenter, folder)
    iou = tuple(best["class_iou"])
    defined = [v for v in iou if v is not None]
    return FitResult(
        thresholds=tuple(best["thresholds"]),
        iou=iou,
        mean_iou=sum(defined) / len(defined) if defined else 0.0,
        kept_epoch=best["epoch"] + 1,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        seconds=task.clock.elapsed_s,
        seconds_before=task.clock.elapsed_before_s,
        stopped_by=_stop_reason(trainer, task.clock),
        log=csv_path(folder),
    )


def _stop_reason(trainer: Trainer, clock: RunClock) -> StopReason:
    """What ended the run."""
    if clock.out_of_time:
        return "time"
    stopper = trainer.early_stopping_callback
    return "patience" if stopper is not None and stopper.stopped_epoch > 0 else "epochs"
