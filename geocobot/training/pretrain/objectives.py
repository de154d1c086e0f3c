"""What pretraining lowers: errors about the made-up world, and about real pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.models.bases import PATCH_PX
from geocobot.models.boxes import Boxes
from geocobot.synthetic.world.canvas import Cover
from geocobot.synthetic.world.world import WorldBatch
from geocobot.training.losses import FOCAL_GAMMA, FOCAL_WEIGHT, focal_loss, soft_dice_loss
from geocobot.training.pretrain.model import Planes

# Objects that are worth asking for: neither specks nor half of the picture.
_MIN_PX, _MAX_SHARE = 12, 0.5
_TRIES = 16


def world_loss(planes: Planes, world: WorldBatch) -> dict[str, Tensor]:
    """Errors of the planes about a made-up batch, () each, by name.

    Args:
        planes: answers about `world.image`.
        world: B pictures of S x S pixels, with the truth.
    """
    one_hot = F.one_hot(world.cover, len(Cover)).permute(0, 3, 1, 2).float()
    everywhere = torch.ones_like(one_hot[:, :1])
    present = (one_hot.sum((0, 2, 3)) > 0).float()
    dice = soft_dice_loss(planes.cover.softmax(1), one_hot, everywhere)
    outline = outlines(world.thing)
    return {
        "cover": F.cross_entropy(planes.cover, world.cover),
        "dice": (dice * present).sum() / present.sum(),
        "outline": F.binary_cross_entropy_with_logits(planes.outline, outline),
        "shadow": F.binary_cross_entropy_with_logits(planes.shadow, world.shadow),
        "height": F.smooth_l1_loss(planes.height, torch.log1p(world.height_m)),
        "tokens": _token_loss(planes.tokens, one_hot),
    }


def _token_loss(tokens: tuple[Tensor, ...], one_hot: Tensor) -> Tensor:
    """Cross-entropy of what the encoder alone knows, the neck counting as much as the rest, ()."""
    shares = F.avg_pool2d(one_hot, one_hot.shape[-1] // tokens[0].shape[-1])
    errors = torch.stack([-(shares * t.log_softmax(1)).sum(1).mean() for t in tokens])
    return errors[0] + errors[1:].mean()


def outlines(thing: Tensor) -> Tensor:
    """1 where a pixel's neighbor belongs to another object, (B, S, S) float.

    Args:
        thing: (B, S, S) numbers of objects, 0 for none.
    """
    edge = torch.zeros_like(thing, dtype=torch.bool)
    across, down = thing[:, :, 1:] != thing[:, :, :-1], thing[:, 1:] != thing[:, :-1]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    return edge.float()


@dataclass(frozen=True)
class Asked:
    """Objects that the mask decoder is asked for, always as many; a GPU need not be waited for.

    Attributes:
        boxes: N boxes.
        masks: (N, S, S) float, 1 on the object.
        counts: (N,) float, 0 where no object was found, and nothing is to be learned.
    """

    boxes: Boxes
    masks: Tensor
    counts: Tensor


def draw_boxes(world: WorldBatch, n: int, generator: torch.Generator) -> Asked:
    """Draw objects of a batch, with a box around each whose sides are a little off.

    Args:
        world: the batch.
        n: objects of the whole batch; large ones come more often, by their pixels.
        generator: on the CPU.

    Returns:
        N objects; what was found comes first.
    """
    device, side = world.thing.device, world.thing.shape[-1]
    size = torch.tensor(world.thing.shape).view(3, 1)
    places = (size * torch.rand(3, _TRIES * n, generator=generator)).long()
    image, row, col = places.to(device, non_blocking=True)
    number = world.thing[image, row, col]
    masks = world.thing[image] == number.view(-1, 1, 1)
    covered = masks.sum((1, 2))
    is_object = (number > 0) & (covered >= _MIN_PX) & (covered <= _MAX_SHARE * side**2)
    found = is_object.float().sort(descending=True, stable=True).indices[:n]
    masks = masks[found]
    rows, cols = masks.any(2), masks.any(1)
    corners = torch.stack([_first(cols), _first(rows), _last(cols), _last(rows)], dim=1).float()
    slack = 0.08 * (corners[:, 2:] - corners[:, :2]).repeat(1, 2)
    jitter = 2 * torch.rand(n, 4, generator=generator) - 1
    moved = (corners + slack * jitter.to(device, non_blocking=True)).clamp(0, side - 1)
    boxes = Boxes(moved, image[found], torch.zeros_like(found))
    return Asked(boxes, masks.float(), is_object[found].float())


def _first(is_on: Tensor) -> Tensor:
    """Position of the first True in every row (N, S), (N,)."""
    return is_on.int().argmax(1)


def _last(is_on: Tensor) -> Tensor:
    """Position of the last True in every row (N, S), (N,)."""
    return is_on.shape[1] - 1 - _first(is_on.flip(1))


def mask_loss(logits: Tensor, asked: Asked) -> Tensor:
    """Error of the masks of single objects: focal loss and Dice, as SAM was trained, ().

    Args:
        logits: (N, H, W).
        asked: the N objects.
    """
    # Objects as classes of one image: every one has a Dice of its own.
    logits, masks = logits.float().unsqueeze(0), asked.masks.unsqueeze(0)
    focal = FOCAL_WEIGHT * focal_loss(logits, masks, FOCAL_GAMMA).mean((0, 2, 3))
    dice = soft_dice_loss(logits.sigmoid(), masks, torch.ones_like(masks[:, :1]))
    return ((focal + dice) * asked.counts).sum() / asked.counts.sum().clamp(min=1)


def hide(image: Tensor, share: float, cell_px: int, generator: torch.Generator) -> Tensor:
    """Choose squares of images to hide, (B, 1, H, W) bool.

    Args:
        image: (B, C, H, W).
        share: of the squares.
        cell_px: their side.
        generator: on the CPU.
    """
    n, _, height, width = image.shape
    shape = (n, 1, -(-height // cell_px), -(-width // cell_px))
    hidden = torch.rand(shape, generator=generator) < share
    tall = hidden.repeat_interleave(cell_px, 2).repeat_interleave(cell_px, 3)
    return tall[..., :height, :width].to(image.device, non_blocking=True)


def pixel_loss(planes: Planes, image: Tensor, hidden: Tensor) -> Tensor:
    """Error of the pixels that were hidden, ().

    Every square of a token is normalized by itself, as in He et al., arXiv 2111.06377, so that
    texture counts as much as large steps of brightness.

    Args:
        planes: answers about the image with squares hidden.
        image: (B, 3, H, W) as it was; H and W multiples of a token's side.
        hidden: (B, 1, H, W) bool.
    """
    mean = F.avg_pool2d(image, PATCH_PX)
    spread = (F.avg_pool2d(image**2, PATCH_PX) - mean**2).clamp(min=1e-4).sqrt()
    mean, spread = (F.interpolate(v, scale_factor=float(PATCH_PX)) for v in (mean, spread))
    error = (planes.pixels - (image - mean) / spread) ** 2
    return (error * hidden).sum() / (3 * hidden.sum()).clamp(min=1)


def agreement_loss(planes: Planes, teacher: Planes) -> Tensor:
    """How far answers about a changed image are from the teacher's about the image itself, ().

    Hoyer et al., "MIC: Masked image consistency", arXiv 2212.01322; soft targets, each weighing
    as much as the teacher is sure of it.

    Args:
        planes: about the changed image; their cover counts.
        teacher: about the image itself.
    """
    target = teacher.cover.softmax(1)
    each = -(target * planes.cover.log_softmax(1)).sum(1)
    sure = target.amax(1)
    return (each * sure).mean()
