"""Services that take the figures of a run: TensorBoard, Weights & Biases, MLflow.

All of them by Lightning's own loggers. Addresses and keys come from the environment variables and
files that each service has for them.
"""

from __future__ import annotations

import importlib
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from geocobot.config.values import LoggerName
from geocobot.errors import ConfigError

_log = logging.getLogger("geocobot.training")

TENSORBOARD: Final = "tensorboard"
"""Name of TensorBoard, and of its folder among the logs."""

_PROJECT = "geocobot"
# Each row is a request that training waits for.
_MLFLOW_EVERY = 10
# Nothing of the terminal, which shows paths, and of the sources leaves the machine.
_WANDB_SETTINGS = {"console": "off", "silent": True, "disable_git": True}
_REMEDIES = {
    TENSORBOARD: "See that the folder of the run can be written to, and repeat the command",
    "wandb": "See that the machine reaches the service, or set WANDB_MODE=offline, and repeat the "
    "command",
    "mlflow": "Set MLFLOW_TRACKING_URI to the address of a server or a database, and repeat the "
    "command",
}


@dataclass(frozen=True)
class Tracking:
    """Where the figures of a run go beside the CSV file.

    Attributes:
        names: of the services; "csv" adds none.
        title: of the run.
        options: what the run was asked for, primitives without passwords.
    """

    names: tuple[LoggerName, ...] = (TENSORBOARD,)
    title: str = "run"
    options: Mapping[str, Any] = field(default_factory=dict)


def check_trackers(names: tuple[LoggerName, ...]) -> None:
    """Find out whether services can be used, as far as that is known before a run.

    Raises:
        ConfigError: a package is missing, or nobody is logged in.
    """
    if "mlflow" in names:
        _package("mlflow", "mlflow")
    if "wandb" in names:
        wandb = _package("wandb", "Weights & Biases")
        is_online = wandb.setup().settings.mode in {"online", "shared"}
        # Asked for a key in the middle of a run, nobody may be there to answer.
        if is_online and not wandb.login(prompt=False):
            raise ConfigError(
                "--logger wandb",
                "finds no key for Weights & Biases",
                "The service takes figures of those who are logged in",
                "Run: wandb login, or set WANDB_API_KEY; WANDB_MODE=offline keeps the figures on "
                "this machine",
            )


def _package(name: str, service: str) -> Any:
    """The client of a service.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--logger {name}",
            f"needs a package that is not installed ({error.name})",
            f"The figures go to {service} by its own client",
            f"Install it: pip install 'geocobot[{name}]'",
        ) from error


def open_trackers(
    tracking: Tracking, folder: Path, *, resumed: bool, resumed_step: int
) -> list[Logger]:
    """Open the services.

    Args:
        tracking: which ones.
        folder: of the run's logs.
        resumed: whether an interrupted run goes on; it stays one run there.
        resumed_step: first step after the checkpoint; TensorBoard forgets what it had of later
            ones, the others have these twice.

    Raises:
        ConfigError: one of them takes no run.
    """
    makers: dict[str, Callable[[], Logger]] = {
        TENSORBOARD: lambda: TensorBoardLogger(
            folder.parent,
            name=folder.name,
            version=TENSORBOARD,
            default_hp_metric=False,
            purge_step=resumed_step if resumed else None,
        ),
        "wandb": lambda: _open_wandb(tracking, folder, resumed=resumed),
        "mlflow": lambda: _open_mlflow(tracking, folder, resumed=resumed),
    }
    wanted = dict.fromkeys(name for name in tracking.names if name in makers)
    return [_opened(name, makers[name]) for name in wanted]


def _opened(name: str, make: Callable[[], Logger]) -> Logger:
    """A service that has taken the run.

    Raises:
        ConfigError: it has not.
    """
    try:
        return make()
    except Exception as error:  # whatever a service and the way to it make of it
        raise ConfigError(
            f"--logger {name}",
            f"begins no run ({str(error).strip().splitlines()[0] if str(error) else error!r})",
            "The service takes the figures while training goes on",
            _REMEDIES[name],
        ) from error


def _open_wandb(tracking: Tracking, folder: Path, *, resumed: bool) -> Logger:
    """Begin a run at Weights & Biases, or go on with it."""
    known = _known_id(folder, "wandb", resumed=resumed)
    logger = _Wandb(
        name=tracking.title,
        project=os.environ.get("WANDB_PROJECT", _PROJECT),
        save_dir=folder,
        id=known or uuid.uuid4().hex,
        settings=_WANDB_SETTINGS,
    )
    run = logger.experiment
    _keep_id(folder, "wandb", run.id)
    if known is None:
        logger.log_hyperparams(dict(tracking.options))
    if not run.offline and run.url:
        _log.info("Weights & Biases: %s", run.url)
    return logger


def _open_mlflow(tracking: Tracking, folder: Path, *, resumed: bool) -> Logger:
    """Begin a run at MLflow, or go on with it."""
    known = _known_id(folder, "mlflow", resumed=resumed)
    logger = _MLflow(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT),
        run_name=tracking.title,
        tracking_uri=importlib.import_module("mlflow").get_tracking_uri(),
        run_id=known,
    )
    assert logger.run_id is not None
    _keep_id(folder, "mlflow", logger.run_id)
    if known is None:
        logger.log_hyperparams(dict(tracking.options))
    return logger


class _Wandb(WandbLogger):
    """Ends its run with the training: the folder is moved then, and a program may train again."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        # Unset as it is, it makes wandb warn of it.
        self._wandb_init.pop("anonymous", None)

    def finalize(self, status: str) -> None:
        """End the run."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


class _MLflow(MLFlowLogger):
    """Sends some steps and every epoch; a server that is lost does not end a training."""

    _is_lost = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send figures of a step or an epoch."""
        is_step = "train_loss" in metrics
        if self._is_lost or (is_step and (step or 0) % _MLFLOW_EVERY):
            return
        self._tried(lambda: super(_MLflow, self).log_metrics(metrics, step))

    def finalize(self, status: str = "success") -> None:
        """End the run."""
        if not self._is_lost:
            self._tried(lambda: super(_MLflow, self).finalize(status))

    def _tried(self, send: Callable[[], None]) -> None:
        """Send something, and do not ask again where that fails."""
        try:
            send()
        except Exception as error:  # whatever a service and the way to it make of it
            self._is_lost = True
            _log.warning(
                "MLflow takes no figures any more (%s): training goes on without it. They are in "
                "the run's folder, too.",
                error,
            )


def _known_id(folder: Path, name: str, *, resumed: bool) -> str | None:
    """What a service calls the run that is resumed; None for a new one."""
    path = folder / f"{name}.id"
    return path.read_text("utf-8") if resumed and path.is_file() else None


def _keep_id(folder: Path, name: str, number: str) -> None:
    """Remember what a service calls the run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.id").write_text(number, encoding="utf-8")
