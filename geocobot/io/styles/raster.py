"""Styles of rasters: classes in their colors, scores from dark to bright, scenes as photographs."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from geocobot.classes import BACKGROUND, ClassSpec
from geocobot.io.styles.document import document, style_root

Range = tuple[float, float]

_SCORE_RAMP = ((0.0, "#0d0887"), (0.25, "#7e03a8"), (0.5, "#cc4778"), (0.75, "#f89540"))
_SCORE_TOP = (1.0, "#f0f921")


def class_raster_qml(classes: Sequence[ClassSpec]) -> str:
    """Make a QGIS style (QML) of a class raster, with the background transparent.

    Args:
        classes: numbers, names and colors of the legend, in this order.
    """
    return document(class_raster_style(classes))


def class_raster_style(classes: Sequence[ClassSpec]) -> Element:
    """The style of `class_raster_qml`, for a project."""
    root = style_root("Symbology")
    renderer = _renderer(root, "paletted", band="1")
    palette = SubElement(renderer, "colorPalette")
    entries = [(BACKGROUND, "#000000", 0, "background")]
    entries += [(spec.number, spec.color, 255, spec.name) for spec in classes]
    for value, color, alpha, label in entries:
        SubElement(
            palette, "paletteEntry", value=str(value), color=color, alpha=str(alpha), label=label
        )
    return root


def score_raster_style(band: int) -> Element:
    """Scores of one class, 0 to 1, from dark to bright.

    Args:
        band: of the class, from 1.
    """
    root = style_root("Symbology")
    renderer = _renderer(
        root,
        "singlebandpseudocolor",
        band=str(band),
        classificationMin="0",
        classificationMax="1",
    )
    shader = SubElement(
        SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue="1",
        labelPrecision="2",
    )
    for value, color in (*_SCORE_RAMP, _SCORE_TOP):
        SubElement(shader, "item", value=str(value), label=f"{value:.2f}", color=color, alpha="255")
    return root


def scene_style(
    bands: Sequence[int], ranges: Sequence[Range] | None, alpha: int | None = None
) -> Element:
    """A scene, in color where it is shown with three bands, else in gray.

    Args:
        bands: red, green and blue, or one, from 1.
        ranges: values that are black and white in each; None leaves them as they are.
        alpha: band that says what is transparent, or None.
    """
    root = style_root("Symbology")
    if len(bands) == 1:
        names = ["gray"]
        renderer = _renderer(
            root, "singlebandgray", grayBand=str(bands[0]), gradient="BlackToWhite"
        )
    else:
        names = ["red", "green", "blue"]
        shown = {f"{name}Band": str(band) for name, band in zip(names, bands, strict=True)}
        renderer = _renderer(root, "multibandcolor", **shown)
    renderer.set("alphaBand", str(alpha or -1))
    for name, (low, high) in zip(names, ranges or (), strict=False):
        tag = "contrastEnhancement" if name == "gray" else f"{name}ContrastEnhancement"
        stretch = SubElement(renderer, tag)
        SubElement(stretch, "minValue").text = f"{low:g}"
        SubElement(stretch, "maxValue").text = f"{high:g}"
        SubElement(stretch, "algorithm").text = "StretchToMinimumMaximum"
    return root


def _renderer(root: Element, kind: str, **attributes: str) -> Element:
    """A renderer in the pipe of a raster's style."""
    fixed = {"type": kind, "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    return SubElement(SubElement(root, "pipe"), "rasterrenderer", fixed | attributes)
