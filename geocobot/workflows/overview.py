"""Maps as small pictures, made while their rows pass by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geocobot.classes import BACKGROUND, IGNORE, ClassSpec
from geocobot.grid import GeoGrid
from geocobot.io.quicklook import Sampling
from geocobot.io.styles.errors import FALSE_RGB, MISSED_RGB, RIGHT_RGB

LONGEST_PX = 1000

_TINT = 0.6
_PALE = 0.45


class Overview:
    """Every so manieth pixel of rows of class numbers.

    Args:
        grid: of the rows.
        longest_px: longer side of the picture.
    """

    def __init__(self, grid: GeoGrid, longest_px: int = LONGEST_PX) -> None:
        self.sampling = Sampling.of(grid, longest_px)
        self.labels: npt.NDArray[np.uint8] = np.full(self.sampling.shape, IGNORE, dtype=np.uint8)
        """(h, w) class numbers; `IGNORE` where nothing is known."""

    def add(self, row_off: int, labels: npt.NDArray[np.uint8]) -> None:
        """Take full-width rows (n, W) of class numbers, `row_off` the first."""
        rows, place = self.sampling.rows(row_off, len(labels))
        if rows.size:
            self.labels[place] = labels[np.ix_(rows, self.sampling.columns)]


def colored(
    labels: npt.NDArray[np.uint8],
    classes: Sequence[ClassSpec],
    below: npt.NDArray[np.uint8] | None,
) -> npt.NDArray[np.uint8]:
    """A map in its colors (h, w, 3), over a picture of the scene in gray where there is one."""
    colors = {spec.number: spec.rgb for spec in classes}
    return _over(labels, colors, below)


def compared(
    truth: npt.NDArray[np.uint8],
    prediction: npt.NDArray[np.uint8],
    below: npt.NDArray[np.uint8] | None,
) -> npt.NDArray[np.uint8]:
    """What was found, missed and wrongly mapped (h, w, 3), all classes together.

    A pixel of a class that was mapped as another one is wrong.

    Args:
        truth: (h, w) class numbers; `IGNORE` is not judged.
        prediction: (h, w) class numbers.
        below: picture of the scene, or None.
    """
    known = truth != IGNORE
    mapped = (prediction != BACKGROUND) & (prediction != IGNORE)
    kind = np.zeros(truth.shape, dtype=np.uint8)
    kind[known & mapped & (prediction == truth)] = 1
    kind[known & ~mapped & (truth != BACKGROUND)] = 2
    kind[known & mapped & (prediction != truth)] = 3
    colors = dict(enumerate((RIGHT_RGB, MISSED_RGB, FALSE_RGB), start=1))
    return _over(kind, colors, below)


def paled(
    shape_hw: tuple[int, int], below: npt.NDArray[np.uint8] | None
) -> npt.NDArray[np.float32]:
    """A picture of the scene (h, w, 3), 0 to 255, gray and pale to be drawn on; white without."""
    if below is None:
        return np.full((*shape_hw, 3), 255, dtype=np.float32)
    gray = below.mean(axis=2, keepdims=True, dtype=np.float32)
    return np.repeat(255 - (255 - gray) * (1 - _PALE), 3, axis=2)


def _over(
    labels: npt.NDArray[np.uint8],
    colors: dict[int, tuple[int, int, int]],
    below: npt.NDArray[np.uint8] | None,
) -> npt.NDArray[np.uint8]:
    """Numbers in their colors over a gray picture, or over white."""
    base = paled(labels.shape, below)
    for number, rgb in colors.items():
        here = labels == number
        base[here] += (_TINT if below is not None else 1.0) * (np.array(rgb) - base[here])
    return np.rint(base).astype(np.uint8)
