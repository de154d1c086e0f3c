"""What all trainings share: a quiet trainer, its checkpoints, its optimizer, its seeds."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from geocobot.errors import OutputError, ResumeError
from geocobot.models.atomic import replacing
from geocobot.models.precision import Compute
from geocobot.training.groups import GroupSettings, parameter_groups
from geocobot.training.logs import make_loggers
from geocobot.training.peers import ALONE, Peers
from geocobot.training.schedule import RunClock, learning_rate_factor
from geocobot.training.trackers import Tracking

_log = logging.getLogger("geocobot.training")

_CHECKPOINTS, _LAST = "checkpoints", "last"

# A prime, so that the steps of one run stay apart from those of runs with other seeds.
_SEED_STRIDE = 1_000_003


def step_seed(seed: int, step: int) -> int:
    """The seed of one step of a run, so that a resumed run draws what it would have drawn.

    Args:
        seed: of the run.
        step: optimizer steps done before it.
    """
    return (seed * _SEED_STRIDE + step) % 2**63


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a training that can be resumed."""
    return checkpoint_path(folder).is_file()


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint of an interrupted run.

    Raises:
        ResumeError: there is none in the folder, or it is broken.
    """
    if not has_checkpoint(folder):
        raise ResumeError(
            folder,
            "holds no interrupted training (no checkpoint was written, or it is finished)",
            "--resume continues a run that was stopped after its first checkpoint",
            "Repeat the command without --resume, with -f to replace what is there",
        )
    path = checkpoint_path(folder)
    try:
        begun: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ResumeError(
            path,
            f"cannot be read ({_first_line(error)})",
            "--resume continues with the last checkpoint of a run",
            "Start anew with --overwrite (-f)",
        ) from error
    _log.info("Resuming after epoch %d, step %d.", begun["epoch"] + 1, begun["global_step"])
    return begun


def remove_checkpoints(folder: Path) -> None:
    """Remove what was kept for a resume."""
    shutil.rmtree(folder / _CHECKPOINTS)


def checkpoint_path(folder: Path, name: str = _LAST) -> Path:
    """The file of a checkpoint of that name, see `keeping`; by itself the one to resume from."""
    return folder / _CHECKPOINTS / f"{name}.ckpt"


def keeping(folder: Path, name: str = _LAST, **which: Any) -> ModelCheckpoint:
    """Write a checkpoint at the end of epochs.

    Args:
        folder: of the run.
        name: of the file; "last" is the one to resume from.
        which: Lightning's options of what is kept; the last epoch without any.
    """
    return ModelCheckpoint(
        dirpath=folder / _CHECKPOINTS,
        filename=name,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        **which,
    )


class _Beside(TorchCheckpointIO):
    """Writes checkpoints beside their places and renames them.

    Lightning's way leads through the folder for temporary files, which may be small; and where
    that is another disk, who is killed at the end has half a file in place of a whole one.
    """

    def save_checkpoint(
        self,
        checkpoint: Mapping[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any = None,  # noqa: ARG002 # others have some
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: what Lightning keeps.
            path: of the file.
            storage_options: none are known.

        Raises:
            OutputError: it cannot be written; that of the epoch before is there.
        """
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary, temporary.open("wb") as opened:
                torch.save(dict(checkpoint), opened)
                opened.flush()
                os.fsync(opened.fileno())
        except (OSError, RuntimeError) as error:  # torch makes its own of a full disk
            raise OutputError(
                target,
                f"cannot be written ({_first_line(error)})",
                "What an interrupted training goes on with is kept after every epoch",
                "Free some space, and repeat the command with --resume",
            ) from error


def _first_line(error: Exception) -> str:
    """What an error says in short."""
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0]


def run_trainer(
    folder: Path,
    compute: Compute,
    callbacks: Sequence[Callback],
    begun: dict[str, Any] | None,
    *,
    log_every: int = 1,
    tracking: Tracking | None = None,
    peers: Peers = ALONE,
    **how: Any,
) -> Trainer:
    """A quiet trainer on one device, or on that of one of several processes.

    Args:
        folder: of the run; logs go there.
        compute: where, and how exactly.
        callbacks: in this order.
        begun: checkpoint of the interrupted run; None starts anew.
        log_every: steps from one row of the logs to the next.
        tracking: where the figures go beside the CSV file; None sends them to TensorBoard.
        peers: the processes that train together; gradients are averaged over them.
        how: Lightning's options of this kind of training, its end among them.

    Raises:
        ConfigError: a service takes no run.
    """
    seat = peers.seat
    return Trainer(
        accelerator="gpu" if compute.device.type == "cuda" else "cpu",
        devices=seat.devices,
        num_nodes=seat.nodes,
        strategy=DDPStrategy() if seat.of > 1 else "auto",
        plugins=[peers.environment(), _Beside()],
        precision="bf16-mixed" if compute.precision == "bfloat16" else "32-true",
        callbacks=list(callbacks),
        logger=_loggers(folder, tracking, begun) if seat.is_first else False,
        log_every_n_steps=log_every,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **how,
    )


def _loggers(folder: Path, tracking: Tracking | None, begun: dict[str, Any] | None) -> list[Logger]:
    """The logs of a run, as far as its checkpoint goes."""
    return make_loggers(
        folder,
        tracking or Tracking(),
        resumed_epoch=begun["epoch"] if begun else None,
        resumed_step=begun["global_step"] if begun else 0,
    )


def scheduled_adamw(
    model: nn.Module, groups: GroupSettings, clock: RunClock, warmup: float
) -> dict[str, Any]:
    """AdamW on what is trained, with the run's schedule, as Lightning wants it.

    Args:
        model: what is trained.
        groups: peak learning rates and weight decays.
        clock: how far the run is.
        warmup: share of the run over which the learning rate rises.
    """
    optimizer = torch.optim.AdamW(parameter_groups(model, groups), lr=groups.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        # Ahead by half a step, so that neither the first nor the last step is wasted.
        lambda step: learning_rate_factor(clock.progress(step + 0.5), warmup),
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C stay a KeyboardInterrupt: Lightning makes a SystemExit of it and turns it off."""
    try:
        on_main_thread = signal.getsignal(signal.SIGINT)
        yield
    except SystemExit as exit_:
        if isinstance(exit_.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, on_main_thread)
            raise KeyboardInterrupt from None
        raise
