"""Chains of pixels into smooth lines of few points, many at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.centerlines.courses import leaving
from geocobot.centerlines.joining import Chains
from geocobot.centerlines.lines import Lines
from geocobot.tracing.lists import elements, offsets_of, owners, places, totals
from geocobot.tracing.pixel_sizes import RowSizes

_SIGMA_PER_RADIUS = 0.35
_LEAST_SIGMA_PX, _MOST_SIGMA_PX = 1.0, 12.0
_SIGMAS = 4.0  # that smoothing looks to either side
_KEPT_PX = 0.05
"""A point within so much of the chord between others is not kept."""

_PIXELS_AT_ONCE = 2**15  # stay in the cache of a core

Points = npt.NDArray[np.float64]


def reduce_chains(chains: Chains, sizes: RowSizes) -> Lines:
    """Smooth chains of pixels, measure their widths, and keep few of their points.

    Args:
        chains: whole ones.
        sizes: of pixels on the ground.
    """
    return Lines.joined([_reduced(part, sizes) for part in _parts(chains)])


def _parts(chains: Chains) -> Iterator[Chains]:
    """Some chains at a time: what is known of one does not depend on the others."""
    # Long kernels are for few chains.
    first = 0
    while first < len(chains):
        end = int(np.searchsorted(chains.offsets, chains.offsets[first] + _PIXELS_AT_ONCE))
        end = min(max(end, first + 1), len(chains))
        yield chains.between(first, end)
        first = end


def _reduced(chains: Chains, sizes: RowSizes) -> Lines:
    """The lines of some chains."""
    sections, offsets = chains.sections, chains.offsets
    owner, n, length = owners(offsets), len(chains), np.diff(offsets)
    mean = totals(sections.radius, owner, n) / length
    xy = _smoothed(chains, mean)
    width_m, counted = _widths(chains, xy, sizes)
    width_sum = totals(np.where(counted, width_m, 0.0), owner, n)
    width_n = np.bincount(owner[counted], minlength=n)
    ended, kept = _ended(chains, xy, width_sum / width_n / 2, sizes)
    lines = shapely.linestrings(ended, indices=owners(kept))
    simple, line = shapely.get_coordinates(shapely.simplify(lines, _KEPT_PX), return_index=True)
    ends = np.stack([offsets[:-1], offsets[1:] - 1], axis=1)
    return Lines(
        class_number=chains.class_number,
        nodes=sections.px[ends],
        is_ring=chains.is_ring,
        xy=simple,
        offsets=offsets_of(np.bincount(line, minlength=n)),
        radius=np.column_stack([sections.radius[ends], mean]),
        reach=sections.radius[ends].astype(np.float64),
        score_sum=totals(sections.score, owner, n),
        score_n=length,
        width_sum=width_sum,
        width_n=width_n,
    )


def _smoothed(chains: Chains, radius: Points) -> Points:
    """The middles of the sections (N, 2), weighted along the line; its ends stay.

    Turned around its ends a line goes on as it came, so that these stay where they are.
    """
    sections, offsets = chains.sections, chains.offsets
    xy = np.stack([sections.x, sections.y], axis=1) + _shifts(chains)
    length = np.diff(offsets)
    sigma = np.minimum(
        np.clip(radius * _SIGMA_PER_RADIUS, _LEAST_SIGMA_PX, _MOST_SIGMA_PX), length / 4
    )
    most = np.where(length < 4, 0, np.minimum(np.rint(_SIGMAS * sigma), length - 1)).astype(int)
    smooth, weight = xy.copy(), np.ones(len(xy))
    by_reach = np.argsort(-most, kind="stable")
    index, own = elements(offsets, by_reach)
    first, last = (e[by_reach][owners(own)] for e in (offsets[:-1], offsets[1:] - 1))
    is_ring, spread = (v[by_reach][owners(own)] for v in (chains.is_ring, sigma))
    ends = own[np.searchsorted(-most[by_reach], -np.arange(1, most.max(initial=0) + 1), "right")]
    for k, end in enumerate(ends.tolist(), 1):
        part, share = slice(end), np.exp(-0.5 * (k / spread[:end]) ** 2)
        at, low, high, ring = index[part], first[part], last[part], is_ring[part]
        around = sum(_at(xy, at + step, low, high, ring) for step in (-k, k))
        smooth[at] += share[:, None] * around
        weight[at] += 2 * share
    smooth /= weight[:, None]
    ends_px = np.stack([offsets[:-1], offsets[1:] - 1], axis=1)[~chains.is_ring].ravel()
    smooth[ends_px] = xy[ends_px]
    rings = np.flatnonzero(chains.is_ring)
    smooth[offsets[rings + 1] - 1] = smooth[offsets[rings]]
    return smooth


def _at(
    xy: Points,
    index: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    is_ring: npt.NDArray[np.bool_],
) -> Points:
    """Points (N, 2) of lines from `first` to `last`, which go on beyond their ends."""
    before, after = index < first, index > last
    beyond = np.flatnonzero(before | after)
    inner = index.copy()
    inner[before], inner[after] = (2 * first - index)[before], (2 * last - index)[after]
    ring = beyond[is_ring[beyond]]
    inner[ring] = first[ring] + (index[ring] - first[ring]) % (last[ring] - first[ring])
    found = xy[inner]
    turned = beyond[~is_ring[beyond]]
    end = np.where(before[turned], first[turned], last[turned])
    found[turned] = 2 * xy[end] - found[turned]
    return found


def _ended(
    chains: Chains, xy: Points, half_m: Points, sizes: RowSizes
) -> tuple[Points, npt.NDArray[np.int64]]:
    """The lines with their free ends half a width before the tips of the class; with offsets.

    Thinning stops at about that distance, in pixels: where these are not square, too early or too
    late. Where the class goes on to the edge of the scene the line does too. Half of a line stays
    at least.
    """
    offsets, sections = chains.offsets, chains.sections
    first, last = offsets[:-1].copy(), offsets[1:] - 1
    middle = (first + last) // 2
    added = []
    for side, inwards in ((0, 1), (1, -1)):
        end = (offsets[:-1], offsets[1:] - 1)[side]
        back = np.ceil(sections.radius[end]).astype(np.int64) + 4
        base = end + inwards * np.minimum(back, np.diff(offsets) - 1)
        step = xy[end] - xy[base]
        length_px = np.hypot(*step.T)
        length_m = np.hypot(*(step * sizes.at(xy[end, 1])).T)
        tip = sections.tip[end]
        ends = np.flatnonzero(chains.is_free[:, side] & np.isfinite(tip) & (length_px > 0))
        more_px = np.where(
            sections.is_edge[end], tip, tip - half_m * length_px / np.maximum(length_m, 1e-300)
        )
        point = xy[end] + more_px[:, None] * step / np.maximum(length_px, 1e-300)[:, None]
        longer = ends[more_px[ends] >= 0]
        shorter = ends[more_px[ends] < 0]
        at, cut = _cut(xy, end[shorter], middle[shorter], -more_px[shorter], inwards)
        (first, last)[side][shorter] = at
        point[shorter] = cut
        changed = np.zeros(len(chains), dtype=bool)
        changed[longer] = changed[shorter] = True
        added.append((changed, point))
    (has_start, start), (has_end, stop) = added
    kept = offsets_of(last - first + 1 + has_start + has_end)
    ended = np.empty((kept[-1], 2))
    inner = np.repeat(first - kept[:-1] - has_start, np.diff(kept)) + np.arange(kept[-1])
    ended[:] = xy[np.clip(inner, 0, len(xy) - 1)]
    ended[kept[:-1][has_start]] = start[has_start]
    ended[kept[1:][has_end] - 1] = stop[has_end]
    return ended, kept


def _cut(
    xy: Points,
    end: npt.NDArray[np.int64],
    middle: npt.NDArray[np.int64],
    radius: Points,
    inwards: int,
) -> tuple[npt.NDArray[np.int64], Points]:
    """The first pixel (N,) from an end inwards that is out of a circle around it for good.

    And the point (N, 2) where the line leaves the circle. It is at the middle at last.
    """
    lengths = np.abs(middle - end) + 1
    offsets = offsets_of(lengths)
    index = end[owners(offsets)] + inwards * places(offsets)
    owner = owners(offsets)
    inside = np.hypot(*(xy[index] - xy[end[owner]]).T) < radius[owner]
    inner = np.zeros(end.size, dtype=np.int64)
    np.maximum.at(inner, owner[inside], places(offsets)[inside])
    outer = np.minimum(inner + 1, lengths - 1)
    before, after = end + inwards * inner, end + inwards * outer
    return after, leaving(xy[before], xy[after], xy[end], radius)


def _shifts(chains: Chains) -> Points:
    """From the pixels to the middle of the class (N, 2).

    Within the radius of a free end sections meet the tip of the class; there the shift is that of
    the pixels before.
    """
    sections, offsets = chains.sections, chains.offsets
    shift = np.stack([sections.shift_x, sections.shift_y], axis=1)
    owner, place, n = owners(offsets), places(offsets), len(chains)
    from_end = (np.diff(offsets) - 1)[owner] - place
    for side, away in ((0, place), (1, from_end)):
        end = (offsets[:-1], offsets[1:] - 1)[side]
        reach = np.ceil(sections.radius[end]).astype(np.int64)[owner]
        is_free = chains.is_free[:, side][owner]
        known = is_free & (away >= reach) & (away < 3 * reach) & sections.is_cut
        count = np.maximum(np.bincount(owner[known], minlength=n), 1)
        at_tip = np.flatnonzero(is_free & (away < reach))
        for axis in (0, 1):
            mean = totals(shift[known, axis], owner[known], n) / count
            shift[at_tip, axis] = mean[owner[at_tip]]
    return shift


def _widths(chains: Chains, xy: Points, sizes: RowSizes) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Widths on the ground (N,) in metres, and which of them count.

    A section may cross the line at any angle: its area with a step along the line, divided by the
    length of the step, is the width across. That also holds where pixels are not square.
    """
    sections, offsets = chains.sections, chains.offsets
    owner, n = owners(offsets), len(chains)
    first, last = offsets[:-1], offsets[1:] - 1
    pixel_m = sizes.at(xy[:, 1])
    index = np.arange(len(xy))
    step = xy[np.minimum(index + 1, last[owner])] - xy[np.maximum(index - 1, first[owner])]
    step *= pixel_m
    chord = np.stack([sections.chord_x, sections.chord_y], axis=1) * pixel_m
    length = np.hypot(*step.T)
    across = np.abs(step[:, 0] * chord[:, 1] - step[:, 1] * chord[:, 0])
    by_chord = across / np.where(length > 0, length, 1.0)
    far = np.ones(len(xy), dtype=bool)
    for end in (first, last):
        away = np.hypot(*(xy - xy[end[owner]]).T)
        far &= away > sections.radius[end][owner]
    counted = sections.is_cut & (length > 0) & far
    has_any = np.bincount(owner[counted], minlength=n) > 0
    by_radius = 2 * sections.radius * np.sqrt(pixel_m.prod(axis=1))
    return np.where(has_any[owner], by_chord, by_radius), counted | ~has_any[owner]
