import pytest
import torch
from torch import nn

from geocobot.adapters.attach import adapter_state, attach
from geocobot.adapters.config import AdapterConfig
from geocobot.training.groups import GroupSettings, default_groups, parameter_groups

from .squares import TinySegmenter

EVERYTHING = GroupSettings(
    learning_rate=1.0,
    encoder_rate=2.0,
    head_rate=3.0,
    adapter_rate=4.0,
    relation_rate=5.0,
    weight_decay=0.1,
    adapter_decay=0.2,
    relation_decay=0.3,
)


class Adapted(nn.Module):
    """An encoder with an attention and an MLP, and a head."""

    def __init__(self, config, *, trained=False):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.attn = nn.Module()
        self.encoder.attn.qkv = nn.Linear(8, 24)
        self.encoder.mlp = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8))
        attach(self.encoder, config)
        if trained:
            self.encoder.requires_grad_(True)
        self.head = nn.Linear(8, 1)


def found(model, settings=EVERYTHING):
    """Rate and decay of every parameter by its name."""
    names = {id(p): n for n, p in model.named_parameters()}
    groups = parameter_groups(model, settings)
    return {names[id(p)]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}


def test_only_matrices_decay():
    model = nn.ModuleDict(
        {
            "linear": nn.Linear(3, 3),
            "kernel": nn.Conv2d(1, 1, 3, bias=False),
            "norm": nn.LayerNorm(3),
            "token": nn.Embedding(2, 3),
        }
    )
    model.coefficients = nn.Parameter(torch.ones(4, 2))
    decayed = {n for n, (_, decay) in found(model).items() if decay}
    assert decayed == {"linear.weight", "kernel.weight"}
    assert len(found(model)) == 7


def test_frozen_weights_are_in_no_group():
    model = TinySegmenter()
    assert set(found(model)) == {n for n, p in model.named_parameters() if p.requires_grad}


def test_head_adapter_and_relation_have_rates_of_their_own():
    assert found(Adapted(AdapterConfig())) == {
        "head.weight": (3.0, 0.1),
        "head.bias": (3.0, 0.0),
        **{
            f"encoder.attn.qkv.{part}.{name}": figures
            for part in "qv"
            for name, figures in {
                "A": (4.0, 0.2),
                "B": (4.0, 0.2),
                "cobot.gamma": (4.0, 0.0),
                "cobot.W.letters": (5.0, 0.3),
            }.items()
        },
        "encoder.attn.qkv.relation.C": (5.0, 0.3),
        "encoder.attn.qkv.relation.S": (5.0, 0.3),
    }


def test_adaptformers_norm_and_biases_do_not_decay():
    figures = found(Adapted(AdapterConfig("adaptformer", rank=4)))
    prefix = "encoder.mlp.adapter."
    decayed = {n.removeprefix(prefix) for n, (_, decay) in figures.items() if decay == 0.2}
    assert decayed == {"down.weight", "up.weight"}
    assert figures[f"{prefix}norm.weight"] == (4.0, 0.0)


def test_a_trained_encoder_has_its_own_rate():
    figures = found(Adapted(AdapterConfig("full"), trained=True))
    assert figures["encoder.attn.qkv.weight"] == (2.0, 0.1)
    assert figures["encoder.attn.qkv.bias"] == (2.0, 0.0)


@pytest.mark.parametrize("relation", ["identity", "random"])
def test_a_frozen_relation_is_in_no_group(relation):
    assert "encoder.attn.qkv.relation.S" not in found(Adapted(AdapterConfig(relation=relation)))


def test_what_has_no_rate_of_its_own_has_the_common_one():
    settings = GroupSettings(learning_rate=1.0, adapter_rate=4.0)
    assert settings.rate("relation") == settings.rate("adapter") == 4.0
    assert settings.rate("head") == settings.rate("encoder") == 1.0


def test_adapters_do_not_decay_by_default():
    figures = found(Adapted(AdapterConfig()), GroupSettings(learning_rate=1.0))
    assert {n for n, (_, decay) in figures.items() if decay} == {"head.weight"}


def test_every_adapter_parameter_is_in_a_group_once():
    model = Adapted(AdapterConfig("dora", targets=("q", "k", "v", "mlp")))
    groups = parameter_groups(model, EVERYTHING)
    grouped = [id(p) for g in groups for p in g["params"]]
    assert len(grouped) == len(set(grouped))
    assert {id(p) for p in adapter_state(model.encoder).values()} <= set(grouped)


def test_a_pretrained_encoder_moves_a_tenth_as_fast():
    random, pretrained = TinySegmenter(), TinySegmenter()
    pretrained.starts_at_random = False
    assert default_groups(random).rate("encoder") == default_groups(random).rate("head") == 1e-3
    groups = default_groups(pretrained)
    assert groups.rate("encoder") == pytest.approx(0.1 * groups.rate("head"))
