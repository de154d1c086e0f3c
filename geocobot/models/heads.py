"""Which heads there are, and how one is made for a base."""

from __future__ import annotations

from torch import nn

from geocobot.config.values import HeadKind, HeadName, PromptName, StartName
from geocobot.errors import ConfigError
from geocobot.models.architecture import HeadConfig
from geocobot.models.bases import BaseSpec
from geocobot.models.boxes import BoxPromptedHead
from geocobot.models.dense_head import DenseHead
from geocobot.models.mask_decoder import MaskDecoderHead


def resolve_head(
    name: HeadName, spec: BaseSpec, start: StartName, *, prompt: PromptName = "none"
) -> HeadKind:
    """The head that an option names.

    Args:
        name: auto is the dense head, better on average from a random start (benchmarks/README.md),
            unless the mask decoder starts from SAM's own weights or is asked with boxes.
        spec: the base; SAM's own weights are its official ones.
        start: whether its pretrained weights are taken.
        prompt: what the head is asked with, beside the image.
    """
    if name != "auto":
        return name
    sams = spec.weights is not None and start == "pretrained"
    return "mask-decoder" if sams or prompt != "none" else "dense"


def head_config(
    spec: BaseSpec,
    n_classes: int,
    kind: HeadKind,
    start: StartName,
    *,
    prompt: PromptName = "none",
    separate: bool = False,
) -> HeadConfig:
    """Shape of a head for a base.

    Args:
        spec: the base.
        n_classes: planes of logits that stand for classes.
        kind: which head.
        start: of the encoder. The mask decoder has an image stem where that is random, and on
            bases that cut their tokens by convolutions, whose own decoder has one.
        prompt: what it is asked with, beside the image.
        separate: whether it has a plane of the insides of single objects as well.

    Raises:
        ConfigError: the head cannot be asked so.
    """
    if kind == "mask-decoder":
        image_stem = spec.conv_stem or start == "random"
        return HeadConfig(
            n_classes,
            width=spec.out_channels,
            image_stem=image_stem,
            prompt=prompt,
            separate=separate,
        )
    if prompt != "none":
        raise ConfigError(
            f"--head {kind}",
            f"is asked for with --prompt {prompt}",
            "The dense head takes no prompts",
            "Take --head mask-decoder, or leave --prompt out",
        )
    levels = (spec.width,) * len(spec.global_blocks)
    return HeadConfig(
        n_classes, width=spec.out_channels, kind=kind, level_widths=levels, separate=separate
    )


def make_head(config: HeadConfig) -> nn.Module:
    """Build a head that starts at random."""
    if config.kind == "dense":
        return DenseHead(config)
    return (BoxPromptedHead if config.prompt == "boxes" else MaskDecoderHead)(config)
