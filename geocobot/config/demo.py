"""Options of `geocobot demo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.option import option, repeated
from geocobot.config.train import TrainOptions
from geocobot.config.values import MAX_SEED, DeviceName


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What `geocobot demo` needs to know."""

    COMMAND: ClassVar[str] = "demo"

    out: str = option("Folder for the scene, the labels and the results.", "demo", short="-o")
    overwrite: bool = option("Replace an existing demo.", False, short="-f")
    max_minutes: float = option("Stop training after so many minutes.", 1.5, least=1e-9)
    seed: int = option(
        "Seed of the made-up place and of the training.",
        0,
        group="Machine",
        least=0,
        most=MAX_SEED,
    )
    device: DeviceName = repeated(TrainOptions, "device")
