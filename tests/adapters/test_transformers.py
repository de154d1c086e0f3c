"""Transformers that others made: adapters find their sites, start unseen, and merge."""

from functools import partial

import peft
import pytest
import timm
import torch
import transformers
from timm.models.hieradet_sam2 import HieraDet
from timm.models.tiny_vit import TinyVit
from torch import nn
from torchgeo.models import vit_small_patch16_224

from geocobot.adapters.attach import adapter_state, attach, count_parameters
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.merge import merge
from geocobot.errors import ConfigError

from .conftest import wake

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}


def make_hugging_face_vit():
    config = transformers.ViTConfig(**SMALL, attn_implementation="eager")
    return transformers.ViTModel(config, add_pooling_layer=False)


def make_hugging_face_sam():
    config = transformers.SamVisionConfig(
        **{k: v for k, v in SMALL.items() if k != "intermediate_size"},
        mlp_dim=64,
        output_channels=16,
        window_size=2,
        global_attn_indexes=[1],
    )
    return transformers.SamVisionModel(config)


HIERA = {"stages": (1, 2, 2, 1), "global_att_blocks": (4,), "window_spec": (4, 4, 2, 2)}
TINY_VIT = {
    "embed_dims": (8, 16, 24, 32),
    "depths": (1, 1, 2, 1),
    "num_heads": (1, 2, 3, 4),
    "window_sizes": (4, 4, 4, 2),
    "drop_path_rate": 0.0,
}
MAKERS = {
    "timm ViT": partial(timm.create_model, "vit_tiny_patch16_224", img_size=32, depth=2),
    "TorchGeo ViT": partial(vit_small_patch16_224, in_chans=3, img_size=32, depth=2),
    "SAM 2 Hiera": partial(HieraDet, embed_dim=16, num_heads=1, **HIERA),
    "TinyViT": partial(TinyVit, **TINY_VIT),
    "Hugging Face ViT": make_hugging_face_vit,
    "Hugging Face SAM": make_hugging_face_sam,
}
SIDES = {"SAM 2 Hiera": 64, "TinyViT": 64}


@pytest.fixture(params=MAKERS)
def maker(request):
    return request.param


@pytest.fixture
def model(maker):
    torch.manual_seed(0)
    return MAKERS[maker]().eval()


@pytest.fixture
def run(maker):
    """A function that gives a model's outputs for one image, as one tensor."""
    side = SIDES.get(maker, 32)
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))

    def outputs(model):
        found = model(image)
        if isinstance(found, torch.Tensor):
            return found
        return getattr(found, "last_hidden_state", found[0] if isinstance(found, list) else None)

    return outputs


@pytest.mark.parametrize("cobot", [False, True])
@pytest.mark.parametrize("method", ["lora", "dora", "adaptformer"])
def test_one_call_attaches_and_the_start_is_the_frozen_model(model, run, method, cobot):
    before = run(model)
    sites = attach(model, AdapterConfig(method, cobot=cobot))
    assert len(sites) >= 2
    assert torch.equal(run(model), before)
    wake(model)
    run(model).square().mean().backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None}
    assert reached == set(adapter_state(model))


def test_all_targets_merge(model, run):
    attach(model, AdapterConfig("dora", targets=("q", "k", "v", "proj", "mlp")))
    wake(model, 0.05)
    before = run(model)
    merge(model)
    torch.testing.assert_close(run(model), before, atol=1e-5, rtol=1e-5)


def test_sites_of_different_widths_share_one_relation():
    model = MAKERS["SAM 2 Hiera"]()
    sites = attach(model, AdapterConfig("lora"))
    widths = {
        n.partition(".attn")[0]: t.shape[0] for n, t in adapter_state(model).items() if "B" in n
    }
    assert len(set(widths.values())) == 4
    t, r = len(sites), 4
    assert count_parameters(model).cobot == r * t + t * t + r * t + t * r * r // 4


def test_tinyvit_adapts_q_and_v_of_every_head_and_not_k():
    torch.manual_seed(0)
    model = MAKERS["TinyViT"]().eval()
    attention = next(m for m in model.modules() if type(m).__name__ == "Attention")
    attach(model, AdapterConfig("lora", cobot=False))
    wake(model)
    x = torch.randn(2, 16, attention.qkv.base.in_features)
    change = attention.qkv(x) - attention.qkv.base(x)
    by_head = change.view(2, 16, attention.num_heads, -1)
    q, k, v = by_head.split([attention.key_dim, attention.key_dim, attention.val_dim], dim=3)
    assert q.any()
    assert not k.any()
    assert v.any()


def test_attention_of_bare_parameters_has_no_sites():
    layer = nn.TransformerEncoderLayer(16, 2, 32)
    with pytest.raises(ConfigError, match="finds no place for q, v in TransformerEncoderLayer"):
        attach(layer, AdapterConfig("lora"))


# The same arithmetic as the library that most people use.


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("method", ["lora", "dora"])
def test_it_computes_what_peft_computes(method):
    torch.manual_seed(0)
    ours, theirs = make_hugging_face_vit().eval(), make_hugging_face_vit().eval()
    theirs.load_state_dict(ours.state_dict())
    attach(ours, AdapterConfig(method, cobot=False, alpha=2.0))
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], use_dora=method == "dora"
    )
    theirs = peft.get_peft_model(theirs, config).eval()
    wake(ours)
    names = {"A": "lora_A.default.weight", "B": "lora_B.default.weight"}
    names["magnitude"] = "lora_magnitude_vector.default.weight"
    theirs_by_name = dict(theirs.named_parameters())
    pairs = {}
    for name, tensor in adapter_state(ours).items():
        (
            module,
            _,
            _,
        ) = name.rsplit(".", 2)
        pairs[name] = theirs_by_name[f"base_model.model.{module}.{names[name.rpartition('.')[2]]}"]
        with torch.no_grad():
            pairs[name].copy_(tensor)
    image = torch.rand(2, 3, 32, 32)
    for model in (ours, theirs):
        model(image).last_hidden_state.square().mean().backward()
    torch.testing.assert_close(ours(image).last_hidden_state, theirs(image).last_hidden_state)
    state = adapter_state(ours)
    for name, parameter in pairs.items():
        torch.testing.assert_close(state[name].grad, parameter.grad, msg=name)


def test_the_image_encoder_of_the_sam2_package():
    sam2 = pytest.importorskip("sam2.modeling.backbones.hieradet")
    torch.manual_seed(0)
    model = sam2.Hiera(embed_dim=16, num_heads=1, **HIERA).eval()
    image = torch.rand(1, 3, 64, 64)
    before = model(image)[-1]
    sites = attach(model, AdapterConfig())
    assert len(sites) == 12
    assert torch.equal(model(image)[-1], before)
    wake(model, 0.05)
    before = model(image)[-1]
    merge(model)
    torch.testing.assert_close(model(image)[-1], before, atol=1e-5, rtol=1e-5)
