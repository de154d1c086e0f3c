"""Options of `geocobot pretrain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from geocobot.config.option import option, repeated
from geocobot.config.train import TrainOptions
from geocobot.config.values import DEFAULT_WEIGHT_DECAY, DeviceName, PrecisionName, StartName

OwnBase: TypeAlias = Literal["tiny"]


@dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """What `geocobot pretrain` needs to know."""

    COMMAND: ClassVar[str] = "pretrain"

    out: str = option("Folder of the run.", "runs/tiny", short="-o")
    overwrite: bool = option("Replace an existing run.", False, short="-f")
    resume: bool = option("Go on with an interrupted run.", False)
    base: OwnBase = option("Base to pretrain.", "tiny", group="Model")
    start: StartName = option(
        "Begin at random, or go on from the weights that come with geocobot.",
        "random",
        group="Model",
    )
    checkpoint: str | None = option(
        "Base file to go on from in their place, such as another run's; default none.",
        None,
        group="Model",
    )
    raster: tuple[str, ...] | None = option(
        "Scenes to learn from without labels, beside the made-up world; default none.",
        None,
        group="Raster",
    )
    asset: str | None = repeated(TrainOptions, "asset")
    bands: tuple[int | str, ...] | None = option(
        "Bands by number or name, as red, green and blue; of fewer than three the last one comes "
        "again. Default the first three.",
        None,
        group="Raster",
        names="BAND,BAND,BAND",
    )
    nodata: float | None = repeated(TrainOptions, "nodata")

    steps: int = option("Optimizer steps.", 16000, group="Training", least=1)
    max_minutes: float | None = option(
        "Stop after so many minutes if the steps take longer; what was learned by then is settled "
        "all the same; default no limit.",
        None,
        group="Training",
        least=1e-9,
    )
    worlds: int = option("Made-up pictures per step.", 8, group="Training", least=0)
    images: int = option(
        "Crops of the scenes per step, if there are any.", 2, group="Training", least=0
    )
    crop_size: tuple[int, ...] = option(
        "Sides of both in pixels, multiples of 64; a step takes one of them, and as many pictures, "
        "crops and boxes as make up for it: the numbers said are those of the first.",
        (128,),
        group="Training",
        least=64,
        step=64,
    )
    boxes: int = option(
        "Objects per step that the mask decoder is asked for; 0 leaves it out of the file.",
        4,
        group="Training",
        least=0,
    )
    boxes_weight: float = option("Weight of their masks' error.", 0.5, group="Training", least=0)
    pixels_weight: float = option(
        "Weight of the error of hidden pixels in the scenes.", 0.3, group="Training", least=0
    )
    agreement_weight: float = option(
        "Weight of the agreement with the averaged weights on the scenes.",
        0.0,
        group="Training",
        least=0,
    )
    hidden_share: float = option(
        "Share of a crop's squares that is hidden.", 0.5, group="Training", least=0, most=1
    )
    hidden_size: int = option("Side of these squares in pixels.", 16, group="Training", least=1)
    learning_rate: float = option(
        "Peak learning rate of the heads.", 1e-3, group="Training", least=1e-9
    )
    encoder_rate: float = option(
        "Peak learning rate of the encoder.", 4e-4, group="Training", least=1e-9
    )
    weight_decay: float = option(
        "Weight decay of matrices and kernels.", DEFAULT_WEIGHT_DECAY, group="Training", least=0
    )
    checkpoint_steps: int = option(
        "Steps between checkpoints; an interruption loses no more.", 250, group="Training", least=1
    )
    seed: int = repeated(TrainOptions, "seed")
    device: DeviceName = repeated(TrainOptions, "device")
    precision: PrecisionName = repeated(TrainOptions, "precision")
