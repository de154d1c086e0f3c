from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from geocobot.classes import ClassSpec
from geocobot.config import TrainOptions
from geocobot.errors import ConfigError
from geocobot.models import bases
from geocobot.workflows import defaults
from geocobot.workflows.defaults import (
    choose_adapter,
    choose_base,
    choose_head,
    choose_loss,
    choose_start,
    fill_in,
    limit_epochs,
    refuse_misfits,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def options(**said: Any) -> TrainOptions:
    return TrainOptions(raster=("a.tif",), labels=("b.shp",), **said)


@pytest.fixture(autouse=True)
def _roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes that have room for the largest patch of interest."""
    monkeypatch.setattr(defaults, "choose_patch_px", lambda _surveys, max_px, _seed, _given: max_px)


@pytest.mark.parametrize(("device", "base"), [(CPU, "tiny"), (GPU, "vit_b")])
def test_the_machine_chooses_the_base_and_says_so(
    device: torch.device, base: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "geocobot"):
        assert choose_base(options(), device).base == base
        assert len(caplog.messages) == 1
        assert choose_base(options(base="vit_l"), device).base == "vit_l"
    assert len(caplog.messages) == 1


def test_every_default_has_a_value_on_a_cpu() -> None:
    filled = fill_in(options(base="tiny"), CPU, [])
    assert (filled.rank, filled.patch_size, filled.crop_size) == (4, 512, 256)
    assert (filled.batch_size, filled.epochs, filled.max_minutes) == (8, None, 2.0)


def test_a_random_start_sees_smaller_crops_for_longer_on_a_cpu() -> None:
    filled = fill_in(options(base="tiny", start="random"), CPU, [])
    assert (filled.crop_size, filled.max_minutes) == (128, 10.0)
    assert fill_in(options(base="vit_b"), CPU, []).max_minutes == 10.0
    assert fill_in(options(base="tiny", start="random"), GPU, []).crop_size == 1024


def test_every_default_has_a_value_on_a_gpu() -> None:
    filled = fill_in(options(base="vit_b", adapter="adaptformer"), GPU, [])
    assert (filled.rank, filled.patch_size, filled.crop_size) == (16, 1024, 1024)
    assert (filled.batch_size, filled.epochs, filled.max_minutes) == (4, 60, None)


@pytest.mark.parametrize(("said", "px"), [({}, 50.0), ({"crop_size": 128}, 6.25)])
def test_boxes_move_in_proportion_to_the_patch_unless_told(said: dict[str, Any], px: float) -> None:
    with_boxes = options(base="vit_b", prompt="boxes", **said)
    assert fill_in(with_boxes, GPU, []).box_jitter_px == px
    assert fill_in(replace(with_boxes, box_jitter_px=0.0), GPU, []).box_jitter_px == 0.0
    assert fill_in(replace(with_boxes, prompt="none"), GPU, []).box_jitter_px is None


@pytest.mark.parametrize(("views_per_epoch", "epochs"), [(24.0, 25), (1.0, 600), (9000.0, 1)])
def test_a_small_scene_is_shown_so_many_times_and_no_more(
    views_per_epoch: float, epochs: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "geocobot"):
        assert limit_epochs(options(max_minutes=10.0), views_per_epoch).epochs == epochs
    assert f"after {epochs} epochs at the latest" in caplog.text


def test_fewer_epochs_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "geocobot"):
        assert limit_epochs(options(epochs=60), 5.0).epochs == 60
    assert not caplog.messages


def test_epochs_that_were_asked_for_are_trained_however_long_they_take() -> None:
    assert fill_in(options(base="tiny", epochs=3), CPU, []).max_minutes is None
    assert fill_in(options(base="tiny", epochs=3, max_minutes=1.0), CPU, []).max_minutes == 1.0


def test_what_was_said_is_kept() -> None:
    said = options(
        base="tiny",
        rank=8,
        patch_size=64,
        crop_size=256,
        batch_size=1,
        epochs=3,
        max_minutes=2.0,
        workers=3,
    )
    assert fill_in(said, CPU, []) == said


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"prompt": "boxes"}, "--prompt boxes. Errors are those of boxes"),
        ({"adapter": "none"}, "--adapter none. Patches of a frozen backbone come again"),
        ({"pool_epochs": 2}, "--pool-epochs. It shows the same patches"),
    ],
)
def test_hard_patches_are_refused_where_they_have_no_say(
    others: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=f"--sampling hard is asked for with {said}"):
        refuse_misfits(options(sampling="hard", **others))
    refuse_misfits(options(sampling="hard"))


def test_a_gpu_has_workers_and_leaves_a_processor_to_the_trainer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cpus, expected in ((16, 4), (5, 4), (3, 2), (1, 0), (None, 0)):
        monkeypatch.setattr("os.cpu_count", lambda n=cpus: n)
        assert fill_in(options(base="vit_b"), GPU, []).workers == expected
        assert fill_in(options(base="tiny"), CPU, []).workers == 0


def test_a_crop_is_no_larger_than_a_patch_that_was_asked_for() -> None:
    assert fill_in(options(base="tiny", patch_size=64), CPU, []).crop_size == 64


def test_cobot_wants_ranks_by_fours() -> None:
    with pytest.raises(ConfigError, match=r"adapter rank is 6\..*multiple of 4.*--no-cobot"):
        choose_adapter(options(rank=6))
    assert choose_adapter(options(rank=6, cobot=False)).rank == 6
    assert choose_adapter(options(rank=6, adapter="none")).method == "none"


def test_the_head_follows_from_base_and_prompt_and_any_may_be_asked_for() -> None:
    assert choose_head(options(base="tiny")).head == "dense"
    assert choose_head(options(base="tiny", prompt="boxes")).head == "mask-decoder"
    assert choose_head(options(base="vit_b")).head == "mask-decoder"
    assert choose_head(options(base="vit_b", head="dense")).head == "dense"
    assert choose_head(options(base="tiny", head="mask-decoder")).head == "mask-decoder"


def test_from_a_random_start_the_head_is_dense() -> None:
    assert choose_head(options(base="vit_b", start="random")).head == "dense"
    assert choose_head(options(base="vit_b", start="random", prompt="boxes")).head == "mask-decoder"


def test_a_base_without_weights_starts_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    for bundled, start in [(None, "random"), ("tiny.safetensors", "pretrained")]:
        spec = replace(bases.BASES["tiny"], bundled=bundled)
        monkeypatch.setitem(bases.BASES, "tiny", spec)  # type: ignore[arg-type] # a dict underneath
        assert choose_start(options(base="tiny")).start == start
        named = options(base="tiny", checkpoint="own.safetensors")
        assert choose_start(named).start == "pretrained"
        assert choose_start(options(base="tiny", start="random")).start == "random"
    assert choose_start(options(base="vit_b")).start == "pretrained"


def test_a_random_start_has_no_use_for_a_checkpoint() -> None:
    with pytest.raises(ConfigError, match=r"random is asked for with --checkpoint sam\.pth"):
        choose_start(options(base="vit_b", start="random", checkpoint="sam.pth"))


def test_boxes_take_no_class_weights() -> None:
    with pytest.raises(ConfigError, match=r"--class-weights balanced is asked for with --prompt"):
        refuse_misfits(options(prompt="boxes", class_weights="balanced"))
    refuse_misfits(options(prompt="boxes", loss="lovasz"))


def test_only_boxes_can_be_jittered() -> None:
    with pytest.raises(ConfigError, match=r"--box-jitter-px 20 is asked for without boxes"):
        refuse_misfits(options(box_jitter_px=20.0))
    refuse_misfits(options(prompt="boxes", box_jitter_px=20.0))


def test_class_weights_follow_from_the_training_area_and_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(defaults, "class_shares", lambda _surveys, _regions, n: (0.1, 0.001)[:n])
    classes = [ClassSpec(1, "road", "#e69f00"), ClassSpec(2, "tree", "#56b4e9")]
    with caplog.at_level("INFO", "geocobot"):
        plain = choose_loss(options(loss="lovasz"), [], [], classes)
        assert not caplog.messages
        weighted = choose_loss(options(class_weights="balanced"), [], [], classes)
    assert (plain.name, plain.positive_weights) == ("lovasz", None)
    assert (weighted.name, weighted.positive_weights) == ("bce-dice", pytest.approx((3.0, 10.0)))
    (said,) = caplog.messages
    assert said.startswith(
        "Class weights: road 3.00 (10.0% of the training area), tree 10.00 (0.1%"
    )
