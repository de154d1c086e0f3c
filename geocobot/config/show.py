"""Options of `geocobot models show`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.option import option
from geocobot.config.values import AdapterName, AdapterTarget, HeadKind, MixingName, ShownBase


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """What `geocobot models show` needs to know."""

    COMMAND: ClassVar[str] = "models show"

    base: ShownBase = option("Backbone to show.", positional=True)
    adapter: AdapterName = option("How it is adapted.", "lora", group="Adapter")
    cobot: bool = option(
        "Let the adapters of all blocks talk to each other.",
        True,
        flag="--cobot/--no-cobot",
        group="Adapter",
    )
    rank: int | None = option(
        "Width of the adapters, a multiple of 4; default 4, for adaptformer 16.",
        None,
        group="Adapter",
        least=1,
    )
    targets: tuple[AdapterTarget, ...] | None = option(
        "What lora and dora adapt in every block: some of q,k,v,proj,mlp; default q,v.",
        None,
        group="Adapter",
    )
    mixing: MixingName = option("COBOT's mixing matrix.", "quaternion", group="Adapter")
    head: HeadKind = option("What draws the map.", "mask-decoder", group="Head")
    classes: int = option("Number of classes of the head.", 1, group="Head", least=1, most=254)
