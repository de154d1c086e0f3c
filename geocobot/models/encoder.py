"""SAM's image encoder for images of any size."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from geocobot.models.bases import PATCH_PX, BaseSpec
from geocobot.models.stem import ConvPatchEmbed


class Features(NamedTuple):
    """What an encoder hands to a head.

    Attributes:
        levels: (B, width, H / 16, W / 16) each, the tokens after every block that attends to the
            whole image, shallow first.
        neck: (B, out_channels, H / 16, W / 16), what SAM's own decoder gets.
    """

    levels: tuple[Tensor, ...]
    neck: Tensor


class SamEncoder(ImageEncoderViT):  # type: ignore[misc] # segment-anything declares no types
    """segment-anything's encoder, its positional tables interpolated to the image at hand.

    Parameters have the official names (`image_encoder.` apart), and tables keep their official
    size: the interpolation happens on the fly, and not at all at the size they were made for. The
    relative tables of the global blocks are interpolated by segment-anything itself.

    Args:
        spec: shape of the encoder.
    """

    def __init__(self, spec: BaseSpec) -> None:
        super().__init__(
            img_size=spec.image_px,
            patch_size=PATCH_PX,
            embed_dim=spec.width,
            depth=spec.depth,
            num_heads=spec.heads,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            out_chans=spec.out_channels,
            use_rel_pos=True,
            window_size=spec.window_tokens,
            global_attn_indexes=spec.global_blocks,
        )
        if spec.conv_stem:
            self.patch_embed = ConvPatchEmbed(spec.width)
        self.global_blocks = frozenset(spec.global_blocks)

    def forward(self, x: Tensor) -> Features:
        """Encode normalized images.

        Args:
            x: (B, 3, H, W) float; H and W multiples of 16.
        """
        tokens = self.patch_embed(x)
        tokens = tokens + resize_table(self.pos_embed, tokens.shape[1:3])
        levels = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.global_blocks:
                levels.append(tokens.permute(0, 3, 1, 2))
        return Features(tuple(levels), self.neck(tokens.permute(0, 3, 1, 2)))


def resize_table(table: Tensor, shape_hw: torch.Size) -> Tensor:
    """Interpolate absolute positions (1, h, w, d) to another (h, w), bilinearly.

    The table itself where the size is the same.
    """
    if table.shape[1:3] == shape_hw:
        return table
    resized = nn.functional.interpolate(
        table.permute(0, 3, 1, 2), size=tuple(shape_hw), mode="bilinear", align_corners=False
    )
    return resized.permute(0, 2, 3, 1)
