"""Quotients and means of what may not be there."""

from __future__ import annotations

from collections.abc import Iterable


def ratio(part: float, whole: float) -> float | None:
    """The quotient, or None where there is nothing to divide by."""
    return part / whole if whole else None


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is defined, or None where nothing is."""
    defined = [v for v in values if v is not None]
    return sum(defined) / len(defined) if defined else None
