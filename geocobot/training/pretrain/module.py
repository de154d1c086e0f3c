"""What Lightning trains: the parts of a base, on worlds and images drawn step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from geocobot.bands import NO_DATA_FILL
from geocobot.errors import ConfigError
from geocobot.synthetic.world.world import WorldBatch, draw_world
from geocobot.training.averaging import WeightAverage
from geocobot.training.groups import GroupSettings
from geocobot.training.pretrain.images import ImageBank
from geocobot.training.pretrain.model import Planes, PretrainedParts
from geocobot.training.pretrain.objectives import (
    Asked,
    agreement_loss,
    draw_boxes,
    hide,
    mask_loss,
    pixel_loss,
    world_loss,
)
from geocobot.training.schedule import RunClock
from geocobot.training.trainer import scheduled_adamw, step_seed

_SHARES = {"cover": 1.0, "dice": 0.5, "outline": 0.5, "shadow": 0.3, "height": 0.5, "tokens": 0.7}


@dataclass(frozen=True, kw_only=True)
class PretrainObjectives:
    """What a step asks, and how much every answer weighs.

    Attributes:
        worlds: made-up pictures per step.
        images: real crops per step; 0 without any.
        sides_px: sides of both; a step takes one of them, and as many pictures, boxes and crops as
            make up for it: their numbers are those of the first.
        boxes: objects per step that the mask decoder is asked for; 0 leaves it as it is.
        boxes_weight: of the mask decoder's error.
        pixels_weight: of the hidden pixels of real crops.
        agreement_weight: of the agreement with the average about real crops.
        hidden_share: of the squares of a real crop.
        hidden_px: side of these squares.
        agreement_after: share of the run before the average is worth listening to.
    """

    worlds: int
    images: int
    sides_px: tuple[int, ...]
    boxes: int
    boxes_weight: float
    pixels_weight: float
    agreement_weight: float
    hidden_share: float
    hidden_px: int
    agreement_after: float = 0.1

    def sized(self, generator: torch.Generator) -> PretrainObjectives:
        """The objectives of one step, of one side and with the numbers that go with it."""
        picked = int(torch.randint(len(self.sides_px), (), generator=generator))
        share = (self.sides_px[0] / self.sides_px[picked]) ** 2
        worlds, images, boxes = (
            max(1, round(share * n)) if n else 0 for n in (self.worlds, self.images, self.boxes)
        )
        side_px = (self.sides_px[picked],)
        return replace(self, worlds=worlds, images=images, boxes=boxes, sides_px=side_px)

    def weight(self, error: str) -> float:
        """What an error counts."""
        own = {
            "masks": self.boxes_weight,
            "pixels": self.pixels_weight,
            "agreement": self.agreement_weight,
        }
        return own[error] if error in own else _SHARES[error]


@dataclass(frozen=True)
class _Drawn:
    """What a step is made of.

    Attributes:
        shown: (B, 3, S, S), worlds first, then real crops with squares hidden.
        world: the truth about the worlds.
        asked: objects in the worlds.
        image: (b, 3, S, S) real crops as they are.
        hidden: (b, 1, S, S) bool.
    """

    shown: Tensor
    world: WorldBatch | None
    asked: Asked | None
    image: Tensor | None
    hidden: Tensor | None


class PretrainTask(LightningModule):
    """Trains the parts of a base.

    Args:
        parts: what is trained.
        bank: real pixels; None without any.
        objectives: what a step asks.
        clock: how far the run is.
        groups: learning rate and weight decay.
        warmup: share of the run over which the learning rate rises.
        seed: of everything drawn, together with the step.
    """

    def __init__(
        self,
        parts: PretrainedParts,
        bank: ImageBank | None,
        objectives: PretrainObjectives,
        clock: RunClock,
        *,
        groups: GroupSettings,
        warmup: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.bank = bank
        self.objectives = objectives
        self.clock = clock
        self.groups = groups
        self.warmup = warmup
        self.seed = seed
        self.average = WeightAverage(parts)
        self._sum: Tensor | None = None

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002 # Lightning's
        """Draw a batch and compute its loss."""
        generator = torch.Generator().manual_seed(step_seed(self.seed, self.global_step))
        wanted = self.objectives.sized(generator)
        drawn = self._draw(wanted, generator)
        planes, masks = self.parts(drawn.shown, drawn.asked.boxes if drawn.asked else None)
        errors: dict[str, Tensor] = {}
        if drawn.world is not None:
            errors |= world_loss(planes[: wanted.worlds], drawn.world)
        if masks is not None and drawn.asked is not None:
            errors["masks"] = mask_loss(masks, drawn.asked)
        if drawn.image is not None and drawn.hidden is not None:
            about_images = planes[wanted.worlds :]
            errors["pixels"] = pixel_loss(about_images, drawn.image, drawn.hidden)
            if self._is_taught:
                errors["agreement"] = agreement_loss(about_images, self._teach(drawn.image))
        loss = torch.stack([wanted.weight(name) * error for name, error in errors.items()]).sum()
        size = len(drawn.shown)
        for name, error in errors.items():
            self.log(name, error, on_step=True, on_epoch=False, batch_size=size)
        self.log("train_loss", loss, on_step=True, on_epoch=False, batch_size=size)
        # Added up, because a GPU would wait for whoever looks at it.
        self._sum = loss.detach() if self._sum is None else self._sum + loss.detach()
        return loss

    def on_train_epoch_end(self) -> None:
        """Look at the losses before they are written into a checkpoint.

        Raises:
            ConfigError: one of them is not a number any more.
        """
        if self._sum is not None and not torch.isfinite(self._sum):
            rates = self.groups
            raise ConfigError(
                "pretraining",
                f"lost its way before step {self.global_step} (a loss is {self._sum.item()})",
                f"The learning rate {rates.learning_rate:g}, or {rates.encoder_rate:g} of the "
                f"encoder, is too high",
                "Lower --learning-rate and --encoder-rate, and go on from the last checkpoint with "
                "--resume or start anew",
            )
        self._sum = None

    def _draw(self, wanted: PretrainObjectives, generator: torch.Generator) -> _Drawn:
        """Draw what a step needs."""
        device, (side_px,) = self.device, wanted.sides_px
        world, asked, image, hidden, shown = None, None, None, None, []
        with torch.autocast(device.type, enabled=False):
            if wanted.worlds:
                world = draw_world(generator, wanted.worlds, side_px, device)
                shown.append(world.image)
                asked = draw_boxes(world, wanted.boxes, generator) if wanted.boxes else None
            if self.bank is not None and wanted.images:
                image = self.bank.draw(generator, wanted.images, side_px, device)
                hidden = hide(image, wanted.hidden_share, wanted.hidden_px, generator)
                shown.append(image.masked_fill(hidden, NO_DATA_FILL))
        return _Drawn(torch.cat(shown), world, asked, image, hidden)

    @property
    def _is_taught(self) -> bool:
        """Whether the average has something to say already."""
        wanted = self.objectives
        progress = self.clock.progress(self.global_step)
        return wanted.agreement_weight > 0 and progress > wanted.agreement_after

    @torch.no_grad()
    def _teach(self, image: Tensor) -> Planes:
        """Answers of the averaged weights."""
        averages = {n: t.to(self.device) for n, t in self.average.state_dict().items()}
        planes, _ = torch.func.functional_call(self.parts, averages, (image,))
        answered: Planes = planes
        return answered

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 # Lightning's
        """Take the step into the average."""
        self.average.update(self.global_step)

    def configure_optimizers(self) -> Any:
        """AdamW on everything, with the run's schedule."""
        return scheduled_adamw(self.parts, self.groups, self.clock, self.warmup)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what this module knows beside the weights."""
        checkpoint["average"] = self.average.state_dict()
        checkpoint["elapsed_s"] = self.clock.elapsed_s

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set everything to where the interrupted run was."""
        self.average.load_state_dict(checkpoint["average"])
        self.clock.elapsed_before_s = float(checkpoint["elapsed_s"])
