from dataclasses import replace

import pytest
import torch
from torch.nn.functional import interpolate

from geocobot.models.encoder import SamEncoder, resize_table

from .mini import MINI, official_sam


@pytest.fixture
def encoder(sam):
    encoder = SamEncoder(MINI)
    encoder.load_state_dict(sam.image_encoder.state_dict())
    return encoder.eval()


def test_at_its_own_size_it_is_the_official_encoder(encoder, sam):
    image = torch.randn(2, 3, 128, 128)
    assert torch.equal(encoder(image).neck, sam.image_encoder(image))


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
    assert torch.equal(level, seen[1].permute(0, 3, 1, 2))
