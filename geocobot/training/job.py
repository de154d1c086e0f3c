"""What other processes need to train along, and how it reaches them: by a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from lightning.pytorch import LightningDataModule
from torch import nn

from geocobot.errors import MissingFileError, OutputError
from geocobot.training.fit import FitSettings
from geocobot.training.trainer import checkpoint_path

_NAME = "job"


@dataclass(frozen=True)
class Job:
    """The arguments of `fit`, for all processes the same.

    Attributes:
        segmenter: on the CPU.
        datamodule: of the whole data.
        settings: how to train.
        folder: of the run.
    """

    segmenter: nn.Module
    datamodule: LightningDataModule
    settings: FitSettings
    folder: Path

    @property
    def arguments(self) -> tuple[nn.Module, LightningDataModule, FitSettings, Path]:
        """In the order that `fit` takes them in."""
        return self.segmenter, self.datamodule, self.settings, self.folder

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read what `job_in` has written.

        Raises:
            MissingFileError: this machine does not see the file.
        """
        try:
            # It holds more than tensors, and lies in the run's own folder.
            return cast("Job", torch.load(path, weights_only=False))
        except FileNotFoundError as error:
            raise MissingFileError(
                path,
                "is not seen by one of the nodes that train",
                "All nodes share the folder of the run, scenes and labels, under the same paths",
                "Choose --out on a disk that all of them see",
            ) from error


@contextmanager
def job_in(folder: Path, job: Job) -> Iterator[Path]:
    """Keep a job as a file of a run during the `with` block.

    Among its checkpoints: where the run is killed, the file goes when they go.

    Raises:
        OutputError: it cannot be written.
    """
    path = checkpoint_path(folder.absolute(), _NAME)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(job, path)
        except (OSError, RuntimeError) as error:  # torch's of a full disk is no OSError
            raise OutputError(
                path,
                f"cannot be written ({str(error).splitlines()[0]})",
                "The processes that train read there what they need: the whole model, for a while",
                "Free the place, or choose another --out",
            ) from error
        yield path
    finally:
        path.unlink(missing_ok=True)
