"""Logs of a run by Lightning's loggers, and Lightning's own chatter kept down."""

from __future__ import annotations

import csv
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger

from geocobot.training.trackers import TENSORBOARD, Tracking, open_trackers

_FOLDER = "logs"
_CSV = "csv"

# Advice that does not fit us: patches are cut from one open file, and an epoch is short on purpose.
_UNFITTING_ADVICE = (
    ".*treespec, LeafSpec.*is deprecated.*",  # between Lightning and torch, from torch 2.8 on
    ".*does not have many workers.*",
    ".*The number of training batches.*is smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*GPU available but not used.*",
    ".*You're resuming from a checkpoint that ended before the epoch ended.*",
    ".*The dirpath has changed from.*",
    ".*recommended to use `self.log.*sync_dist=True.*",  # all processes log the same there
    ".*Grad strides do not match bucket view strides.*",  # of 1 x 1 kernels, which are few
)


def csv_path(folder: Path) -> Path:
    """Where the CSV log of a run is."""
    return folder / _FOLDER / _CSV / "metrics.csv"


def make_loggers(
    folder: Path, tracking: Tracking, *, resumed_epoch: int | None, resumed_step: int
) -> list[Logger]:
    """Open the logs of a run.

    Args:
        folder: of the run.
        tracking: where the figures go beside the CSV file.
        resumed_epoch: last epoch, from 0, that the checkpoint holds; what was logged after it is
            cut off. None starts anew.
        resumed_step: first step after the checkpoint.

    Raises:
        ConfigError: a service takes no run.
    """
    kept = _rows_up_to(csv_path(folder), resumed_epoch)
    for old in (_CSV, *([] if kept else [TENSORBOARD])):
        shutil.rmtree(folder / _FOLDER / old, ignore_errors=True)
    table = CSVLogger(folder, name=_FOLDER, version=_CSV)
    table.experiment.metrics.extend(kept)
    others = open_trackers(
        tracking, folder / _FOLDER, resumed=bool(kept), resumed_step=resumed_step
    )
    return [table, *others]


def logged(folder: Path, name: str, epoch: int) -> tuple[float, ...]:
    """What a run has logged of a figure up to an epoch, from 0, oldest first."""
    rows = _rows_up_to(csv_path(folder), epoch)
    return tuple(float(row[name]) for row in rows if name in row)


def _rows_up_to(path: Path, epoch: int | None) -> list[dict[str, float]]:
    """Rows of a CSV log up to an epoch; none where there is no epoch or no log."""
    if epoch is None or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            {name: value for name, value in row.items() if value} for row in csv.DictReader(file)
        ]
    # Left as text: rewritten as it was read, digit for digit.
    return [row for row in rows if int(row["epoch"]) <= epoch]  # type: ignore[misc]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's tips and unfitting advice from the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _UNFITTING_ADVICE:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
