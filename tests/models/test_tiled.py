from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from geocobot.models.tiled import InTiles


class Places(nn.Module):
    """Says of each pixel what it is, and how far the middle of its image is; notes the images."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(tuple(image.shape))
        height, width = image.shape[-2:]
        down = (torch.arange(height) - (height - 1) / 2).abs()[:, None].expand(height, width)
        right = (torch.arange(width) - (width - 1) / 2).abs()[None, :].expand(height, width)
        far = torch.stack([down, right]).expand(len(image), 2, height, width)
        return torch.cat([image[:, :1], far], dim=1)


sides = st.integers(1, 70)


@given(sides, sides, sides)
def test_every_pixel_is_shown_with_as_much_around_it_as_tiles_allow(height, width, tile_px):
    segmenter = Places()
    image = torch.arange(2.0 * height * width).reshape(2, 1, height, width)
    logits = InTiles(segmenter, tile_px)(image)
    assert torch.equal(logits[:, :1], image)
    for seen in segmenter.seen:
        assert seen == (2, 1, min(height, tile_px), min(width, tile_px))
    assert len(segmenter.seen) == -(-height // tile_px) * -(-width // tile_px)
    for axis, length in ((0, height), (1, width)):
        n = -(-length // tile_px)
        overlap = max(0, n * min(tile_px, length) - length) / max(n - 1, 1)
        # No pixel at a cut is nearer to the rim of its tile than half of the overlap.
        far = logits[0, 1 + axis].amax(dim=1 - axis)[1:-1] if n > 1 else logits[0, 1 + axis]
        inner = [k for k in range(len(far)) if tile_px <= k + 1 < length - tile_px]
        if n > 2 and inner:
            assert far[inner].max() <= (tile_px - overlap) / 2 + 1


@pytest.mark.parametrize("tile_px", [None, 40, 64])
def test_what_is_no_larger_than_a_tile_is_shown_whole(tile_px):
    segmenter = Places()
    InTiles(segmenter, tile_px)(torch.zeros(3, 1, 40, 30))
    assert segmenter.seen == [(3, 1, 40, 30)]


def test_the_tiles_are_those_of_the_segmenter_by_itself():
    torch.manual_seed(0)
    segmenter = nn.Conv2d(3, 2, 5, padding=2)
    image = torch.randn(1, 3, 48, 32)
    with torch.no_grad():
        logits = InTiles(segmenter, 32)(image)
        above, below = segmenter(image[..., :32, :]), segmenter(image[..., 16:, :])
    assert torch.equal(logits[..., :24, :], above[..., :24, :])
    assert torch.equal(logits[..., 24:, :], below[..., 8:, :])
