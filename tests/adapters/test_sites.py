import pytest
from torch import nn

from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.sites import Site, find_sites
from geocobot.errors import ConfigError


def separate_attention(names, width=8):
    """An attention whose projections are layers of their own, in an order of its own."""
    attention = nn.Module()
    for name in names:
        attention.add_module(name, nn.Linear(width, width))
    return nn.ModuleDict({"attention": attention})


def test_lora_takes_q_then_v_of_every_block(transformer):
    sites = find_sites(transformer, AdapterConfig("lora"))
    assert sites[:3] == (
        Site("blocks.0.attn.qkv", "q", (range(24),)),
        Site("blocks.0.attn.qkv", "v", (range(48, 72),)),
        Site("blocks.1.attn.qkv", "q", (range(24),)),
    )
    assert len(sites) == 6


def test_all_targets_of_a_block(transformer):
    config = AdapterConfig("lora", targets=("mlp", "proj", "v", "k", "q"))
    block = [(s.module, s.part) for s in find_sites(transformer, config)[:6]]
    assert block == [
        ("blocks.0.attn.qkv", "q"),
        ("blocks.0.attn.qkv", "k"),
        ("blocks.0.attn.qkv", "v"),
        ("blocks.0.attn.proj", "proj"),
        ("blocks.0.mlp.0", "mlp"),
        ("blocks.0.mlp.2", "mlp"),
    ]


def test_adaptformer_takes_every_mlp(transformer):
    sites = find_sites(transformer, AdapterConfig("adaptformer"))
    assert sites == tuple(Site(f"blocks.{i}.mlp", "mlp") for i in range(3))


@pytest.mark.parametrize(
    "names",
    [
        ("q_proj", "k_proj", "v_proj", "o_proj"),
        ("query", "key", "value", "out_proj"),
        ("to_q", "to_k", "to_v", "to_out"),
    ],
)
def test_separate_projections_come_in_the_order_q_k_v(names):
    q, k, v, out = names
    model = separate_attention((k, out, v, q))
    sites = find_sites(model, AdapterConfig("lora", targets=("q", "k", "v", "proj")))
    parts = zip(names, ("q", "k", "v", "proj"), strict=True)
    assert sites == tuple(Site(f"attention.{name}", part) for name, part in parts)


def test_a_projection_outside_an_attention_is_no_site():
    model = nn.ModuleDict({"neck": nn.ModuleDict({"proj": nn.Linear(4, 4), "q": nn.Linear(4, 4)})})
    with pytest.raises(ConfigError, match="finds no place for proj, q in ModuleDict"):
        find_sites(model, AdapterConfig(targets=("q", "proj")))


def test_a_fused_projection_may_be_ordered_by_head():
    attention = nn.Module()
    attention.num_heads, attention.key_dim = 2, 3
    attention.qkv = nn.Linear(10, 2 * (3 + 3 + 4))
    model = nn.ModuleDict({"attn": attention})
    config = AdapterConfig(targets=("q", "k", "v"))
    rows = {s.part: [list(r) for r in s.rows] for s in find_sites(model, config)}
    assert rows == {
        "q": [[0, 1, 2], [10, 11, 12]],
        "k": [[3, 4, 5], [13, 14, 15]],
        "v": [[6, 7, 8, 9], [16, 17, 18, 19]],
    }


def test_an_mlp_that_changes_the_width_is_no_site_for_adaptformer():
    mlp = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 6))
    with pytest.raises(ConfigError, match="adapter adaptformer finds no place for mlp"):
        find_sites(nn.ModuleDict({"mlp": mlp}), AdapterConfig("adaptformer"))
