"""The options of the Python API as typed keywords.

They repeat what the dataclasses of `geocobot.config` declare, because a type checker can read it
nowhere else; a test keeps them equal.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeAlias, TypedDict

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
    LoggerName,
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

PathLike: TypeAlias = str | os.PathLike[str]
Paths: TypeAlias = PathLike | Iterable[PathLike]


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
    report: bool
    base: BaseName
    start: StartName
    checkpoint: PathLike | None
    prompt: PromptName
    model_dtype: DtypeName
    head: HeadName
    separate: bool
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
    calibrate: bool
    workers: int | None
    logger: Iterable[LoggerName]
    sample_patches: int
    seed: int
    device: DeviceName
    devices: int
    nodes: int
    precision: PrecisionName


class DrawingKeywords(TypedDict, total=False):
    """Optional keywords of all that draws polygons."""

    out: PathLike | None
    overwrite: bool
    qgis_project: bool | None
    license: str | None
    threshold: float | None
    class_thresholds: Iterable[str] | None
    high_threshold: float | None
    min_area: float
    simplify: float
    close_holes: float
    despeckle: float
    regularize: bool
    regularize_classes: Iterable[str] | None
    smooth: float
    centerlines: bool
    centerline_classes: Iterable[str] | None
    bridge_gaps: float
    separate: bool | None


class PredictKeywords(DrawingKeywords, total=False):
    """Optional keywords of `predict`."""

    resume: bool
    report: bool
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
    batch_size: int | None
    workers: int
    device: DeviceName
    precision: PrecisionName
    max_memory: float | None
    devices: int
    threads: int | None
    engine: EngineName
    address: str | None


class VectorizeKeywords(DrawingKeywords, total=False):
    """Optional keywords of `vectorize`."""

    model: PathLike | None


class EvaluateKeywords(TypedDict, total=False):
    """Optional keywords of `evaluate`."""

    raster: Paths | None
    area: Paths | None
    out: PathLike | None
    overwrite: bool
    objects: bool | None
    min_area: float
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
    pred_layer: str | None
    pred_class_field: str | None
    threshold: float | None
    class_thresholds: Iterable[str] | None
    nodata: float | None
    block_size: float | None
    seed: int


class DemoKeywords(TypedDict, total=False):
    """Optional keywords of `demo`."""

    out: PathLike
    overwrite: bool
    max_minutes: float
    seed: int
    device: DeviceName
