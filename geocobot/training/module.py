"""What Lightning trains: a segmenter with its loss, optimizer and validation."""

from __future__ import annotations

from typing import Any, Final, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from geocobot.classes import IGNORE
from geocobot.data.module import SceneDataModule
from geocobot.errors import ConfigError
from geocobot.training.averaging import WeightAverage
from geocobot.training.groups import GroupSettings
from geocobot.training.losses import SegmentationLoss, sample_errors
from geocobot.training.objectives import Batch, make_objective
from geocobot.training.peers import ALONE, Peers
from geocobot.training.schedule import RunClock
from geocobot.training.thresholds import ScoreHistograms, Tuning
from geocobot.training.trainer import scheduled_adamw

TRAIN_LOSS: Final = "train_loss"
"""Name of the loss of a step."""

VALIDATION_IOU: Final = "val_iou"
"""Name of the mean IoU on the validation blocks."""

KEPT_EPOCH: Final = "kept_epoch"
"""Name of the figure that decides which epoch is kept: its number, or -1 where it is not."""


class SegmentationTask(LightningModule):
    """Trains a segmenter; keeps the frozen weights out of its checkpoints.

    What is validated is the running average of the trained weights.

    Args:
        segmenter: (B, C, H, W) image to (B, K, H, W) logits, or one that wants boxes as well.
        clock: how far the run is; its total is set when training starts.
        n_classes: K.
        groups: peak learning rates and weight decays.
        warmup: share of the run over which the learning rate rises.
        loss: what is lowered.
        box_jitter_px: how far a side of a box moves at most, where the segmenter wants boxes.
        tile_px: side of the tiles that validation samples are shown in, as the model will map with
            them; None shows them whole.
        peers: the processes that train together.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        clock: RunClock,
        *,
        n_classes: int,
        groups: GroupSettings,
        warmup: float,
        loss: SegmentationLoss,
        box_jitter_px: float = 0.0,
        tile_px: int | None = None,
        peers: Peers = ALONE,
    ) -> None:
        super().__init__()
        # Lightning loads checkpoints weights-only: primitives alone survive that.
        others = ["segmenter", "clock", "groups", "loss", "peers"]
        self.save_hyperparameters(ignore=others, logger=False)
        self.segmenter = segmenter
        self.clock = clock
        self.n_classes = n_classes
        self.groups = groups
        self.warmup = warmup
        self.objective = make_objective(segmenter, loss, box_jitter_px, tile_px)
        self.strict_loading = False
        self.peers = peers
        self.average = WeightAverage(segmenter)
        self.histograms = self._no_scores()
        self.tuning: Tuning | None = None
        self.best_iou, self.best_error = -1.0, 0.0
        self._noted: list[tuple[dict[str, Tensor], Tensor]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002 # Lightning's
        """Compute the loss of a batch.

        Raises:
            ConfigError: the loss is not a number any more.
        """
        loss = self._learn(batch)
        # Over all processes, or only one of them would stop.
        mean_loss = self.peers.mean(loss)
        if not torch.isfinite(mean_loss):
            raise ConfigError(
                "training",
                f"lost its way at step {self.global_step} (the loss is {mean_loss.item()})",
                f"The learning rate {self.groups.learning_rate:g} is too high for this data",
                "Lower --learning-rate",
            )
        size = len(batch["image"])
        self.log(TRAIN_LOSS, mean_loss, on_step=True, on_epoch=False, batch_size=size)
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log("learning_rate", rate, on_step=True, on_epoch=False, batch_size=size)
        return loss if self.peers.seat.of == 1 else self._reaching_all(loss)

    def _reaching_all(self, loss: Tensor) -> Tensor:
        """The loss, with a gradient of 0 for what it does not reach.

        The mean over processes waits for a gradient of everything that is trained, and a batch
        without an object reaches next to nothing where boxes ask.
        """
        trained = (p for p in self.segmenter.parameters() if p.requires_grad)
        return loss + 0.0 * torch.stack([p.sum() for p in trained]).sum()

    def _learn(self, batch: Batch) -> Tensor:
        """The loss of a batch; the errors of its patches are kept where somebody wants them."""
        if self._errors_wanted_by() is None:
            return self.objective.loss(batch)
        logits, loss = self.objective.judge(batch)
        errors = sample_errors(logits.detach(), batch["label"], batch["valid"])
        self._noted.append(({name: batch[name] for name in ("scene", "window")}, errors))
        return loss

    def _errors_wanted_by(self) -> SceneDataModule | None:
        """The data module, if it draws patches by their errors."""
        module: Any = getattr(self.trainer, "datamodule", None)
        return module if isinstance(module, SceneDataModule) and module.wants_errors else None

    def on_train_epoch_end(self) -> None:
        """Tell the errors of the epoch, waiting for a GPU once."""
        module = self._errors_wanted_by()
        if module is not None:
            noted = [(_on_cpu(places), errors.tolist()) for places, errors in self._noted]
            # Step by step, as one process would have noted them.
            for step in zip(*self.peers.gathered(noted), strict=True):
                for places, errors in step:
                    module.note_errors(places, errors)
            self._noted.clear()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 # Lightning's
        """Take the step into the average."""
        self.average.update(self.global_step)

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of the epoch before; judge the average."""
        self.histograms = self._no_scores()
        self.average.swap()

    def _no_scores(self) -> ScoreHistograms:
        """Histograms that number the samples of this process as one process would."""
        seat = self.peers.seat
        return ScoreHistograms(self.n_classes, first=seat.number, step=seat.of)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002 # Lightning's
        """Count the scores of a batch; its logits (B, K, H, W) are for callbacks."""
        logits, loss = self.objective.judge(batch)
        self.histograms.add(logits, batch["label"], batch["valid"])
        if self.peers.seat.of == 1:
            self.log("val_loss", loss, batch_size=len(logits))
        else:  # of a process that has no block of its own to judge it does not count
            judged = int((batch["label"] != IGNORE).flatten(1).any(dim=1).sum())
            self.log("val_loss", loss, batch_size=judged, sync_dist=True)
        return logits

    def on_validation_epoch_end(self) -> None:
        """Tune the thresholds and log the IoU that they give; go on with the weights themselves.

        A few blocks prefer an epoch by chance, often the first ones. So the latest epoch is kept
        that is within one standard error of the best: many blocks tell epochs apart, and where
        they cannot, the end of the schedule is the better guess.
        """
        self.average.swap()
        self.histograms.counts = self.peers.total(self.histograms.counts)
        self.tuning = self.histograms.tune()
        mean_iou = self.tuning.mean_iou
        if mean_iou > self.best_iou:
            self.best_iou, self.best_error = mean_iou, self.tuning.mean_error
        is_kept = mean_iou >= self.best_iou - self.best_error
        self.log(KEPT_EPOCH, float(self.current_epoch if is_kept else -1))
        self.log(VALIDATION_IOU, mean_iou)
        for number, iou in enumerate(self.tuning.iou, start=1):
            if iou is not None:
                self.log(f"{VALIDATION_IOU}_{number}", iou)

    def configure_optimizers(self) -> Any:
        """AdamW on what is trained, with the run's schedule."""
        self.clock.total_steps = self.trainer.estimated_stepping_batches
        return scheduled_adamw(self.segmenter, self.groups, self.clock, self.warmup)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out the frozen weights; add all else that this module knows."""
        frozen = {n for n, p in self.named_parameters() if not p.requires_grad}
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {n: v for n, v in state.items() if n not in frozen}
        checkpoint["average"] = self.average.state_dict()
        checkpoint["best"] = [self.best_iou, self.best_error]
        checkpoint["elapsed_s"] = self.clock.elapsed_s
        checkpoint["prepared_s"] = self.clock.prepared_s
        if self.tuning is not None:
            checkpoint["thresholds"] = list(self.tuning.thresholds)
            checkpoint["class_iou"] = list(self.tuning.iou)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set everything to where the interrupted run was."""
        self.best_iou, self.best_error = checkpoint["best"]
        self.average.load_state_dict(checkpoint["average"])
        self.clock.elapsed_before_s = cast("float", checkpoint["elapsed_s"])
        self.clock.prepared_s = cast("float", checkpoint["prepared_s"])


def _on_cpu(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a batch where every process can have them."""
    return {name: tensor.cpu() for name, tensor in batch.items()}
