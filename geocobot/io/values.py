"""Attribute values that become class names."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from geocobot.classes import MAX_CLASSES
from geocobot.errors import FieldError
from geocobot.io.misplaced import in_words
from geocobot.io.opening import file_name

_LOG = logging.getLogger("geocobot.io")
_MOST_NAMES = 12
_NOT_SINGLE = (list, tuple, dict, bytes, np.ndarray)


def named_features(
    frame: gpd.GeoDataFrame, field: str, path: str | Path, flag: str = "--class-field"
) -> gpd.GeoDataFrame:
    """Add the column `class_name` with the values of a field as text.

    Args:
        frame: features with the field.
        field: an attribute of any type.
        path: the file they come from, for messages.
        flag: the option that names the field, for messages.

    Returns:
        The features that have a value; the others are counted and logged.

    Raises:
        FieldError: none has, or there are lists or bytes among the values.
    """
    if any(isinstance(value, _NOT_SINGLE) for value in frame[field]):
        raise FieldError(
            path,
            f"has lists or bytes in the field {field!r}",
            "A class is named by one value: a text, a number or a date",
            f"Choose another {flag}, or make a text of it in QGIS (Field Calculator)",
        )
    names = frame[field].map(_as_text)
    empty = names == ""
    if len(frame) and empty.all():
        raise FieldError(
            path,
            f"has no value in the field {field!r}",
            "Its values become the classes",
            f"Choose another {flag}, or fill it in QGIS",
        )
    if empty.any():
        _LOG.warning(
            "%s: %d features have no value in %s; left out.",
            file_name(path),
            int(empty.sum()),
            field,
        )
    return frame.assign(class_name=names)[~empty.astype(bool)]


def refuse_unknown(asked: Iterable[str], known: Sequence[str], source: str) -> None:
    """Refuse classes that do not occur.

    Args:
        asked: names of classes.
        known: those that there are.
        source: the files, for messages.

    Raises:
        FieldError: one of the classes asked for is none of them.
    """
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise FieldError(
            source,
            f"has nothing of class {in_words(unknown)}",
            f"Its classes are {in_words(known, most=_MOST_NAMES)}",
            "Correct --classes; capitals count",
        )


def refuse_too_many(names: Sequence[str], source: str, remedy: str) -> None:
    """Refuse more classes than a map can hold.

    Args:
        names: of the classes.
        source: the files, for messages.
        remedy: what to do about it.

    Raises:
        FieldError: there are more than `MAX_CLASSES`.
    """
    if len(names) > MAX_CLASSES:
        raise FieldError(
            source,
            f"has {len(names)} different values",
            f"A map has at most {MAX_CLASSES} classes",
            remedy,
        )


def sorted_names(names: Iterable[str]) -> list[str]:
    """Each name once: numbers by size, then words by alphabet."""
    return sorted(set(names), key=_by_size_then_alphabet)


def _by_size_then_alphabet(name: str) -> tuple[bool, float, str]:
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    # "nan" is a word as well: it is neither smaller nor larger than any number.
    return (True, 0.0, name) if math.isnan(number) else (False, number, name)


def _as_text(value: Any) -> str:
    """A value as a class name: 3.0 is "3", nothing is ""."""
    if pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
