"""Classes of a map: number, name, color, threshold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BACKGROUND = 0
"""Class number of everything that is no class."""

IGNORE = 255
"""Class number of pixels that nobody labelled: excluded from loss and metrics."""

MAX_CLASSES = 254
"""Class numbers 1 to 254 fit beside `BACKGROUND` and `IGNORE` in uint8."""

# Colors that stay apart on imagery and for color-blind readers (after Okabe and Ito, 2008).
_PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442", "#999999")


@dataclass(frozen=True)
class ClassSpec:
    """One class of the map.

    Attributes:
        number: value in class rasters and in `class_id`, 1 to 254.
        name: what the class is called in the legend.
        color: outline and fill, as "#rrggbb".
        threshold: score above which a pixel can belong to the class, 0 to 1.
    """

    number: int
    name: str
    color: str
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what no raster or style could hold."""
        if not 1 <= self.number <= MAX_CLASSES:
            raise ValueError(f"class number {self.number} is not in 1..{MAX_CLASSES}")
        if not re.fullmatch(r"#[0-9a-f]{6}", self.color):
            raise ValueError(f"class color {self.color!r} is not of the form #rrggbb")
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"class threshold {self.threshold} is not in 0..1")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The color as three numbers, 0 to 255."""
        return (int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16))


def name_classes(names: Sequence[str]) -> tuple[ClassSpec, ...]:
    """Number the classes from 1 in the order given and give each a color."""
    return tuple(
        ClassSpec(number=i, name=name, color=_PALETTE[(i - 1) % len(_PALETTE)])
        for i, name in enumerate(names, start=1)
    )


def classify(
    scores: npt.NDArray[np.float32],
    valid: npt.NDArray[np.bool_],
    classes: Sequence[ClassSpec],
) -> npt.NDArray[np.uint8]:
    """Give every pixel one class, so that classes never overlap.

    The class is the one with the largest score - threshold; background where none is
    positive.

    Args:
        scores: (K, H, W), 0 to 1, in the order of `classes`.
        valid: (H, W), True where there is data.
        classes: K classes with their thresholds.

    Returns:
        (H, W) uint8 class numbers; `BACKGROUND` where no class wins, `IGNORE` where not valid.
    """
    thresholds = np.array([c.threshold for c in classes], dtype=np.float32)[:, None, None]
    numbers = np.array([c.number for c in classes], dtype=np.uint8)
    margin = scores - thresholds
    winner = margin.argmax(axis=0)
    best = np.take_along_axis(margin, winner[None], axis=0)[0]
    labels = np.where(best > 0, numbers[winner], np.uint8(BACKGROUND))
    return np.where(valid, labels, np.uint8(IGNORE))
