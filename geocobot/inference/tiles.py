"""One forward pass per tile: scene pixels in, NumPy logits out. Torch ends here."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from rasterio.windows import Window
from torch.utils.data import DataLoader

from geocobot.data.dataset import Sample, SceneDataset
from geocobot.data.loader import load_batches
from geocobot.data.samplers import TileSampler, slices_of
from geocobot.errors import DeviceError, ModelFileError
from geocobot.inference.lanes import Lanes
from geocobot.models.precision import Compute
from geocobot.tiling import TilePlan

Predictor: TypeAlias = Callable[..., torch.Tensor]
"""Image (B, C, H, W) float32 as `bands.normalize` makes it, and whatever else of a batch it is
shown, to logits (B, K, H, W)."""


@dataclass(frozen=True)
class TileLogits:
    """What the model says about one tile.

    Attributes:
        logits: (K, h, w) float32, one plane per class; 0 where a tile has no data at all.
        valid: (h, w) bool, True where the scene has data.
        window: the tile in pixels of the scene's grid; it may overhang it.
    """

    logits: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    window: Window


def plan_tiles(dataset: SceneDataset, *, size_px: int, overlap_px: int) -> TilePlan:
    """Cut a scene into overlapping tiles.

    Args:
        dataset: the scene, without labels.
        size_px: tile side.
        overlap_px: how far a tile reaches into its neighbor; half the side at most.
    """
    sampler = TileSampler(dataset, size_px=size_px, stride_px=size_px - overlap_px)
    windows = [dataset.window_of(slices) for slices in sampler]
    return TilePlan.of(dataset.grid, windows, overlap_px)


def load_tiles(
    dataset: SceneDataset,
    plan: TilePlan,
    *,
    rows: Iterable[int] | None = None,
    batch_size: int = 1,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[Sample]:
    """Read the tiles of a plan, top to bottom and west to east.

    A batch never goes on in the next tile row, so that a row's batches are the same whichever rows
    come before it.

    Args:
        dataset: the scene, without labels.
        plan: its tiles.
        rows: numbers of the tile rows that are wanted; default all.
        batch_size: tiles per batch; the last one of a row may be smaller.
        workers: processes that read tiles; 0 reads them in this one. The batches are the same.
        pin_memory: whether batches come in memory that CUDA copies from faster.
    """
    layout = list(plan.rows())
    batches = [
        [slices_of(plan.grid, window) for window in layout[row].windows[k : k + batch_size]]
        for row in (range(len(layout)) if rows is None else rows)
        for k in range(0, len(layout[row].windows), batch_size)
    ]
    return load_batches(dataset, batches, workers=workers, pin_memory=pin_memory)


def predict_tiles(
    segmenter: Predictor,
    loader: Iterable[Mapping[str, torch.Tensor]],
    compute: Compute,
    *,
    n_classes: int,
    shown: Sequence[str] = ("image",),
    lanes: Lanes | None = None,
) -> Generator[TileLogits]:
    """Run the model over batches of tiles.

    A tile without a single valid pixel never reaches the model.

    Args:
        segmenter: the model; a module is moved to the device and set to evaluation.
        loader: batches of `SceneDataset` samples, each of tiles of one row: "image" (B, C, H, W)
            float32, "valid" (B, H, W) bool, "window" (B, 4) int64.
        compute: where, and how exactly.
        n_classes: K, planes of the logits that are wanted, the first ones.
        shown: the parts of a batch that the model gets, in this order.
        lanes: threads that do so; default this one, with one batch at a time.

    Yields:
        One `TileLogits` per tile, in the loader's order.

    Raises:
        UnreadableFileError: a tile of the scene cannot be read.
        ModelFileError: the model yields numbers that are not finite.
        DeviceError: a batch does not fit into the GPU's memory.
    """
    if isinstance(segmenter, torch.nn.Module):
        segmenter.to(compute.device).eval()

    def predicted(batch: Mapping[str, torch.Tensor]) -> npt.NDArray[np.float32]:
        return _predict_batch(segmenter, batch, compute, n_classes, shown)

    each = lanes.each(loader, predicted) if lanes else ((b, predicted(b)) for b in loader)
    with closing(each):
        for batch, logits in each:
            yield from _apart(batch, logits)


def _apart(
    batch: Mapping[str, torch.Tensor], logits: npt.NDArray[np.float32]
) -> Iterator[TileLogits]:
    """The tiles of a batch, each checked."""
    for tile, valid, place in zip(logits, batch["valid"], batch["window"], strict=True):
        window = Window(*place.tolist())
        if valid.any() and not np.isfinite(tile).all():
            raise ModelFileError(
                "model",
                f"yields numbers that are not finite at row {window.row_off}, column "
                f"{window.col_off} of the scene",
                "A map needs finite scores",
                "Train the model again with a smaller --learning-rate",
            )
        yield TileLogits(tile, valid.numpy(), window)


def _predict_batch(
    segmenter: Predictor,
    batch: Mapping[str, torch.Tensor],
    compute: Compute,
    n_classes: int,
    shown: Sequence[str],
) -> npt.NDArray[np.float32]:
    """Logits (B, K, H, W) of a batch; 0 for tiles without data."""
    image, valid = batch["image"], batch["valid"]
    logits = np.zeros((len(image), n_classes, *image.shape[-2:]), dtype=np.float32)
    has_data = valid.flatten(1).any(dim=1)
    if not has_data.any():
        return logits
    # Entered per batch: a generator that stops between tiles must not leave them switched on.
    try:
        with torch.inference_mode(), compute.autocast():
            parts = [batch[name][has_data].to(compute.device, non_blocking=True) for name in shown]
            predicted = segmenter(*parts)
        logits[has_data.numpy()] = predicted[:, :n_classes].float().cpu().numpy()
    except torch.cuda.OutOfMemoryError as error:
        raise DeviceError(
            str(compute.device),
            f"has no memory left for a batch of {len(image)} tiles",
            "A batch has to fit beside the model",
            "Pass a smaller --batch-size, or --device cpu",
        ) from error
    return logits
