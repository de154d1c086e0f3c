"""Where the readers of a pretrained dense head start: at a regression on what the rest sees."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any, TypeGuard

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.classes import IGNORE
from geocobot.data.dataset import INTERIOR
from geocobot.models.dense_head import DenseHead
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter
from geocobot.progress import SilentTask, Task
from geocobot.training.losses import binary_targets
from geocobot.training.objectives import Batch

_PIXELS = 40_000
_BATCHES = 48
_DECAY = 1e-3
_ITERATIONS = 60
_LEAST_SPREAD = 1e-3  # of a channel, below which it says nothing


def can_fit_first(segmenter: nn.Module) -> TypeGuard[Segmenter]:
    """Whether a segmenter has readers to fit, and something pretrained for them to read."""
    return (
        isinstance(segmenter, Segmenter)
        and isinstance(segmenter.head, DenseHead)
        and not segmenter.starts_at_random
    )


@torch.no_grad()
def fit_readers(
    segmenter: Segmenter,
    datamodule: LightningDataModule,
    compute: Compute,
    seed: int,
    *,
    task: Task | None = None,
) -> None:
    """Fit the readers of a dense head to some labelled pixels, all else as it is.

    The logits of a dense head are linear in what its readers read, so that their best weights are
    a logistic regression, which takes seconds; by gradient steps, with features that change
    meanwhile, they take minutes (benchmarks/README.md). Fine-tuning goes on from there, and a
    class that needs no new features has them from the start.

    Args:
        segmenter: its head is a `DenseHead`; left on the device of `compute`.
        datamodule: its training batches are what is fitted to.
        compute: where, and how exactly, the features are computed.
        seed: of the pixels that are drawn.
        task: told how far it is, with a total of 1.0; nearly all of it goes into the features.
    """
    head = segmenter.head
    assert isinstance(head, DenseHead)
    was_training = segmenter.training
    segmenter.to(compute.device).eval()
    scales, targets = _sample(segmenter, head, datamodule, compute, seed, task=task or SilentTask())
    segmenter.train(was_training)
    if not len(targets):
        return
    weights, bias = regress(torch.cat(scales, dim=1), targets)
    parts = torch.split(weights, [s.shape[1] for s in scales])
    biases = torch.zeros(len(parts), len(bias))
    biases[-1] = bias
    for reader, part, own_bias in zip(head.readers, parts, biases, strict=True):
        own = {"weight": part.T[..., None, None], "bias": own_bias}
        reader.load_state_dict(own)


def _sample(
    segmenter: Segmenter,
    head: DenseHead,
    datamodule: LightningDataModule,
    compute: Compute,
    seed: int,
    *,
    task: Task,
) -> tuple[list[Tensor], Tensor]:
    """What the readers read at some pixels, (N, C) float32 for each, and these pixels' planes.

    Returns:
        The features, and (N, K) float32, 0 or 1.
    """
    generator = torch.Generator().manual_seed(seed)
    loader = datamodule.train_dataloader()
    n_batches = min(_BATCHES, len(loader))
    n_images = n_batches * (loader.batch_size or 1)
    each = math.ceil(_PIXELS / max(1, n_images))
    found: list[tuple[list[Tensor], Tensor]] = []
    for batch in islice(loader, n_batches):
        shown = as_shown(batch, datamodule, compute.device)
        image = shown["image"]
        with compute.autocast():
            scales = head.scales(*segmenter.encode(image))
        label = shown["label"].masked_fill(~shown["valid"], IGNORE).cpu()
        for k in range(len(image)):
            places = (label[k] != IGNORE).nonzero()
            places = places[torch.randperm(len(places), generator=generator)[:each]]
            own = label[k][places[:, 0], places[:, 1]].view(1, -1, 1)
            read = [_at(s[k], places.to(compute.device), label.shape[1:]) for s in scales]
            target = binary_targets(own, head.config.n_classes)[0, :, :, 0].T
            if head.config.separate:
                inside = shown[INTERIOR][k].cpu()[places[:, 0], places[:, 1]]
                target = torch.cat([target, inside[:, None].float()], dim=1)
            found.append((read, target))
        task.advance(1 / n_batches)
    features = [torch.cat(parts) for parts in zip(*(read for read, _ in found), strict=True)]
    return features, torch.cat([target for _, target in found]).to(compute.device)


def as_shown(batch: Any, datamodule: LightningDataModule, device: torch.device) -> Batch:
    """A batch of a loader as a training step gets it: on the device, and augmented there.

    Args:
        batch: of the module's training loader.
        datamodule: its hooks say what becomes of a batch.
        device: where to compute.
    """
    moved = datamodule.transfer_batch_to_device(batch, device, 0)
    shown: Batch = datamodule.on_after_batch_transfer(moved, 0)
    return shown


def _at(scale: Tensor, places: Tensor, shape_hw: torch.Size) -> Tensor:
    """Values of a scale (C, h, w) at pixels (N, 2) of an image (H, W), interpolated, (N, C)."""
    size = torch.tensor(shape_hw, device=places.device)
    points = ((places + 0.5) / size * 2 - 1).flip(1)
    values = F.grid_sample(
        scale.float().unsqueeze(0),
        points[None, None],
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return values[0, :, 0].T


@torch.enable_grad()
def regress(x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Fit logistic regressions of all classes at once, with a little decay.

    Args:
        x: (N, C) float32, on any scale; the decay is of their standardized values.
        targets: (N, K) float32, 0 or 1.

    Returns:
        Weights (C, K) and biases (K,), so that the logits are `x @ weights + biases`.
    """
    mean, spread = x.mean(0), x.std(0) + _LEAST_SPREAD
    standard = (x - mean) / spread
    weights = x.new_zeros(x.shape[1], targets.shape[1]).requires_grad_()
    bias = x.new_zeros(targets.shape[1]).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        error = F.binary_cross_entropy_with_logits(standard @ weights + bias, targets)
        error = error + _DECAY * (weights**2).sum()
        error.backward()  # type: ignore[no-untyped-call] # torch's
        return error

    optimizer.step(closure)  # type: ignore[no-untyped-call] # torch's
    own = weights.detach() / spread.unsqueeze(1)
    return own, bias.detach() - mean @ own
