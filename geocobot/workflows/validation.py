"""The finished model on its validation blocks: figures, examples and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocobot.classes import IGNORE, ClassSpec
from geocobot.data.module import SceneDataModule
from geocobot.evaluation.blocks import BlockCounts, quarters
from geocobot.evaluation.judge import PixelReport
from geocobot.evaluation.pixels import Confusion
from geocobot.evaluation.scaling_fit import LogitCounts, ScalingFit
from geocobot.evaluation.score_counts import ScoreCounts
from geocobot.inference.tiles import Predictor, TileLogits, predict_tiles
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter
from geocobot.models.tiled import InTiles
from geocobot.scaling import Scaling, scaled_steps
from geocobot.steps import as_steps, classify_steps
from geocobot.training.objectives import BoxesFromLabels
from geocobot.workflows.examples import Example, Examples
from geocobot.workflows.picture import Row, draw_rows

_ROWS = 4

_ENOUGH_BLOCKS = 36
"""Fewer are too few for the bootstrap; their quarters are drawn then."""


@dataclass(frozen=True)
class Verdict:
    """How good a model is on its validation blocks.

    Attributes:
        pixels: figures pixel by pixel; those of boundaries are left out.
        examples: places to look at.
    """

    pixels: PixelReport
    examples: tuple[Example, ...]


def judge_blocks(
    segmenter: Segmenter,
    datamodule: SceneDataModule,
    classes: Sequence[ClassSpec],
    compute: Compute,
    *,
    picture: Path,
    pixel_m: tuple[float, float],
    scaling: Sequence[Scaling] = (),
    box_jitter_px: float = 0.0,
    seed: int = 0,
) -> Verdict:
    """Map the validation blocks as `predict` would, score them and draw some.

    Args:
        segmenter: the trained model.
        datamodule: has the blocks.
        classes: with tuned thresholds.
        compute: where, and how exactly.
        picture: PNG to write: image, label and prediction of the blocks with most labels.
        pixel_m: width and height of a pixel on the ground.
        scaling: of the classes, where their logits become scores.
        box_jitter_px: of the boxes that a model with box prompts is asked with; they come from the
            labels.
        seed: of the bootstrap over the blocks.

    Returns:
        Figures over all validation blocks; every pixel has one class or none.
    """
    tally = _Tally(classes, seed)
    for image, truth, tile in _mapped(segmenter, datamodule, len(classes), compute, box_jitter_px):
        steps = scaled_steps(as_steps(tile.logits, tile.valid), scaling)
        tally.add(image, truth, steps, tile.valid)
    draw_rows(tally.most_labelled(), classes, picture)
    return tally.verdict(pixel_m, seed)


def fit_blocks(
    segmenter: Segmenter,
    datamodule: SceneDataModule,
    classes: Sequence[ClassSpec],
    compute: Compute,
) -> tuple[ScalingFit, ...]:
    """What makes probabilities of the logits of each class, by the validation blocks.

    They are mapped once more for it. What training counted of them will not do: 200 bins of scores,
    the outermost of which hold all logits beyond 5.3, and of the last epoch, not of the kept one.

    Args:
        segmenter: the trained model.
        datamodule: has the blocks.
        classes: of the logits' planes.
        compute: where, and how exactly.
    """
    counts = LogitCounts(classes)
    for _, truth, tile in _mapped(segmenter, datamodule, len(classes), compute):
        counts.add(truth, as_steps(tile.logits, tile.valid), tile.valid)
    return counts.fits()


def _mapped(
    segmenter: Segmenter,
    datamodule: SceneDataModule,
    n_classes: int,
    compute: Compute,
    box_jitter_px: float = 0.0,
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], TileLogits]]:
    """Image (C, h, w), class numbers (h, w) and logits of each validation block."""
    predictor: Predictor = InTiles(segmenter, datamodule.crop_px)
    shown = ["image"]
    if segmenter.prompt == "boxes":
        predictor, shown = BoxesFromLabels(segmenter, box_jitter_px), ["image", "label"]
    for batch in datamodule.val_dataloader():
        tiles = predict_tiles(predictor, [batch], compute, n_classes=n_classes, shown=shown)
        for tile, image, label in zip(tiles, batch["image"], batch["label"], strict=True):
            yield image.numpy(), label.numpy().astype(np.uint8), tile


class _Tally:
    """Counts validation blocks, whole or in quarters, for the bootstrap to draw from."""

    def __init__(self, classes: Sequence[ClassSpec], seed: int) -> None:
        self._classes = classes
        self._quarters: list[list[Confusion]] = []
        self._scores = ScoreCounts(classes)
        self._examples = Examples(seed)
        self._rows: list[tuple[int, Row]] = []
        self._sides: list[tuple[int, ...]] = []

    def add(
        self,
        image: npt.NDArray[np.float32],
        truth: npt.NDArray[np.uint8],
        steps: npt.NDArray[np.uint8],
        valid: npt.NDArray[np.bool_],
    ) -> None:
        """Count the next block.

        Args:
            image: (C, h, w), 0 to 1.
            truth: (h, w) class numbers.
            steps: (K, h, w) scores as they are written.
            valid: (h, w), True where there is data.
        """
        predicted = classify_steps(steps, self._classes)
        counted = []
        parts = quarters((truth != IGNORE) & valid)
        for part in parts:
            confusion = Confusion(self._classes)
            confusion.add(truth[part], predicted[part], valid[part])
            counted.append(confusion)
        self._quarters.append(counted)
        self._scores.add(truth, steps, valid)
        whole = (part.stop - first.start for first, part in zip(parts[0], parts[-1], strict=True))
        self._sides.append(tuple(whole))
        row = Row(image, truth, predicted)
        iou = self._sum(counted).scores().mean_iou
        if iou is not None:
            self._examples.add(iou, row)
        labelled = int(np.isin(truth, [c.number for c in self._classes]).sum())
        self._rows.append((labelled, row))
        self._rows = sorted(self._rows, key=lambda r: -r[0])[:_ROWS]

    def most_labelled(self) -> list[Row]:
        """The blocks with most labels."""
        return [row for _, row in self._rows]

    def verdict(self, pixel_m: tuple[float, float], seed: int) -> Verdict:
        """Everything about the blocks."""
        height, width = max(self._sides, default=(0, 0))
        drawn = [self._sum(block) for block in self._quarters]
        if len(drawn) < _ENOUGH_BLOCKS:
            drawn = [quarter for block in self._quarters for quarter in block]
            height, width = -(-height // 2), -(-width // 2)
        counts = BlockCounts(self._classes, len(drawn), (height, width))
        for place, confusion in enumerate(drawn):
            counts.add(place, confusion)
        pixels = PixelReport(
            scores=self._sum(drawn).scores(),
            boundaries=(),
            curves=self._scores.curves(),
            calibration=self._scores.calibration(),
            uncertainty=counts.uncertainty(pixel_m, seed),
        )
        return Verdict(pixels, self._examples.chosen())

    def _sum(self, confusions: Sequence[Confusion]) -> Confusion:
        """All counts together."""
        return sum(confusions, Confusion(self._classes))
