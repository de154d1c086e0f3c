"""The files in the folder of a training run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from geocobot.data.split import write_split
from geocobot.io.unfinished import write_text
from geocobot.models.modelfile import ModelCard, save_model
from geocobot.models.segmenter import Segmenter
from geocobot.workflows.run_folder import CONFIG_NAME, RunFolder
from geocobot.workflows.train_report import TrainFacts, write_train_report
from geocobot.workflows.train_result import TrainResult

MODEL_NAME = "model.safetensors"
METRICS_NAME = "metrics.json"
SPLIT_NAME = "split.gpkg"
PREVIEW_NAME = "preview.png"
REPORT_NAME = "report.html"


def write_run(run: RunFolder, segmenter: Segmenter, crop_px: int, found: TrainFacts) -> None:
    """Write the model, its figures, where it learned, and the report if there is to be one.

    Args:
        run: where to.
        segmenter: the trained model.
        crop_px: side of what a training step saw.
        found: what came of it.
    """
    # Tiles as large as what was trained on: a network that saw little around a pixel makes less
    # of more, up to 0.08 of IoU at four times the side (benchmarks/README.md).
    card = _make_card(segmenter, crop_px, found)
    save_model(run.partial / MODEL_NAME, segmenter, card, found.options.model_dtype)
    _write_metrics(run.partial / METRICS_NAME, found)
    grids = [(scene.name, scene.grid) for scene in found.ground.scenes]
    write_split(run.partial / SPLIT_NAME, grids, found.splits)
    if found.options.report:
        write_train_report(run.partial / REPORT_NAME, found, run.target / REPORT_NAME)


def result_of(run: RunFolder, found: TrainFacts, seconds: float) -> TrainResult:
    """What the finished run left behind, after so many seconds in all."""
    options = found.options
    return TrainResult(
        folder=run.target,
        model=run.target / MODEL_NAME,
        config=run.target / CONFIG_NAME,
        metrics=run.target / METRICS_NAME,
        split=run.target / SPLIT_NAME,
        preview=run.target / PREVIEW_NAME,
        report=run.target / REPORT_NAME if options.report else None,
        classes=found.calibration.classes,
        scores=found.verdict.pixels.scores,
        base=options.base,
        prompt=options.prompt,
        seconds=seconds,
    )


def _make_card(segmenter: Segmenter, tile_px: int, found: TrainFacts) -> ModelCard:
    """What the model file says about itself."""
    assert segmenter.config is not None
    ground, calibration, scores = found.ground, found.calibration, found.verdict.pixels.scores
    return ModelCard(
        segmenter=segmenter.config,
        classes=calibration.classes,
        scaling=calibration.scaling,
        ranges=ground.ranges,
        ground_pixel_m=ground.scenes[0].grid.ground_pixel_m,
        patch_px=tile_px,
        resampled=found.options.resolution is not None,
        metrics={f"iou {c.name}": c.iou for c in scores.classes if c.iou is not None},
        data_fingerprint=ground.fingerprint,
    )


def _write_metrics(path: Path, found: TrainFacts) -> None:
    """Write how good the model is and how training went."""
    pixels, calibration = found.verdict.pixels, found.calibration
    sure = pixels.uncertainty
    training = {name: value for name, value in asdict(found.fitted).items() if name != "log"}
    content = {
        "prompt": found.options.prompt,
        "validation": asdict(pixels.scores),
        "uncertainty": None if sure is None else asdict(sure),
        "calibration": [asdict(c) for c in pixels.calibration],
        "scaling": [asdict(fit) for fit in calibration.fits],
        "thresholds": {c.name: c.threshold for c in calibration.classes},
        "training": training,
    }
    write_text(path, json.dumps(content, indent=2), path)
