"""Every option once: name, type, default and help, for Python, YAML and the command line alike."""

from geocobot.config.check import CheckOptions
from geocobot.config.demo import DemoOptions
from geocobot.config.evaluate import EvaluateOptions
from geocobot.config.predict import PredictOptions
from geocobot.config.pretrain import PretrainOptions
from geocobot.config.show import ShowOptions
from geocobot.config.train import TrainOptions
from geocobot.config.vectorize import VectorizeOptions

__all__ = [
    "CheckOptions",
    "DemoOptions",
    "EvaluateOptions",
    "PredictOptions",
    "PretrainOptions",
    "ShowOptions",
    "TrainOptions",
    "VectorizeOptions",
]
