"""What a model makes of a few validation patches, epoch by epoch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.errors import OutputError
from geocobot.training.module import SegmentationTask
from geocobot.training.objectives import Batch

_log = logging.getLogger("geocobot.training")

SAMPLES_NAME = "samples"
"""Name of the folder of the pictures."""

MOST_SHEETS = 24
"""Pictures that a run leaves at most."""


@dataclass(frozen=True)
class Sample:
    """A validation patch and what the model says of it.

    Attributes:
        image: (C, H, W) float32.
        truth: (H, W) uint8 class numbers.
        valid: (H, W) bool, True where there is data.
        logits: (K, H, W) float32.
    """

    image: npt.NDArray[np.float32]
    truth: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]
    logits: npt.NDArray[np.float32]


class Draw(Protocol):
    """Draws samples below each other; it can be pickled."""

    def __call__(self, samples: Sequence[Sample], thresholds: Sequence[float], path: Path) -> None:
        """Write one PNG.

        Args:
            samples: at least one.
            thresholds: of the classes.
            path: of the file.

        Raises:
            OutputError: it cannot be written.
        """


@dataclass(frozen=True)
class Sampling:
    """Which validation patches are drawn after epochs, and by whom.

    Attributes:
        count: those with most labels; at least one.
        draw: draws them.
    """

    count: int
    draw: Draw


def sheet_name(epoch: int) -> str:
    """Name of the picture of an epoch, from 0; people count from 1."""
    return f"epoch_{epoch + 1:04}.png"


def sheet_stride(epoch: int) -> int:
    """After an epoch, from 0, those that are a multiple of this have a picture.

    It doubles where the pictures would be more than `MOST_SHEETS`, and follows from the epoch
    alone, so that a resumed run leaves the same pictures.
    """
    stride = 1
    while epoch // stride >= MOST_SHEETS:
        stride *= 2
    return stride


class SampleSheets(Callback):
    """Draws the same validation patches after one epoch and the next.

    Of several processes that train together the first one draws, of its own share of the patches.

    Args:
        sampling: how many, and who draws.
        folder: of the run; the pictures go into a folder there.
    """

    def __init__(self, sampling: Sampling, folder: Path) -> None:
        self.sampling = sampling
        self.folder = folder / SAMPLES_NAME
        self._places: set[tuple[int, int]] | None = None
        self._found: list[tuple[int, tuple[int, int], Sample]] = []
        self._failed = False

    def on_validation_batch_end(  # noqa: PLR0917 # Lightning's
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Keep the patches of a batch that are to be drawn."""
        epoch = trainer.current_epoch
        if self._failed or epoch % sheet_stride(epoch):
            return
        if self._places is None:
            self._choose(batch, outputs, batch_idx)
        else:
            for row in range(len(outputs)):
                if (batch_idx, row) in self._places:
                    sample = _sample(batch, outputs, row)
                    self._found.append((0, (batch_idx, row), sample))

    def _choose(self, batch: Batch, logits: Tensor, batch_idx: int) -> None:
        """Keep those patches of a batch that have most labels so far."""
        label = batch["label"]
        counts = ((label != BACKGROUND) & (label != IGNORE)).flatten(1).sum(1).tolist()
        for row, count in enumerate(counts):
            if len(self._found) < self.sampling.count or count > self._found[-1][0]:
                self._found.append((count, (batch_idx, row), _sample(batch, logits, row)))
                self._found.sort(key=lambda found: -found[0])
                del self._found[self.sampling.count :]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what was kept."""
        assert isinstance(pl_module, SegmentationTask)
        found, self._found = sorted(self._found, key=lambda found: found[1]), []
        if not found or pl_module.tuning is None:
            return
        self._places = {place for _, place, _ in found}
        samples = [sample for _, _, sample in found]
        path = self.folder / sheet_name(trainer.current_epoch)
        try:
            self._prepare(trainer.current_epoch)
            self.sampling.draw(samples, pl_module.tuning.thresholds, path)
        except OutputError as error:
            self._failed = True
            _log.warning("%s Training goes on without pictures of its epochs.", error)

    def _prepare(self, epoch: int) -> None:
        """Make the folder; remove pictures that are too many, or of epochs that come again."""
        try:
            self.folder.mkdir(exist_ok=True)
            keep = {sheet_name(e) for e in range(0, epoch + 1, sheet_stride(epoch))}
            for path in self.folder.glob("epoch_*.png"):
                if path.name not in keep:
                    path.unlink()
        except OSError as error:
            raise OutputError(
                self.folder,
                f"cannot be written to ({error.strerror})",
                "Pictures of the epochs go there",
                "Free the place, or pass --sample-patches 0",
            ) from error


def _sample(batch: Batch, logits: Tensor, row: int) -> Sample:
    """One patch of a batch, off the device."""
    return Sample(
        image=batch["image"][row].float().cpu().numpy(),
        truth=batch["label"][row].cpu().numpy().astype(np.uint8),
        valid=batch["valid"][row].cpu().numpy(),
        logits=logits[row].detach().float().cpu().numpy(),
    )
