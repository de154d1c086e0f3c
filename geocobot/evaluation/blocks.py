"""Counts by spatial blocks, and how sure they make a figure: the bootstrap over blocks.

Errors next to each other are alike, so that pixels drawn one by one would promise far too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.classes import ClassSpec
from geocobot.evaluation.pixels import Confusion

RESAMPLES = 2000
LEVEL = 0.95

_AT_ONCE = 100

FEW_BLOCKS = 20
"""From fewer, intervals are rough."""


class BlockCounts:
    """Right, true and predicted pixels of each class in each block.

    Args:
        classes: K classes.
        size: how many blocks there are.
        side_hw: height and width of one, in pixels.
    """

    def __init__(self, classes: Sequence[ClassSpec], size: int, side_hw: tuple[int, int]) -> None:
        self.side_hw = side_hw
        self.counts = np.zeros((size, 3, len(classes)), dtype=np.int64)
        self._judged = np.zeros(size, dtype=np.bool_)

    def add(self, block: int, confusion: Confusion) -> None:
        """Count what was found in a part of a block."""
        counts = confusion.counts
        totals = np.stack([counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)])
        self.counts[block] += totals[:, 1:]
        self._judged[block] |= bool(counts.any())

    def uncertainty(self, pixel_m: tuple[float, float], seed: int) -> Uncertainty | None:
        """Intervals of all figures; None where fewer than two blocks have a judged pixel.

        Args:
            pixel_m: width and height of a pixel on the ground.
            seed: of the draws.
        """
        return joint_uncertainty([self], [pixel_m], seed)

    @property
    def judged(self) -> npt.NDArray[np.int64]:
        """Counts (B, 3, K) of the blocks that have judged pixels."""
        return self.counts[self._judged]


def joint_uncertainty(
    parts: Sequence[BlockCounts], pixels_m: Sequence[tuple[float, float]], seed: int
) -> Uncertainty | None:
    """Intervals of the figures of several scenes, whose blocks are drawn from together.

    Args:
        parts: blocks of each scene, of the same classes.
        pixels_m: width and height on the ground of a pixel of each scene.
        seed: of the draws.

    Returns:
        None where fewer than two blocks have a judged pixel.
    """
    counts = np.concatenate([part.judged for part in parts])
    if len(counts) < 2:
        return None
    iou, f1 = _resample(counts, seed)
    point_iou, point_f1 = _iou_and_f1(counts.sum(axis=0, keepdims=True))
    seen = [(p, m) for p, m in zip(parts, pixels_m, strict=True) if len(p.judged)]
    sides_px = {part.side_hw for part, _ in seen}
    sides_m = np.array([(p.side_hw[0] * m[1], p.side_hw[1] * m[0]) for p, m in seen])
    height_m, width_m = (float(side) for side in np.median(sides_m, axis=0))
    return Uncertainty(
        blocks=len(counts),
        block_px=sides_px.pop() if len(sides_px) == 1 else None,
        block_m=(height_m, width_m),
        resamples=RESAMPLES,
        level=LEVEL,
        seed=seed,
        iou=tuple(map(_interval, iou.T, point_iou[0])),
        f1=tuple(map(_interval, f1.T, point_f1[0])),
        mean_iou=_interval(_mean(iou), _mean(point_iou)[0]),
        mean_f1=_interval(_mean(f1), _mean(point_f1)[0]),
        scenes=len(seen),
    )


def quarters(known: npt.NDArray[np.bool_]) -> list[tuple[slice, slice]]:
    """Rows and columns of the quarters of a block, which are not alike where a side is odd.

    Args:
        known: (h, w), True where pixels count: of a block and what is seen around it, the block.
    """
    rows, cols = (_halves(np.flatnonzero(known.any(axis=axis))) for axis in (1, 0))
    return [(r, c) for r in rows for c in cols]


def _halves(places: npt.NDArray[np.intp]) -> tuple[slice, slice]:
    """Two stretches from the first to the last of some places; empty ones of none."""
    if not places.size:
        return slice(0, 0), slice(0, 0)
    first, end = int(places[0]), int(places[-1]) + 1
    middle = -(-(first + end) // 2)
    return slice(first, middle), slice(middle, end)


@dataclass(frozen=True)
class Interval:
    """What a figure may be, as far as these blocks tell.

    Attributes:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Uncertainty:
    """Bootstrap intervals over spatial blocks.

    They are percentile intervals, widened where needed to hold the figure itself.

    Attributes:
        blocks: how many have judged pixels.
        block_px: height and width of a block in pixels; None where scenes have different ones.
        block_m: the same on the ground, in metres; the median of the scenes.
        resamples: how often as many blocks were drawn, with replacement.
        level: share of the resamples within an interval.
        seed: of the draws.
        iou: of each class; None where it has no IoU.
        f1: of each class; None where it has no F1.
        mean_iou: of the mean over the classes.
        mean_f1: of the mean over the classes.
        scenes: how many scenes the blocks lie in.
    """

    blocks: int
    block_px: tuple[int, int] | None
    block_m: tuple[float, float]
    resamples: int
    level: float
    seed: int
    iou: tuple[Interval | None, ...]
    f1: tuple[Interval | None, ...]
    mean_iou: Interval | None
    mean_f1: Interval | None
    scenes: int = 1


def _resample(
    counts: npt.NDArray[np.int64], seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """IoU and F1 (R, K) of blocks (B, 3, K) drawn again and again."""
    rng = np.random.default_rng(seed)
    n_blocks, _, n_classes = counts.shape
    flat = counts.reshape(n_blocks, -1).astype(np.float64)
    even = np.full(n_blocks, 1 / n_blocks)
    sums = [
        rng.multinomial(n_blocks, even, size=_AT_ONCE) @ flat for _ in range(0, RESAMPLES, _AT_ONCE)
    ]
    return _iou_and_f1(np.concatenate(sums).reshape(-1, 3, n_classes))


def _iou_and_f1(
    sums: npt.NDArray[np.number],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """IoU and F1 (R, K) of right, true and predicted pixels (R, 3, K); NaN where there are none."""
    hit, true, predicted = (sums[:, i].astype(np.float64) for i in range(3))
    either = true + predicted - hit
    nothing = np.full(hit.shape, np.nan)
    iou = np.divide(hit, either, out=nothing.copy(), where=either > 0)
    f1 = np.divide(2 * hit, true + predicted, out=nothing, where=either > 0)
    return iou, f1


def _mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means (R,) of what is defined in (R, K); NaN where nothing is."""
    defined = np.isfinite(values)
    number = defined.sum(axis=1)
    total = np.where(defined, values, 0).sum(axis=1)
    means: npt.NDArray[np.float64] = np.full(len(values), np.nan)
    np.divide(total, number, out=means, where=number > 0)
    return means


def _interval(drawn: npt.NDArray[np.float64], point: float) -> Interval | None:
    """The interval of a figure from what it was when blocks were drawn anew."""
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(point) or not known.size:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Interval(min(low, float(point)), max(high, float(point)))
