from __future__ import annotations

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import nn

from geocobot.models.stem import ConvPatchEmbed, ImageStem, PixelNorm


def test_pixel_norm_is_the_norm_of_sam():
    torch.manual_seed(0)
    ours, theirs = PixelNorm(12, eps=1e-6), LayerNorm2d(12)
    weight, bias = torch.rand(12), torch.rand(12)
    for norm in (ours, theirs):
        norm.load_state_dict({"weight": weight, "bias": bias})
    features = torch.randn(2, 12, 5, 7)
    torch.testing.assert_close(ours(features), theirs(features))


def test_tokens_do_not_depend_on_what_is_far_away():
    torch.manual_seed(0)
    embed = ConvPatchEmbed(16)
    image = torch.rand(1, 3, 128, 128)
    other = image.clone()
    other[..., 64:] = 0.0
    tokens, again = embed(image), embed(other)
    assert tokens.shape == (1, 8, 8, 16)
    assert torch.equal(tokens[:, :, :3], again[:, :, :3])
    assert not torch.equal(tokens[:, :, 4:], again[:, :, 4:])


def test_the_stem_ends_at_half_resolution_and_sees_near_things_only():
    torch.manual_seed(0)
    stem = ImageStem(32)
    upscaling = nn.Sequential(
        nn.ConvTranspose2d(32, 8, 2, 2),
        PixelNorm(8),
        nn.GELU(),
        nn.ConvTranspose2d(8, 4, 2, 2),
        nn.GELU(),
    )
    image, coarse = torch.rand(1, 3, 128, 256), torch.rand(1, 32, 8, 16)
    other = image.clone()
    other[..., 192:] = 0.0
    fine, again = stem(image, coarse, upscaling), stem(other, coarse, upscaling)
    assert fine.shape == (1, 4, 64, 128)
    assert torch.equal(fine[..., :64], again[..., :64])
    assert not torch.equal(fine[..., 96:], again[..., 96:])
