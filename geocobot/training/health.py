"""Whether training stays stable: condition numbers of COBOT's matrices, and jumps of the loss."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from geocobot.adapters.health import condition_numbers
from geocobot.training.module import SegmentationTask

_WINDOW_STEPS = 50
_SPIKE_FACTOR = 2.0
_LEAST_STEPS = 10


class AdapterHealth(Callback):
    """Logs, epoch by epoch, how well-conditioned S and W are and how often the loss jumped.

    A spike is a loss above twice the median of the fifty before it.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_WINDOW_STEPS)
        self._spikes = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Count anew."""
        self._spikes = 0

    def on_train_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Compare the loss with those before it."""
        loss = float(outputs["loss"])
        if len(self._recent) >= _LEAST_STEPS and loss > _SPIKE_FACTOR * median(self._recent):
            self._spikes += 1
        self._recent.append(loss)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Log the figures of the epoch."""
        if isinstance(pl_module, SegmentationTask):
            figures = condition_numbers(pl_module.segmenter)
            pl_module.log_dict({**figures, "loss_spikes": float(self._spikes)})
