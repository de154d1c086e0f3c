"""What squaring outlines has cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Squaring:
    """What squaring the outlines of a class has cost.

    Attributes:
        squared: outlines that were squared.
        left: those that stay as they were: round, without a clear direction, too high, or with an
            IoU below `square.LEAST_IOU`.
        mean_iou: of the squared outlines with what they were, weighted by area; 1 of none.
        least_iou: the smallest of these.
    """

    squared: int = 0
    left: int = 0
    mean_iou: float = 1.0
    least_iou: float = 1.0

    def summary(self) -> str:
        """The figures in one line."""
        told = f"{self.squared} of {self.squared + self.left} outlines"
        if not self.squared:
            return told
        return f"{told}, IoU with what they were {self.mean_iou:.3f} (least {self.least_iou:.3f})"


class SquaringTally:
    """Adds up by class what squaring costs, frame by frame.

    Args:
        class_numbers: the classes that are squared.
    """

    def __init__(self, class_numbers: Iterable[int]) -> None:
        self._found: dict[int, Squaring] = {n: Squaring() for n in sorted(class_numbers)}
        self._area_m2 = dict.fromkeys(self._found, 0.0)

    def add(
        self,
        class_number: npt.NDArray[np.int64],
        area_m2: npt.NDArray[np.float64],
        iou: npt.NDArray[np.float64],
    ) -> None:
        """Count polygons, (N,) each; an IoU of NaN says that one was not squared."""
        for number, before in self._found.items():
            own = class_number == number
            squared = own & np.isfinite(iou)
            area = float(area_m2[squared].sum())
            total = self._area_m2[number] + area
            iou_m2 = before.mean_iou * self._area_m2[number] + float((area_m2 * iou)[squared].sum())
            self._area_m2[number] = total
            self._found[number] = Squaring(
                squared=before.squared + int(squared.sum()),
                left=before.left + int((own & ~squared).sum()),
                mean_iou=iou_m2 / total if total else 1.0,
                least_iou=float(iou[squared].min(initial=before.least_iou)),
            )

    def of(self, class_number: int) -> Squaring | None:
        """The figures of a class; None of one that is not squared."""
        return self._found.get(class_number)
