"""Options of `geocobot predict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.option import option, repeated
from geocobot.config.train import TrainOptions
from geocobot.config.values import DeviceName, PrecisionName


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What `geocobot predict` needs to know."""

    COMMAND: ClassVar[str] = "predict"

    raster: tuple[str, ...] = option(
        "Scene to map, a folder, a pattern, or STAC items as JSON; may be given several times."
    )
    model: str = option("Model file of a training run.")
    out: str | None = option(
        "Vector file to write; the ending chooses the format (.gpkg, .fgb, .parquet, .geojson); "
        "default <scene>_pred.gpkg.",
        None,
        short="-o",
    )
    overwrite: bool = option("Replace existing output.", False, short="-f")
    resume: bool = option("Go on with interrupted maps where they were.", False)
    save_scores: bool = option("Also write the scores as <out>_scores.tif.", False)
    save_classes: bool = option("Also write the classes as <out>_classes.tif.", False)

    checkpoint: str | None = repeated(TrainOptions, "checkpoint")
    asset: str | None = repeated(TrainOptions, "asset")
    bands: tuple[int | str, ...] | None = option(
        "Bands to use by number or name, where this scene orders them otherwise than the training "
        "scene.",
        None,
        group="Raster",
        names="BAND,BAND,BAND",
    )
    nodata: float | None = repeated(TrainOptions, "nodata")
    area: tuple[str, ...] | None = option(
        "Polygons to map in; what lies outside is neither read nor mapped.", None, group="Raster"
    )
    bbox: tuple[float, ...] | None = option(
        "Bounds to map in: west, south, east and north in the scene's CRS.",
        None,
        group="Raster",
        names="W,S,E,N",
    )
    resolution: float | None = option(
        "Show the scene to the model in pixels of so many metres on the ground, as it was trained "
        "on, where the scene's are larger or smaller; the results have the scene's own pixels.",
        None,
        group="Raster",
        least=1e-9,
    )
    overlap: float = option(
        "Share of a tile that overlaps its neighbor, 0 to 0.5.",
        0.25,
        group="Prediction",
        least=0,
        most=0.5,
    )
    threshold: float | None = option(
        "Score from which on a pixel counts, 0 to 1; default tuned in training.",
        None,
        group="Prediction",
        least=0,
        most=1,
    )
    min_area: float = option(
        "Drop polygons smaller than this, in square metres.", 10.0, group="Polygons", least=0
    )
    simplify: float = option(
        "Smooth outlines by about so many metres; 0 keeps every pixel.",
        0.5,
        group="Polygons",
        least=0,
    )
    close_holes: float = option(
        "Fill holes smaller than this, in square metres; 0 keeps all.",
        0.0,
        group="Polygons",
        least=0,
    )

    batch_size: int = option("Tiles per forward pass.", 4, group="Machine", least=1)
    workers: int = option(
        "Processes that read tiles; 0 reads them in the predictor.", 0, group="Machine", least=0
    )
    device: DeviceName = repeated(TrainOptions, "device")
    precision: PrecisionName = repeated(TrainOptions, "precision")
