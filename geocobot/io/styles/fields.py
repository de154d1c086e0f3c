"""What attributes are called in QGIS, and how many digits are shown of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement


@dataclass(frozen=True)
class FieldStyle:
    """How an attribute is shown.

    Attributes:
        alias: its heading in tables and forms, with the unit.
        decimals: digits after the point; None for texts and whole numbers.
    """

    alias: str
    decimals: int | None = None


FIELD_STYLES = {
    "object_id": FieldStyle("Object"),
    "class_id": FieldStyle("Class number"),
    "class_name": FieldStyle("Class"),
    "score": FieldStyle("Score (mean, 0 to 1)", 3),
    "score_p10": FieldStyle("Score (10th percentile, 0 to 1)", 3),
    "area_m2": FieldStyle("Area (m²)", 1),
    "perimeter_m": FieldStyle("Perimeter (m)", 1),
    "width_m": FieldStyle("Width (m)", 2),
    "length_m": FieldStyle("Length (m)", 1),
    "rank": FieldStyle("Look here (1 is first)"),
    "what": FieldStyle("What it is"),
    "side": FieldStyle("Drawn in"),
    "count": FieldStyle("Connections"),
}
"""Every attribute that a layer of geocobot may have."""


def add_fields(root: Element, columns: Iterable[str] | dict[str, str]) -> None:
    """Add aliases and number formats of a layer's attributes to a style.

    Args:
        root: the style, with the categories Fields and Forms.
        columns: the layer's attributes, in its order; a dict from what they are in
            `FIELD_STYLES` to what the layer calls them, where that is something else.
    """
    known = {c: f for c, f in _called(columns).items() if c in FIELD_STYLES}
    configuration = SubElement(root, "fieldConfiguration")
    for column, field in known.items():
        decimals = FIELD_STYLES[column].decimals
        if decimals is not None:
            _add_number_format(SubElement(configuration, "field", name=field), decimals)
    aliases = SubElement(root, "aliases")
    for column, field in known.items():
        SubElement(aliases, "alias", field=field, name=FIELD_STYLES[column].alias)


def _called(columns: Iterable[str] | dict[str, str]) -> dict[str, str]:
    """What the layer calls each attribute."""
    return columns if isinstance(columns, dict) else {column: column for column in columns}


def _add_number_format(field: Element, decimals: int) -> None:
    """Show so many digits after the point; the values keep theirs."""
    widget = SubElement(field, "editWidget", type="Range")
    options = SubElement(SubElement(widget, "config"), "Option", type="Map")
    for name, kind, value in (
        ("AllowNull", "bool", "true"),
        ("Precision", "int", str(decimals)),
        ("Style", "QString", "SpinBox"),
    ):
        SubElement(options, "Option", name=name, type=kind, value=value)
