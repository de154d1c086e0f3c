"""The arms of the comparison: what adapts the encoder, and what each arm is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from arms import Arm

from evidence import backbones
from geocobot.adapters.config import AdapterConfig
from geocobot.models.segmenter import Segmenter


@dataclass(frozen=True)
class Variant:
    """One arm.

    Attributes:
        title: for tables and figures.
        adapter: arguments of `AdapterConfig` that differ from its defaults, rank left out.
        reference: the arm that it is subtracted from; None for the one that nothing is.
        control: whether it is there to explain a gain and not to make one.
    """

    title: str
    adapter: Mapping[str, Any] = field(default_factory=dict)
    reference: str | None = None
    control: bool = False

    def config(self, rank: int | None = None) -> AdapterConfig:
        """The adapter at a width; None for the method's own."""
        return AdapterConfig(**self.adapter, rank=rank)


VARIANTS: Mapping[str, Variant] = {
    "decoder": Variant("decoder only", {"method": "none"}),
    "lora": Variant("LoRA", {"cobot": False}, "decoder"),
    "lora-alpha2": Variant("LoRA, alpha 2", {"cobot": False, "alpha": 2.0}, "lora"),
    "dora": Variant("DoRA", {"method": "dora", "cobot": False}, "lora"),
    "lora-cobot": Variant("LoRA + COBOT", {}, "lora"),
    "adaptformer": Variant("AdaptFormer", {"method": "adaptformer", "cobot": False}, "decoder"),
    "adaptformer-cobot": Variant("AdaptFormer + COBOT", {"method": "adaptformer"}, "adaptformer"),
    "full": Variant("full fine-tuning", {"method": "full"}, "lora"),
    "identity": Variant(
        "LoRA + COBOT, S frozen at I", {"relation": "identity"}, "lora-cobot", control=True
    ),
    "random": Variant(
        "LoRA + COBOT, S frozen at random", {"relation": "random"}, "lora-cobot", control=True
    ),
    "linear": Variant("LoRA + COBOT, W linear", {"mixing": "linear"}, "lora-cobot", control=True),
    "published": Variant(
        "LoRA + COBOT, published start", {"init": "published"}, "lora-cobot", control=True
    ),
}

WIDE = ("lora", "lora-cobot", "adaptformer", "adaptformer-cobot")
"""Arms whose width is varied."""

CORE = ("decoder", "lora", "lora-alpha2", "lora-cobot", "adaptformer", "adaptformer-cobot")
"""Arms that the questions and their answers are about: more seeds, few labels, other backbones."""

RAISED = ("lora", "lora-alpha2", "lora-cobot")
"""Arms of the question that takes more seeds than the others."""

PRIMARY = (("lora-cobot", "lora"), ("adaptformer-cobot", "adaptformer"))
"""The differences that the question is about; all others explain them."""


def own_rank(name: str) -> int | None:
    """The width that an arm has by itself; None for one without adapters."""
    config = VARIANTS[name].config()
    return config.shape.rank if config.has_sites else None


def make_arm(name: str, rank: int | None, base: str) -> Arm:
    """An arm as `arms.train` takes it.

    Args:
        name: among `VARIANTS`.
        rank: its width; None for its own.
        base: name of the backbone.
    """

    def build(n_classes: int, seed: int, checkpoint: str | None) -> Segmenter:
        config = VARIANTS[name].config(rank)
        return backbones.build(base, config, n_classes, seed, checkpoint)

    return Arm(build, pretrained=backbones.is_pretrained(base))
