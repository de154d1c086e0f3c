"""Label one scene, map the rest.

    import geocobot

    geocobot.check(raster="scene.tif", labels="roads.shp").summary()
    geocobot.train(raster="scene.tif", labels="roads.shp")
    geocobot.predict(raster="big.tif", model="runs/roads/model.safetensors")

Importing geocobot is cheap; what a function needs is imported when it is called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from geocobot._version import __version__
from geocobot.api import check, demo, evaluate, predict, train, vectorize

if TYPE_CHECKING:
    from geocobot.config import (
        CheckOptions,
        DemoOptions,
        EvaluateOptions,
        PredictOptions,
        ShowOptions,
        TrainOptions,
        VectorizeOptions,
    )
    from geocobot.errors import GeocobotError
    from geocobot.workflows.catalog import Catalog, list_models
    from geocobot.workflows.check import CheckResult
    from geocobot.workflows.demo import DemoResult
    from geocobot.workflows.evaluate_result import EvaluateResult
    from geocobot.workflows.info import Info, collect_info
    from geocobot.workflows.predict import PredictResult
    from geocobot.workflows.shown_model import ShownModel, show_model
    from geocobot.workflows.train_result import TrainResult
    from geocobot.workflows.vectorize import VectorizeResult

__all__ = [
    "Catalog",
    "CheckOptions",
    "CheckResult",
    "DemoOptions",
    "DemoResult",
    "EvaluateOptions",
    "EvaluateResult",
    "GeocobotError",
    "Info",
    "PredictOptions",
    "PredictResult",
    "ShowOptions",
    "ShownModel",
    "TrainOptions",
    "TrainResult",
    "VectorizeOptions",
    "VectorizeResult",
    "__version__",
    "check",
    "collect_info",
    "demo",
    "evaluate",
    "list_models",
    "predict",
    "show_model",
    "train",
    "vectorize",
]

_HOMES = {
    "Catalog": "geocobot.workflows.catalog",
    "CheckOptions": "geocobot.config",
    "CheckResult": "geocobot.workflows.check",
    "DemoOptions": "geocobot.config",
    "DemoResult": "geocobot.workflows.demo",
    "EvaluateOptions": "geocobot.config",
    "EvaluateResult": "geocobot.workflows.evaluate_result",
    "GeocobotError": "geocobot.errors",
    "Info": "geocobot.workflows.info",
    "PredictOptions": "geocobot.config",
    "PredictResult": "geocobot.workflows.predict",
    "ShowOptions": "geocobot.config",
    "ShownModel": "geocobot.workflows.shown_model",
    "TrainOptions": "geocobot.config",
    "TrainResult": "geocobot.workflows.train_result",
    "VectorizeOptions": "geocobot.config",
    "VectorizeResult": "geocobot.workflows.vectorize",
    "collect_info": "geocobot.workflows.info",
    "list_models": "geocobot.workflows.catalog",
    "show_model": "geocobot.workflows.shown_model",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for."""
    if name not in _HOMES:
        message = f"module 'geocobot' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
