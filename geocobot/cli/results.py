"""Typed results as text for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def as_text(result: Any) -> str:
    """Describe a result for people: its own `summary()`, or its fields line by line."""
    if hasattr(result, "summary"):
        return str(result.summary())
    if is_dataclass(result):
        return "\n".join(
            f"{f.name.replace('_', ' ')}: {getattr(result, f.name)}" for f in fields(result)
        )
    return str(result)


def as_json(result: Any) -> str:
    """Write a result as JSON: dataclasses as objects, paths as text, not-a-number as null."""
    return json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """Reduce a value to what JSON knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, without importing NumPy
        return _plain(value.tolist())
    return value if value is None or isinstance(value, str | int) else str(value)
