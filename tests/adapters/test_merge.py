from copy import deepcopy

import pytest
import torch
from torch import nn

from geocobot.adapters.attach import adapter_state, attach
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.merge import merge, unmerge
from geocobot.errors import ConfigError

from .conftest import wake


def test_the_merged_model_gives_the_same_outputs(transformer, tokens, linear_config):
    sites = attach(transformer, linear_config)
    wake(transformer, 0.1)
    before = transformer(tokens)
    assert merge(transformer) == len({site.module for site in sites})
    torch.testing.assert_close(transformer(tokens), before, atol=1e-5, rtol=1e-5)


def test_the_merged_model_is_laid_out_like_the_frozen_one(transformer, linear_config):
    frozen = {n: tuple(t.shape) for n, t in transformer.state_dict().items()}
    attach(transformer, linear_config)
    wake(transformer)
    merge(transformer)
    assert {n: tuple(t.shape) for n, t in transformer.state_dict().items()} == frozen
    assert not any(p.requires_grad for p in transformer.parameters())


def test_unmerge_brings_everything_back_bit_for_bit(transformer, tokens, linear_config):
    attach(transformer, linear_config)
    wake(transformer)
    state, outputs = deepcopy(transformer.state_dict()), transformer(tokens)
    assert merge(transformer) == unmerge(transformer)
    assert list(transformer.state_dict()) == list(state)
    assert all(torch.equal(t, state[n]) for n, t in transformer.state_dict().items())
    assert torch.equal(transformer(tokens), outputs)
    transformer(tokens).square().mean().backward()
    assert all(p.grad is not None for p in adapter_state(transformer).values())


def test_merging_does_not_touch_the_original_weights(transformer, tokens):
    frozen = deepcopy(transformer)
    attach(transformer, AdapterConfig())
    wake(transformer)
    merge(transformer)
    assert not torch.allclose(transformer(tokens), frozen(tokens), atol=1e-3)
    unmerge(transformer)
    adapted = transformer.blocks[0].attn.qkv
    assert torch.equal(adapted.base.weight, frozen.blocks[0].attn.qkv.weight)


def test_a_merged_layer_keeps_its_class_and_its_bias(transformer):
    class Fast(nn.Linear):
        """A layer with a kernel of its own."""

    fast = Fast(24, 72)
    transformer.blocks[1].attn.qkv = fast
    attach(transformer, AdapterConfig())
    wake(transformer)
    merge(transformer)
    merged = transformer.blocks[1].attn.qkv
    assert type(merged) is Fast
    assert merged.bias is fast.bias
    assert merged.weight is not fast.weight


def test_adaptformer_refuses_with_the_reason(transformer):
    attach(transformer, AdapterConfig("adaptformer"))
    with pytest.raises(ConfigError, match=r"merge finds AdaptFormer in Transformer.*a ReLU of its"):
        merge(transformer)


def test_what_was_not_kept_cannot_come_back(transformer):
    attach(transformer, AdapterConfig())
    merge(transformer, keep=False)
    with pytest.raises(ConfigError, match=r"unmerge finds no original for blocks.0.attn.qkv"):
        unmerge(transformer)


def test_merged_adapters_have_no_state(transformer):
    attach(transformer, AdapterConfig())
    merge(transformer)
    with pytest.raises(ConfigError, match="adapters are merged into the weights of Transformer"):
        adapter_state(transformer)


def test_a_model_without_adapters_has_nothing_to_merge(transformer):
    assert merge(transformer) == unmerge(transformer) == 0
