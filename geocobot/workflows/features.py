"""Whether a run keeps the features of its frozen encoder, and which patches come again then."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from geocobot.config import TrainOptions
from geocobot.config.values import FEATURE_CACHE_GB, POOL_EPOCHS
from geocobot.data.module import SceneDataModule
from geocobot.errors import ConfigError
from geocobot.models.bases import find_base
from geocobot.models.cached_encoder import has_fixed_features, kept_bytes, reusing_features
from geocobot.models.feature_cache import FeatureCache
from geocobot.models.segmenter import Segmenter
from geocobot.models.weights import cache_folder

_log = logging.getLogger("geocobot.workflows")

FOLDER_NAME = "features"
"""Within the cache folder, where runs with the same patches find each other's features."""

_GB = 10**9


def refuse_features(options: TrainOptions, segmenter: Segmenter) -> None:
    """Refuse to keep features that change with every step.

    Raises:
        ConfigError: they are asked for, and the encoder, its adapters or what it is shown learns.
    """
    if options.feature_cache_gb and not has_fixed_features(segmenter):
        learns = f"--adapter {options.adapter}"
        if segmenter.starts_at_random:
            has_weights = find_base(options.base).has_weights
            learns = "--start random" if has_weights else f"--base {options.base}"
        elif options.adapter == "none":
            learns = f"the projection of {segmenter.n_bands} bands"
        raise ConfigError(
            f"--feature-cache-gb {options.feature_cache_gb:g}",
            f"is given, but {learns} learns",
            "Only the features of a frozen encoder stay the same",
            "Leave it out, or pass --adapter none and start from pretrained weights",
        )


def choose_features(
    options: TrainOptions,
    segmenter: Segmenter,
    datamodule: SceneDataModule,
    device: torch.device,
    begun: Mapping[str, Any] | None = None,
) -> TrainOptions:
    """The options with how much is kept and how many epochs of patches there are.

    Args:
        options: filled in.
        segmenter: on the CPU.
        datamodule: is told when its patches come again.
        device: where to compute.
        begun: options of the run that is resumed, whose patches stay what they are however much is
            kept now; None for a new run.
    """
    if begun is not None and options.pool_epochs is None:
        options = replace(options, pool_epochs=begun["pool_epochs"])
        if options.pool_epochs is None:
            options = replace(options, feature_cache_gb=0.0)
    if has_fixed_features(segmenter):
        options = _sized(options, segmenter, datamodule, FEATURE_CACHE_GB[device.type])
    if options.pool_epochs is not None:
        datamodule.repeat_after(options.pool_epochs)
        _log.info(
            "The patches of %d epochs are shown again and again; --pool-epochs sets another "
            "number.",
            options.pool_epochs,
        )
    return options


@contextmanager
def keeping_features(options: TrainOptions, segmenter: Segmenter) -> Iterator[None]:
    """Let the segmenter reuse features inside the `with` block, if the options say so."""
    if not options.feature_cache_gb:
        yield
        return
    try:
        folder = cache_folder() / FOLDER_NAME
    except ConfigError as error:
        _log.warning("Encoder features are not kept. %s", error)
        yield
        return
    cache = FeatureCache(folder, round(options.feature_cache_gb * _GB))
    with reusing_features(segmenter, cache) as cached:
        _log.info(
            "Encoder features are kept in %s, up to %g GB; those of %d patches are at hand for "
            "this base. --feature-cache-gb 0 keeps none.",
            folder,
            options.feature_cache_gb,
            cache.count(cached.prefix),
        )
        yield
        if cached.shown:  # here, and not by processes that this one has started
            _log.info(
                "Encoder features: %d of %d patches were at hand.",
                cached.shown - cached.encoded,
                cached.shown,
            )


def _sized(
    options: TrainOptions, segmenter: Segmenter, datamodule: SceneDataModule, default_gb: float
) -> TrainOptions:
    """The options with the size of the cache and as many epochs as it has room for."""
    patch_px, given_gb = options.patch_size, options.feature_cache_gb
    assert patch_px is not None
    bound_gb = default_gb if given_gb is None else given_gb
    sized: TrainOptions = replace(options, feature_cache_gb=bound_gb)
    if bound_gb == 0 or sized.pool_epochs is not None:
        return sized
    crop_px = datamodule.crop_px
    crop_bytes = kept_bytes(segmenter, crop_px)
    epoch_bytes = len(datamodule.train_sampler) * crop_bytes
    block_bytes = len(datamodule.val_sampler) * math.ceil(patch_px / crop_px) ** 2 * crop_bytes
    room = int((bound_gb * _GB - block_bytes) // epoch_bytes)
    if room >= 1:
        return replace(sized, pool_epochs=min(room, POOL_EPOCHS))
    _log.warning(
        "Encoder features are not kept: those of an epoch take %.1f GB, and there are %g GB for "
        "them. --feature-cache-gb gives them more.",
        (epoch_bytes + block_bytes) / _GB,
        bound_gb,
    )
    return replace(sized, feature_cache_gb=0.0)
