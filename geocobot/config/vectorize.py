"""Options of `geocobot vectorize`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.option import option, repeated
from geocobot.config.predict import PredictOptions


@dataclass(frozen=True, kw_only=True)
class VectorizeOptions:
    """What `geocobot vectorize` needs to know."""

    COMMAND: ClassVar[str] = "vectorize"

    scores: str = option(
        "Raster of scores (of geocobot predict --save-scores, or numbers from 0 to 1, a band per "
        "class) or of class numbers (one band of whole numbers; 0 is no class).",
        positional=True,
    )
    out: str | None = option(
        "Vector file to write; the ending chooses the format (.gpkg, .fgb, .parquet, .geojson, "
        ".shp); default <scores>.gpkg.",
        None,
        short="-o",
    )
    overwrite: bool = option("Replace existing output.", False, short="-f")
    model: str | None = option(
        "Model file that says what the classes are called, their colors and thresholds; default "
        "what the raster says.",
        None,
    )
    qgis_project: bool | None = repeated(PredictOptions, "qgis_project")
    license: str | None = option(
        "License of the result, for its metadata; default what the raster says.", None
    )
    threshold: float | None = option(
        "Score above which a pixel counts, 0 to 1; default what the raster or the model says, "
        "else 0.5.",
        None,
        group="Polygons",
        least=0,
        most=1,
    )
    class_thresholds: tuple[str, ...] | None = repeated(PredictOptions, "class_thresholds")
    high_threshold: float | None = repeated(PredictOptions, "high_threshold")
    min_area: float = repeated(PredictOptions, "min_area")
    simplify: float = repeated(PredictOptions, "simplify")
    close_holes: float = repeated(PredictOptions, "close_holes")
    despeckle: float = repeated(PredictOptions, "despeckle")
    regularize: bool = repeated(PredictOptions, "regularize")
    regularize_classes: tuple[str, ...] | None = repeated(PredictOptions, "regularize_classes")
    smooth: float = repeated(PredictOptions, "smooth")
    centerlines: bool = repeated(PredictOptions, "centerlines")
    centerline_classes: tuple[str, ...] | None = repeated(PredictOptions, "centerline_classes")
    bridge_gaps: float = repeated(PredictOptions, "bridge_gaps")
    separate: bool | None = option(
        "Cut polygons where one object ends and the next begins; default where the raster has a "
        "band that tells.",
        None,
        group="Polygons",
    )
