"""Complete polygons, still in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.score_stats import ScoreStats


@dataclass(frozen=True)
class Outlines:
    """Complete polygons.

    Attributes:
        polygons: (N,) in pixels of the scene, x = column, y = row (downwards).
        class_number: (N,) class of each polygon.
        pixels: (N,) number of pixels.
        scores: of these pixels; None where none are known.
        first_px: (N, 2) row and column of the first pixel in reading order.
        cutters: (N,) tuples of polygons that each gives way to (`SeamJoiner.cut`).
        traced: (N,) outlines along the pixels where they were kept (`Pieces.traced`), else None.
    """

    polygons: PolygonArray
    class_number: npt.NDArray[np.uint8]
    pixels: npt.NDArray[np.int64]
    scores: ScoreStats | None
    first_px: npt.NDArray[np.int64]
    cutters: npt.NDArray[np.object_]
    traced: npt.NDArray[np.object_]

    @property
    def geometry(self) -> npt.NDArray[np.object_]:
        """The polygons (N,) as those of shapely."""
        return self.polygons.objects

    @classmethod
    def of_all(cls, parts: Sequence[Outlines]) -> Outlines:
        """Those of several, in their order; without scores unless all have some."""
        values = {f.name: [getattr(one, f.name) for one in parts] for f in fields(cls)}
        scores = values.pop("scores")
        polygons = PolygonArray.concatenated(values.pop("polygons"))
        joined = {name: np.concatenate(every) for name, every in values.items()}
        known = None if any(one is None for one in scores) else ScoreStats.of_all(scores)
        return cls(polygons=polygons, scores=known, **joined)

    def take(self, index: npt.NDArray[np.int64]) -> Outlines:
        """Those with these numbers, in their order."""
        return Outlines(**{name: _taken(value, index) for name, value in self._values().items()})

    def in_reading_order(self) -> Outlines:
        """The same, by their first pixels."""
        row, column = self.first_px.T
        return self.take(np.lexsort([column, row]))

    def followed_by(self, other: Outlines) -> Outlines:
        """These, then others; both have scores, or none has."""
        others = other._values()  # of the same class
        return Outlines(
            **{name: _joined(value, others[name]) for name, value in self._values().items()}
        )

    def _values(self) -> dict[str, Any]:
        """What there is of each polygon, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def _taken(value: Any, index: npt.NDArray[np.int64]) -> Any:
    """What there is of some polygons."""
    return None if value is None else value[index]


def _joined(first: Any, second: Any) -> Any:
    """What there is of some polygons, then of others."""
    if first is None:
        return None
    if isinstance(first, PolygonArray):
        return PolygonArray.concatenated([first, second])
    return first + second if isinstance(first, ScoreStats) else np.concatenate([first, second])
