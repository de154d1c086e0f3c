"""Options of `geocobot models show`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.option import option, repeated
from geocobot.config.train import TrainOptions
from geocobot.config.values import AdapterName, AdapterTarget, HeadName, KnownBase, MixingName


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """What `geocobot models show` needs to know."""

    COMMAND: ClassVar[str] = "models show"

    base: KnownBase = option("Backbone to show.", positional=True)
    adapter: AdapterName = repeated(TrainOptions, "adapter")
    cobot: bool = repeated(TrainOptions, "cobot")
    rank: int | None = repeated(TrainOptions, "rank")
    targets: tuple[AdapterTarget, ...] | None = repeated(TrainOptions, "targets")
    mixing: MixingName = repeated(TrainOptions, "mixing")
    head: HeadName = repeated(TrainOptions, "head")
    classes: int = option("Number of classes of the head.", 1, group="Model", least=1, most=254)
