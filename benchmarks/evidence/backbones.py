"""What carries the adapters: geocobot's own bases, and a transformer of another make."""

from __future__ import annotations

from pathlib import Path

from evidence import timm_vit
from geocobot.adapters.config import AdapterConfig
from geocobot.models.bases import find_base
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.models.weights import fetch_weights

SECOND = timm_vit.SPEC.name


def build(
    base: str, config: AdapterConfig, n_classes: int, seed: int, checkpoint: str | None
) -> Segmenter:
    """A segmenter that is ready to be trained.

    Args:
        base: a name that geocobot knows, or `SECOND`.
        config: how its encoder is adapted.
        n_classes: planes of logits.
        seed: of everything that starts at random.
        checkpoint: file with its weights; None for its own.
    """
    if base == SECOND:
        return timm_vit.build(config, n_classes, seed, checkpoint)
    return build_segmenter(base, n_classes, config, checkpoint=checkpoint, seed=seed)


def is_pretrained(base: str) -> bool:
    """Whether a backbone begins with weights."""
    return base == SECOND or find_base(base).has_weights


def weights_of(base: str) -> Path:
    """The file with a backbone's own weights."""
    return timm_vit.WEIGHTS if base == SECOND else fetch_weights(find_base(base))
