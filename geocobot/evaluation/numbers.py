"""Scores as what JSON can hold."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any


def as_numbers(scores: Any) -> Any:
    """Scores with all that follows from them, such as an F1, by their names.

    Args:
        scores: dataclasses of scores, sequences of them, numbers, texts or None.

    Returns:
        Dictionaries, lists, numbers and texts; None for what is not finite.
    """
    if is_dataclass(scores) and not isinstance(scores, type):
        derived = [n for n, v in vars(type(scores)).items() if isinstance(v, property)]
        names = [field.name for field in fields(scores)] + derived
        return {name: as_numbers(getattr(scores, name)) for name in names}
    if isinstance(scores, list | tuple):
        return [as_numbers(score) for score in scores]
    if isinstance(scores, float) and not math.isfinite(scores):
        return None
    return scores
