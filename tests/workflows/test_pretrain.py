"""From options to a base file that training starts from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geocobot.config import PretrainOptions
from geocobot.errors import ConfigError, MissingFileError, OutputError, ResumeError
from geocobot.models.base_file import read_base
from geocobot.models.bases import find_base
from geocobot.models.provenance import read_provenance
from geocobot.models.segmenter import build_segmenter
from geocobot.settings import make_options
from geocobot.synthetic.world.canvas import Cover
from geocobot.training.pretrain.module import PretrainTask
from geocobot.workflows.pretrain import PretrainResult, pretrain
from geocobot.yaml_file import read_yaml


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> PretrainOptions:
    return PretrainOptions(
        out=str(tmp_path_factory.mktemp("pretrain") / "tiny"),
        steps=2,
        worlds=1,
        images=1,
        crop_size=(64,),
        boxes=1,
        checkpoint_steps=1,
        device="cpu",
        precision="float32",
    )


@pytest.fixture(scope="module")
def result(options: PretrainOptions) -> PretrainResult:
    return pretrain(options)


def interrupt(options: PretrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a run and interrupt it after its first step."""
    step = PretrainTask.training_step

    def stop(self: PretrainTask, batch: object, batch_idx: int) -> torch.Tensor:
        if self.global_step == 1:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(PretrainTask, "training_step", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain(options)


def test_the_folder_has_everything(result: PretrainResult, options: PretrainOptions) -> None:
    assert result.folder == Path(options.out)
    assert {p.name for p in result.folder.iterdir()} == {
        *("tiny.safetensors", "config.yaml", "metrics.json", "worlds.png", "logs"),
    }
    assert result.steps == 2
    assert set(result.cover_iou) == {cover.name.lower() for cover in Cover}
    metrics = json.loads(result.metrics.read_text())
    assert metrics["cover_iou"] == result.cover_iou
    assert metrics["steps"] == 2
    assert metrics["errors"]["train_loss"] > 0
    with Image.open(result.picture) as picture:
        assert min(picture.size) > 200
    assert str(result.weights) in result.summary()


def test_the_options_can_be_used_again(result: PretrainResult, options: PretrainOptions) -> None:
    again = make_options(PretrainOptions, read_yaml(result.config), "test")
    assert again == options


def test_the_weights_say_where_they_come_from(result: PretrainResult) -> None:
    provenance = read_provenance(result.weights)
    assert provenance.base == "tiny"
    assert provenance.steps == 2
    assert provenance.seed == 0
    assert provenance.license == "Apache-2.0"
    assert provenance.recipe["worlds"] == 1
    assert provenance.data == ("geocobot's made-up world",)
    assert result.weights.stat().st_size < 24e6


def test_training_starts_from_the_weights(result: PretrainResult) -> None:
    segmenter = build_segmenter("tiny", 2, checkpoint=result.weights)
    assert not segmenter.starts_at_random
    assert not any(p.requires_grad for p in segmenter.encoder.parameters())
    assert segmenter(torch.rand(1, 3, 64, 64)).shape == (1, 2, 64, 64)


def test_scenes_are_learned_from_and_named(
    options: PretrainOptions, scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3, 200, 200)).astype("uint8")
    scene = scene_factory(image=image, name="a.tif")
    result = pretrain(replace(options, out=str(tmp_path / "run"), raster=(str(scene),), boxes=0))
    assert read_provenance(result.weights).data == (
        "geocobot's made-up world",
        f"{scene.parent.name}/a",
    )
    assert "pixels" in json.loads(result.metrics.read_text())["errors"]


def test_scenes_alone_are_all_that_is_named_and_train_no_mask_decoder(
    options: PretrainOptions, scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 200, 200)).astype("uint8")
    scene = scene_factory(image=image, name="a.tif")
    result = pretrain(
        replace(options, out=str(tmp_path / "run"), raster=(str(scene),), worlds=0, boxes=4)
    )
    assert read_provenance(result.weights).data == (f"{scene.parent.name}/a",)
    tensors = read_base(result.weights, find_base("tiny"))
    assert not [name for name in tensors if name.startswith("mask_decoder.")]


@pytest.mark.parametrize("bands", [(1,), (4, 2), (3, 2, 1)])
def test_fewer_than_three_bands_come_again(
    options: PretrainOptions,
    scene_factory: Callable[..., Path],
    tmp_path: Path,
    bands: tuple[int | str, ...],
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (4, 200, 200)).astype("uint8")
    scene = str(scene_factory(image=image, name="a.tif"))
    out = str(tmp_path / "run")
    result = pretrain(replace(options, out=out, raster=(scene,), boxes=0, bands=bands))
    assert result.steps == 2


@pytest.mark.parametrize("bands", [(1, 2, 3, 4), ("all",)])
def test_more_than_three_bands_are_refused(
    options: PretrainOptions,
    scene_factory: Callable[..., Path],
    tmp_path: Path,
    bands: tuple[int | str, ...],
) -> None:
    scene = str(scene_factory(image=np.ones((4, 200, 200), "uint8"), name="a.tif"))
    out = str(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"--bands .* is not three bands.*Name three bands"):
        pretrain(replace(options, out=out, raster=(scene,), bands=bands))


def test_a_run_without_a_size_is_refused(options: PretrainOptions, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--crop-size is an empty list\..*Name one side"):
        pretrain(replace(options, out=str(tmp_path / "run"), crop_size=()))
    assert not list(tmp_path.iterdir())


def test_a_run_ends_when_its_time_is_up(options: PretrainOptions, tmp_path: Path) -> None:
    result = pretrain(replace(options, out=str(tmp_path / "run"), steps=50, max_minutes=1e-6))
    assert result.steps == 1
    assert read_provenance(result.weights).steps == 1


def test_an_interrupted_run_is_kept_and_goes_on(
    options: PretrainOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = replace(options, out=str(tmp_path / "run"))
    interrupt(options, monkeypatch)
    assert "repeat the command with --resume" in caplog.text
    with pytest.raises(OutputError, match="holds an interrupted run"):
        pretrain(options)
    with pytest.raises(ResumeError, match="was begun with other worlds"):
        pretrain(replace(options, worlds=2, resume=True))
    result = pretrain(replace(options, resume=True))
    assert result.steps == 2
    assert not (tmp_path / "run.partial").exists()


def test_a_finished_run_is_not_replaced_unasked(
    result: PretrainResult, options: PretrainOptions
) -> None:
    before = result.weights.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        pretrain(options)
    assert result.weights.read_bytes() == before


def test_a_run_goes_on_from_the_weights_of_another(
    result: PretrainResult, options: PretrainOptions, tmp_path: Path
) -> None:
    options = replace(options, steps=1, learning_rate=1e-9, encoder_rate=1e-9, seed=5)
    on = pretrain(
        replace(options, out=str(tmp_path / "on"), checkpoint=str(result.weights), weight_decay=0)
    )
    before, after = (read_base(w, find_base("tiny")) for w in (result.weights, on.weights))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, atol=1e-6, rtol=1e-3, msg=name)
    provenance, first = read_provenance(on.weights), read_provenance(result.weights)
    assert provenance.after == first
    assert [run.seed for run in provenance.runs] == [0, 5]
    assert provenance.recipe["start"] == "pretrained"


def test_a_run_goes_on_from_the_packages_weights(
    options: PretrainOptions, tmp_path: Path, bundled_tiny: Path
) -> None:
    on = pretrain(replace(options, out=str(tmp_path / "on"), steps=1, start="pretrained"))
    assert read_provenance(on.weights).after == read_provenance(bundled_tiny)


def test_weights_to_go_on_from_that_are_not_there(options: PretrainOptions, tmp_path: Path) -> None:
    lost = tmp_path / "lost.safetensors"
    with pytest.raises(MissingFileError, match=r"lost\.safetensors does not exist"):
        pretrain(replace(options, out=str(tmp_path / "on"), checkpoint=str(lost)))
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_went_on_from_the_same_weights(
    result: PretrainResult,
    options: PretrainOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun_from = tmp_path / "begun.safetensors"
    begun_from.write_bytes(result.weights.read_bytes())
    options = replace(options, out=str(tmp_path / "run"), checkpoint=str(begun_from))
    interrupt(options, monkeypatch)
    other = pretrain(replace(options, out=str(tmp_path / "other"), checkpoint=None, seed=3))
    begun_from.write_bytes(other.weights.read_bytes())
    with pytest.raises(ResumeError, match="was begun with other scenes, labels or weights"):
        pretrain(replace(options, resume=True))


def test_nothing_to_learn_from_is_refused(options: PretrainOptions, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leaves nothing to learn from"):
        pretrain(replace(options, worlds=0, out=str(tmp_path / "run")))
