"""QGIS styles of polygons and class rasters: one entry per class, in the class's color."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import pandas as pd
import pyogrio

from geocobot.classes import BACKGROUND, ClassSpec

STYLE_TABLE = "layer_styles"
"""Table of a GeoPackage in which QGIS looks for styles."""

# Half see-through, so that the scene stays readable below; the outline is darker and opaque.
_FILL_ALPHA = 96
_OUTLINE_SHADE = 0.65
_OUTLINE_MM = 0.4

# Control characters but tab and line ends, which no XML can hold.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def qml_of(classes: Sequence[ClassSpec]) -> str:
    """Make a QGIS style (QML) of polygons, categorized by `class_name`.

    Args:
        classes: names and colors of the legend, in this order.
    """
    root = _root()
    renderer = SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr="class_name",
        symbollevels="0",
        enableorderby="0",
        forceraster="0",
    )
    categories = SubElement(renderer, "categories")
    symbols = SubElement(renderer, "symbols")
    for i, spec in enumerate(classes):
        SubElement(
            categories,
            "category",
            symbol=str(i),
            value=spec.name,
            label=spec.name,
            render="true",
            type="string",
        )
        symbols.append(_symbol(str(i), spec))
    SubElement(root, "layerGeometryType").text = "2"
    return _document(root)


def class_raster_qml(classes: Sequence[ClassSpec]) -> str:
    """Make a QGIS style (QML) of a class raster, with the background transparent.

    Args:
        classes: numbers, names and colors of the legend, in this order.
    """
    root = _root()
    renderer = SubElement(
        SubElement(root, "pipe"),
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
    )
    palette = SubElement(renderer, "colorPalette")
    entries = [(BACKGROUND, "#000000", 0, "background")]
    entries += [(spec.number, spec.color, 255, spec.name) for spec in classes]
    for value, color, alpha, label in entries:
        SubElement(
            palette, "paletteEntry", value=str(value), color=color, alpha=str(alpha), label=label
        )
    return _document(root)


def geopackage_layer(name: str) -> str:
    """A layer name that a GeoPackage can have, as near to the one asked for as possible.

    Names of SQLite's and GeoPackage's own tables, the table of styles among them, and names that
    begin with a special character get "map_" in front. QGIS takes `|` for the end of the name.
    """
    name = name.replace("|", "_")
    is_reserved = re.match(r"\W|gpkg|sqlite_", name, flags=re.IGNORECASE)
    return f"map_{name}" if is_reserved or name.lower() == STYLE_TABLE else name


def embed_style(path: Path, layer: str, classes: Sequence[ClassSpec], moment: datetime) -> None:
    """Make the classes' style the default one of a GeoPackage layer.

    The table is registered as attributes without geometry, as QGIS does it itself, so that QGIS
    neither shows it nor asks which layer to open.

    Args:
        path: an existing GeoPackage.
        layer: name of its layer of polygons.
        classes: names and colors of the legend.
        moment: when the style was made.
    """
    row = {
        "f_table_catalog": "",
        "f_table_schema": "",
        "f_table_name": layer,
        "f_geometry_column": "geom",
        "styleName": layer,
        "styleQML": qml_of(classes),
        "styleSLD": "",
        "useAsDefault": True,
        "description": "Classes of geocobot",
        "owner": "",
        "ui": "",
        "update_time": pd.Timestamp(moment).floor("ms"),
    }
    pyogrio.write_dataframe(
        pd.DataFrame([row]), path, layer=STYLE_TABLE, driver="GPKG", append=True
    )


def _root() -> Element:
    """The outermost element of a style."""
    return Element("qgis", version="3.22", styleCategories="Symbology")


def _document(root: Element) -> str:
    """A style as the text of a file."""
    text = _NOT_IN_XML.sub("\ufffd", tostring(root, encoding="unicode"))
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n"


def _symbol(name: str, spec: ClassSpec) -> Element:
    """A semi-transparent fill with a sharp outline."""
    red, green, blue = spec.rgb
    dark = [round(part * _OUTLINE_SHADE) for part in spec.rgb]
    symbol = Element("symbol", type="fill", name=name, alpha="1", clip_to_extent="1")
    layer = SubElement(
        symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    )
    options = SubElement(layer, "Option", type="Map")
    for key, value in (
        ("color", f"{red},{green},{blue},{_FILL_ALPHA}"),
        ("style", "solid"),
        ("outline_color", f"{dark[0]},{dark[1]},{dark[2]},255"),
        ("outline_style", "solid"),
        ("outline_width", str(_OUTLINE_MM)),
        ("outline_width_unit", "MM"),
        ("joinstyle", "miter"),
    ):
        SubElement(options, "Option", name=key, type="QString", value=value)
    return symbol
