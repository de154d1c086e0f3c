"""Options of `geocobot check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.inputs import InputOptions
from geocobot.config.option import option, repeated
from geocobot.config.train import TrainOptions
from geocobot.config.values import BaseName, DeviceName, SamplingName, StartName

PAGE_ENDINGS = (".html", ".htm")
"""How the name of a report ends."""


@dataclass(frozen=True, kw_only=True)
class CheckOptions(InputOptions):
    """What `geocobot check` needs to know."""

    COMMAND: ClassVar[str] = "check"

    out: str | None = option("HTML report with pictures to write.", None, short="-o")
    overwrite: bool = option("Replace an existing report.", False, short="-f")

    base: BaseName = repeated(TrainOptions, "base")
    start: StartName = repeated(TrainOptions, "start")
    patch_size: int | None = repeated(TrainOptions, "patch_size")
    crop_size: int | None = repeated(TrainOptions, "crop_size")
    batch_size: int | None = repeated(TrainOptions, "batch_size")
    epochs: int | None = repeated(TrainOptions, "epochs")
    max_minutes: float | None = repeated(TrainOptions, "max_minutes")
    sampling: SamplingName = repeated(TrainOptions, "sampling")
    seed: int = repeated(TrainOptions, "seed")
    device: DeviceName = repeated(TrainOptions, "device")
