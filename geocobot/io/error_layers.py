"""The layers of an error map: what each holds, and how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree.ElementTree import Element

from geocobot.io.styles.errors import (
    FALSE_RGB,
    MISSED_RGB,
    RIGHT_RGB,
    connection_style,
    line_outcome_style,
    outcome_style,
    place_style,
)
from geocobot.io.styles.symbols import Rgb

PLACES_LAYER = "look_here_first"
MISSED_LAYER = "false_negative"
FALSE_LAYER = "false_positive"
RIGHT_LAYER = "true_positive"
BREAKS_LAYER, FALSE_LINKS_LAYER = "breaks", "false_links"
MISSED_LINES_LAYER = f"{MISSED_LAYER}_lines"
FALSE_LINES_LAYER = f"{FALSE_LAYER}_lines"
RIGHT_LINES_LAYER = f"{RIGHT_LAYER}_lines"

_SCHEMA = {"class_id": "int64", "class_name": "str", "what": "str"}
_AREAS = MappingProxyType({**_SCHEMA, "area_m2": "float64"})
_LINES = MappingProxyType({**_SCHEMA, "length_m": "float64"})
_RIGHT_LINES = MappingProxyType({**_LINES, "side": "str"})
_CONNECTIONS = MappingProxyType({**_SCHEMA, "count": "int64", "length_m": "float64"})
_PLACES = MappingProxyType({"rank": "int64", **_AREAS, "length_m": "float64"})


@dataclass(frozen=True)
class ErrorLayer:
    """A layer of an error map.

    Attributes:
        name: in the file.
        geometry_type: of its features.
        label: in the legend.
        description: what the layer says of itself.
        schema: its attributes and their types.
        style: how it looks.
    """

    name: str
    geometry_type: str
    label: str
    description: str
    schema: Mapping[str, str]
    style: Callable[[], Element]


def _of_places() -> ErrorLayer:
    """Where to look first."""
    label = "look here first (number 1 is the largest error)"
    text = (
        "Places to look at first: the largest errors, rank 1 the largest. what: what is wrong "
        "there, and how large it is; area_m2: on the ground, of lines their length by the width "
        "of their class; length_m: of lines."
    )
    return ErrorLayer(
        PLACES_LAYER, "Point", label, text, _PLACES, lambda: place_style(label, _PLACES)
    )


def _of_connections(name: str, rgb: Rgb, label: str) -> ErrorLayer:
    """Where connections are wrong."""
    text = (
        f"Points where {label}. count: how many connections that concerns; length_m: how long it "
        "is on the ground."
    )
    return ErrorLayer(
        name, "Point", label, text, _CONNECTIONS, lambda: connection_style(rgb, label, _CONNECTIONS)
    )


def _of_lines(name: str, rgb: Rgb, label: str, schema: Mapping[str, str] = _LINES) -> ErrorLayer:
    """Lines of one outcome."""
    is_error = schema is _LINES
    side = "" if is_error else " side: whether the map or the labels have it so."
    return ErrorLayer(
        name,
        "LineString",
        label,
        f"Lines that are {label}. length_m: on the ground.{side}",
        schema,
        lambda: line_outcome_style(rgb, label, schema, is_error=is_error),
    )


def _of_areas(name: str, rgb: Rgb, label: str, *, is_error: bool = True) -> ErrorLayer:
    """Polygons of one outcome."""
    return ErrorLayer(
        name,
        "Polygon",
        label,
        f"Polygons that are {label}. area_m2: on the ground.",
        _AREAS,
        lambda: outcome_style(rgb, label, _AREAS, is_error=is_error),
    )


_MISSED, _FALSE = "missed: labelled, not mapped", "false: mapped, not labelled"
_RIGHT = "right: mapped and labelled"

ERROR_LAYERS = (
    _of_places(),
    _of_connections(BREAKS_LAYER, MISSED_RGB, "mapped lines are interrupted"),
    _of_connections(FALSE_LINKS_LAYER, FALSE_RGB, "mapped lines link what is not linked"),
    _of_lines(MISSED_LINES_LAYER, MISSED_RGB, _MISSED),
    _of_lines(FALSE_LINES_LAYER, FALSE_RGB, _FALSE),
    _of_lines(RIGHT_LINES_LAYER, RIGHT_RGB, _RIGHT, _RIGHT_LINES),
    _of_areas(MISSED_LAYER, MISSED_RGB, _MISSED),
    _of_areas(FALSE_LAYER, FALSE_RGB, _FALSE),
    _of_areas(RIGHT_LAYER, RIGHT_RGB, _RIGHT, is_error=False),
)
"""All of them, in the order in which QGIS lists them; those of lines only where there are any."""
