"""Tile rows of a scene: read, shown to the model, blended and kept. The unit of all engines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from geocobot.ahead import ahead
from geocobot.data.dataset import SceneDataset
from geocobot.inference.blended_row import BlendedRow, blend_rows
from geocobot.inference.journal import RowJournal
from geocobot.inference.lanes import Lanes
from geocobot.inference.tiles import (
    Predictor,
    TileLogits,
    load_tiles,
    plan_tiles,
    predict_tiles,
)
from geocobot.models.precision import Compute
from geocobot.scaling import Scaling
from geocobot.tiling import TilePlan

BATCHES_AHEAD = 1
"""Read before the model is free for them."""


@dataclass(frozen=True, eq=False)
class RowWork:
    """What is to be computed of a scene, by whom ever; small enough to be sent to each of them.

    Attributes:
        dataset: the scene, without labels.
        size_px: tile side.
        overlap_px: how far a tile reaches into its neighbor.
        n_classes: K, planes of the logits that are wanted, the first ones.
        batch_size: tiles per forward pass.
        folder: where finished rows are kept; all who compute see it.
        workers: processes that read tiles; 0 reads them in a thread.
        exact: whether scores are wanted with all their digits.
        scaling: of the classes, where finished logits become scores.
    """

    dataset: SceneDataset
    size_px: int
    overlap_px: int
    n_classes: int
    batch_size: int
    folder: Path
    workers: int = 0
    exact: bool = False
    scaling: tuple[Scaling, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tiles at home: they follow from the rest."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def plan(self) -> TilePlan:
        """The scene's tiles."""
        return plan_tiles(self.dataset, size_px=self.size_px, overlap_px=self.overlap_px)

    @property
    def journal(self) -> RowJournal:
        """Finished rows."""
        return RowJournal(self.folder)


def compute_rows(
    work: RowWork,
    numbers: Sequence[int],
    predictor: Predictor,
    compute: Compute,
    told: Callable[[int], None],
    *,
    lanes: Lanes,
) -> Generator[BlendedRow]:
    """Compute rows of a scene, in this process.

    Reading, the model and what is done with a row afterwards happen at the same time.

    Args:
        work: the scene and its tiles.
        numbers: of the tile rows, ascending.
        predictor: the model.
        compute: where, and how exactly.
        told: of how many more tiles have been through the model.
        lanes: in which the model computes.

    Yields:
        The rows, in this order; each is kept in the journal before it comes.
    """
    if not numbers:
        return
    loader = load_tiles(
        work.dataset,
        work.plan,
        rows=numbers,
        batch_size=work.batch_size,
        workers=work.workers,
        pin_memory=compute.device.type == "cuda",
    )
    journal = work.journal
    with (
        closing(ahead(loader, 0 if work.workers else BATCHES_AHEAD)) as batches,
        closing(
            predict_tiles(predictor, batches, compute, n_classes=work.n_classes, lanes=lanes)
        ) as tiles,
    ):
        blended = blend_rows(
            _counted(tiles, told), work.plan, numbers, exact=work.exact, scaling=work.scaling
        )
        for number, row in zip(numbers, blended, strict=True):
            journal.keep(number, row)
            yield row


def _counted(tiles: Iterator[TileLogits], told: Callable[[int], None]) -> Iterator[TileLogits]:
    """Tell of every tile that passes by."""
    for tile in tiles:
        yield tile
        told(1)
