"""Symbols: how a polygon or a line is drawn."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from geocobot.io.styles.document import add_options

Rgb = tuple[int, int, int]

SEE_THROUGH, NEARLY_OPAQUE = 96, 200
"""How much of what lies below a fill shows through it: most, or so little that shades are told."""

_OUTLINE_SHADE = 0.65
_OUTLINE_MM = 0.4
_LINE_MM, _CASING_MM = 0.5, 1.0
_DISC_MM = 3.0
_WHITE = (255, 255, 255)
_BAND_ALPHA = 48  # polygons that lie below show the same


def fill_symbol(name: str, rgb: Rgb, alpha: int = SEE_THROUGH) -> Element:
    """A fill with a sharp outline, darker and opaque.

    Args:
        name: by which the renderer finds it.
        rgb: 0 to 255.
        alpha: of the fill, 0 to 255.
    """
    symbol = _symbol("fill", name)
    add_options(
        _layer(symbol, "SimpleFill"),
        (
            ("color", _color(rgb, alpha)),
            ("style", "solid"),
            ("outline_color", _color(_darker(rgb), 255)),
            ("outline_style", "solid"),
            ("outline_width", str(_OUTLINE_MM)),
            ("outline_width_unit", "MM"),
            ("joinstyle", "miter"),
        ),
    )
    return symbol


def line_symbol(name: str, rgb: Rgb, width_field: str) -> Element:
    """A thin line, cased in white, in a faint band as wide on the ground as a field says.

    Bands, casings and lines are of one pass each, so that no band of a layer lies on a line of it.

    Args:
        name: by which the renderer finds it.
        rgb: 0 to 255.
        width_field: attribute with metres; where it is empty, the thin line is drawn alone.
    """
    symbol = _symbol("line", name)
    band = _layer(symbol, "SimpleLine", 0)
    # Metres on the ground, not in map units: a map may be in degrees.
    add_options(band, _stroke(_color(rgb, _BAND_ALPHA), "0", "RenderMetersInMapUnits", "flat"))
    _set_by_field(band, "outlineWidth", width_field)
    for number, (color, width_mm) in enumerate(
        ((_WHITE, _CASING_MM), (_darker(rgb), _LINE_MM)), start=1
    ):
        line = _layer(symbol, "SimpleLine", number)
        add_options(line, _stroke(_color(color, 255), str(width_mm), "MM", "round"))
    return symbol


def plain_line_symbol(name: str, rgb: Rgb, width_mm: float) -> Element:
    """A line of one width at any scale, cased in white.

    Args:
        name: by which the renderer finds it.
        rgb: 0 to 255.
        width_mm: of the line, without its casing.
    """
    symbol = _symbol("line", name)
    for number, (color, drawn_mm) in enumerate(
        ((_WHITE, width_mm + _CASING_MM - _LINE_MM), (rgb, width_mm))
    ):
        line = _layer(symbol, "SimpleLine", number)
        add_options(line, _stroke(_color(color, 255), f"{drawn_mm:g}", "MM", "flat"))
    return symbol


def point_symbol(name: str, rgb: Rgb, shape: str = "circle", size_mm: float = _DISC_MM) -> Element:
    """A disc, or another simple mark, with a dark edge, cased in white.

    Args:
        name: by which the renderer finds it.
        rgb: 0 to 255.
        shape: one of QGIS' simple markers.
        size_mm: of the mark, without its casing.
    """
    symbol = _symbol("marker", name)
    for number, (fill, edge, drawn_mm) in enumerate(
        ((_WHITE, _WHITE, size_mm + 2 * _OUTLINE_MM), (rgb, _darker(rgb), size_mm))
    ):
        add_options(
            _layer(symbol, "SimpleMarker", number),
            (
                ("name", shape),
                ("color", _color(fill, 255)),
                ("outline_color", _color(edge, 255)),
                ("outline_style", "solid"),
                ("outline_width", str(_OUTLINE_MM)),
                ("outline_width_unit", "MM"),
                ("size", f"{drawn_mm:g}"),
                ("size_unit", "MM"),
            ),
        )
    return symbol


def _symbol(kind: str, name: str) -> Element:
    """A symbol without layers."""
    return Element("symbol", type=kind, name=name, alpha="1", clip_to_extent="1")


def _layer(symbol: Element, kind: str, drawn_in: int = 0) -> Element:
    """A new layer on top of those that a symbol has, drawn in one of the renderer's passes."""
    return SubElement(
        symbol, "layer", {"class": kind, "enabled": "1", "locked": "0", "pass": str(drawn_in)}
    )


def _stroke(color: str, width: str, unit: str, cap: str) -> tuple[tuple[str, str], ...]:
    """Options of a line."""
    return (
        ("line_color", color),
        ("line_style", "solid"),
        ("line_width", width),
        ("line_width_unit", unit),
        ("capstyle", cap),
        ("joinstyle", "round"),
    )


def _set_by_field(layer: Element, name: str, field: str) -> None:
    """Let an attribute say a property of a symbol layer."""
    options = SubElement(SubElement(layer, "data_defined_properties"), "Option", type="Map")
    SubElement(options, "Option", name="name", type="QString", value="")
    properties = SubElement(options, "Option", name="properties", type="Map")
    rule = SubElement(properties, "Option", name=name, type="Map")
    SubElement(rule, "Option", name="active", type="bool", value="true")
    SubElement(rule, "Option", name="field", type="QString", value=field)
    SubElement(rule, "Option", name="type", type="int", value="2")  # set by a field
    SubElement(options, "Option", name="type", type="QString", value="collection")


def _darker(rgb: Rgb) -> Rgb:
    """The color of an outline."""
    red, green, blue = (round(part * _OUTLINE_SHADE) for part in rgb)
    return red, green, blue


def _color(rgb: Rgb, alpha: int) -> str:
    """A color as symbol layers hold it."""
    return ",".join(map(str, (*rgb, alpha)))
