"""The finished model on its validation blocks: scores and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geocobot.classes import ClassSpec
from geocobot.data.module import SceneDataModule
from geocobot.evaluation.pixels import Confusion, PixelScores
from geocobot.inference.tiles import Predictor, predict_tiles
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter
from geocobot.steps import as_steps, classify_steps, score_steps
from geocobot.training.objectives import BoxesFromLabels
from geocobot.workflows.picture import Row, draw_rows

_ROWS = 4


def judge_blocks(
    segmenter: Segmenter,
    datamodule: SceneDataModule,
    classes: Sequence[ClassSpec],
    compute: Compute,
    *,
    picture: Path,
    box_jitter_px: float = 0.0,
) -> PixelScores:
    """Map the validation blocks as `predict` would, score them and draw some.

    Args:
        segmenter: the trained model.
        datamodule: has the blocks.
        classes: with tuned thresholds.
        compute: where, and how exactly.
        picture: PNG to write: image, label and prediction of the blocks with most labels.
        box_jitter_px: of the boxes that a model with box prompts is asked with; they come from the
            labels.

    Returns:
        Scores over all validation blocks; every pixel has one class or none.
    """
    confusion = Confusion(classes)
    rows: list[tuple[int, Row]] = []
    predictor: Predictor = segmenter
    shown = ["image"]
    if segmenter.prompt == "boxes":
        predictor, shown = BoxesFromLabels(segmenter, box_jitter_px), ["image", "label"]
    for batch in datamodule.val_dataloader():
        tiles = predict_tiles(predictor, [batch], compute, n_classes=len(classes), shown=shown)
        for tile, image, label in zip(tiles, batch["image"], batch["label"], strict=True):
            truth = label.numpy().astype(np.uint8)
            steps = score_steps(as_steps(tile.logits, tile.valid))
            predicted = classify_steps(steps, classes)
            confusion.add(truth, predicted, tile.valid)
            labelled = int(np.isin(truth, [c.number for c in classes]).sum())
            rows.append((labelled, Row(image.numpy(), truth, predicted)))
            rows = sorted(rows, key=lambda row: -row[0])[:_ROWS]
    draw_rows([row for _, row in rows], classes, picture)
    return confusion.scores()
