"""Training with box prompts from scene to model file, and why it cannot map."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely import box

from geocobot.cli.options import gather
from geocobot.config import PredictOptions, TrainOptions
from geocobot.errors import ModelFileError
from geocobot.models.modelfile import load_model, read_card
from geocobot.workflows.predict import predict
from geocobot.workflows.train import TrainResult, train
from geocobot.yaml_file import read_yaml

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_PX = 320
PAPER = Path(__file__).resolve().parents[2] / "configs" / "paper.yaml"


@pytest.fixture
def flags(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path], tmp_path: Path
) -> dict[str, Any]:
    """Bright squares on dark ground, all of them labelled, and a short run on a CPU."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    squares = []
    for row in range(8, SIDE_PX, 40):
        for col in range(8, SIDE_PX, 40):
            image[:, row : row + 20, col : col + 20] += 120
            squares.append(box(WEST + col, NORTH - row - 20, WEST + col + 20, NORTH - row))
    return {
        "raster": [str(scene_factory(image=image))],
        "labels": [str(labels_factory(squares, name="squares.gpkg"))],
        "out": str(tmp_path / "run"),
        "prompt": "boxes",
        "patch_size": 64,
        "batch_size": 2,
        "epochs": 1,
        "device": "cpu",
    }


def check_what_was_made(result: TrainResult, base: str) -> None:
    card = read_card(result.model)
    assert (card.segmenter.base, card.segmenter.head.prompt) == (base, "boxes")
    metrics = json.loads(result.metrics.read_text())
    assert metrics["prompt"] == "boxes"
    assert metrics["validation"]["classes"][0]["iou"] == result.scores.mean_iou
    assert result.preview.is_file()
    assert "with a box around every object given" in result.summary()
    assert "geocobot predict" not in result.summary()
    assert read_yaml(result.config)["box_jitter_px"] == pytest.approx(50 * 64 / 1024)


def test_boxes_train_are_judged_and_cannot_map(flags: dict[str, Any], tmp_path: Path) -> None:
    result = train(gather(TrainOptions, flags))
    check_what_was_made(result, "tiny")
    # What a box holds is mostly its object, which even twenty steps find out.
    assert result.scores.mean_iou is not None
    assert result.scores.mean_iou > 0.5
    assert load_model(result.model)[0].prompt == "boxes"
    missing = str(tmp_path / "never_read.tif")
    message = r"model\.safetensors was trained with --prompt boxes.*has none.*train without"
    with pytest.raises(ModelFileError, match=message):
        predict(PredictOptions(raster=(missing,), model=str(result.model)))


def test_the_published_recipe_runs_as_it_stands(
    flags: dict[str, Any], miniature: Callable[[str], Path]
) -> None:
    checkpoint = miniature("vit_b")
    said = {name: flags[name] for name in ("raster", "labels", "out", "patch_size", "device")}
    said |= {"config": str(PAPER), "checkpoint": str(checkpoint), "epochs": 1}
    options = gather(TrainOptions, said)
    recipe = (options.base, options.adapter, options.cobot, options.rank, options.learning_rate)
    assert recipe == ("vit_b", "lora", True, 4, 1e-4)
    assert read_yaml(PAPER)["epochs"] == 20
    result = train(options)
    check_what_was_made(result, "vit_b")
    card = read_card(result.model)
    assert not card.segmenter.encoder_trained
    segmenter, _ = load_model(result.model, checkpoint=checkpoint)
    assert segmenter.prompt == "boxes"
    assert (card.segmenter.adapter.method, card.segmenter.adapter.cobot) == ("lora", True)
