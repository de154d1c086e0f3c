"""Lines from node to node, reduced to what is needed of their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import gaussian_filter1d

from geocobot.centerlines.joining import Chain
from geocobot.centerlines.sections import Sections
from geocobot.tracing.pixel_sizes import RowSizes

_SIGMA_PER_RADIUS = 0.35
_LEAST_SIGMA_PX, _MOST_SIGMA_PX = 1.0, 12.0
_KEPT_PX = 0.05
"""A point within so much of the chord between others is not kept."""


@dataclass(frozen=True)
class Line:
    """A line from node to node.

    Attributes:
        class_number: of the class.
        nodes: the pixels at its ends, as flat indices of the scene; the same twice for a ring.
        is_ring: whether it is closed and has no node.
        xy: (M, 2) columns and rows of its points, smoothed; a ring's last is its first.
        radius: distance to the outline at its two ends, and on average, in pixels.
        score_sum: of the class along the line, in steps.
        score_n: of so many pixels.
        width_sum: of the class across the line, in metres on the ground.
        width_n: of so many cross-sections, away from the junctions where there are others.
    """

    class_number: int
    nodes: tuple[int, int]
    is_ring: bool
    xy: npt.NDArray[np.float64]
    radius: tuple[float, float, float]
    score_sum: float
    score_n: int
    width_sum: float
    width_n: int

    @property
    def length_px(self) -> float:
        """Length in pixels."""
        return float(np.hypot(*np.diff(self.xy, axis=0).T).sum())


def shortened(
    xy: npt.NDArray[np.float64], center: npt.NDArray[np.float64], radius: float
) -> npt.NDArray[np.float64]:
    """A line (N, 2) without its beginning up to where it leaves a circle for good.

    At least its last point is left.
    """
    away = np.hypot(*(xy - center).T)
    inside = np.flatnonzero(away < radius)
    if not inside.size:
        return xy
    last = int(inside[-1])
    if last + 1 >= len(xy):
        return xy[-1:]
    # The stretch leaves the circle where |p + t d| = radius.
    p, d = xy[last] - center, xy[last + 1] - xy[last]
    pd, dd = float(p @ d), float(d @ d)
    t = (-pd + np.sqrt(max(pd * pd - dd * (float(p @ p) - radius**2), 0.0))) / dd
    return np.concatenate([(xy[last] + min(t, 1.0) * d)[None], xy[last + 1 :]])


def reduce_chains(chains: Sequence[Chain], sizes: RowSizes) -> list[Line]:
    """Smooth chains of pixels, measure their widths, and keep few of their points.

    Args:
        chains: whole ones.
        sizes: of pixels on the ground.
    """
    smooth = [_smoothed(chain) for chain in chains]
    ended = [_ended(chain, xy, sizes) for chain, xy in zip(chains, smooth, strict=True)]
    kept = shapely.simplify(
        np.array([shapely.LineString(xy) for xy in ended], dtype=object), _KEPT_PX
    )
    return [
        _reduced(chain, xy, shapely.get_coordinates(line), sizes)
        for chain, xy, line in zip(chains, smooth, kept, strict=True)
    ]


def _reduced(
    chain: Chain, xy: npt.NDArray[np.float64], kept: npt.NDArray[np.float64], sizes: RowSizes
) -> Line:
    """One line; `xy` are its points, `kept` those that stay."""
    sections = chain.sections
    width_m, counted = _widths(sections, xy, sizes)
    start, end = float(sections.radius[0]), float(sections.radius[-1])
    return Line(
        class_number=chain.class_number,
        nodes=(int(sections.px[0]), int(sections.px[-1])),
        is_ring=chain.is_ring,
        xy=kept,
        radius=(start, end, float(sections.radius.mean(dtype=np.float64))),
        score_sum=float(sections.score.sum(dtype=np.int64)),
        score_n=len(sections),
        width_sum=float(width_m[counted].sum()),
        width_n=int(counted.sum()),
    )


def _smoothed(chain: Chain) -> npt.NDArray[np.float64]:
    """The middles of the sections (N, 2), weighted along the line; its ends stay."""
    sections = chain.sections
    xy = np.stack([sections.x, sections.y], axis=1) + _shifts(chain)
    sigma = float(sections.radius.mean(dtype=np.float64)) * _SIGMA_PER_RADIUS
    sigma = min(max(sigma, _LEAST_SIGMA_PX), _MOST_SIGMA_PX, len(xy) / 4)
    if len(xy) < 4:
        return xy
    if chain.is_ring:
        smooth = gaussian_filter1d(xy[:-1], sigma, axis=0, mode="wrap")
        return np.concatenate([smooth, smooth[:1]])
    # Turned around its ends the line goes on as it came, so that these stay where they are.
    pad = min(int(4 * sigma) + 1, len(xy) - 1)
    before, after = 2 * xy[0] - xy[pad:0:-1], 2 * xy[-1] - xy[-2 : -pad - 2 : -1]
    smooth = gaussian_filter1d(np.concatenate([before, xy, after]), sigma, axis=0)[pad:-pad]
    smooth[0], smooth[-1] = xy[0], xy[-1]
    return np.asarray(smooth)


def _ended(chain: Chain, xy: npt.NDArray[np.float64], sizes: RowSizes) -> npt.NDArray[np.float64]:
    """The line with its free ends half a width before the tips of the class.

    Thinning stops at about that distance, in pixels: where these are not square, too early or too
    late. Where the class goes on to the edge of the scene the line does too.
    """
    sections = chain.sections
    width_m, counted = _widths(sections, xy, sizes)
    half_m = float(width_m[counted].mean()) / 2
    for end in (-1, 0):
        xy = xy[::-1] if end == 0 else xy
        tip, is_edge = float(sections.tip[end]), bool(sections.is_edge[end])
        if not chain.is_free[end] or not np.isfinite(tip):
            continue
        base = xy[max(-len(xy), -1 - int(np.ceil(sections.radius[end])) - 4)]
        step = xy[-1] - base
        length_px, length_m = np.hypot(*step), np.hypot(*(step * sizes.at(xy[-1, 1])))
        if length_px > 0:
            more_px = tip if is_edge else tip - half_m * length_px / length_m
            xy = _lengthened(xy, step / length_px, float(more_px))
    return xy[::-1]


def _lengthened(
    xy: npt.NDArray[np.float64], direction: npt.NDArray[np.float64], by_px: float
) -> npt.NDArray[np.float64]:
    """A line that goes on beyond its last point, or ends before it, but not in its first half."""
    if by_px >= 0:
        return np.concatenate([xy, xy[-1:] + by_px * direction])
    middle = len(xy) // 2
    return np.concatenate([xy[:middle], shortened(xy[middle:][::-1], xy[-1], -by_px)[::-1]])


def _shifts(chain: Chain) -> npt.NDArray[np.float64]:
    """From the pixels to the middle of the class (N, 2).

    Within the radius of a free end sections meet the tip of the class; there the shift is that of
    the pixels before.
    """
    sections = chain.sections
    shift = np.stack([sections.shift_x, sections.shift_y], axis=1)
    for is_free, s, radius, is_cut in (
        (chain.is_free[0], shift, sections.radius[0], sections.is_cut),
        (chain.is_free[1], shift[::-1], sections.radius[-1], sections.is_cut[::-1]),
    ):
        if is_free:
            n = int(np.ceil(radius))
            known = is_cut[n : 3 * n]
            s[:n] = s[n : 3 * n][known].mean(axis=0) if known.any() else 0.0
    return shift


def _widths(
    sections: Sections, xy: npt.NDArray[np.float64], sizes: RowSizes
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Widths on the ground (N,) in metres, and which of them count.

    A section may cross the line at any angle: its area with a step along the line, divided by the
    length of the step, is the width across. That also holds where pixels are not square.
    """
    pixel_m = sizes.at(xy[:, 1])
    step = np.gradient(xy, axis=0) * pixel_m
    chord = np.stack([sections.chord_x, sections.chord_y], axis=1) * pixel_m
    length = np.hypot(*step.T)
    across = np.abs(step[:, 0] * chord[:, 1] - step[:, 1] * chord[:, 0])
    by_chord = across / np.where(length > 0, length, 1.0)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    far = (along > sections.radius[0]) & (along[-1] - along > sections.radius[-1])
    counted = sections.is_cut & (length > 0)
    if (counted & far).any():
        return by_chord, counted & far
    by_radius = 2 * sections.radius * np.sqrt(pixel_m.prod(axis=1))
    return by_radius, np.ones(len(sections), dtype=bool)
