"""Which heads there are, and how one is made for a base."""

from __future__ import annotations

from torch import nn

from geocobot.config.values import HeadKind, HeadName, PromptName
from geocobot.errors import ConfigError
from geocobot.models.architecture import HeadConfig
from geocobot.models.bases import BaseSpec
from geocobot.models.boxes import BoxPromptedHead
from geocobot.models.dense_head import DenseHead
from geocobot.models.mask_decoder import MaskDecoderHead


def resolve_head(name: HeadName, *, prompt: PromptName = "none", pretrained: bool) -> HeadKind:
    """The head that an option names.

    Args:
        name: auto is the dense head, better on average from a random start (benchmarks/README.md),
            unless the mask decoder starts from SAM's own weights or is asked with boxes.
        prompt: what the head is asked with, beside the image.
        pretrained: whether the base has official weights.
    """
    if name != "auto":
        return name
    return "mask-decoder" if pretrained or prompt != "none" else "dense"


def head_config(
    spec: BaseSpec,
    n_classes: int,
    kind: HeadKind,
    *,
    prompt: PromptName = "none",
    pretrained: bool,
) -> HeadConfig:
    """Shape of a head for a base.

    Args:
        spec: the base.
        n_classes: planes of logits.
        kind: which head.
        prompt: what it is asked with, beside the image.
        pretrained: whether the encoder starts from the base's official weights.

    Raises:
        ConfigError: the head cannot be asked so.
    """
    if kind == "mask-decoder":
        return HeadConfig(
            n_classes, width=spec.out_channels, image_stem=not pretrained, prompt=prompt
        )
    if prompt != "none":
        raise ConfigError(
            f"--head {kind}",
            f"is asked for with --prompt {prompt}",
            "The dense head takes no prompts",
            "Take --head mask-decoder, or leave --prompt out",
        )
    levels = (spec.width,) * len(spec.global_blocks)
    return HeadConfig(n_classes, width=spec.out_channels, kind=kind, level_widths=levels)


def make_head(config: HeadConfig) -> nn.Module:
    """Build a head that starts at random."""
    if config.kind == "dense":
        return DenseHead(config)
    return (BoxPromptedHead if config.prompt == "boxes" else MaskDecoderHead)(config)
