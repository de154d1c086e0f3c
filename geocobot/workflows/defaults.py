"""What the options leave to geocobot: chosen by the machine and the scenes, and said aloud."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from geocobot.adapters.config import AdapterConfig
from geocobot.classes import ClassSpec
from geocobot.config import TrainOptions
from geocobot.config.values import (
    BATCH_SIZES,
    BOX_JITTER_PX,
    BOX_JITTER_SIDE_PX,
    CPU_CROP_PX,
    DEFAULT_CPU_MINUTES,
    DEFAULT_EPOCHS,
    DEFAULT_RANKS,
    MAX_PATCH_PX,
    MAX_VIEWS,
    PRETRAINED_TINY_MINUTES,
    WORKERS,
)
from geocobot.data.split import Split, Validation, choose_patch_px
from geocobot.data.survey import Survey, class_shares
from geocobot.errors import ConfigError
from geocobot.models.bases import find_base
from geocobot.models.heads import resolve_head
from geocobot.models.weights import resolve_start
from geocobot.training.groups import GroupSettings, default_groups
from geocobot.training.losses import SegmentationLoss, balanced_weights

_log = logging.getLogger("geocobot.workflows")


def choose_adapter(options: TrainOptions) -> AdapterConfig:
    """The adapter that the options describe.

    Raises:
        ConfigError: there is none of that rank.
    """
    return AdapterConfig(
        method=options.adapter,
        cobot=options.cobot,
        rank=options.rank,
        alpha=options.alpha,
        init=options.adapter_init,
        dropout=options.dropout,
        targets=options.targets,
        relation=options.relation,
        mixing=options.mixing,
    )


def choose_groups(options: TrainOptions, segmenter: nn.Module) -> GroupSettings:
    """Learning rates and weight decays, as given or by what is trained."""
    return replace(
        default_groups(segmenter, options.learning_rate),
        head_rate=options.head_rate,
        adapter_rate=options.adapter_rate,
        relation_rate=options.relation_rate,
        projection_rate=options.projection_rate,
        weight_decay=options.weight_decay,
        adapter_decay=options.adapter_decay,
        relation_decay=options.relation_decay,
    )


def choose_base(options: TrainOptions, device: torch.device) -> TrainOptions:
    """The options with a base, by what there is to compute on."""
    if options.base != "auto":
        return options
    base: TrainOptions = replace(options, base="vit_b" if device.type == "cuda" else "tiny")
    _log.info("Base: %s, because training runs on the %s.", base.base, device.type.upper())
    return base


def choose_start(options: TrainOptions) -> TrainOptions:
    """The options with the start that their base can have.

    Args:
        options: with their base chosen.

    Raises:
        ConfigError: a random start is asked for, and weights are named.
    """
    start = resolve_start(find_base(options.base), options.start, options.checkpoint)
    return replace(options, start=start)


def choose_head(options: TrainOptions) -> TrainOptions:
    """The options with a head, by base, start and prompt.

    Args:
        options: with their base and start chosen.
    """
    spec = find_base(options.base)
    head = resolve_head(options.head, spec, options.start, prompt=options.prompt)
    return replace(options, head=head)


def refuse_misfits(options: TrainOptions) -> None:
    """Refuse options that have no say beside others.

    Raises:
        ConfigError: one is given that box prompts, or their absence, leave without effect.
    """
    if options.prompt == "boxes" and options.class_weights != "none":
        raise ConfigError(
            f"--class-weights {options.class_weights}",
            "is asked for with --prompt boxes",
            "Every box has one mask of its own, and all of them weigh the same",
            "Leave one of the two out",
        )
    if options.prompt == "boxes" and options.separate:
        raise ConfigError(
            "--separate",
            "is asked for with --prompt boxes",
            "Boxes tell objects apart already, and such a model draws no maps",
            "Leave one of the two out",
        )
    if options.sampling == "hard":
        _refuse_hard(options)
    _refuse_uneven_batch(options)
    if options.prompt == "none" and options.box_jitter_px is not None:
        raise ConfigError(
            f"--box-jitter-px {options.box_jitter_px:g}",
            "is asked for without boxes",
            "It moves the sides of the boxes that --prompt boxes gives",
            "Leave it out, or add --prompt boxes",
        )


def _refuse_hard(options: TrainOptions) -> None:
    """Refuse hard patches where there is no error of a patch, or patches have to come again."""
    others = {
        "--prompt boxes": (options.prompt == "boxes", "Errors are those of boxes there"),
        "--adapter none": (options.adapter == "none", "Patches of a frozen backbone come again"),
        "--pool-epochs": (options.pool_epochs is not None, "It shows the same patches again"),
    }
    for flag, (is_given, why) in others.items():
        if is_given:
            raise ConfigError(
                "--sampling hard", f"is asked for with {flag}", why, "Leave one of the two out"
            )


def _refuse_uneven_batch(options: TrainOptions) -> None:
    """Refuse a batch that cannot be shared out evenly: a mean over shares would weigh them so."""
    n = options.devices * options.nodes
    if options.batch_size is not None and options.batch_size % n:
        raise ConfigError(
            f"--batch-size {options.batch_size}",
            f"cannot be shared out among {n} processes (--devices times --nodes)",
            "A batch is that of a whole step, and each of them gets as much of it",
            f"Pass a multiple of {n}, or leave it out",
        )


def choose_loss(
    options: TrainOptions,
    surveys: Sequence[Survey],
    splits: Sequence[Split],
    classes: Sequence[ClassSpec],
) -> SegmentationLoss:
    """The loss that the options describe; its class weights, if any, are those of the data.

    They follow from scenes, labels and seed alone, so that a resumed run has the same.

    Args:
        options: filled in.
        surveys: of the scenes.
        splits: of the scenes; the training regions decide.
        classes: of the labels.
    """
    if options.class_weights == "none":
        return SegmentationLoss(options.loss)
    shares = class_shares(surveys, [split.train for split in splits], len(classes))
    weights = balanced_weights(shares)
    _log.info(
        "Class weights: %s.",
        ", ".join(
            f"{c.name} {weight:.2f} ({share:.1%} of the training area)"
            for c, weight, share in zip(classes, weights, shares, strict=True)
        ),
    )
    return SegmentationLoss(options.loss, weights)


def fill_in(
    options: TrainOptions,
    device: torch.device,
    surveys: Sequence[Survey],
    validation: Validation | None = None,
) -> TrainOptions:
    """The options with a value for everything that has a default.

    Args:
        options: with their base and start chosen.
        device: where to compute.
        surveys: of the scenes; they decide how large patches may be.
        validation: windows of each scene to validate in, where they are given.

    Raises:
        SplitError: the scenes leave too few patches, however small.
    """
    patch_px = options.patch_size
    if patch_px is None:
        patch_px = choose_patch_px(surveys, MAX_PATCH_PX[device.type], options.seed, validation)
        _log.info("Patches: %d px, the largest that leaves enough of them.", patch_px)
    minutes = options.max_minutes
    if minutes is None and options.epochs is None and device.type == "cpu":
        minutes = _cpu_minutes(options)
        _log.info("Training stops after %g minutes; --max-minutes gives it more.", minutes)
    crop_px = options.crop_size or _crop_px(options, device, patch_px)
    jitter_px = options.box_jitter_px
    if jitter_px is None and options.prompt == "boxes":
        jitter_px = BOX_JITTER_PX * crop_px / BOX_JITTER_SIDE_PX
    return replace(
        options,
        rank=options.rank or DEFAULT_RANKS[options.adapter],
        patch_size=patch_px,
        crop_size=crop_px,
        batch_size=options.batch_size or _batch_size(options, device),
        epochs=options.epochs or (DEFAULT_EPOCHS if minutes is None else None),
        max_minutes=minutes,
        box_jitter_px=jitter_px,
        workers=_workers(options, device) if options.workers is None else options.workers,
    )


def limit_epochs(options: TrainOptions, views_per_epoch: float) -> TrainOptions:
    """The options with an end before a network knows its scene by heart.

    Validation does not tell: its blocks lie in the same scene, and often along the same street.
    benchmarks/README.md has the figures.

    Args:
        options: filled in.
        views_per_epoch: how often an epoch shows the training area.
    """
    most = max(1, round(MAX_VIEWS / views_per_epoch))
    if options.epochs is not None and options.epochs <= most:
        return options
    _log.info(
        "Training stops after %d epochs at the latest, which show the training area %d times: more "
        "would learn it by heart. --epochs sets another end.",
        most,
        MAX_VIEWS,
    )
    return replace(options, epochs=most)


def _cpu_minutes(options: TrainOptions) -> float:
    """How long training takes without a GPU."""
    is_quick = options.base == "tiny" and options.start == "pretrained"
    return PRETRAINED_TINY_MINUTES if is_quick else DEFAULT_CPU_MINUTES


def _batch_size(options: TrainOptions, device: torch.device) -> int:
    """The usual batch, or the next larger one that can be shared out evenly."""
    n = options.devices * options.nodes
    return n * math.ceil(BATCH_SIZES[device.type] / n)


def _workers(options: TrainOptions, device: torch.device) -> int:
    """How many processes keep each device busy, and leave it a processor for its trainer."""
    processors = (os.cpu_count() or 1) // options.devices
    return min(WORKERS[device.type], max(0, processors - 1))


def _crop_px(options: TrainOptions, device: torch.device, patch_px: int) -> int:
    """How much of a patch a training step sees."""
    if device.type == "cuda":
        return patch_px
    # A patch that was asked for is a limit; one that the scene forced is none.
    crop_px = CPU_CROP_PX[options.start]
    return crop_px if options.patch_size is None else min(patch_px, crop_px)
