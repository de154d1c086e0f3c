from copy import deepcopy

import pytest
import torch
from torch import nn

from geocobot.adapters.attach import AdapterCounts, adapter_state, attach, count_parameters
from geocobot.adapters.cobot import Relation
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.sites import Site
from geocobot.errors import ConfigError

from .conftest import wake


def relation_of(model):
    """The C and S that all sites of a model share."""
    return next(m for m in model.modules() if isinstance(m, Relation))


def test_none_freezes_and_attaches_nothing(transformer):
    assert attach(transformer, AdapterConfig("none")) == ()
    assert adapter_state(transformer) == {}
    assert not any(p.requires_grad for p in transformer.parameters())


def test_at_the_start_the_model_is_the_frozen_one_bit_for_bit(transformer, tokens, config):
    before = transformer(tokens)
    attach(transformer, config)
    assert torch.equal(transformer(tokens), before)


def test_published_lora_does_not_start_at_the_frozen_model(transformer, tokens):
    before = transformer(tokens)
    attach(transformer, AdapterConfig("lora", init="published"))
    assert not torch.allclose(transformer(tokens), before, atol=1e-3)


def test_published_adaptformer_starts_at_the_frozen_model(transformer, tokens):
    before = transformer(tokens)
    attach(transformer, AdapterConfig("adaptformer", init="published"))
    assert torch.equal(transformer(tokens), before)


def test_only_adapters_get_gradients_and_all_of_them_do(transformer, tokens, config):
    frozen = {name for name, _ in transformer.named_parameters()}
    attach(transformer, config)
    wake(transformer)
    transformer(tokens).square().mean().backward()
    reached = {n for n, p in transformer.named_parameters() if p.grad is not None}
    assert reached == set(adapter_state(transformer))
    original = {n.replace(".base.", ".") for n in dict(transformer.named_parameters())}
    assert frozen <= original
    assert not any(n.replace(".base.", ".") in frozen for n in reached)


def test_at_the_start_only_b_has_a_gradient(transformer, tokens):
    attach(transformer, AdapterConfig("lora"))
    transformer(tokens).square().mean().backward()
    moved = {n for n, p in transformer.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {f"blocks.{i}.attn.qkv.{part}.B" for i in range(3) for part in "qv"}


def test_shared_parameters_are_in_the_state_once(transformer):
    attach(transformer, AdapterConfig("lora"))
    parts = ("A", "B", "cobot.gamma", "cobot.W.letters")
    sites = {f"blocks.{i}.attn.qkv.{s}.{p}" for i in range(3) for s in "qv" for p in parts}
    shared = {"blocks.0.attn.qkv.relation.C", "blocks.0.attn.qkv.relation.S"}
    assert set(adapter_state(transformer)) == sites | shared
    assert set(transformer.state_dict()) >= sites | shared
    assert len([n for n in transformer.state_dict() if n.endswith((".C", ".S"))]) == 2


def test_the_state_restores_the_model(transformer, tokens, config):
    torch.manual_seed(5)
    other = deepcopy(transformer)
    for model in (transformer, other):
        attach(model, config)
        model.eval()
    wake(transformer)
    assert not torch.equal(other(tokens), transformer(tokens))
    result = other.load_state_dict(adapter_state(transformer), strict=False)
    assert result.unexpected_keys == []
    assert torch.equal(other(tokens), transformer(tokens))


def test_a_copy_shares_nothing_with_its_original(transformer, tokens):
    attach(transformer, AdapterConfig("lora"))
    wake(transformer)
    copy = deepcopy(transformer)
    before = transformer(tokens)
    with torch.no_grad():
        relation_of(copy).S.zero_()
        relation_of(copy).C.zero_()
    assert torch.equal(transformer(tokens), before)
    assert not torch.equal(copy(tokens), before)


def test_attaching_twice_is_refused(transformer, config):
    attach(transformer, config)
    with pytest.raises(ConfigError, match="finds adapters in Transformer already"):
        attach(transformer, config)


@pytest.mark.parametrize(("method", "part"), [("lora", "q, v"), ("adaptformer", "mlp")])
def test_a_model_without_a_place_is_refused(method, part):
    with pytest.raises(ConfigError, match=f"adapter {method} finds no place for {part} in Seque"):
        attach(nn.Sequential(nn.Linear(4, 4)), AdapterConfig(method))


# The relation matrix really communicates.


@pytest.fixture
def lone_site(transformer):
    """A LoRA + COBOT model and a loss that looks at the output of site 3 only."""
    attach(transformer, AdapterConfig("lora"))
    site = transformer.blocks[1].attn.qkv.v
    assert site.cobot.site == 3
    with torch.no_grad():
        site.B.normal_(generator=torch.Generator().manual_seed(0))
    # A site's U is all of it that knows of other sites.
    loss = lambda: site.up().square().sum()  # noqa: E731
    return relation_of(transformer), loss


def test_a_site_has_a_gradient_on_its_whole_column_of_s(lone_site):
    relation, loss = lone_site
    loss().backward()
    assert (relation.S.grad[:, 3] != 0).all()
    others = [s for s in range(6) if s != 3]
    assert not relation.S.grad[:, others].any()


def test_at_the_identity_no_other_site_gets_a_gradient_on_c(lone_site):
    relation, loss = lone_site
    relation.S.requires_grad_(False)
    loss().backward()
    assert (relation.C.grad[:, 3] != 0).any()
    assert not relation.C.grad[:, [0, 1, 2, 4, 5]].any()


def test_off_the_identity_every_other_site_does(lone_site):
    relation, loss = lone_site
    with torch.no_grad():
        relation.S += 0.1
    loss().backward()
    assert (relation.C.grad != 0).any(dim=0).all()


# Counts of COBOT.md, on the real shapes without their memory.


class Vit(nn.Module):
    """The layers of a SAM encoder that adapters see."""

    def __init__(self, width, depth):
        super().__init__()
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            block = nn.Module()
            block.attn = nn.Module()
            block.attn.qkv = nn.Linear(width, 3 * width)
            block.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.Linear(4 * width, width))
            self.blocks.append(block)


@pytest.mark.parametrize(
    ("width", "depth", "method", "base", "added"),
    [
        (768, 12, "lora", 147_456, 864),
        (768, 12, "adaptformer", 322_752, 1_296),
        (1024, 24, "lora", 393_216, 2_880),
        (1024, 24, "adaptformer", 860_544, 2_880),
    ],
)
def test_parameter_counts_are_those_of_the_paper(width, depth, method, base, added):
    for cobot in (False, True):
        with torch.device("meta"):
            model = Vit(width, depth)
            attach(model, AdapterConfig(method, cobot=cobot))
        assert count_parameters(model) == AdapterCounts(base, added if cobot else 0)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert trained == base + added * cobot
        assert sum(t.numel() for t in adapter_state(model).values()) == base + added * cobot


def test_a_sequence_of_blocks_runs_as_before(transformer, tokens):
    before = transformer(tokens)
    attach(transformer.blocks, AdapterConfig())
    sequence = nn.Sequential(*transformer.blocks)
    assert torch.equal(sequence(tokens), before)


def test_sites_may_be_named_by_hand():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4))
    sites = [Site("0", "first", (range(3),)), Site("2", "last")]
    assert attach(model, AdapterConfig(), sites) == tuple(sites)
    shapes = {n: tuple(t.shape) for n, t in adapter_state(model).items() if n.endswith("B")}
    assert shapes == {"0.first.B": (3, 4), "2.last.B": (4, 4)}
    assert relation_of(model).S.shape == (2, 2)


@pytest.mark.parametrize(
    ("method", "message"),
    [("lora", "needs a linear layer"), ("adaptformer", "needs an MLP whose output is as wide")],
)
def test_a_site_of_another_kind_is_refused(method, message):
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 6)))
    with pytest.raises(ConfigError, match=f"adapter site 0 holds something else.*{message}"):
        attach(model, AdapterConfig(method), [Site("0", "x")])


def test_full_trains_everything_and_adds_nothing(transformer):
    names = [n for n, _ in transformer.named_parameters()]
    assert attach(transformer, AdapterConfig("full")) == ()
    assert [n for n, p in transformer.named_parameters() if p.requires_grad] == names


@pytest.mark.parametrize("relation", ["identity", "random"])
def test_a_frozen_relation_is_saved_but_gets_no_gradient(transformer, tokens, relation):
    attach(transformer, AdapterConfig(relation=relation))
    wake(transformer)
    transformer(tokens).square().mean().backward()
    assert relation_of(transformer).S.grad is None
    assert relation_of(transformer).C.grad is not None
    assert "blocks.0.attn.qkv.relation.S" in adapter_state(transformer)


@pytest.mark.parametrize("method", ["lora", "adaptformer"])
def test_the_parts_of_cobot_have_their_published_sizes(method):
    with torch.device("meta"):
        model = Vit(768, 12)
        attach(model, AdapterConfig(method))
    sizes = dict.fromkeys(("C", "S", "gamma", "letters"), 0)
    for name, tensor in adapter_state(model).items():
        kind = name.rpartition(".")[2]
        if kind in sizes:
            sizes[kind] += tensor.numel()
    expected = {"lora": [96, 576, 96, 96], "adaptformer": [192, 144, 192, 768]}
    assert list(sizes.values()) == expected[method]


def test_gradients_pass_through_torch_compile(transformer, tokens):
    attach(transformer, AdapterConfig("lora"))
    wake(transformer)
    compiled = torch.compile(transformer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(tokens), transformer(tokens))
