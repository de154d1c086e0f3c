"""timm's transformer beside `tiny`: a head that reads it, adapters that find it, its own grid."""

from collections import Counter
from itertools import product

import pytest
import torch
from evidence import backbones, scenes, timm_vit
from evidence.declared import rates_of
from evidence.grid import OWN, SEEDS, SWEPT, Cell, Setting, Trial, cells_of, scope_of, stage_trials
from evidence.table import MissingRunsError
from evidence.variants import CORE, VARIANTS, make_arm, own_rank
from evidence.work import make_run
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from geocobot.adapters.attach import count_parameters
from geocobot.adapters.config import AdapterConfig
from tests.benchmarks.test_arms import small, small_place, two_steps  # noqa: F401 # fixtures

BLOCKS, WIDTH, RANK = 12, 96, 4


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("timm") / "timm_vit.safetensors"
    said = []
    timm_vit.pretrain(path, said.append, steps=2)
    assert len(said) == 2
    return path


def build(name, weights):
    return make_arm(name, None, backbones.SECOND).build(1, 0, str(weights))


def test_levels_are_as_the_head_wants_them():
    features = timm_vit.TimmEncoder()(torch.zeros(2, 3, 128, 64))
    assert [tuple(level.shape) for level in features.levels] == [(2, WIDTH, 8, 4)] * 4
    assert tuple(features.neck.shape) == (2, WIDTH, 8, 4)


def test_every_block_matters_to_the_neck():
    encoder = timm_vit.TimmEncoder()
    encoder(torch.rand(1, 3, 128, 128)).neck.square().sum().backward()
    still = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@pytest.mark.parametrize("name", CORE)
def test_two_steps_move_adapters_and_head_alone(weights, name):
    segmenter = build(name, weights)
    before = {n: p.detach().clone() for n, p in segmenter.named_parameters()}
    two_steps(segmenter)
    moved = {n for n, p in segmenter.named_parameters() if not torch.equal(p, before[n])}
    own = load_file(weights)
    assert any(n.startswith("head.") for n in moved)
    assert not [n for n in moved if n.startswith("encoder.") and n in own]
    assert any(n.startswith("encoder.") for n in moved) == (name != "decoder")


def test_cobot_adds_what_the_formula_says(weights):
    counts = count_parameters(build("lora-cobot", weights).encoder)
    sites = 2 * BLOCKS  # q and v
    assert counts.adapter == sites * 2 * RANK * WIDTH
    plain = count_parameters(build("lora", weights).encoder)
    assert (plain.adapter, plain.cobot) == (counts.adapter, 0)
    assert counts.cobot == 864  # of the shape (rank, sites) alone, which is that of ViT-B


def test_weights_are_taken_as_they_are(weights):
    segmenter = timm_vit.build(AdapterConfig(method="none"), 2, 0, str(weights))
    own = segmenter.state_dict()
    for name, tensor in load_file(weights).items():
        assert torch.equal(own[name], tensor.float()), name
    assert not any(p.requires_grad for p in segmenter.encoder.parameters())


def test_a_file_of_other_weights_is_refused(weights, tmp_path):
    state = load_file(weights)
    state.pop("encoder.neck.0.weight")
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(RuntimeError, match=r"Missing key.*encoder\.neck\.0\.weight"):
        build("lora", tmp_path / "less.safetensors")


def test_pretraining_is_reproducible(weights, tmp_path):
    timm_vit.pretrain(tmp_path / "again.safetensors", lambda _: None, steps=2)
    again, first = load_file(tmp_path / "again.safetensors"), load_file(weights)
    assert again.keys() == first.keys()
    assert all(torch.equal(again[name], first[name]) for name in first)
    assert not list(tmp_path.glob("unfinished_*"))


def test_a_whole_run_on_it(weights, tmp_path):
    setting = Setting(base=backbones.SECOND, weights="", steps=2, precision="float32")
    trial = Trial(
        purpose="pilot",
        **vars(setting),
        **vars(Cell("lora-cobot", own_rank("lora-cobot"))),
        scene="small",
        seed=0,
        patches=None,
        rate=2e-4,
    )
    assert "small" in scenes.MADE
    found = make_run(trial, weights, tmp_path)
    assert found["steps_made"] == 2
    assert found["cobot_parameters"] == 864
    assert found["condition_s_max"] is not None


def test_its_grid_is_declared():
    setting = Setting(base=backbones.SECOND, weights="", steps=2, precision="float32")
    scope = scope_of(backbones.SECOND)
    assert scope_of("tiny").arms == tuple(VARIANTS)
    chosen = dict.fromkeys([*OWN, *SWEPT], 1e-4)
    trials = list(stage_trials("main", setting, chosen))
    seen = Counter((t.arm, t.scene, t.seed) for t in trials)
    assert seen == Counter(product(CORE, ("vegas_roads", "kampala_buildings"), SEEDS))
    assert {c.arm for c in cells_of("tune", scope)} == set(CORE)
    assert scope.stages == ("tune", "main")


def test_its_rates_are_its_own(table, setting):
    with pytest.raises(MissingRunsError, match="96 of 96 runs are not made yet"):
        rates_of(
            table,
            Setting(base=backbones.SECOND, weights="", steps=2, precision="float32"),
            cells_of("tune", scope_of(backbones.SECOND)),
        )
    assert setting.base == "tiny"


def test_the_committed_weights_fit():
    with safe_open(timm_vit.WEIGHTS, "pt") as file:
        assert file.metadata()["steps"] == str(timm_vit.STEPS)
    segmenter = timm_vit.build(AdapterConfig(method="none"), 1, 0, None)
    assert timm_vit.WEIGHTS.stat().st_size < 5_000_000
    with torch.no_grad():
        assert segmenter.eval()(torch.rand(1, 3, 128, 128)).isfinite().all()
