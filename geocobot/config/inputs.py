"""Options that say what is learned from: scenes, labels, and where to validate."""

from __future__ import annotations

from dataclasses import dataclass

from geocobot.config.option import option
from geocobot.config.values import (
    DEFAULT_LINE_WIDTH_M,
    MAX_BOUNDARY_PX,
    MAX_WIDTH_M,
    StretchName,
)


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Scenes with labels."""

    raster: tuple[str, ...] = option(
        "Scene to learn from: GeoTIFF or anything GDAL reads, a folder, a pattern such as "
        "*.tif, or STAC items as JSON."
    )
    labels: tuple[str, ...] = option(
        "What to look for there: lines, polygons or points in any vector format and CRS, or a "
        "raster of class numbers; a file, a folder or a pattern."
    )

    labels_layer: str | None = option(
        "Layer of the label file, where it has several.", None, group="Labels"
    )
    labels_crs: str | None = option(
        "CRS of labels that declare none or a wrong one.", None, group="Labels"
    )
    line_width: float | None = option(
        f"Full width of labeled lines on the ground, in metres; default {DEFAULT_LINE_WIDTH_M:g}.",
        None,
        group="Labels",
        least=1e-9,
        most=MAX_WIDTH_M,
    )
    width_field: str | None = option(
        "Attribute with the full width of each line on the ground, in metres; lines without one "
        "have --line-width.",
        None,
        group="Labels",
    )
    point_radius: float | None = option(
        "Radius of the disc on the ground that a labeled point stands for, in metres.",
        None,
        group="Labels",
        least=1e-9,
        most=MAX_WIDTH_M,
    )
    class_field: str | None = option(
        "Attribute whose values become the classes.", None, group="Labels"
    )
    classes: tuple[str, ...] | None = option(
        "Which classes to learn, in this order, with a color if you like, such as "
        "tree,building=#e31a1c; the later one wins where they overlap. Default all, sorted.",
        None,
        group="Labels",
        names="NAME,NAME",
    )
    where: str | None = option(
        'Which features to use: a condition on their attributes in SQL, such as "year > 2019".',
        None,
        group="Labels",
    )
    labelled_area: tuple[str, ...] | None = option(
        "Polygons within which the labels are complete; what lies outside is unknown, not "
        "background: neither learned nor judged.",
        None,
        group="Labels",
    )
    ignore_boundary: int = option(
        "Pixels so close to the boundary of a class are unknown, for labels that are not exact.",
        0,
        group="Labels",
        least=0,
        most=MAX_BOUNDARY_PX,
    )
    val_raster: tuple[str, ...] | None = option(
        "Scene to validate with, not to learn from, with labels in the same files; a folder or a "
        "pattern.",
        None,
        group="Validation",
    )
    val_area: tuple[str, ...] | None = option(
        "Polygons to validate in, instead of blocks that geocobot chooses; training keeps half a "
        "patch away.",
        None,
        group="Validation",
    )
    asset: str | None = option(
        "Which asset of STAC items is the scene, where several may be meant, such as visual.",
        None,
        group="Raster",
    )
    bands: tuple[int | str, ...] | None = option(
        "Bands by number or name, such as 3,2,1 or B4,B3,B2: the model sees the first three as "
        "red, green and blue; more, up to 14, join them by a projection that is learned; all "
        "takes all. Default the first three.",
        None,
        group="Raster",
        names="BAND,BAND,BAND",
    )
    nodata: float | None = option(
        "Value without data, where the raster declares none.", None, group="Raster"
    )
    resolution: float | None = option(
        "Read scenes in pixels of so many metres on the ground, resampled on the fly; default "
        "their own.",
        None,
        group="Raster",
        least=1e-9,
    )
    stretch: StretchName = option(
        "Which values are dark and bright: the 2nd and 98th percentile of each band, or two "
        "standard deviations below and above its mean.",
        "percentiles",
        group="Raster",
    )
    value_range: tuple[float, ...] | None = option(
        "Which values are dark and bright in place of --stretch, such as 0,3000, for all bands or "
        "for one after the other.",
        None,
        group="Raster",
        names="LOW,HIGH",
    )
