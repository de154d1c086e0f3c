"""Patches drawn where the network errs."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from rasterio.windows import Window
from torch.nn.functional import binary_cross_entropy_with_logits

from geocobot.bands import BandRange
from geocobot.classes import IGNORE
from geocobot.data.module import SceneDataModule
from geocobot.data.split import Split
from geocobot.data.survey import survey_scene
from geocobot.io.label_files import read_labels
from geocobot.io.scene import Scene
from geocobot.training.fit import FitSettings, fit
from geocobot.training.groups import GroupSettings
from geocobot.training.job import Job
from geocobot.training.losses import sample_errors
from geocobot.training.processes import fit_in_processes

from .squares import TinySegmenter
from .test_fit import PowerCutError, StoppingSegmenter

WEST, NORTH = 500_000.0, 5_000_000.0
HARD = Window(160, 160, 64, 64)
STEPS = 6


@pytest.fixture
def make_module(scene_factory, labels_factory):
    """Bright squares are labelled; in one corner dark ones are, which nobody can tell."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 100, (3, 256, 256)).astype(np.uint8)
    shapes = []
    for row in range(8, 256, 32):
        for col in range(8, 256, 32):
            shapes.append(shapely.box(WEST + col, NORTH - row - 16, WEST + col + 16, NORTH - row))
            in_hard = col >= HARD.col_off and row >= HARD.row_off
            image[:, row : row + 16, col : col + 16] += 0 if in_hard else 100
    scene = Scene.open(scene_factory(image=image))
    labels = read_labels([labels_factory(shapes)]).on(scene.grid, scene.name)
    split = Split((Window(0, 64, 256, 192),), (Window(0, 0, 32, 32), Window(64, 0, 32, 32)), 32, 32)
    ranges = tuple(BandRange(i, f"band {i}", "uint8", 60.0, 200.0) for i in (1, 2, 3))

    def make(**options):
        return SceneDataModule(
            [scene], ranges, [labels], [split], [survey_scene(scene, labels)],
            **{"batch_size": 4, "steps_per_epoch": STEPS, "augmented": False, "sampling": "hard"}
            | options,
        )  # fmt: skip

    return make


def settings(**changed):
    groups = GroupSettings(learning_rate=1e-2)
    return FitSettings(**{"n_classes": 1, "epochs": 5, "seed": 3, "groups": groups} | changed)


def losses(result):
    with Path(result.log).open(newline="") as file:
        return [row["train_loss"] for row in csv.DictReader(file) if row["train_loss"]]


def share_of_hard(module, epoch):
    module.train_sampler.set_epoch(epoch)
    windows = torch.cat([batch["window"] for batch in module.train_dataloader()])
    middle = windows[:, :2] + 16
    return float((middle >= torch.tensor([HARD.col_off, HARD.row_off])).all(dim=1).float().mean())


def test_a_training_shows_more_of_what_it_cannot_tell(make_module, tmp_path):
    module = make_module(steps_per_epoch=30)
    before = share_of_hard(module, 1)
    fit(TinySegmenter(), module, settings(epochs=4), tmp_path / "run")
    plain = make_module(steps_per_epoch=30, sampling="area")
    fit(TinySegmenter(), plain, settings(epochs=1), tmp_path / "plain")
    after = share_of_hard(module, 9)
    assert before == pytest.approx(1 / 5, abs=0.08)
    assert after > 1.5 * before
    assert share_of_hard(plain, 9) == pytest.approx(1 / 5, abs=0.08)


def test_a_resumed_run_draws_what_the_uninterrupted_one_did(make_module, tmp_path):
    whole, resumed = TinySegmenter(), TinySegmenter(seed=99)
    expected = losses(fit(whole, make_module(), settings(), tmp_path / "whole"))
    resumed.stem.load_state_dict(whole.stem.state_dict())
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(3 * STEPS + 2), make_module(), settings(), tmp_path / "cut")
    result = fit(resumed, make_module(), settings(resume=True), tmp_path / "cut")
    assert losses(result)[-2 * STEPS :] == expected[-2 * STEPS :]
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_workers_do_not_change_what_is_drawn(make_module, tmp_path):
    alone = losses(fit(TinySegmenter(), make_module(), settings(epochs=3), tmp_path / "alone"))
    helped = make_module(workers=2)
    assert losses(fit(TinySegmenter(), helped, settings(epochs=3), tmp_path / "helped")) == alone


@pytest.mark.slow
def test_processes_draw_by_the_errors_of_all_of_them(make_module, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    crews = importlib.import_module("crews")
    given = crews.settings(epochs=4)
    alone = losses(fit(crews.steady(), make_module(), given, tmp_path / "alone"))
    job = Job(crews.steady(), make_module(), given, tmp_path / "both")
    both = fit_in_processes(job, devices=2)
    expected = [float(loss) for loss in alone]
    assert [float(loss) for loss in losses(both)] == pytest.approx(expected, rel=1e-4)


def test_errors_are_those_of_labelled_pixels():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 8, 8, generator=generator)
    label = torch.randint(3, (3, 8, 8), generator=generator)
    valid = torch.ones(3, 8, 8, dtype=torch.bool)
    label[1, :4], valid[1, :, :2] = IGNORE, False
    label[2] = IGNORE
    errors = sample_errors(logits, label, valid)
    targets = torch.stack([label[0] == 1, label[0] == 2]).float()
    assert float(errors[0]) == pytest.approx(
        float(binary_cross_entropy_with_logits(logits[0], targets)), rel=1e-5
    )
    logits[1, :, :4] = logits[1, :, :, :2] = 50.0
    assert torch.equal(sample_errors(logits, label, valid)[1:], errors[1:])
    assert errors[2] == 0
