"""What a batch asks of a segmenter and what its answer is worth: without prompts, or with boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from geocobot.classes import IGNORE
from geocobot.data.dataset import INTERIOR
from geocobot.models.segmenter import Segmenter
from geocobot.models.tiled import InTiles
from geocobot.training.boxes import Objects, find_objects, fresh_dice, steady_dice
from geocobot.training.losses import SegmentationLoss

Criterion: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits (B, K, H, W), label (B, H, W) and valid (B, H, W) to a loss ()."""

# Boxes of one image in a training step, and boxes of a batch that are asked for at once in
# validation: what bounds the memory, because every box has attention and a mask of its own.
_MOST_BOXES = 16
_CHUNK = 16

_INSIDE_WEIGHT = 0.5
_INSIDE_LOSS = SegmentationLoss()

# The logit of a class where none of its boxes has a say.
_SILENT = -20.0


class Batch(Protocol):
    """What the data module hands out: see `data.dataset.SceneDataset`."""

    def __getitem__(self, name: str) -> Tensor:
        """Get image (B, C, H, W) float32, label (B, H, W) int64, valid or `INTERIOR` (B, H, W)."""


class Judged(NamedTuple):
    """A batch of validation patches, answered.

    Attributes:
        logits: (B, K, H, W), one plane per class.
        loss: ().
    """

    logits: Tensor
    loss: Tensor


class Objective(Protocol):
    """How a segmenter is trained and judged."""

    def loss(self, batch: Batch) -> Tensor:
        """The loss () of a batch of training patches."""

    def judge(self, batch: Batch) -> Judged:
        """The answer to a batch of validation patches; always the same for the same weights."""


class ClassPlanes:
    """Asks without prompts for the planes of all classes at once.

    Args:
        segmenter: (B, C, H, W) image to (B, K, H, W) logits.
        criterion: of these planes.
        tile_px: largest side that is shown at once; None shows all.
    """

    def __init__(
        self, segmenter: nn.Module, criterion: Criterion, tile_px: int | None = None
    ) -> None:
        self.segmenter = InTiles(segmenter, tile_px)
        self.criterion = criterion

    def loss(self, batch: Batch) -> Tensor:
        """The loss () of a batch."""
        return self.judge(batch).loss

    def judge(self, batch: Batch) -> Judged:
        """The planes of a batch and their loss."""
        logits = self.segmenter(batch["image"])
        return Judged(logits, self.criterion(logits, batch["label"], batch["valid"]))


class ObjectPlanes(ClassPlanes):
    """Asks for the insides of single objects as well, the last plane.

    Args:
        segmenter: (B, C, H, W) image to (B, K + 1, H, W) logits.
        criterion: of the planes of the classes; the last plane costs half of what binary
            cross-entropy and soft Dice make of it.
        tile_px: as for `ClassPlanes`.
    """

    def judge(self, batch: Batch) -> Judged:
        """The planes of the classes, and the loss of all planes."""
        logits = self.segmenter(batch["image"])
        planes, insides = logits[:, :-1], logits[:, -1:]
        label, valid = batch["label"], batch["valid"]
        inside = batch[INTERIOR].to(label.dtype).masked_fill(label == IGNORE, IGNORE)
        loss = self.criterion(planes, label, valid)
        return Judged(planes, loss + _INSIDE_WEIGHT * _INSIDE_LOSS(insides, inside, valid))


class BoxMasks:
    """Asks with a box around every labelled object for the mask of that object.

    Args:
        segmenter: with a head that wants boxes.
        criterion: of the mask of one object, as the only class in its image.
        jitter_px: how far a side of a box moves at most.
    """

    def __init__(self, segmenter: Segmenter, criterion: Criterion, jitter_px: float) -> None:
        self.segmenter = segmenter
        self.criterion = criterion
        self.prompted = BoxesFromLabels(segmenter, jitter_px)
        self.jitter_px = jitter_px

    def loss(self, batch: Batch) -> Tensor:
        """The loss () of a batch, averaged over objects; 0, with a gradient of 0, without any."""
        image, label = batch["image"], batch["label"]
        objects = find_objects(label).drawn(_MOST_BOXES)
        if not len(objects):
            return next(self.segmenter.head.parameters()).sum() * 0.0
        objects = objects.jittered(fresh_dice(objects), self.jitter_px).to(image.device)
        masks = self.segmenter(image, objects.boxes)
        return torch.stack(self._losses(objects, masks, batch)).mean()

    def judge(self, batch: Batch) -> Judged:
        """The planes that the masks of all objects add up to, and the loss of the masks."""
        image, label = batch["image"], batch["label"]
        planes, losses = self.prompted.no_planes(image), [image.new_zeros(())]
        for objects, masks in self.prompted.masks(image, label):
            paint(planes, objects, masks)
            losses += self._losses(objects, masks, batch)
        return Judged(planes, torch.stack(losses).sum() / max(1, len(losses) - 1))

    def _losses(self, objects: Objects, masks: Tensor, batch: Batch) -> list[Tensor]:
        """The loss () of each mask by itself, so that small objects weigh as much as large ones."""
        label, valid = batch["label"], batch["valid"]
        return [
            self.criterion(
                mask[None, None],
                objects.label_of(i, label)[None],
                valid[objects.boxes.image[i]][None],
            )
            for i, mask in enumerate(masks)
        ]


class BoxesFromLabels(nn.Module):
    """A segmenter that wants boxes, asked with those of the labels that it is judged by.

    Args:
        segmenter: with a head that wants boxes.
        jitter_px: how far a side of a box moves at most.
    """

    def __init__(self, segmenter: Segmenter, jitter_px: float) -> None:
        super().__init__()
        if segmenter.config is None:
            raise ValueError("a segmenter without a configuration does not say its classes")
        self.segmenter = segmenter
        self.n_classes = segmenter.config.head.n_classes
        self.jitter_px = jitter_px

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """Combine the masks of all labelled objects.

        Args:
            image: (B, 3, H, W) as `Segmenter` takes it.
            label: (B, H, W) class numbers.

        Returns:
            (B, K, H, W) logits: the largest of a class's objects; very low without objects.
        """
        planes = self.no_planes(image)
        for objects, masks in self.masks(image, label):
            paint(planes, objects, masks)
        return planes

    def masks(self, image: Tensor, label: Tensor) -> Iterator[tuple[Objects, Tensor]]:
        """Yield some objects at a time with their masks (n, H, W); the encoder runs once."""
        objects = find_objects(label)
        if not len(objects):
            return
        objects = objects.jittered(steady_dice(objects, label), self.jitter_px).to(image.device)
        features, normalized = self.segmenter.encode(image)
        for start in range(0, len(objects), _CHUNK):
            chunk = objects[start : start + _CHUNK]
            yield chunk, self.segmenter.head(features, normalized, chunk.boxes).float()

    def no_planes(self, image: Tensor) -> Tensor:
        """Planes (B, K, H, W) float32 on which there is nothing yet."""
        shape = (len(image), self.n_classes, *image.shape[-2:])
        return torch.full(shape, _SILENT, device=image.device)


def paint(planes: Tensor, objects: Objects, masks: Tensor) -> None:
    """Put masks on the planes of their classes, the largest logit on top.

    Args:
        planes: (B, K, H, W), changed in place.
        objects: N of them.
        masks: (N, H, W) logits.
    """
    places = zip(objects.boxes.image.tolist(), objects.boxes.plane.tolist(), masks, strict=True)
    for image, plane, mask in places:
        planes[image, plane] = torch.maximum(planes[image, plane], mask)


def make_objective(
    segmenter: nn.Module,
    criterion: Criterion,
    box_jitter_px: float,
    tile_px: int | None = None,
) -> Objective:
    """The objective that fits a segmenter.

    Args:
        segmenter: what is trained.
        criterion: of planes or masks.
        box_jitter_px: how far a side of a box moves at most, where there are boxes.
        tile_px: largest side that is shown at once, where there are none; None shows all.
    """
    if isinstance(segmenter, Segmenter) and segmenter.prompt == "boxes":
        return BoxMasks(segmenter, criterion, box_jitter_px)
    separates = isinstance(segmenter, Segmenter) and segmenter.separates
    return (ObjectPlanes if separates else ClassPlanes)(segmenter, criterion, tile_px)
