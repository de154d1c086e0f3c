"""A miniature SAM, built from segment-anything's own classes."""

from functools import partial

import torch
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from geocobot.models.bases import BaseSpec

MINI = BaseSpec(
    name="mini",
    width=24,
    depth=2,
    heads=2,
    global_blocks=(1,),
    window_tokens=3,
    image_px=128,
    out_channels=32,
)


def official_encoder(spec):
    """segment-anything's own image encoder of a base's shape, as it starts."""
    return ImageEncoderViT(
        img_size=spec.image_px,
        embed_dim=spec.width,
        depth=spec.depth,
        num_heads=spec.heads,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        out_chans=spec.out_channels,
        use_rel_pos=True,
        window_size=spec.window_tokens,
        global_attn_indexes=spec.global_blocks,
    )


def official_sam(spec, seed=0):
    """segment-anything's own model of a base's shape, no parameter left at zero."""
    torch.manual_seed(seed)
    side = spec.image_px // 16
    sam = Sam(
        official_encoder(spec),
        PromptEncoder(spec.out_channels, (side, side), (spec.image_px, spec.image_px), 16),
        MaskDecoder(
            transformer_dim=spec.out_channels,
            transformer=TwoWayTransformer(2, spec.out_channels, 8, 2048),
        ),
    )
    with torch.no_grad():
        for parameter in sam.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return sam.eval()
