"""A miniature SAM, built from segment-anything's own classes."""

from dataclasses import replace
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
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config, make_head
from geocobot.models.provenance import Provenance

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

SMALL = replace(MINI, name="small", window_tokens=4, conv_stem=True)
"""A miniature of `tiny`, whose weights are in a base file."""


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


def make_parts(spec, seed=0):
    """What a base file is written from, every parameter moved from where it starts."""
    torch.manual_seed(seed)
    parts = {
        "encoder": SamEncoder(spec),
        "dense_head": make_head(head_config(spec, 3, "dense", "pretrained")),
        "mask_head": make_head(head_config(spec, 1, "mask-decoder", "pretrained", prompt="boxes")),
    }
    with torch.no_grad():
        for parameter in (p for part in parts.values() for p in part.parameters()):
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return {name: part.eval() for name, part in parts.items()}


def make_provenance(base, **said):
    """How made-up weights were made."""
    known = {
        "recipe": {"data": ["synthetic"], "lr": 1e-3, "teacher": None},
        "commit": "cef5996",
        "seed": 3,
        "steps": 12_000,
        "data": ("made-up places", "old maps"),
        "hours": 4.5,
        "device": "one H100",
    }
    return Provenance(base=base, **(known | said))
