"""The places that a report shows: best, typical and worst ones, chosen while blocks stream by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geocobot.workflows.picture import Row

_OF_A_KIND = 2
_KEPT = 40


@dataclass(frozen=True)
class Example:
    """A place, and how good the map is there.

    Attributes:
        kind: "best", "typical" or "worst".
        iou: mean over the classes that are there.
        row: the pictures.
    """

    kind: str
    iou: float
    row: Row


class Examples:
    """Keeps a few of many places.

    The best and the worst ones are found exactly, the typical ones among a random sample.

    Args:
        seed: of the sample.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._iou: list[float] = []
        self._kept: dict[int, Row] = {}
        self._sample: list[int] = []

    def add(self, iou: float, row: Row) -> None:
        """Look at the next place."""
        place = len(self._iou)
        self._iou.append(iou)
        self._kept[place] = row
        if len(self._sample) < _KEPT:
            self._sample.append(place)
        elif (chosen := int(self._rng.integers(place + 1))) < _KEPT:
            self._sample[chosen] = place
        wanted = {*self._sample, *self._extremes()}
        self._kept = {n: kept for n, kept in self._kept.items() if n in wanted}

    def chosen(self) -> tuple[Example, ...]:
        """No place twice; the best ones first, and fewer where there are few."""
        order = sorted(range(len(self._iou)), key=lambda n: -self._iou[n])
        many = min(_OF_A_KIND, len(order) // 3)
        if not many:
            return tuple(self._example("typical", n) for n in order)
        best, worst = order[:many], order[-many:]
        middle = float(np.median(self._iou))
        others = [n for n in self._sample if n not in {*best, *worst}]
        typical = sorted(others, key=lambda n: abs(self._iou[n] - middle))[:many]
        return tuple(
            self._example(kind, n)
            for kind, places in (("best", best), ("typical", typical), ("worst", worst))
            for n in places
        )

    def _extremes(self) -> Sequence[int]:
        """The best and the worst places so far."""
        order = sorted(range(len(self._iou)), key=lambda n: -self._iou[n])
        return order[:_OF_A_KIND] + order[-_OF_A_KIND:]

    def _example(self, kind: str, place: int) -> Example:
        return Example(kind, self._iou[place], self._kept[place])
