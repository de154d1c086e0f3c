"""Attribute values that become class names."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from geocobot.errors import FieldError

_LOG = logging.getLogger("geocobot.io")


def named_features(frame: gpd.GeoDataFrame, field: str, path: str | Path) -> gpd.GeoDataFrame:
    """Add the column `class_name` with the values of a field as text.

    Args:
        frame: features with the field.
        field: an attribute of any type.
        path: the file they come from, for messages.

    Returns:
        The features that have a value; the others are counted and logged.

    Raises:
        FieldError: none has.
    """
    names = frame[field].map(_as_text)
    empty = names == ""
    if len(frame) and empty.all():
        raise FieldError(
            path,
            f"has no value in the field {field!r}",
            "Its values become the classes",
            "Choose another --class-field, or fill it in QGIS",
        )
    if empty.any():
        _LOG.warning(
            "%s: %d features have no value in %s; left out.",
            Path(path).name,
            int(empty.sum()),
            field,
        )
    return frame.assign(class_name=names)[~empty.astype(bool)]


def sorted_names(names: Iterable[str]) -> list[str]:
    """Each name once: numbers by size, then words by alphabet."""
    return sorted(set(names), key=_by_size_then_alphabet)


def _by_size_then_alphabet(name: str) -> tuple[bool, float, str]:
    try:
        return (False, float(name), name)
    except ValueError:
        return (True, 0.0, name)


def _as_text(value: Any) -> str:
    """A value as a class name: 3.0 is "3", nothing is ""."""
    if pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
