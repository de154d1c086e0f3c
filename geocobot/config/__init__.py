"""Every option once: name, type, default and help, for Python, YAML and the command line alike."""

from geocobot.config.demo import DemoOptions
from geocobot.config.predict import PredictOptions
from geocobot.config.show import ShowOptions
from geocobot.config.train import TrainOptions
from geocobot.config.values import (
    BATCH_SIZES,
    BOX_JITTER_PX,
    BOX_JITTER_SIDE_PX,
    CPU_CROP_PX,
    DEFAULT_CPU_MINUTES,
    DEFAULT_EPOCHS,
    DEFAULT_LINE_WIDTH_M,
    DEFAULT_RANKS,
    MAX_PATCH_PX,
    MAX_SEED,
    MAX_VIEWS,
    AdapterInit,
    AdapterName,
    AdapterTarget,
    BaseName,
    DeviceName,
    MixingName,
    ModelDtype,
    PromptName,
    RelationName,
)

__all__ = [
    "BATCH_SIZES",
    "BOX_JITTER_PX",
    "BOX_JITTER_SIDE_PX",
    "CPU_CROP_PX",
    "DEFAULT_CPU_MINUTES",
    "DEFAULT_EPOCHS",
    "DEFAULT_LINE_WIDTH_M",
    "DEFAULT_RANKS",
    "MAX_PATCH_PX",
    "MAX_SEED",
    "MAX_VIEWS",
    "AdapterInit",
    "AdapterName",
    "AdapterTarget",
    "BaseName",
    "DemoOptions",
    "DeviceName",
    "MixingName",
    "ModelDtype",
    "PredictOptions",
    "PromptName",
    "RelationName",
    "ShowOptions",
    "TrainOptions",
]
