from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image
from shapely import box
from typer.testing import CliRunner

from geocobot.classes import IGNORE, name_classes
from geocobot.cli.app import app
from geocobot.config import TrainOptions
from geocobot.errors import ConfigError
from geocobot.training.samples import Sample
from geocobot.workflows import ground as ground_module
from geocobot.workflows.picture import Row, draw_rows
from geocobot.workflows.train import train
from geocobot.workflows.watching import SampleDrawing, choose_samples, choose_tracking

SIDE_PX = 320
WEST, NORTH = 500_000.0, 5_000_000.0


@pytest.fixture
def options(scene_factory: Callable[..., Path], tmp_path: Path) -> TrainOptions:
    """Two short epochs on bright bars over dark ground."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    tops = range(16, SIDE_PX, 64)
    for top in tops:
        image[:, top : top + 16] += 120
    bars = [box(WEST, NORTH - top - 16, WEST + SIDE_PX, NORTH - top) for top in tops]
    labels = tmp_path / "bars.gpkg"
    gpd.GeoDataFrame(geometry=bars, crs="EPSG:32633").to_file(labels)
    return TrainOptions(
        raster=(str(scene_factory(image=image, origin_xy=(WEST, NORTH), res=1.0)),),
        labels=(str(labels),),
        out=str(tmp_path / "runs" / "bars"),
        patch_size=64,
        batch_size=8,
        epochs=2,
        device="cpu",
    )


def command(options: TrainOptions, *flags: str) -> Any:
    """`geocobot train` with these options."""
    said = [
        f"--raster={options.raster[0]}",
        f"--labels={options.labels[0]}",
        f"--out={options.out}",
    ]
    given = ["--patch-size=64", "--batch-size=2", "--epochs=1", "--device=cpu", *flags]
    return CliRunner().invoke(app, ["train", *said, *given])


def make_sample(side_px: int = 400) -> Sample:
    """A bright class in the west, another one below it, an unknown corner."""
    rng = np.random.default_rng(0)
    truth = np.zeros((side_px, side_px), np.uint8)
    truth[:, : side_px // 4] = 1
    truth[side_px // 2 :, : side_px // 2] = 2
    valid = np.ones(truth.shape, bool)
    valid[:50, -50:] = False
    truth[~valid] = IGNORE
    logits = np.stack([8.0 * (truth == number) - 4.0 for number in (1, 2)]).astype(np.float32)
    return Sample(rng.random((3, *truth.shape), np.float32), truth, valid, logits)


def test_every_epoch_leaves_a_picture_in_the_folder_of_the_run(options: TrainOptions) -> None:
    result = train(replace(options, sample_patches=2))
    pictures = sorted((result.folder / "samples").iterdir())
    assert [p.name for p in pictures] == ["epoch_0001.png", "epoch_0002.png"]
    for path in pictures:
        assert path.stat().st_size < 200_000
        with Image.open(path) as sheet:
            assert sheet.width == 3 * 192 + 16
            assert 2 * 192 < sheet.height < 3 * 192


def test_pictures_can_be_turned_off(options: TrainOptions) -> None:
    result = train(replace(options, sample_patches=0, epochs=1))
    assert not (result.folder / "samples").exists()


def test_a_sheet_is_the_preview_but_smaller(tmp_path: Path) -> None:
    classes = name_classes(["roof", "tree"])
    sample = make_sample()
    SampleDrawing(classes)([sample, sample], (0.5, 0.5), tmp_path / "a.png")
    draw_rows([Row(sample.image, sample.truth, sample.truth)] * 2, classes, tmp_path / "b.png")
    small, large = tmp_path / "a.png", tmp_path / "b.png"
    assert small.stat().st_size < large.stat().st_size / 5
    with Image.open(small) as sheet:
        assert sheet.width == 3 * 192 + 16
        shown = np.asarray(sheet.convert("RGB")).astype(int)
    label, predicted = shown[-392:, 200:392], shown[-392:, 400:]
    assert np.abs(label - predicted).mean() < 2.0  # what is predicted is the truth


def test_thresholds_decide_what_is_drawn(tmp_path: Path) -> None:
    classes = name_classes(["roof", "tree"])
    seen = []
    for threshold in (0.5, 0.999):
        SampleDrawing(classes)([make_sample()], (threshold, threshold), tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as sheet:
            shown = np.asarray(sheet.convert("RGB")).astype(int)[-200:-8, 400:]
        seen.append(np.ptp(shown, axis=2).mean())
    assert seen[0] > 20
    assert seen[1] < 0.1 * seen[0]  # few colors are not exact


def test_options_go_along_without_passwords(options: TrainOptions) -> None:
    secret = replace(options, raster=("https://me:word@host/a.tif?token=abc",), logger=("wandb",))
    tracking = choose_tracking(secret)
    assert (tracking.names, tracking.title) == (("wandb",), "bars")
    told = str(tracking.options)
    assert "host/a.tif" in told
    assert "word" not in told
    assert "abc" not in told
    json.dumps(tracking.options)


def test_the_number_of_patches_is_what_was_asked_for(options: TrainOptions) -> None:
    classes = name_classes(["roof"])
    sampling = choose_samples(replace(options, sample_patches=5), classes)
    assert sampling is not None
    assert (sampling.count, sampling.draw) == (5, SampleDrawing(classes))


def test_a_missing_package_is_named_before_the_survey(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: Any) -> None:
        raise AssertionError("the survey began")

    monkeypatch.setattr(ground_module, "survey_scene", too_late)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"pip install 'geocobot\[mlflow\]'"):
        train(replace(options, logger=("mlflow",)))


def test_programs_read_loss_and_iou(options: TrainOptions) -> None:
    result = command(options, "--json")
    assert result.exit_code == 0, result.stderr
    events = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    (end,) = [e for e in events if e["event"] == "end" and e["task"] == "Training"]
    assert set(end["figures"]) == {"loss", "IoU"}
    assert 0 <= end["figures"]["IoU"] <= 1
    assert end["note"].startswith("epoch 1 of 1, ")
    assert json.loads(result.stdout)["scores"]["classes"]


def test_without_a_terminal_there_are_lines(options: TrainOptions) -> None:
    result = command(options, "--sample-patches=0", "--logger=csv")
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Training: done in")]
    assert re.search(r"epoch 1 of 1, [\d.]+ patches/s, loss 0\.\d{3}, IoU [01]\.\d{3}$", line)
    assert "\x1b" not in result.stderr


def test_who_wants_quiet_gets_it(options: TrainOptions) -> None:
    result = command(options, "--quiet")
    assert result.exit_code == 0, result.stderr
    assert "Training" not in result.stderr
    assert "loss" not in result.stderr
