"""Classes of a map: number, name, color, threshold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.errors import ConfigError

BACKGROUND = 0
"""Class number of everything that is no class."""

IGNORE = 255
"""Class number of pixels that nobody labelled: excluded from loss and metrics."""

MAX_CLASSES = 254
"""Class numbers 1 to 254 fit beside `BACKGROUND` and `IGNORE` in uint8."""

_COLOR = re.compile(r"#[0-9a-f]{6}")

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
        if not _COLOR.fullmatch(self.color):
            raise ValueError(f"class color {self.color!r} is not of the form #rrggbb")
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"class threshold {self.threshold} is not in 0..1")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The color as three numbers, 0 to 255."""
        return (int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16))


def name_classes(
    names: Sequence[str], colors: Mapping[str, str] | None = None
) -> tuple[ClassSpec, ...]:
    """Number the classes from 1 in the order given and give each a color.

    Args:
        names: of the classes.
        colors: of those that have one already, as "#rrggbb", by name.
    """
    own = {} if colors is None else colors
    return tuple(
        ClassSpec(number=i, name=name, color=own.get(name, _PALETTE[(i - 1) % len(_PALETTE)]))
        for i, name in enumerate(names, start=1)
    )


def parse_classes(texts: Sequence[str]) -> dict[str, str | None]:
    """Read `--classes`: the names in their order, each with its color, or None.

    Args:
        texts: names, or names and colors such as "building=#e31a1c".

    Raises:
        ConfigError: a name comes twice or is empty, or what looks like a color is none.
    """
    chosen: dict[str, str | None] = {}
    for text in texts:
        name, is_colored, color = text.rpartition("=#")
        name = (name if is_colored else text).strip()
        color = f"#{color.strip().lower()}"
        if is_colored and not _COLOR.fullmatch(color):
            raise ConfigError(
                "--classes",
                f"gives {name} the color {color}",
                "Colors are red, green and blue in two hexadecimal digits each",
                f"Write {name}=#e31a1c, or {name} alone",
            )
        if not name or name in chosen:
            raise ConfigError(
                "--classes",
                f"names {name} twice" if name else f"has no name in {text!r}",
                "It lists the classes to learn, each once",
                "Correct the list",
            )
        chosen[name] = color if is_colored else None
    return chosen


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
