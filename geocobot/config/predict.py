"""Options of `geocobot predict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.option import option, repeated
from geocobot.config.train import TrainOptions
from geocobot.config.values import (
    DEFAULT_TILES,
    DeviceName,
    EngineName,
    PrecisionName,
    ScoresDtype,
    TtaName,
)


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What `geocobot predict` needs to know."""

    COMMAND: ClassVar[str] = "predict"

    raster: tuple[str, ...] = option(
        "Scene to map, a folder, a pattern, or STAC items as JSON; may be given several times."
    )
    model: str = option("Model file of a training run.")
    out: str | None = option(
        "Vector file to write, one for all scenes; the ending chooses the format (.gpkg, .fgb, "
        ".parquet, .geojson, .shp). Or a folder, with a file for each; default <scene>_pred.gpkg.",
        None,
        short="-o",
    )
    overwrite: bool = option("Replace existing output.", False, short="-f")
    resume: bool = option("Go on with interrupted maps where they were.", False)
    save_scores: bool = option("Also write the scores as <out>_scores.tif.", False)
    scores_dtype: ScoresDtype = option(
        "Numbers in that raster: whole ones, 0 to 254 for 0 to 1, or as many digits as there are "
        "at several times the size.",
        "uint8",
    )
    save_classes: bool = option("Also write the classes as <out>_classes.tif.", False)
    qgis_project: bool | None = option(
        "Also write a QGIS project, <out>.qgz, with the results over their scene; default where "
        "the vector file has several layers.",
        None,
        flag="--qgis-project/--no-qgis-project",
    )
    report: bool = option(
        "Also write a page, <out>_report.html, with a picture of the map, what was found, and how "
        "it was made.",
        True,
        flag="--report/--no-report",
    )
    license: str | None = option("License of the results, for their metadata.", None)

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
        "Polygons to map in, or a mask: a raster of one band, on any grid, that is neither 0 nor "
        "nodata where to map; what lies outside is neither read nor mapped.",
        None,
        group="Raster",
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
        "How far a tile reaches into its neighbor: a share of the tile, 0 to 0.5, or pixels from "
        "1 on.",
        0.25,
        group="Prediction",
        least=0,
    )
    tta: TtaName = option(
        "Views of each tile whose scores are averaged: as it is, with its mirror images (4 times "
        "the work), or with their quarter turns as well (8 times).",
        "none",
        group="Prediction",
    )
    threshold: float | None = option(
        "Score above which a pixel counts, 0 to 1; default tuned in training.",
        None,
        group="Prediction",
        least=0,
        most=1,
    )
    high_threshold: float | None = option(
        "Drop polygons none of whose pixels scores more than this (hysteresis); a lower "
        "--threshold then draws outlines farther out without finding more.",
        None,
        group="Polygons",
        least=0,
        most=1,
    )
    class_thresholds: tuple[str, ...] | None = option(
        "Thresholds of single classes, such as road=0.4,roof=0.6; the others have --threshold.",
        None,
        group="Polygons",
        names="NAME=NUMBER,NAME=NUMBER",
    )
    min_area: float = option(
        "Drop polygons smaller than this, in square metres.", 10.0, group="Polygons", least=0
    )
    simplify: float = option(
        "Simplify outlines by about so many metres; 0 keeps every pixel.",
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
    despeckle: float = option(
        "Give patches smaller than this, in square metres, to the class around them, before "
        "polygons are drawn; 0 keeps all.",
        0.0,
        group="Polygons",
        least=0,
    )

    regularize: bool = option(
        "Square outlines, of buildings: walls in one main direction each, and across it.",
        False,
        group="Polygons",
    )
    regularize_classes: tuple[str, ...] | None = option(
        "Classes whose outlines --regularize squares; default all.",
        None,
        group="Polygons",
        names="NAME,NAME",
    )
    smooth: float = option(
        "Round outlines, of trees, water or fields, over so many metres at each corner; 0 keeps "
        "corners. What is squared is not rounded.",
        0.0,
        group="Polygons",
        least=0,
    )
    centerlines: bool = option(
        "Also draw the middle lines of roads and the like, with lengths and widths; as a layer "
        "<out>_centerlines, or a file of that name where the format has one layer.",
        False,
        group="Centerlines",
    )
    centerline_classes: tuple[str, ...] | None = option(
        "Classes that get centerlines; default all.",
        None,
        group="Centerlines",
        names="NAME,NAME",
    )
    bridge_gaps: float = option(
        "Close gaps between the ends of centerlines, and from ends to the sides of others, up to "
        "so many metres, where the scores support it; 0 closes none.",
        0.0,
        group="Centerlines",
        least=0,
    )
    separate: bool | None = option(
        "Cut polygons where one object ends and the next begins; default where the model was "
        "trained with --separate.",
        None,
        group="Polygons",
    )

    batch_size: int | None = option(
        f"Tiles per forward pass; default {DEFAULT_TILES} of 256 px or 1 of 512 px and more, on a "
        "GPU of this machine as many as fit into its memory.",
        None,
        group="Machine",
        least=1,
    )
    workers: int = option(
        "Processes that read tiles; 0 reads them in the predictor.", 0, group="Machine", least=0
    )
    device: DeviceName = repeated(TrainOptions, "device")
    precision: PrecisionName = repeated(TrainOptions, "precision")
    max_memory: float | None = option(
        "Memory, in GiB, that a map may take beside the model: stages that would take more do not "
        "work ahead, and what does not fit is refused.",
        None,
        group="Machine",
        least=1e-9,
    )
    devices: int = option(
        "GPUs, or processes on a CPU, that compute at the same time; on a cluster, how many in "
        "all.",
        1,
        group="Machine",
        least=1,
    )
    threads: int | None = option(
        "CPU cores of each; default all, shared out among --devices, and 1 on a cluster.",
        None,
        group="Machine",
        least=1,
    )
    engine: EngineName = option(
        "Who computes: this machine, or a Ray cluster (extra ray).",
        "local",
        group="Machine",
    )
    address: str | None = option(
        "Head node of the Ray cluster, such as 10.0.0.1:6379, or auto; default a cluster of this "
        "machine alone.",
        None,
        group="Machine",
    )
