"""Options of `geocobot evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.inputs import InputOptions
from geocobot.config.option import option, repeated
from geocobot.config.predict import PredictOptions
from geocobot.config.values import MAX_SEED

MOST_OBJECT_PX = 500_000_000
"""Objects of larger maps are compared where somebody asks for it."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What `geocobot evaluate` needs to know."""

    COMMAND: ClassVar[str] = "evaluate"

    pred: tuple[str, ...] = option(
        "Map to judge: a raster of scores or of class numbers, a mask, or polygons in any vector "
        "format and CRS; of several scenes several, a folder or a pattern."
    )
    labels: tuple[str, ...] = option(
        "What is true: lines, polygons or points in any vector format and CRS, or a raster of "
        "class numbers; a file, a folder or a pattern."
    )
    raster: tuple[str, ...] | None = option(
        "Scene that was mapped: polygons are judged in its pixels, and where it has no data "
        "nothing is judged; one for each map, or all that one map shows. Default the scenes that "
        "the map's options name.",
        None,
    )
    area: tuple[str, ...] | None = option(
        "Polygons to judge in, or a mask: a raster of one band, on any grid, that is neither 0 nor "
        "nodata where to judge.",
        None,
    )
    out: str | None = option(
        "Folder to write: a report, all figures as JSON and the options.", None, short="-o"
    )
    overwrite: bool = option("Replace an existing evaluation.", False, short="-f")

    objects: bool | None = option(
        "Also compare objects and centerlines one by one, which are all held in memory; default "
        f"up to {MOST_OBJECT_PX // 1_000_000} million pixels.",
        None,
        flag="--objects/--no-objects",
    )

    min_area: float = option(
        "Of a raster, patches smaller than this are no objects, in square metres.",
        10.0,
        least=0,
    )

    labels_layer: str | None = repeated(InputOptions, "labels_layer")
    labels_crs: str | None = repeated(InputOptions, "labels_crs")
    line_width: float | None = repeated(InputOptions, "line_width")
    width_field: str | None = repeated(InputOptions, "width_field")
    point_radius: float | None = repeated(InputOptions, "point_radius")
    class_field: str | None = repeated(InputOptions, "class_field")
    classes: tuple[str, ...] | None = option(
        "Which classes of the labels to judge, in this order; the later one wins where they "
        "overlap. Default all.",
        None,
        group="Labels",
        names="NAME,NAME",
    )
    where: str | None = repeated(InputOptions, "where")
    labelled_area: tuple[str, ...] | None = repeated(InputOptions, "labelled_area")
    ignore_boundary: int = repeated(InputOptions, "ignore_boundary")

    pred_layer: str | None = option(
        "Layer of the map's polygons, where the file has several.", None, group="Map"
    )
    pred_class_field: str | None = option(
        "Attribute of the map's polygons that names their class; default class_name where there "
        "is one.",
        None,
        group="Map",
    )
    threshold: float | None = option(
        "Score above which a pixel counts, 0 to 1; default what the raster of scores says, else "
        "0.5.",
        None,
        group="Map",
        least=0,
        most=1,
    )
    class_thresholds: tuple[str, ...] | None = option(
        "Thresholds of single classes, such as road=0.4,roof=0.6; the others have --threshold.",
        None,
        group="Map",
        names="NAME=NUMBER,NAME=NUMBER",
    )
    nodata: float | None = repeated(PredictOptions, "nodata")

    block_size: float | None = option(
        "Side on the ground, in metres, of the blocks that are drawn for the intervals; default "
        "such that there are about 36 in the largest scene.",
        None,
        group="Intervals",
        least=1e-9,
    )
    seed: int = option(
        "Seed of the draws for the intervals.", 0, group="Intervals", least=0, most=MAX_SEED
    )
