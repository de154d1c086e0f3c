from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shapely import LineString

from geocobot.adapters.config import AdapterConfig
from geocobot.config import TrainOptions
from geocobot.errors import ConfigError, ResumeError
from geocobot.models import bases
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.training import job as job_module
from geocobot.workflows import train as train_module
from geocobot.workflows.features import choose_features, keeping_features, refuse_features
from geocobot.workflows.train import TrainResult, train
from geocobot.yaml_file import read_yaml

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SIDE_PX = 256


@pytest.fixture(autouse=True)
def _short_epochs() -> None:
    """None here: how many patches an epoch shows is what is counted."""


@pytest.fixture
def checkpoint(miniature: Callable[[str], Path]) -> Path:
    """Weights of a base named mini."""
    return miniature("mini")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, empty."""
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def options(
    scene_factory: Callable[..., Path],
    labels_factory: Callable[..., Path],
    checkpoint: Path,
    home: Path,
    tmp_path: Path,
) -> TrainOptions:
    """Three epochs of a frozen base on bright bars over dark ground."""
    image = np.random.default_rng(0).integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    for row in range(16, SIDE_PX, 64):
        image[:, row : row + 16] += 120
    lines = [
        LineString([(500_000, 5_000_000 - row - 8), (500_000 + SIDE_PX, 5_000_000 - row - 8)])
        for row in range(16, SIDE_PX, 64)
    ]
    return TrainOptions(
        raster=(str(scene_factory(image=image)),),
        labels=(str(labels_factory(lines, name="bars.gpkg")),),
        line_width=16.0,
        out=str(tmp_path / "runs" / "bars"),
        base="mini",  # type: ignore[arg-type] # of this test alone
        checkpoint=str(checkpoint),
        adapter="none",
        patch_size=64,
        batch_size=2,
        epochs=3,
        pool_epochs=2,
        device="cpu",
    )


@pytest.fixture
def segmenter(checkpoint: Path) -> Segmenter:
    return build_segmenter("mini", 1, checkpoint=checkpoint)


class FakeModule:
    """As much of a data module as the choice looks at."""

    def __init__(self, patches: int = 160, blocks: int = 10, crop_px: int = 128) -> None:
        self.train_sampler, self.val_sampler = range(patches), range(blocks)
        self.crop_px = crop_px
        self.pool: int | None = None

    def repeat_after(self, epochs: int) -> None:
        self.pool = epochs


def choose(
    segmenter: Segmenter, device: torch.device = CPU, **said: Any
) -> tuple[TrainOptions, int | None]:
    """What is chosen, and what the data module is told."""
    module: Any = FakeModule()
    given = TrainOptions(raster=("a.tif",), labels=("b.shp",), patch_size=512, **said)
    return choose_features(given, segmenter, module, device), module.pool


def test_a_frozen_base_on_a_cpu_keeps_the_features_of_a_few_epochs(
    segmenter: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "geocobot"):
        chosen, pool = choose(segmenter)
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (4.0, 8, 8)
    assert "The patches of 8 epochs are shown again and again; --pool-epochs" in caplog.text


def test_a_gpu_keeps_nothing_unless_asked(segmenter: Segmenter) -> None:
    chosen, pool = choose(segmenter, GPU)
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (0.0, None, None)
    chosen, pool = choose(segmenter, GPU, feature_cache_gb=1.0)
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (1.0, 8, 8)


def test_the_pool_is_as_long_as_there_is_room(segmenter: Segmenter) -> None:
    epoch_gb = 160 * (32 * 8 * 8 * 2 + 512) / 1e9
    blocks_gb = 10 * 16 * (32 * 8 * 8 * 2 + 512) / 1e9  # in tiles as large as the crops
    for room, pool in [(7.5, 7), (7.99, 7), (8.01, 8), (99, 8), (1.01, 1)]:
        chosen, told = choose(segmenter, feature_cache_gb=blocks_gb + room * epoch_gb)
        assert chosen.pool_epochs == told == pool, room


def test_an_epoch_that_does_not_fit_is_not_kept_and_said(
    segmenter: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    chosen, pool = choose(segmenter, feature_cache_gb=1e-4)
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (0.0, None, None)
    assert "Encoder features are not kept: those of an epoch take" in caplog.text
    assert "--feature-cache-gb gives them more" in caplog.text


@pytest.mark.parametrize(("begun", "kept_gb"), [(8, 0.5), (None, 0.0)])
def test_a_resumed_run_has_the_patches_that_it_began_with(
    segmenter: Segmenter, begun: int | None, kept_gb: float
) -> None:
    """However much is kept now: they decide what is learned from."""
    options = TrainOptions(
        raster=("a.tif",), labels=("b.shp",), patch_size=512, feature_cache_gb=0.5
    )
    module: Any = FakeModule()
    chosen = choose_features(options, segmenter, module, CPU, {"pool_epochs": begun})
    assert (chosen.feature_cache_gb, chosen.pool_epochs, module.pool) == (kept_gb, begun, begun)


def test_the_pool_is_what_was_said(segmenter: Segmenter) -> None:
    chosen, pool = choose(segmenter, pool_epochs=3)
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (4.0, 3, 3)
    chosen, pool = choose(segmenter, pool_epochs=3, feature_cache_gb=0.0)
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (0.0, 3, 3)


def test_an_encoder_that_learns_shows_new_patches_for_ever(checkpoint: Path) -> None:
    adapted = build_segmenter("mini", 1, AdapterConfig(), checkpoint=checkpoint)
    chosen, pool = choose(adapted)
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (None, None, None)
    assert choose(adapted, pool_epochs=2)[1] == 2


def test_features_of_a_frozen_tiny_are_kept_like_any_others(bundled_tiny: Path) -> None:
    chosen, pool = choose(build_segmenter("tiny", 1))
    assert (chosen.feature_cache_gb, chosen.pool_epochs, pool) == (4.0, 8, 8)


def test_features_that_change_are_refused(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = build_segmenter("mini", 1, AdapterConfig(), checkpoint=checkpoint)
    said = TrainOptions(raster=("a.tif",), labels=("b.shp",), base="tiny", feature_cache_gb=2.0)
    with pytest.raises(ConfigError, match=r"-gb 2 is given, but --adapter lora learns.*none"):
        refuse_features(said, adapted)
    monkeypatch.setitem(bases.BASES, "tiny", replace(bases.BASES["tiny"], bundled=None))  # type: ignore[arg-type] # a dict underneath
    random = build_segmenter("tiny", 1, AdapterConfig("none"), start="random")
    with pytest.raises(ConfigError, match="-gb 2 is given, but --base tiny learns"):
        refuse_features(said, random)
    with pytest.raises(ConfigError, match="-gb 2 is given, but --start random learns"):
        refuse_features(replace(said, base="vit_b"), random)
    refuse_features(replace(said, feature_cache_gb=0.0), adapted)
    refuse_features(replace(said, feature_cache_gb=None), adapted)
    refuse_features(said, build_segmenter("mini", 1, checkpoint=checkpoint))


def test_features_that_change_are_refused_before_the_survey(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: Any) -> None:
        raise AssertionError("the survey began")

    monkeypatch.setattr(train_module, "survey_ground", too_late)
    with pytest.raises(ConfigError, match="-gb 2 is given, but --adapter full learns"):
        train(replace(options, adapter="full", feature_cache_gb=2.0))


def at_hand(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of patches at hand; forgotten then."""
    said = [m for m in caplog.messages if "at hand" in m]
    caplog.clear()
    return said


def mean_iou(result: TrainResult) -> float:
    """What the last validation said."""
    return float(json.loads(result.metrics.read_text())["training"]["mean_iou"])


@pytest.mark.slow
def test_a_second_run_with_another_learning_rate_encodes_nothing(
    options: TrainOptions, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = train(replace(options, feature_cache_gb=0.0, out=f"{options.out}-plain"))
    assert not home.exists()
    with caplog.at_level("INFO", "geocobot"):
        first = train(options)
        begun, ended = at_hand(caplog)
        assert f"kept in {home / 'features'}, up to 4 GB; those of 0 patches" in begun
        kept = len(list((home / "features").iterdir()))
        shown = 3 * 40 + 3 * (kept - 80)
        assert kept > 80
        assert ended == f"Encoder features: {shown - kept} of {shown} patches were at hand."
        train(replace(options, learning_rate=1e-3, out=f"{options.out}-again"))
        begun, ended = at_hand(caplog)
        assert f"those of {kept} patches" in begun
        assert ended == f"Encoder features: {shown} of {shown} patches were at hand."
    saved = read_yaml(first.config)
    assert (saved["pool_epochs"], saved["feature_cache_gb"]) == (2, 4.0)
    assert plain.model.stat().st_size == first.model.stat().st_size
    assert mean_iou(plain) == pytest.approx(mean_iou(first), abs=0.02)


@pytest.fixture
def interrupted(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> TrainOptions:
    """A run that was stopped by Ctrl-C when its second epoch began."""
    real_fit = job_module.fit

    def fit_and_stop(*args: Any, **kwargs: Any) -> Any:
        sampler = args[1].train_sampler
        begin = sampler.set_epoch

        def stop_at_second(epoch: int) -> None:
            if epoch == 1:
                raise KeyboardInterrupt
            begin(epoch)

        monkeypatch.setattr(sampler, "set_epoch", stop_at_second)
        return real_fit(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(job_module, "fit", fit_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(options)
    return options


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    interrupted: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ResumeError, match=r"with other pool_epochs \(was 2\)"):
        train(replace(interrupted, resume=True, pool_epochs=3))
    resumed = train(replace(interrupted, resume=True, feature_cache_gb=3.0))
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path / "another home"))
    whole = train(replace(interrupted, out=str(tmp_path / "whole")))
    assert resumed.model.read_bytes() == whole.model.read_bytes()


def test_a_user_without_a_home_trains_all_the_same(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere() -> Path:
        raise ConfigError("The cache folder", "has no place", "It needs one", "Set a variable")

    monkeypatch.setattr("geocobot.workflows.features.cache_folder", nowhere)
    encoder = segmenter.encoder
    said = TrainOptions(raster=("a.tif",), labels=("b.shp",), feature_cache_gb=2.0)
    with keeping_features(said, segmenter):
        assert segmenter.encoder is encoder
    assert "Encoder features are not kept. The cache folder has no place." in caplog.text
