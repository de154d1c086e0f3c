"""What a training needs, and how it reaches other processes that train along: by a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from lightning.pytorch import LightningDataModule
from torch import nn

from geocobot.errors import MissingFileError, OutputError
from geocobot.progress import Progress
from geocobot.training.fit import FitResult, FitSettings, fit
from geocobot.training.peers import ALONE, Peers
from geocobot.training.trainer import checkpoint_path

_NAME = "job"


@dataclass(frozen=True)
class Job:
    """What `fit` is asked to do, the same in all processes that train together.

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

    def done(self, progress: Progress | None = None, peers: Peers = ALONE) -> FitResult:
        """Train in this process.

        Args:
            progress: shows rate, loss and IoU.
            peers: the processes that train together.

        Raises:
            GeocobotError: whatever `fit` finds.
        """
        return fit(
            self.segmenter, self.datamodule, self.settings, self.folder, progress, peers=peers
        )

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read what `kept_in_file` has written.

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
def kept_in_file(job: Job) -> Iterator[Path]:
    """Keep a job as a file of its run during the `with` block.

    Among its checkpoints: where the run is killed, the file goes when they go.

    Raises:
        OutputError: it cannot be written.
    """
    job = replace(job, folder=job.folder.absolute())
    path = checkpoint_path(job.folder, _NAME)
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
