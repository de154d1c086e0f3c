"""Boxes from labels: one around every labelled object, each side where a hand might put it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.models.boxes import Boxes
from geocobot.tracing.components import Components

_MIN_PX = 4
"""Smaller objects get no box: slivers that the edge of a patch cut off, mostly."""


@dataclass(frozen=True)
class Objects:
    """The labelled objects of a batch with a box around each, image by image.

    Attributes:
        boxes: N boxes.
        component: (N,) int64, number of each object in `components` of its image.
        components: (B, H, W) int64.
    """

    boxes: Boxes
    component: Tensor
    components: Tensor

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.boxes)

    def __getitem__(self, index: Tensor | slice) -> Objects:
        """Take some of the objects."""
        return Objects(self.boxes[index], self.component[index], self.components)

    def to(self, device: torch.device) -> Objects:
        """Move everything."""
        return Objects(self.boxes.to(device), self.component.to(device), self.components.to(device))

    def drawn(self, most: int) -> Objects:
        """Draw so many objects of each image by torch's global generator, or all if there are less.

        Args:
            most: of one image.
        """
        kept = []
        for image in range(len(self.components)):
            own = torch.nonzero(self.boxes.image == image)[:, 0]
            kept.append(own[torch.randperm(len(own))[:most]])
        return self[torch.cat(kept)]

    def jittered(self, dice: Tensor, most_px: float) -> Objects:
        """Move the sides of all boxes, see `move_sides`."""
        height, width = self.components.shape[-2:]
        corners = move_sides(self.boxes.corners, dice, most_px, (height, width))
        return replace(self, boxes=replace(self.boxes, corners=corners))

    def label_of(self, position: int, label: Tensor) -> Tensor:
        """What is right for the mask of one object.

        Args:
            position: of the object.
            label: (B, H, W) class numbers that the objects came from.

        Returns:
            (H, W) int64: 1 on the object, `IGNORE` where nobody labelled, 0 elsewhere.
        """
        image = self.boxes.image[position]
        mask = (self.components[image] == self.component[position]).long()
        return mask.masked_fill(label[image] == IGNORE, IGNORE)


def find_objects(label: Tensor) -> Objects:
    """Find the objects in a batch of labels: the 4-connected components of each class.

    Args:
        label: (B, H, W) integer class numbers, 0 for background, `IGNORE` where nobody labelled.

    Returns:
        The objects in the order of the images, and in reading order within one; on the CPU.
    """
    corners, image, plane, component, maps = [], [], [], [], []
    for position, classes in enumerate(label.cpu().numpy().astype(np.uint8)):
        found = Components.of(classes)
        number = found.class_number
        is_object = (number != BACKGROUND) & (number != IGNORE) & (found.pixels() >= _MIN_PX)
        kept = np.flatnonzero(is_object)
        corners.append(found.bounds()[kept].astype(np.float32))
        image.append(np.full(kept.size, position))
        plane.append(number[kept].astype(np.int64) - 1)
        component.append(kept)
        maps.append(found.raster(np.arange(len(found))))
    return Objects(
        Boxes(*(torch.from_numpy(np.concatenate(part)) for part in (corners, image, plane))),
        torch.from_numpy(np.concatenate(component)),
        torch.from_numpy(np.stack(maps)),
    )


def move_sides(corners: Tensor, dice: Tensor, most_px: float, shape_hw: tuple[int, int]) -> Tensor:
    """Move each side of each box by itself, outward or inward.

    The published code moves boxes right and down only, and so far that a small object falls out
    of its box. Here a side moves inward to the middle of its box at most: a box never turns over
    and always holds the middle of what it was drawn around.

    Args:
        corners: (N, 4) first column, first row, last column, last row, in pixels.
        dice: (N, 4) from -1, as far inward as it may, to 1, as far outward.
        most_px: the longest way.
        shape_hw: of the image, which no side leaves.

    Returns:
        (N, 4) moved corners.
    """
    height, width = shape_hw
    half = (corners[:, 2:] - corners[:, :2]) / 2
    inward = half.clamp(max=most_px).repeat(1, 2)
    outward = corners.new_tensor([-1, -1, 1, 1])
    moved = corners + outward * torch.where(dice > 0, dice * most_px, dice * inward)
    return moved.clamp(min=0).minimum(corners.new_tensor([width - 1, height - 1] * 2))


def fresh_dice(objects: Objects) -> Tensor:
    """Dice for `move_sides` from torch's global generator, (N, 4)."""
    return 2 * torch.rand(len(objects), 4) - 1


def steady_dice(objects: Objects, label: Tensor) -> Tensor:
    """Dice for `move_sides` that follow from the labels of each image alone, (N, 4).

    So every epoch is judged by the same boxes, however images are put together in batches.
    """
    dice = []
    for position, classes in enumerate(label.cpu().numpy().astype(np.uint8)):
        generator = torch.Generator().manual_seed(zlib.crc32(classes.tobytes()))
        n_boxes = int((objects.boxes.image == position).sum())
        dice.append(2 * torch.rand(n_boxes, 4, generator=generator) - 1)
    return torch.cat(dice)
