"""The functions of the Python API: they do what the commands of the same name do.

Options are those of the command line; `geocobot.keywords` says their names and types once more.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from geocobot.config import (
    CheckOptions,
    DemoOptions,
    EvaluateOptions,
    PredictOptions,
    TrainOptions,
    VectorizeOptions,
)
from geocobot.keywords import (
    CheckKeywords,
    DemoKeywords,
    EvaluateKeywords,
    PathLike,
    Paths,
    PredictKeywords,
    TrainKeywords,
    VectorizeKeywords,
)
from geocobot.processes import refuse_import
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import Options, make_options

if TYPE_CHECKING:
    from geocobot.workflows.check import CheckResult
    from geocobot.workflows.demo import DemoResult
    from geocobot.workflows.evaluate_result import EvaluateResult
    from geocobot.workflows.predict import PredictResult
    from geocobot.workflows.train_result import TrainResult
    from geocobot.workflows.vectorize import VectorizeResult

Call = TypeVar("Call", bound=Callable[..., Any])


def _takes(kind: type[Any]) -> Callable[[Call], Call]:
    """Show the options of a dataclass, with their help, as the signature of a function."""

    def document(function: Call) -> Call:
        shown = [_keyword(f.name, f.type, f.default) for f in fields(kind)]
        shown.append(_keyword("progress", "Progress | None", None))
        returns = function.__annotations__["return"]
        signature = inspect.Signature(shown, return_annotation=returns)
        function.__signature__ = signature  # type: ignore[attr-defined]
        if function.__doc__:  # None under `python -OO`
            lines = [f"        {f.name}: {f.metadata['help']}" for f in fields(kind)]
            function.__doc__ = function.__doc__.replace("{options}", "\n".join(lines).lstrip())
        return function

    return document


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """A keyword of a shown signature."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=annotation,
    )


@_takes(TrainOptions)
def train(
    *,
    raster: Paths,
    labels: Paths,
    progress: Progress | None = None,
    **options: Unpack[TrainKeywords],
) -> TrainResult:
    """Learn from labeled scenes what to map, and write a model file.

    Args:
        {options}
        progress: is told how far the work is; default nobody.

    Returns:
        The paths of what was written, and the figures of the training.

    Raises:
        GeocobotError: an option, a file or the machine is not as needed; the message says what
            to do.
    """
    values = {"raster": raster, "labels": labels, **options}
    checked = _checked(TrainOptions, values, "geocobot.train")
    from geocobot.workflows import train as workflow

    return workflow.train(checked, progress or SilentProgress())


@_takes(CheckOptions)
def check(
    *,
    raster: Paths,
    labels: Paths,
    progress: Progress | None = None,
    **options: Unpack[CheckKeywords],
) -> CheckResult:
    """Look at scenes and labels before training, and say what to mend first.

    Args:
        {options}
        progress: is told how far the work is; default nobody.

    Returns:
        Facts and findings, a forecast, and the command that trains.

    Raises:
        GeocobotError: an option or a file is not as needed; the message says what to do. Data
            that are not fit to train on are a finding, and no error.
    """
    values = {"raster": raster, "labels": labels, **options}
    checked = _checked(CheckOptions, values, "geocobot.check")
    from geocobot.workflows import check as workflow

    return workflow.check(checked, progress or SilentProgress())


@_takes(PredictOptions)
def predict(
    *,
    raster: Paths,
    model: PathLike,
    progress: Progress | None = None,
    **options: Unpack[PredictKeywords],
) -> PredictResult:
    """Map scenes with a trained model, and write polygons that open styled in QGIS.

    Args:
        {options}
        progress: is told how far the work is; default nobody.

    Returns:
        The paths of what was written, and how much it is.

    Raises:
        GeocobotError: an option, a file or the machine is not as needed; the message says what
            to do.
    """
    values = {"raster": raster, "model": model, **options}
    checked = _checked(PredictOptions, values, "geocobot.predict")
    from geocobot.workflows import predict as workflow

    return workflow.predict(checked, progress or SilentProgress())


@_takes(VectorizeOptions)
def vectorize(
    *,
    scores: PathLike,
    progress: Progress | None = None,
    **options: Unpack[VectorizeKeywords],
) -> VectorizeResult:
    """Trace a raster of scores into polygons that open styled in QGIS.

    Args:
        {options}
        progress: is told how far the work is; default nobody.

    Returns:
        The paths of what was written, and how much it is.

    Raises:
        GeocobotError: an option or a file is not as needed; the message says what to do.
    """
    values = {"scores": scores, **options}
    checked = _checked(VectorizeOptions, values, "geocobot.vectorize")
    from geocobot.workflows import vectorize as workflow

    return workflow.vectorize(checked, progress or SilentProgress())


@_takes(EvaluateOptions)
def evaluate(
    *,
    pred: Paths,
    labels: Paths,
    progress: Progress | None = None,
    **options: Unpack[EvaluateKeywords],
) -> EvaluateResult:
    """Say how good a map is, against labels.

    Args:
        {options}
        progress: is told how far the work is; default nobody.

    Returns:
        All figures, with intervals.

    Raises:
        GeocobotError: an option or a file is not as needed; the message says what to do.
    """
    values = {"pred": pred, "labels": labels, **options}
    checked = _checked(EvaluateOptions, values, "geocobot.evaluate")
    from geocobot.workflows import evaluate as workflow

    return workflow.evaluate(checked, progress or SilentProgress())


@_takes(DemoOptions)
def demo(*, progress: Progress | None = None, **options: Unpack[DemoKeywords]) -> DemoResult:
    """Make a place, train on one part of it and map a part never seen, in a few minutes.

    Args:
        {options}
        progress: is told how far the work is; default nobody.

    Returns:
        The paths of what was written, and the IoU on the unseen part.

    Raises:
        GeocobotError: an option or the machine is not as needed; the message says what to do.
    """
    checked = _checked(DemoOptions, options, "geocobot.demo")
    from geocobot.workflows import demo as workflow

    return workflow.demo(checked, progress or SilentProgress())


def _checked(kind: type[Options], values: Mapping[str, Any], call: str) -> Options:
    """Build the options of a call, which has begun in no process that was to help it."""
    refuse_import(call)
    return make_options(kind, _plain(values), call)


def _plain(values: Any) -> dict[str, Any]:
    """Turn paths into text and iterables into lists, as the options hold them."""
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    """Turn one path into text, or an iterable into a list."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain_value(item) for item in value]
    return value
