"""Styles of polygons and centerlines: by class in the class's color, or by score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement

from geocobot.classes import ClassSpec
from geocobot.io.styles.document import document, style_root
from geocobot.io.styles.fields import add_fields
from geocobot.io.styles.symbols import NEARLY_OPAQUE, Rgb, fill_symbol, line_symbol

CLASSES_STYLE, SCORE_STYLE = "classes", "score"
"""Names of a layer's styles in QGIS; the first one is the default."""

_POLYGON_COLUMNS = ("class_id", "class_name", "score", "area_m2", "perimeter_m")
_LINE_COLUMNS = ("object_id", "class_id", "class_name", "score", "length_m", "width_m")

# From doubtful to sure; lightness rises, so that it can be told in gray and by the color-blind.
_SCORE_COLORS: tuple[Rgb, ...] = (
    (68, 1, 84),
    (59, 82, 139),
    (33, 145, 140),
    (94, 201, 98),
    (253, 231, 37),
)
_VECTOR_CATEGORIES = ("Symbology", "Labeling", "Fields", "Forms")
_LINES, _POLYGONS = "1", "2"


def polygon_styles(
    classes: Sequence[ClassSpec], columns: Iterable[str] | dict[str, str] = _POLYGON_COLUMNS
) -> dict[str, Element]:
    """The styles that a layer of polygons has, by their names, the default one first.

    Args:
        classes: names, colors and thresholds.
        columns: the layer's attributes, see `add_fields`.
    """
    return {
        CLASSES_STYLE: _by_class(classes, columns, _POLYGONS),
        SCORE_STYLE: _by_score(classes, columns),
    }


def qml_of(
    classes: Sequence[ClassSpec], columns: Iterable[str] | dict[str, str] = _POLYGON_COLUMNS
) -> str:
    """Make a QGIS style (QML) of polygons, categorized by `class_name`.

    Args:
        classes: names and colors of the legend, in this order.
        columns: the layer's attributes, see `add_fields`.
    """
    return document(_by_class(classes, columns, _POLYGONS))


def score_qml(
    classes: Sequence[ClassSpec], columns: Iterable[str] | dict[str, str] = _POLYGON_COLUMNS
) -> str:
    """Make a QGIS style (QML) of polygons, graded by `score`.

    Args:
        classes: the grades begin at the lowest of their thresholds.
        columns: the layer's attributes, see `add_fields`.
    """
    return document(_by_score(classes, columns))


def centerline_qml(
    classes: Sequence[ClassSpec], columns: Iterable[str] | dict[str, str] = _LINE_COLUMNS
) -> str:
    """Make a QGIS style (QML) of centerlines, categorized by `class_name`.

    Each is drawn in a see-through band as wide on the ground as `width_m` says.

    Args:
        classes: names and colors of the legend, in this order.
        columns: the layer's attributes, see `add_fields`.
    """
    return document(centerline_style(classes, columns))


def centerline_style(
    classes: Sequence[ClassSpec], columns: Iterable[str] | dict[str, str] = _LINE_COLUMNS
) -> Element:
    """The style of `centerline_qml`, for a project."""
    return _by_class(classes, columns, _LINES)


def _by_class(
    classes: Sequence[ClassSpec], columns: Iterable[str] | dict[str, str], geometry: str
) -> Element:
    """A style with a category for each class."""
    root = _vector_root(columns)
    renderer = _renderer(root, "categorizedSymbol", "class_name")
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
        symbols.append(
            line_symbol(str(i), spec.rgb, "width_m")
            if geometry == _LINES
            else fill_symbol(str(i), spec.rgb)
        )
    SubElement(root, "layerGeometryType").text = geometry
    return root


def _by_score(classes: Sequence[ClassSpec], columns: Iterable[str] | dict[str, str]) -> Element:
    """A style with a color for each range of scores."""
    root = _vector_root(columns)
    renderer = _renderer(root, "graduatedSymbol", "score")
    renderer.set("graduatedMethod", "GraduatedColor")
    ranges = SubElement(renderer, "ranges")
    symbols = SubElement(renderer, "symbols")
    edges = _score_edges(classes)
    for i, rgb in enumerate(_SCORE_COLORS):
        lower, upper = edges[i], edges[i + 1]
        SubElement(
            ranges,
            "range",
            symbol=str(i),
            # Means of polygons with closed holes may lie below every threshold.
            lower=f"{lower if i else 0:.15f}",
            upper=f"{upper:.15f}",
            label=f"{lower:.2f} to {upper:.2f}" if i else f"below {upper:.2f}",
            render="true",
        )
        symbols.append(fill_symbol(str(i), rgb, NEARLY_OPAQUE))
    SubElement(root, "layerGeometryType").text = _POLYGONS
    return root


def _score_edges(classes: Sequence[ClassSpec]) -> list[float]:
    """Where grades of scores meet: equal steps from the lowest threshold up to 1."""
    lowest = min((spec.threshold for spec in classes), default=0.0)
    start = min(math.floor(lowest * 20) / 20, 0.75)
    n = len(_SCORE_COLORS)
    return [round(start + i * (1 - start) / n, 4) for i in range(n + 1)]


def _vector_root(columns: Iterable[str] | dict[str, str]) -> Element:
    """A style without renderer, and without labels."""
    root = style_root(*_VECTOR_CATEGORIES)
    root.set("labelsEnabled", "0")
    add_fields(root, columns)
    return root


def _renderer(root: Element, kind: str, attribute: str) -> Element:
    """An empty renderer."""
    return SubElement(
        root,
        "renderer-v2",
        type=kind,
        attr=attribute,
        symbollevels="1",  # passes of symbol layers count; most have one
        enableorderby="0",
        forceraster="0",
    )
