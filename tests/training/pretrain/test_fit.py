"""Pretraining from the first step to the last, interrupted and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geocobot.errors import ConfigError, ResumeError
from geocobot.models.bases import BaseSpec
from geocobot.training.pretrain.fit import Pretrained, PretrainSettings, pretrain_parts
from geocobot.training.pretrain.images import ImageBank
from geocobot.training.pretrain.model import PretrainedParts
from geocobot.training.pretrain.module import PretrainObjectives, PretrainTask

MINI = BaseSpec(
    name="tiny",
    width=32,
    depth=4,
    heads=2,
    global_blocks=(0, 1, 2, 3),
    window_tokens=4,
    image_px=64,
    out_channels=32,
    conv_stem=True,
)
OBJECTIVES = PretrainObjectives(
    worlds=2,
    images=1,
    sides_px=(64,),
    boxes=2,
    boxes_weight=0.5,
    pixels_weight=0.3,
    agreement_weight=0.5,
    hidden_share=0.5,
    hidden_px=16,
)
SETTINGS = PretrainSettings(
    steps=6,
    objectives=OBJECTIVES,
    learning_rate=1e-3,
    encoder_rate=4e-4,
    weight_decay=0.05,
    checkpoint_every=2,
)


def bank() -> ImageBank:
    generator = torch.Generator().manual_seed(9)
    return ImageBank([torch.randint(256, (3, 96, 96), generator=generator, dtype=torch.uint8)])


def weights(done: Pretrained) -> dict[str, torch.Tensor]:
    return done.parts.state_dict()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return pretrain_parts(MINI, bank(), SETTINGS, tmp_path_factory.mktemp("whole"))


def test_it_trains_and_says_how(whole: Pretrained) -> None:
    assert whole.steps == 6
    assert whole.seconds > 0
    assert set(whole.errors) >= {
        *("cover", "dice", "outline", "shadow", "height", "tokens", "masks", "pixels", "agreement"),
        "train_loss",
    }
    assert not whole.parts.training
    assert all(t.isfinite().all() for t in weights(whole).values())
    rows = whole.log.read_text().splitlines()
    assert len(rows) == 7
    assert "cover" in rows[0]


def test_the_same_seed_gives_the_same_weights(whole: Pretrained, tmp_path: Path) -> None:
    again = pretrain_parts(MINI, bank(), SETTINGS, tmp_path)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(again)[name]), name


def test_an_interrupted_run_ends_where_a_whole_one_does(
    whole: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = PretrainTask.training_step

    def stop_at_step_five(self: PretrainTask, batch: object, batch_idx: int) -> torch.Tensor:
        if self.global_step == 5:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(PretrainTask, "training_step", stop_at_step_five)
        with pytest.raises(KeyboardInterrupt):
            pretrain_parts(MINI, bank(), SETTINGS, tmp_path)
    resumed = pretrain_parts(MINI, bank(), replace(SETTINGS, resume=True), tmp_path)
    assert resumed.steps == 6
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name]), name
    assert resumed.log.read_text().splitlines()[1:3] == whole.log.read_text().splitlines()[1:3]


def test_a_lost_run_says_so_and_keeps_its_last_good_checkpoint(tmp_path: Path) -> None:
    lost = replace(SETTINGS, learning_rate=1e30, encoder_rate=1e30, warmup=0.0)
    with pytest.raises(ConfigError, match=r"pretraining lost its way .*Lower --learning-rate and"):
        pretrain_parts(MINI, bank(), lost, tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        saved = torch.load(path, weights_only=True)["state_dict"]
        assert all(tensor.isfinite().all() for tensor in saved.values())


def test_the_teacher_leaves_the_weights_where_they_are() -> None:
    parts = PretrainedParts(MINI)
    before = {name: id(parameter) for name, parameter in parts.named_parameters()}
    other = {name: torch.rand_like(p) for name, p in parts.named_parameters()}
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        taught, _ = torch.func.functional_call(parts, other, (image,))
        own, _ = parts(image)
    assert {name: id(parameter) for name, parameter in parts.named_parameters()} == before
    assert not torch.equal(taught.cover, own.cover)


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="holds no interrupted training"):
        pretrain_parts(MINI, bank(), replace(SETTINGS, resume=True), tmp_path)


def test_a_step_of_another_side_has_pictures_that_make_up_for_it() -> None:
    objectives = replace(OBJECTIVES, worlds=8, images=0, boxes=3, sides_px=(128, 64, 256))
    generator = torch.Generator().manual_seed(0)
    steps = {step.sides_px: step for step in (objectives.sized(generator) for _ in range(40))}
    found = {side: (step.worlds, step.images, step.boxes) for side, step in steps.items()}
    assert found == {(128,): (8, 0, 3), (64,): (32, 0, 12), (256,): (2, 0, 1)}


def test_crops_of_several_sides_are_learned_from(tmp_path: Path) -> None:
    objectives = replace(OBJECTIVES, sides_px=(64, 128))
    done = pretrain_parts(MINI, bank(), replace(SETTINGS, objectives=objectives), tmp_path)
    assert done.steps == 6
    assert all(t.isfinite().all() for t in weights(done).values())


def test_without_scenes_the_world_is_enough(tmp_path: Path) -> None:
    done = pretrain_parts(MINI, None, replace(SETTINGS, steps=2), tmp_path)
    assert "pixels" not in done.errors
    assert done.steps == 2


def test_without_worlds_the_scenes_are_enough(tmp_path: Path) -> None:
    objectives = replace(OBJECTIVES, worlds=0, images=2)
    done = pretrain_parts(MINI, bank(), replace(SETTINGS, steps=2, objectives=objectives), tmp_path)
    assert set(done.errors) >= {"pixels", "train_loss"}
    assert "cover" not in done.errors


def test_it_learns(tmp_path: Path) -> None:
    objectives = replace(OBJECTIVES, worlds=4, images=0, boxes=0)
    settings = replace(
        SETTINGS, steps=60, objectives=objectives, learning_rate=3e-3, checkpoint_every=60
    )
    done = pretrain_parts(MINI, None, settings, tmp_path)
    rows = [row.split(",") for row in done.log.read_text().splitlines()]
    column = rows[0].index("train_loss")
    losses = [float(row[column]) for row in rows[1:]]
    assert sum(losses[-10:]) < 0.93 * sum(losses[:10])
