"""Every arm trains what it should, and nothing else: counts of the paper, two steps, one run."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from evidence import scenes
from evidence.grid import Cell, Setting, Trial
from evidence.variants import VARIANTS, make_arm, own_rank
from evidence.work import make_run
from places import Part, Place, open_part

from geocobot.adapters.attach import attach, count_parameters
from geocobot.models import bases
from geocobot.models.bases import BASES, BaseSpec, WeightsSource
from geocobot.models.encoder import SamEncoder
from geocobot.synthetic.place import make_place, write_place
from geocobot.training.groups import default_groups, parameter_groups
from geocobot.training.losses import SegmentationLoss
from tests.models.mini import MINI, official_sam

OFFICIAL = replace(MINI, name="official", weights=WeightsSource("", "official.pth", "0" * 64, 1))
"""A miniature whose weights are in a file as Meta publishes it."""


@pytest.fixture(autouse=True)
def small(small_place, monkeypatch):
    """The made-up place among the scenes."""
    monkeypatch.setitem(scenes.MADE, "small", lambda _: small_place)


@pytest.fixture
def official(tmp_path, monkeypatch) -> Iterator[tuple[BaseSpec, str]]:
    path = tmp_path / "official.pth"
    torch.save(official_sam(OFFICIAL).state_dict(), path)
    monkeypatch.setitem(bases.BASES, OFFICIAL.name, OFFICIAL)
    return OFFICIAL, str(path)


@pytest.fixture(scope="session")
def small_place(tmp_path_factory) -> Place:
    folder = tmp_path_factory.mktemp("place")
    files = write_place(make_place(2, (320, 640)), folder)
    return Place(str(files.roads), Part(str(files.train_scene)), Part(str(files.unseen_scene)))


def build(name, checkpoint):
    return make_arm(name, None, OFFICIAL.name).build(1, 0, checkpoint)


@pytest.mark.parametrize(
    ("name", "adapter", "cobot"),
    [
        ("decoder", 0, 0),
        ("lora", 147_456, 0),
        ("lora-alpha2", 147_456, 0),
        ("dora", 147_456 + 12 * 2 * 768, 0),
        ("lora-cobot", 147_456, 864),
        ("identity", 147_456, 864),
        ("random", 147_456, 864),
        ("linear", 147_456, 864 - 96 + 24 * 16),
        ("published", 147_456, 864),
        ("adaptformer", 322_752, 0),
        ("adaptformer-cobot", 322_752, 1296),
        ("full", 0, 0),
    ],
)
def test_parameters_of_vit_b_are_those_of_the_paper(name, adapter, cobot):
    assert set(VARIANTS) >= {name}
    with torch.device("meta"):
        encoder = SamEncoder(BASES["vit_b"])
    attach(encoder, VARIANTS[name].config())
    counts = count_parameters(encoder)
    assert (counts.adapter, counts.cobot) == (adapter, cobot)
    trained = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    frozen = 24 * 24 if name in ("identity", "random") else 0
    whole = sum(p.numel() for p in encoder.parameters())
    assert trained == (whole if name == "full" else adapter + cobot - frozen)


@pytest.mark.parametrize("name", VARIANTS)
def test_two_steps_move_what_an_arm_trains_and_nothing_else(official, name):
    segmenter = build(name, official[1])
    before = {n: p.detach().clone() for n, p in segmenter.named_parameters()}
    two_steps(segmenter)
    moved = {n for n, p in segmenter.named_parameters() if not torch.equal(p, before[n])}
    encoder = {n for n in moved if n.startswith("encoder.")}
    assert any(n.startswith("head.") for n in moved)
    assert all(p.requires_grad for n, p in segmenter.named_parameters() if n in moved)
    assert bool(encoder) == (name != "decoder")
    learned_relation = name.endswith("-cobot") or name in ("linear", "published")
    assert any(n.endswith("relation.S") for n in moved) == learned_relation


def test_no_two_arms_learn_the_same(official):
    logits = {}
    for name in VARIANTS:
        segmenter = build(name, official[1])
        two_steps(segmenter)
        with torch.no_grad():
            logits[name] = segmenter.eval()(batch()[0]).numpy()
    names = list(logits)
    for k, name in enumerate(names):
        for other in names[:k]:
            assert not np.array_equal(logits[name], logits[other]), (name, other)


def batch():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 64, 64, generator=generator)
    return image, (image.mean(dim=1) > 0.5).long()


def two_steps(segmenter):
    torch.manual_seed(0)
    groups = parameter_groups(segmenter, default_groups(segmenter, 1e-2))
    optimizer = torch.optim.AdamW(groups)
    image, label = batch()
    segmenter.train()
    for _ in range(2):
        loss = SegmentationLoss()(segmenter(image), label, torch.ones_like(label, dtype=bool))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def ask(name, patches=None, precision="float32"):
    setting = Setting(base=OFFICIAL.name, weights="", steps=2, precision=precision)
    cell = Cell(name, own_rank(name))
    return Trial(
        purpose="pilot",
        **vars(setting),
        **vars(cell),
        scene="small",
        seed=0,
        patches=patches,
        rate=2e-4,
    )


@pytest.mark.parametrize(
    ("name", "patches", "precision"),
    [("lora-cobot", None, "float32"), ("full", 2, "float32"), ("adaptformer", 1, "bfloat16")],
)
def test_a_whole_run_of_two_steps_from_an_official_file(
    official, tmp_path, name, patches, precision
):
    found = make_run(ask(name, patches, precision), official[1], tmp_path)
    assert found["steps_made"] == 2
    assert 0 <= found["mean_iou"] <= 1
    assert list(json.loads(found["iou"])) == ["roads"]
    assert (found["validation_iou"] is None) == (patches is not None)
    assert found["machine"].endswith(precision)
    assert found["loss_spikes"] == 0
    assert (found["condition_s_max"] is None) == (name != "lora-cobot")
    assert (tmp_path / "logs").is_dir()


def test_a_run_comes_out_the_same_again(official, tmp_path):
    first, second = (make_run(ask("lora-cobot"), official[1], tmp_path) for _ in range(2))
    assert first["mean_iou"] == second["mean_iou"]
    assert first["validation_iou"] == second["validation_iou"]


def test_too_few_patches_are_an_error(official, tmp_path):
    with pytest.raises(ValueError, match=r"small has \d+ patches of 128 px"):
        make_run(ask("lora", 100), official[1], tmp_path)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # in rasterio
@pytest.mark.skipif(not scenes.DATA.is_dir(), reason="real scenes are not beside this checkout")
def test_black_pixels_of_rio_have_no_data(tmp_path):
    place = scenes.find_scene("rio_buildings", tmp_path)
    assert scenes.find_scene("rio_buildings", tmp_path) == place
    parts = [open_part(place, part, tmp_path) for part in (place.train, place.judged)]
    north, south = (part.scenes[0].grid for part in parts)
    assert north.bounds[1] >= south.bounds[3] - south.transform.a  # not one row in common
    for part in parts:
        patch = part.scenes[0].read(part.scenes[0].grid.window)
        assert 0.6 < patch.valid.mean() < 1
        labelled = part.rasters[0].read(part.scenes[0].grid.window).classes == 1
        assert 5_000 < labelled.sum() < 40_000
        assert (labelled & patch.valid).sum() > 0.8 * labelled.sum()
