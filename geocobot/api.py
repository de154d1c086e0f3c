"""The functions of the Python API: they do what the commands of the same name do.

Options are those of the command line. `TrainKeywords` and its kin repeat their names and types,
because a type checker can read them nowhere else; a test keeps them equal to the dataclasses.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar, Unpack

from geocobot.config import (
    CheckOptions,
    DemoOptions,
    PredictOptions,
    TrainOptions,
    VectorizeOptions,
)
from geocobot.config.values import (
    AdapterInit,
    AdapterName,
    AdapterTarget,
    BaseName,
    ClassWeights,
    DeviceName,
    DtypeName,
    EngineName,
    HeadName,
    LossName,
    MixingName,
    PrecisionName,
    PromptName,
    RelationName,
    SamplingName,
    ScoresDtype,
    StartName,
    StretchName,
    TtaName,
)
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import make_options

if TYPE_CHECKING:
    from geocobot.workflows.check import CheckResult
    from geocobot.workflows.demo import DemoResult
    from geocobot.workflows.predict import PredictResult
    from geocobot.workflows.train_result import TrainResult
    from geocobot.workflows.vectorize import VectorizeResult

PathLike: TypeAlias = str | os.PathLike[str]
Paths: TypeAlias = PathLike | Iterable[PathLike]
Call = TypeVar("Call", bound=Callable[..., Any])


class InputKeywords(TypedDict, total=False):
    """Optional keywords about scenes and labels."""

    labels_layer: str | None
    labels_crs: str | None
    line_width: float | None
    width_field: str | None
    point_radius: float | None
    class_field: str | None
    classes: Iterable[str] | None
    where: str | None
    labelled_area: Paths | None
    ignore_boundary: int
    val_raster: Paths | None
    val_area: Paths | None
    asset: str | None
    bands: Iterable[int | str] | None
    nodata: float | None
    resolution: float | None
    stretch: StretchName
    value_range: Iterable[float] | None


class CheckKeywords(InputKeywords, total=False):
    """Optional keywords of `check`."""

    out: PathLike | None
    overwrite: bool
    base: BaseName
    start: StartName
    patch_size: int | None
    crop_size: int | None
    batch_size: int | None
    epochs: int | None
    max_minutes: float | None
    sampling: SamplingName
    seed: int
    device: DeviceName


class TrainKeywords(InputKeywords, total=False):
    """Optional keywords of `train`."""

    out: PathLike | None
    overwrite: bool
    resume: bool
    base: BaseName
    start: StartName
    checkpoint: PathLike | None
    prompt: PromptName
    model_dtype: DtypeName
    head: HeadName
    adapter: AdapterName
    cobot: bool
    rank: int | None
    targets: Iterable[AdapterTarget] | None
    alpha: float | None
    dropout: float | None
    adapter_init: AdapterInit
    relation: RelationName
    mixing: MixingName
    log_adapter_health: bool
    patch_size: int | None
    crop_size: int | None
    batch_size: int | None
    epochs: int | None
    max_minutes: float | None
    learning_rate: float | None
    head_rate: float | None
    adapter_rate: float | None
    relation_rate: float | None
    projection_rate: float | None
    weight_decay: float
    adapter_decay: float
    relation_decay: float
    loss: LossName
    class_weights: ClassWeights
    sampling: SamplingName
    patience: int | None
    box_jitter_px: float | None
    pool_epochs: int | None
    feature_cache_gb: float | None
    recompute: bool
    workers: int | None
    seed: int
    device: DeviceName
    devices: int
    nodes: int
    precision: PrecisionName


class PredictKeywords(TypedDict, total=False):
    """Optional keywords of `predict`."""

    out: PathLike | None
    overwrite: bool
    resume: bool
    save_scores: bool
    scores_dtype: ScoresDtype
    save_classes: bool
    checkpoint: PathLike | None
    asset: str | None
    bands: Iterable[int | str] | None
    nodata: float | None
    area: Paths | None
    bbox: Iterable[float] | None
    resolution: float | None
    overlap: float
    tta: TtaName
    threshold: float | None
    min_area: float
    simplify: float
    close_holes: float
    batch_size: int | None
    workers: int
    device: DeviceName
    precision: PrecisionName
    max_memory: float | None
    devices: int
    threads: int | None
    engine: EngineName
    address: str | None


class VectorizeKeywords(TypedDict, total=False):
    """Optional keywords of `vectorize`."""

    out: PathLike | None
    overwrite: bool
    model: PathLike | None
    threshold: float | None
    min_area: float
    simplify: float
    close_holes: float


class DemoKeywords(TypedDict, total=False):
    """Optional keywords of `demo`."""

    out: PathLike
    overwrite: bool
    max_minutes: float
    seed: int
    device: DeviceName


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
    checked = make_options(TrainOptions, _plain(values), "geocobot.train")
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
    checked = make_options(CheckOptions, _plain(values), "geocobot.check")
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
    checked = make_options(PredictOptions, _plain(values), "geocobot.predict")
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
    checked = make_options(VectorizeOptions, _plain(values), "geocobot.vectorize")
    from geocobot.workflows import vectorize as workflow

    return workflow.vectorize(checked, progress or SilentProgress())


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
    checked = make_options(DemoOptions, _plain(options), "geocobot.demo")
    from geocobot.workflows import demo as workflow

    return workflow.demo(checked, progress or SilentProgress())


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
