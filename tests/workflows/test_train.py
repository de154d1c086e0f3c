from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import geopandas as gpd
import numpy as np
import pytest
import typer
from shapely import LineString, box
from typer.testing import CliRunner

from geocobot.cli.options import command
from geocobot.config import PredictOptions, TrainOptions
from geocobot.config.values import DtypeName
from geocobot.data.collection import MixedSampler
from geocobot.errors import (
    BandError,
    CheckpointError,
    ConfigError,
    MissingFileError,
    OutputError,
    ResumeError,
    UnreadableFileError,
)
from geocobot.evaluation.pixels import ClassScore, PixelScores
from geocobot.models.modelfile import load_model, read_card
from geocobot.models.weights import sha256_of
from geocobot.settings import make_options
from geocobot.training import job as job_module
from geocobot.workflows import ground as ground_module
from geocobot.workflows import train as train_module
from geocobot.workflows.predict import predict
from geocobot.workflows.train import train
from geocobot.workflows.validation import Verdict
from geocobot.yaml_file import read_yaml

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_PX = 320


@pytest.fixture
def options(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path], tmp_path: Path
) -> TrainOptions:
    """Two epochs of 64 px patches on bright bars over dark ground, lines labelled."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    for row in range(16, SIDE_PX, 64):
        image[:, row : row + 16] += 120
    lines = [
        LineString([(WEST, NORTH - row - 8), (WEST + SIDE_PX, NORTH - row - 8)])
        for row in range(16, SIDE_PX, 64)
    ]
    return TrainOptions(
        raster=(str(scene_factory(image=image)),),
        labels=(str(labels_factory(lines, name="bars.gpkg")),),
        line_width=16.0,
        out=str(tmp_path / "runs" / "bars"),
        patch_size=64,
        batch_size=8,
        epochs=2,
        device="cpu",
    )


def test_head_loss_and_class_weights_are_what_was_asked_for(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def fit(*arguments: Any, **keywords: Any) -> Any:
        seen.append(arguments[2].loss)
        return real(*arguments, **keywords)

    real = job_module.fit
    monkeypatch.setattr(job_module, "fit", fit)
    asked = replace(options, head="dense", loss="cldice", class_weights="balanced", epochs=1)
    result = train(asked)
    assert read_card(result.model).segmenter.head.kind == "dense"
    # Bars of 16 px, every 64: three other pixels per own one, a little more or less in the split.
    assert seen[0].name == "cldice"
    assert seen[0].positive_weights == pytest.approx((3**0.5,), rel=0.1)
    assert {read_yaml(result.config)[n] for n in ("head", "loss")} == {"dense", "cldice"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_and_the_scores_after_it_are_as_exact_as_asked(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, precision: DtypeName
) -> None:
    seen = []

    def fit(*arguments: Any, **keywords: Any) -> Any:
        seen.append(arguments[2].compute.precision)
        return real_fit(*arguments, **keywords)

    def judge_blocks(*arguments: Any, **keywords: Any) -> Any:
        seen.append(arguments[3].precision)
        return real_judge(*arguments, **keywords)

    real_fit, real_judge = job_module.fit, train_module.judge_blocks
    monkeypatch.setattr(job_module, "fit", fit)
    monkeypatch.setattr(train_module, "judge_blocks", judge_blocks)
    result = train(replace(options, precision=precision, epochs=1))
    assert seen == [precision, precision]
    assert read_yaml(result.config)["precision"] == precision


def test_a_class_that_was_not_learned_is_named(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def judge_blocks(*arguments: Any, **keywords: Any) -> Verdict:
        verdict = real_judge(*arguments, **keywords)
        everywhere = ClassScore("bars", 0.01, 0.02, 0.01, 1.0, truth_px=1, predicted_px=100)
        scores = PixelScores((everywhere,), 0.01, 0.02, judged_px=100)
        return replace(verdict, pixels=replace(verdict.pixels, scores=scores))

    real_judge = train_module.judge_blocks
    monkeypatch.setattr(train_module, "judge_blocks", judge_blocks)
    result = train(replace(options, epochs=1))
    assert "bars was not learned: on the validation blocks a map that has it" in caplog.text
    assert f"See {result.preview}; more --max-minutes" in caplog.text


def test_a_run_leaves_everything_it_promises(options: TrainOptions) -> None:
    result = train(options)
    assert {p.name for p in result.folder.iterdir()} >= {
        "model.safetensors",
        "config.yaml",
        "metrics.json",
        "split.gpkg",
        "preview.png",
    }
    assert not result.folder.with_name("bars.partial").exists()
    metrics = json.loads(result.metrics.read_text())
    assert metrics["validation"]["classes"][0]["name"] == "bars"
    assert metrics["training"]["epochs"] == 2
    split = gpd.read_file(result.split)
    assert set(split.role) >= {"train", "validation"}
    assert "bars" in result.summary()
    assert str(result.model) in result.summary()


def test_the_model_file_knows_its_scene(options: TrainOptions) -> None:
    result = train(options)
    card = read_card(result.model)
    assert card.segmenter.base == "tiny"
    assert card.segmenter.adapter.method == "lora"
    assert card.segmenter.adapter.cobot
    assert [c.name for c in card.classes] == ["bars"]
    assert card.classes == result.classes
    assert [r.band for r in card.ranges] == [1, 2, 3]
    assert card.ground_pixel_m == pytest.approx((1.0, 1.0), rel=2e-3)
    assert card.patch_px == 64  # as large as the crops
    load_model(result.model)


def test_from_a_random_start_the_model_file_holds_the_encoder(options: TrainOptions) -> None:
    result = train(replace(options, start="random", epochs=1))
    assert load_model(result.model)[0].encoder_trained
    assert read_yaml(result.config)["start"] == "random"


def test_tiny_on_a_base_file_trains_adapters_and_head(
    options: TrainOptions, tiny_file: Path, scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    named = replace(options, base="tiny", checkpoint=str(tiny_file), epochs=1)
    result = train(named)
    segmenter = read_card(result.model).segmenter
    assert (segmenter.encoder_trained, segmenter.head.kind) == (False, "dense")
    assert segmenter.base_sha256 == sha256_of(tiny_file)
    saved = read_yaml(result.config)
    assert (saved["start"], saved["checkpoint"]) == ("pretrained", str(tiny_file))
    # A random start is stopped before it knows the scene by heart; this one is not.
    assert saved["epochs"] == 1
    where = PredictOptions(
        raster=options.raster,
        model=str(result.model),
        checkpoint=str(tiny_file),
        out=str(tmp_path / "map.gpkg"),
        device="cpu",
    )
    assert predict(where).scenes[0].polygons.is_file()


@pytest.mark.slow
def test_the_saved_configuration_repeats_the_run(options: TrainOptions) -> None:
    result = train(options)
    saved = make_options(TrainOptions, read_yaml(result.config), str(result.config))
    assert saved.base == "tiny"
    assert saved.rank == 4
    assert saved.raster == options.raster
    first = json.loads(result.metrics.read_text())["validation"]
    again = train(replace(saved, overwrite=True))
    assert json.loads(again.metrics.read_text())["validation"] == first


def test_two_scenes_and_two_classes(
    options: TrainOptions, scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    other = scene_factory("other.tif", shape_hw=(192, 256), origin_xy=(WEST + 1000, NORTH))
    shapes = [
        box(x, NORTH - y - 40, x + 40, NORTH - y)
        for x in range(int(WEST), int(WEST) + 1256, 80)
        for y in range(0, SIDE_PX, 80)
    ]
    kinds = ["roof" if i % 2 else "tree" for i in range(len(shapes))]
    labels = labels_factory(shapes, name="things.gpkg", kind=kinds)
    result = train(
        replace(
            options,
            raster=(*options.raster, str(other)),
            labels=(str(labels),),
            class_field="kind",
            epochs=1,
        )
    )
    assert [c.name for c in result.classes] == ["roof", "tree"]
    assert set(gpd.read_file(result.split).scene) == {"scene", "other"}


@pytest.mark.parametrize(("epochs", "trained"), [(None, 1), (2, 2)])
def test_a_scene_is_not_learned_by_heart_unless_asked(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, epochs: int | None, trained: int
) -> None:
    monkeypatch.setattr(train_module, "limit_epochs", lambda given, _: replace(given, epochs=1))
    result = train(replace(options, epochs=epochs, max_minutes=5.0))
    assert json.loads(result.metrics.read_text())["training"]["epochs"] == trained
    assert read_yaml(result.config)["epochs"] == trained


def test_an_existing_run_is_kept_unless_asked(options: TrainOptions) -> None:
    assert options.out is not None
    folder = Path(options.out)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("kept")
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        train(options)
    assert (folder / "config.yaml").read_text() == "kept"


@pytest.mark.usefixtures("_no_survey")
@pytest.mark.parametrize(("length", "named"), [(300, "x"), (250, r"x\.partial")])
def test_a_name_too_long_for_a_folder_is_refused_before_the_work(
    options: TrainOptions, length: int, named: str
) -> None:
    with pytest.raises(OutputError, match=rf"{named} cannot be written \(File name too long\)"):
        train(replace(options, out="x" * length))


@pytest.mark.usefixtures("_no_survey")
def test_a_mount_point_is_refused_before_the_work(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "bars")
    with pytest.raises(OutputError, match="bars is a mount point"):
        train(options)


@pytest.fixture
def interrupted(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> TrainOptions:
    """A run that was stopped by Ctrl-C when its second epoch began."""
    real_fit = job_module.fit

    def fit_and_stop(*args: Any, **kwargs: Any) -> Any:
        module = args[1]
        begin = module.train_sampler.set_epoch

        def stop_at_second(epoch: int) -> None:
            if epoch == 1:
                raise KeyboardInterrupt
            begin(epoch)

        monkeypatch.setattr(module.train_sampler, "set_epoch", stop_at_second)
        return real_fit(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(job_module, "fit", fit_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(options)
    assert options.out is not None
    assert not Path(options.out).exists()
    return options


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("workers", [0, 1])
def test_whoever_terminates_a_training_learns_how_to_go_on(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    begin = MixedSampler.set_epoch

    def stop_at_second(sampler: MixedSampler, epoch: int) -> None:
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        begin(sampler, epoch)

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command(lambda progress: train(replace(options, workers=workers), progress)))
    with monkeypatch.context() as patched:
        patched.setattr(MixedSampler, "set_epoch", stop_at_second)
        result = CliRunner().invoke(app, [])
    assert result.exit_code == 143, result.stderr
    assert f"{options.out}.partial keeps the run" in result.stderr
    assert "--resume" in result.stderr
    assert result.stderr.endswith("Terminated.\n")
    assert train(replace(options, resume=True)).model.is_file()


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    interrupted: TrainOptions, tmp_path: Path, workers: int
) -> None:
    resumed = train(replace(interrupted, resume=True, workers=workers))
    whole = train(replace(interrupted, out=str(tmp_path / "whole")))
    assert resumed.model.read_bytes() == whole.model.read_bytes()
    assert resumed.scores == whole.scores


@pytest.mark.slow
def test_whoever_interrupts_learns_how_to_go_on(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train_module, "judge_blocks", stop)
        with caplog.at_level("WARNING", "geocobot"), pytest.raises(KeyboardInterrupt):
            train(replace(options, out=f"{options.out}-of-a-demo"), resumable=False)
        assert "--resume" not in caplog.text
        with caplog.at_level("WARNING", "geocobot"), pytest.raises(KeyboardInterrupt):
            train(options)
    assert f"{options.out}.partial keeps the run" in caplog.text
    assert "--resume" in caplog.text
    resumed = train(replace(options, resume=True))
    assert resumed.model.is_file()
    assert not list(resumed.folder.rglob("*.ckpt"))


def test_a_run_stopped_in_its_first_epoch_starts_anew(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job_module, "fit", stop)
        with pytest.raises(KeyboardInterrupt):
            train(options)
    assert not caplog.messages
    with caplog.at_level("INFO", "geocobot"):
        assert train(replace(options, resume=True)).model.is_file()
    assert "stopped before its first checkpoint: it starts anew" in caplog.text


def test_an_interrupted_run_is_not_thrown_away_unasked(interrupted: TrainOptions) -> None:
    with pytest.raises(OutputError, match=r"interrupted run.*--resume.*--overwrite"):
        train(interrupted)


def test_a_resumed_run_measures_nothing_again(
    interrupted: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose_ranges(*_: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr(train_module, "choose_ranges", choose_ranges)
    resumed = train(replace(interrupted, resume=True))
    kept = json.loads((resumed.folder / "statistics.json").read_text())
    ranges = read_card(resumed.model).ranges
    assert [(b["low"], b["high"]) for b in kept["bands"]] == [(r.low, r.high) for r in ranges]


def test_another_run_is_not_resumed(interrupted: TrainOptions) -> None:
    with pytest.raises(ResumeError, match=r"line_width \(was 16.0\).*--overwrite"):
        train(replace(interrupted, resume=True, line_width=10.0))


def test_changed_labels_are_not_resumed(
    interrupted: TrainOptions, labels_factory: Callable[..., Path]
) -> None:
    line = LineString([(WEST, NORTH - 150), (WEST + SIDE_PX, NORTH - 150)])
    labels_factory([line], name="bars.gpkg")
    with pytest.raises(ResumeError, match="other scenes, labels or weights"):
        train(replace(interrupted, resume=True))


@pytest.fixture
def _no_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene that takes so long to read that nothing may be found out only afterwards."""

    def too_late(*_: Any) -> None:
        raise AssertionError("the survey began")

    monkeypatch.setattr(ground_module, "survey_scene", too_late)


@pytest.mark.usefixtures("_no_survey")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": 100}, r"--patch-size is 100\..*multiple of 64"),
        ({"crop_size": 100}, r"--crop-size is 100\..*multiple of 64"),
        ({"rank": 6}, r"rank is 6\..*multiple of 4.*--rank"),
        ({"start": "random", "checkpoint": "sam.pth"}, "--start random is asked for with --check"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_the_survey(
    options: TrainOptions, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(replace(options, **change))


@pytest.mark.usefixtures("_no_survey")
def test_weights_that_are_not_there_are_named_before_the_survey(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(MissingFileError, match=r"sam\.pth does not exist\. --checkpoint names"):
        train(replace(options, base="vit_b", checkpoint=str(tmp_path / "sam.pth")))
    with pytest.raises(MissingFileError, match=r"sam\.pth does not exist\. .*weights of tiny"):
        train(replace(options, base="tiny", checkpoint=str(tmp_path / "sam.pth")))

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(CheckpointError, match=r"sam_vit_b_01ec64\.pth is not at .*no network"):
        train(replace(options, base="vit_b"))


@pytest.mark.usefixtures("_no_survey")
def test_scenes_that_cannot_be_pooled_are_refused_before_the_survey(
    options: TrainOptions, scene_factory: Callable[..., Path]
) -> None:
    gray = scene_factory("gray.tif", bands=1, shape_hw=(SIDE_PX, SIDE_PX))
    with pytest.raises(BandError, match=r"gray\.tif is read with bands \(1, 1, 1\)"):
        train(replace(options, raster=(*options.raster, str(gray))))


def test_what_came_to_lie_at_the_target_is_kept(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fit, target = job_module.fit, Path(str(options.out))

    def fit_while_somebody_writes(*args: Any, **kwargs: Any) -> Any:
        target.mkdir(parents=True)
        (target / "thesis.txt").write_text("years of work", encoding="utf-8")
        return real_fit(*args, **kwargs)

    monkeypatch.setattr(job_module, "fit", fit_while_somebody_writes)
    with pytest.raises(OutputError, match="exists already"):
        train(options)
    assert (target / "thesis.txt").read_text(encoding="utf-8") == "years of work"
    monkeypatch.undo()
    (target / "thesis.txt").unlink()
    assert train(replace(options, resume=True)).model.is_file()


def test_a_scene_that_breaks_off_while_workers_read_it_is_named(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fit, scene = job_module.fit, Path(options.raster[0])

    def fit_while_the_disk_fails(*args: Any, **kwargs: Any) -> Any:
        whole = scene.read_bytes()
        scene.write_bytes(whole[: len(whole) // 2])
        return real_fit(*args, **kwargs)

    monkeypatch.setattr(job_module, "fit", fit_while_the_disk_fails)
    with pytest.raises(UnreadableFileError, match=r"scene\.tif cannot be read at rows.*copy or"):
        train(replace(options, workers=1))
