import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from geocobot.adapters.attach import adapter_state, attach
from geocobot.adapters.config import AdapterConfig
from geocobot.models.bases import BASES
from geocobot.models.encoder import SamEncoder, resize_table

from .mini import MINI, official_sam

KERNELS = ["dense", "blocked", "sdpa"]


@pytest.fixture
def sam():
    """Of its own in every test: gradients gather in it, and modules are exchanged."""
    return official_sam(MINI)


@pytest.fixture
def encoder(sam):
    encoder = SamEncoder(MINI)
    encoder.load_state_dict(sam.image_encoder.state_dict())
    return encoder.eval()


@pytest.mark.parametrize("kernel", KERNELS)
def test_at_its_own_size_it_is_the_official_encoder_gradients_included(encoder, sam, kernel):
    encoder.kernel = kernel
    image = torch.randn(2, 3, 128, 128)
    ours, theirs = encoder(image).neck, sam.image_encoder(image)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    direction = torch.randn(ours.shape)
    ours.backward(direction)
    theirs.backward(direction)
    gradients = {n: p.grad for n, p in encoder.named_parameters()}
    expected = {n: p.grad for n, p in sam.image_encoder.named_parameters()}
    assert all(g.abs().max() > 1e-3 for g in expected.values())
    torch.testing.assert_close(gradients, expected, atol=1e-4, rtol=1e-4)


def test_windows_are_filled_up_with_what_an_exchanged_qkv_makes_of_zeros(encoder, sam):
    # 8 tokens do not divide into windows of 3, and this layer has an output for zeros of its own.
    torch.manual_seed(1)
    exchanged = nn.Sequential(nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 72))
    image, direction = torch.randn(1, 3, 128, 128), torch.randn(1, 32, 8, 8)
    results = []
    for side in (encoder, sam.image_encoder):
        side.blocks[0].attn.qkv = copy.deepcopy(exchanged)
        out = side(image)
        out = out if isinstance(out, torch.Tensor) else out.neck
        out.backward(direction)
        results.append((out, [p.grad for p in side.blocks[0].attn.qkv.parameters()]))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (192, 192), (64, 160), (16, 48)])
def test_it_takes_any_multiple_of_16(encoder, height, width):
    assert encoder(torch.randn(1, 3, height, width)).neck.shape == (
        1,
        32,
        height // 16,
        width // 16,
    )


def test_another_size_equals_the_official_encoder_with_tables_interpolated_at_loading(sam):
    # What SAM-style code does before training at another size.
    small = official_sam(replace(MINI, image_px=64)).image_encoder
    state = sam.image_encoder.state_dict()
    table = state["pos_embed"].permute(0, 3, 1, 2)
    state["pos_embed"] = interpolate(table, (4, 4), mode="bilinear").permute(0, 2, 3, 1)
    for name in ("blocks.1.attn.rel_pos_h", "blocks.1.attn.rel_pos_w"):
        state[name] = interpolate(state[name].T[None], 7, mode="linear")[0].T
    small.load_state_dict(state)
    encoder = SamEncoder(MINI)
    encoder.load_state_dict(sam.image_encoder.state_dict())
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(encoder(image).neck, small(image))


def test_a_table_of_the_right_size_is_handed_back_itself():
    table = torch.randn(1, 4, 6, 8)
    assert resize_table(table, torch.Size((4, 6))) is table


def test_an_interpolated_table_keeps_constants_and_axes():
    rows = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 6, 8)
    resized = resize_table(rows, torch.Size((8, 3)))
    assert resized.shape == (1, 8, 3, 8)
    assert (resized[0, 1:, 0, 0] >= resized[0, :-1, 0, 0]).all()
    assert torch.equal(resized[0, :, 0], resized[0, :, 2])


def test_levels_are_the_tokens_after_the_global_blocks(encoder, sam):
    seen = {}
    for index, block in enumerate(sam.image_encoder.blocks):
        block.register_forward_hook(lambda *args, index=index: seen.update({index: args[2]}))
    image = torch.randn(1, 3, 128, 128)
    sam.image_encoder(image)
    (level,) = encoder(image).levels
    torch.testing.assert_close(level, seen[1].permute(0, 3, 1, 2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "config", [AdapterConfig("adaptformer"), AdapterConfig("lora", dropout=0.5)]
)
def test_recomputing_gives_the_same_gradients_dropout_included(sam, config):
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        encoder = SamEncoder(MINI)
        encoder.load_state_dict(sam.image_encoder.state_dict())
        attach(encoder, config)
        for tensor in adapter_state(encoder).values():
            nn.init.normal_(tensor)
        encoder.recompute = recompute
        # The image needs no gradient, and the first block's frozen part neither.
        encoder(torch.randn(2, 3, 128, 128)).neck.square().sum().backward()
        gradients.append({n: p.grad for n, p in encoder.named_parameters() if p.requires_grad})
    assert gradients[0].keys() == adapter_state(encoder).keys()
    torch.testing.assert_close(*gradients, atol=0, rtol=0)


def test_recomputing_keeps_the_tokens_between_blocks_and_little_else():
    encoder = SamEncoder(replace(MINI, depth=6))
    own = {p.untyped_storage().data_ptr() for p in encoder.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    totals = {}
    for recompute in (False, True):
        encoder.recompute = recompute
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            neck = encoder(torch.randn(1, 3, 128, 128)).neck
        totals[recompute] = sum(kept.values())
        del neck
    assert totals[True] < totals[False] / 3


def test_it_compiles_as_one_graph(encoder):
    image = torch.randn(1, 3, 128, 128)
    for kernel in KERNELS:
        encoder.kernel = kernel
        compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
        encoder.zero_grad()
        expected = encoder(image).neck
        expected.sum().backward()
        gradients = {n: p.grad for n, p in encoder.named_parameters()}
        encoder.zero_grad()
        neck = compiled(image).neck
        neck.sum().backward()
        torch.testing.assert_close(neck, expected, atol=1e-5, rtol=1e-5)
        found = {n: p.grad for n, p in encoder.named_parameters()}
        torch.testing.assert_close(found, gradients, atol=1e-4, rtol=1e-4)


def test_without_gradients_an_mlp_takes_many_tokens_in_parts(encoder, monkeypatch):
    mlp, tokens = encoder.blocks[0].mlp, torch.randn(2, 7, 5, 24)
    whole = mlp(tokens)
    monkeypatch.setattr("geocobot.models.encoder._MLP_TOKENS", 16)
    with torch.no_grad():
        torch.testing.assert_close(mlp(tokens), whole)


def test_in_bfloat16_it_is_as_close_as_the_official_encoder(encoder, sam):
    image = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        exact = sam.image_encoder(image)
        with torch.autocast("cpu", torch.bfloat16):
            theirs = sam.image_encoder(image).float()
            ours = encoder(image).neck.float()
    assert (ours - exact).square().mean() < 1.5 * (theirs - exact).square().mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_it_is_the_official_encoder_at_full_size(name):
    sam = official_sam(BASES[name])
    encoder = SamEncoder(BASES[name])
    encoder.load_state_dict(sam.image_encoder.state_dict(), assign=True)
    image = torch.randn(1, 3, 1024, 1024)
    with torch.no_grad():
        neck, expected = encoder(image).neck, sam.image_encoder(image)
    assert expected.abs().max() > 1
    assert (neck - expected).abs().max() <= 1e-4


@pytest.mark.slow
def test_gradients_are_those_of_the_official_encoder_at_full_size():
    sam = official_sam(replace(BASES["vit_b"], depth=2, global_blocks=(1,)))
    encoder = SamEncoder(replace(BASES["vit_b"], depth=2, global_blocks=(1,)))
    encoder.load_state_dict(sam.image_encoder.state_dict())
    image, direction = torch.randn(1, 3, 1024, 1024), torch.randn(1, 256, 64, 64)
    sam.image_encoder(image).backward(direction)
    encoder(image).neck.backward(direction)
    expected = dict(sam.image_encoder.named_parameters())
    for name, parameter in encoder.named_parameters():
        scale = expected[name].grad.abs().max()
        assert (parameter.grad - expected[name].grad).abs().max() <= 1e-4 * scale, name
