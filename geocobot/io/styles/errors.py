"""Styles of error maps: what is right, false and missed, and numbered places to look at."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

from geocobot.io.styles.document import style_root
from geocobot.io.styles.fields import add_fields
from geocobot.io.styles.symbols import Rgb, fill_symbol, plain_line_symbol, point_symbol

RIGHT_RGB: Rgb = (0, 158, 115)
FALSE_RGB: Rgb = (213, 94, 0)
MISSED_RGB: Rgb = (0, 114, 178)
PLACE_RGB: Rgb = (240, 228, 66)
"""Colors that stay apart on imagery and for color-blind readers (after Okabe and Ito, 2008)."""

_FAINT, _CLEAR = 72, 150
_THIN_MM, _THICK_MM = 0.3, 0.9
_DIAMOND_MM = 6.0  # looks out from under a numbered disc at the same place
_LABEL_RGB = "0,0,0,255"
_POINTS, _LINES, _POLYGONS = "0", "1", "2"


def outcome_style(rgb: Rgb, label: str, columns: Iterable[str], *, is_error: bool) -> Element:
    """All polygons of a layer in one color; errors are filled, what is right shows what is below.

    Args:
        rgb: of the polygons.
        label: in the legend.
        columns: the layer's attributes.
        is_error: whether they are an error.
    """
    root = _root(columns)
    _single(root, fill_symbol("0", rgb, _CLEAR if is_error else _FAINT), label)
    SubElement(root, "layerGeometryType").text = _POLYGONS
    return root


def line_outcome_style(rgb: Rgb, label: str, columns: Iterable[str], *, is_error: bool) -> Element:
    """All lines of a layer in one color; errors are thicker than what is right.

    Args:
        rgb: of the lines.
        label: in the legend.
        columns: the layer's attributes, what among them.
        is_error: whether they are an error.
    """
    root = _root(columns)
    _single(root, plain_line_symbol("0", rgb, _THICK_MM if is_error else _THIN_MM), label)
    _tell_what(root)
    SubElement(root, "layerGeometryType").text = _LINES
    return root


def connection_style(rgb: Rgb, label: str, columns: Iterable[str]) -> Element:
    """Points where connections are wrong; what is wrong there is shown when pointed at.

    Args:
        rgb: of the points.
        label: in the legend.
        columns: the layer's attributes, what among them.
    """
    root = _root(columns)
    _single(root, point_symbol("0", rgb, "diamond", _DIAMOND_MM), label)
    _tell_what(root)
    SubElement(root, "layerGeometryType").text = _POINTS
    return root


def place_style(label: str, columns: Iterable[str]) -> Element:
    """Points with their rank beside them; what is wrong there is shown when pointed at.

    Args:
        label: in the legend.
        columns: the layer's attributes, rank and what among them.
    """
    root = _root(columns)
    root.set("labelsEnabled", "1")
    _single(root, point_symbol("0", PLACE_RGB), label)
    settings = SubElement(SubElement(root, "labeling", type="simple"), "settings")
    text = SubElement(
        settings,
        "text-style",
        fieldName="rank",
        fontSize="10",
        fontSizeUnit="Point",
        textColor=_LABEL_RGB,
    )
    SubElement(
        text,
        "text-buffer",
        bufferDraw="1",
        bufferSize="1",
        bufferSizeUnits="MM",
        bufferColor="255,255,255,255",
    )
    SubElement(settings, "placement", placement="0", dist="2", distUnits="MM")
    _tell_what(root, "<b>[% rank %]</b> ")
    SubElement(root, "layerGeometryType").text = _POINTS
    return root


def _tell_what(root: Element, before: str = "") -> None:
    """Show what a feature is when it is pointed at, and in lists of features."""
    SubElement(root, "mapTip").text = f"{before}[% what %]"
    SubElement(root, "previewExpression").text = '"what"'


def _root(columns: Iterable[str]) -> Element:
    """A style without renderer, and without labels."""
    root = style_root("Symbology", "Labeling", "Fields", "Forms", "MapTips")
    root.set("labelsEnabled", "0")
    add_fields(root, columns)
    return root


def _single(root: Element, symbol: Element, label: str) -> None:
    """A renderer with one category for everything, so that the legend says what it is."""
    renderer = SubElement(
        root,
        "renderer-v2",
        type="RuleRenderer",
        symbollevels="1",
        enableorderby="0",
        forceraster="0",
    )
    rules = SubElement(renderer, "rules", key="all")
    SubElement(rules, "rule", key="each", symbol="0", label=label)
    SubElement(renderer, "symbols").append(symbol)
