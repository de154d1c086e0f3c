"""Where validation can lie: clumps of blocks, proposed at random and judged.

An isolated block of one patch costs four times its area, because of the gap around it; clumps
of blocks at the scene's edges cost least. So clumps are proposed, at edges more often than not,
and judged by what they leave for training and by how well they stand for the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from rasterio.windows import Window

from geocobot.data.islands import Island, find_islands
from geocobot.data.survey import Survey
from geocobot.grid import GeoGrid
from geocobot.windows import around, grown, intersect

VALIDATION_SHARE = 0.2
"""Share of the labelled area that validation should have."""

_RANDOM_LAYOUTS = 300
_MAX_SHAPE_BLOCKS = 12  # up to here every shape of a single clump is tried
_MAX_SURVEYED_ISLANDS = 4  # single clumps are tried in so many, those with most labels
_MAX_CLUMPS_PER_SCENE = 6
_ROWS_AT_ONCE = 64  # of squares that are counted
_PRESENT = 0.02  # share of a class's pixels that a side needs to stand for it


@dataclass(frozen=True)
class Clump:
    """Neighbouring validation blocks.

    Attributes:
        scene: position of the scene in the run.
        window: what the blocks cover, in pixels of that scene; a whole number of blocks, unless
            somebody has drawn it: then those at its east and south are smaller.
    """

    scene: int
    window: Window


Layout: TypeAlias = tuple[Clump, ...]
"""Clumps that do not overlap each other."""


@dataclass(frozen=True)
class Ground:
    """What is to be split, and how finely.

    Attributes:
        surveys: one per scene.
        patch_px: side of patches and blocks.
        given: windows of each scene to validate in; None leaves it open.
    """

    surveys: tuple[Survey, ...]
    patch_px: int
    given: tuple[tuple[Window, ...], ...] | None = None

    @property
    def gap_px(self) -> int:
        """Distance between training patches and validation blocks: half a patch."""
        return -(-self.patch_px // 2)

    @cached_property
    def extents(self) -> tuple[Window, ...]:
        """The scenes' windows, padded to a patch in the south and the east."""
        return tuple(
            Window(0, 0, max(s.grid.width, self.patch_px), max(s.grid.height, self.patch_px))
            for s in self.surveys
        )

    @cached_property
    def class_numbers(self) -> tuple[int, ...]:
        """Every class that occurs in any scene."""
        return tuple(sorted({n for s in self.surveys for n in s.class_numbers}))

    @cached_property
    def scene_totals(self) -> npt.NDArray[np.float64]:
        """(S, K) labelled pixels of each class in each scene."""
        return np.concatenate([self.counts(k, [e]) for k, e in enumerate(self.extents)])

    @property
    def totals(self) -> npt.NDArray[np.float64]:
        """(K,) labelled pixels of each class over all scenes."""
        return np.asarray(self.scene_totals.sum(axis=0))

    @cached_property
    def target_blocks(self) -> int:
        """How many validation blocks make up the wanted share, two at least."""
        return max(2, round(VALIDATION_SHARE * float(self.totals.sum()) / self.patch_px**2))

    @cached_property
    def least_px(self) -> float:
        """Labelled pixels from which on a patch counts: half a patch, or half of the fullest."""
        step = max(self.patch_px // 2, 1)
        fullest = max(
            float(labelled.max())
            for scene, extent in enumerate(self.extents)
            for _, _, labelled in self.squares(scene, extent, step)
        )
        return max(1.0, min(0.5 * self.patch_px**2, 0.5 * fullest))

    @cached_property
    def islands(self) -> tuple[Island, ...]:
        """Where labels lie, in all scenes."""
        return tuple(
            island
            for k, (survey, extent) in enumerate(zip(self.surveys, self.extents, strict=True))
            for island in find_islands(survey, k, extent, self.patch_px)
        )

    def squares(
        self, scene: int, region: Window, step_px: int, within: Window | None = None
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """Squares of a patch in a region, some rows of them at a time.

        Args:
            scene: position of the scene.
            region: what they lie in; the first one at its upper left.
            step_px: from one to the next.
            within: those that do not meet it are left out; None leaves out none.

        Yields:
            Offsets of rows (T,) and of columns (L,), and the labelled pixels (T, L).
        """
        tops = _offsets(region.row_off, region.height, self.patch_px, step_px)
        lefts = _offsets(region.col_off, region.width, self.patch_px, step_px)
        if within is not None:
            tops = tops[_meets(tops, self.patch_px, within.row_off, within.height)]
            lefts = lefts[_meets(lefts, self.patch_px, within.col_off, within.width)]
        for first in range(0, len(tops), _ROWS_AT_ONCE):
            some = tops[first : first + _ROWS_AT_ONCE]
            survey = self.surveys[scene]
            yield some, lefts, survey.labelled_in_squares(some, lefts, self.patch_px)

    @cached_property
    def neighbors(self) -> tuple[tuple[int, int, Transformer], ...]:
        """Pairs of scenes that may share ground, and the way from one CRS to the other."""
        grids = [s.grid for s in self.surveys]
        pairs = []
        for i, a in enumerate(grids):
            for j, b in enumerate(grids):
                if i == j:
                    continue
                transformer = _transformer(a.crs, b.crs)
                nearby = grown(a.window, self.patch_px)
                if window_elsewhere(a, nearby, b, transformer) is not None:
                    pairs.append((i, j, transformer))
        return tuple(pairs)

    def counts(self, scene: int, windows: Sequence[Window]) -> npt.NDArray[np.float64]:
        """(N, K) labelled pixels of each class in N windows of a scene."""
        survey = self.surveys[scene]
        counts = np.zeros((len(windows), len(self.class_numbers)))
        here = [self.class_numbers.index(n) for n in survey.class_numbers]
        counts[:, here] = survey.counts(windows)
        return counts

    def blocks(self, layout: Layout) -> list[tuple[int, Window]]:
        """The layout's blocks that are not mostly without labels, with their scenes."""
        p = self.patch_px
        kept = []
        for clump in layout:
            w = clump.window
            south, east = w.row_off + w.height, w.col_off + w.width
            blocks = [
                Window(col, row, min(p, east - col), min(p, south - row))
                for row in range(w.row_off, south, p)
                for col in range(w.col_off, east, p)
            ]
            labelled = self.counts(clump.scene, blocks).sum(axis=1)
            kept += [
                (clump.scene, b)
                for b, n in zip(blocks, labelled, strict=True)
                if n >= self.least_px * (b.width * b.height / p**2)
            ]
        return kept

    def barred(self, layout: Layout, scene: int) -> list[Window]:
        """Where in a scene no training patch may lie: clumps with their gap, of all scenes."""
        own = [grown(c.window, self.gap_px) for c in layout if c.scene == scene]
        for i, j, transformer in self.neighbors:
            if j != scene:
                continue
            a, b = self.surveys[i].grid, self.surveys[j].grid
            for clump in layout:
                if clump.scene == i:
                    window = grown(clump.window, self.gap_px)
                    elsewhere = window_elsewhere(a, window, b, transformer)
                    own += [] if elsewhere is None else [elsewhere]
        return own

    def score(
        self,
        n_clumps: int,
        n_blocks: int,
        held_out: npt.NDArray[np.float64],
        train: npt.NDArray[np.float64],
    ) -> float:
        """How bad a layout is, from 0: classes missing, unlike the whole, wasteful, off target.

        Args:
            n_clumps: places that validation lies at; several stand for more of the scene.
            n_blocks: validation blocks in them.
            held_out: (K,) labelled pixels of each class in the blocks.
            train: (K,) labelled pixels of each class left for training.
        """
        enough = _PRESENT * self.totals
        missing = int(((held_out < enough) | (train < enough)).sum())
        whole = self.totals / self.totals.sum()
        part = held_out / max(held_out.sum(), 1.0)
        unlike = np.abs(np.log10((part + 0.01) / (whole + 0.01))).mean()
        wasted = 1 - train.sum() / max(self.totals.sum() - held_out.sum(), 1.0)
        off_target = abs(n_blocks - self.target_blocks) / self.target_blocks
        alone = 1 / max(n_clumps, 1)
        return float(4 * missing + 0.6 * min(unlike, 1) + wasted + 0.8 * off_target + 0.15 * alone)


@cache
def _transformer(a: CRS, b: CRS) -> Transformer:
    """The way from one CRS to another; scenes of one run mostly share theirs."""
    return Transformer.from_crs(a, b, always_xy=True)


def window_elsewhere(
    a: GeoGrid, window: Window, b: GeoGrid, transformer: Transformer
) -> Window | None:
    """The smallest window of another grid that covers a window's ground, or None."""
    bounds = transformer.transform_bounds(*a.bounds_of(window))
    return b.window_around(bounds) if np.isfinite(bounds).all() else None


def propose(ground: Ground, seed: int) -> Iterator[Layout]:
    """Yield layouts worth judging, some of them twice; only one where validation is given."""
    if ground.given is not None:
        yield _covering(ground.given)
        return
    yield from _single_clumps(ground)
    rng = np.random.default_rng((seed, ground.patch_px))
    for _ in range(_RANDOM_LAYOUTS):
        if layout := _random_layout(ground, rng):
            yield layout


def _single_clumps(ground: Ground) -> Iterator[Layout]:
    """One clump at the corners, the middles of the edges and the center, in every shape."""
    p = ground.patch_px
    most = min(ground.target_blocks, _MAX_SHAPE_BLOCKS)
    largest = sorted(ground.islands, key=lambda island: -island.labelled_px)
    for island in largest[:_MAX_SURVEYED_ISLANDS]:
        extent = island.window
        for across in range(1, min(most, extent.width // p) + 1):
            for down in range(1, min(most // across, extent.height // p) + 1):
                spare_x, spare_y = extent.width - across * p, extent.height - down * p
                for col in sorted({0, spare_x // 2, spare_x}):
                    for row in sorted({0, spare_y // 2, spare_y}):
                        yield (_clump(island, col, row, across * p, down * p),)


def _covering(given: Sequence[Sequence[Window]]) -> Layout:
    """Clumps as large as the windows of each scene; windows that overlap become one."""
    layout: list[Clump] = []
    for scene, windows in enumerate(given):
        apart: list[Window] = []
        for window in windows:
            clump = window
            while met := [other for other in apart if intersect(clump, other)]:
                apart = [other for other in apart if other not in met]
                clump = around([clump, *met])
            apart.append(clump)
        layout += [Clump(scene, window) for window in apart]
    return tuple(layout)


def _random_layout(ground: Ground, rng: np.random.Generator) -> Layout:
    """Clumps of about one random size in random places, until the target is reached."""
    target = ground.target_blocks
    size = max(1, round(math.exp(rng.uniform(math.log(max(1, target / 12)), math.log(target)))))
    weights = np.array([island.labelled_px for island in ground.islands])
    layout: list[Clump] = []
    placed = 0
    for _ in range(10 + 3 * target // size):
        island = ground.islands[int(rng.choice(len(weights), p=weights / weights.sum()))]
        here = [c.window for c in layout if c.scene == island.scene]
        if len(here) >= _MAX_CLUMPS_PER_SCENE:
            continue
        clump = _random_clump(island, ground.patch_px, min(size, target - placed), rng)
        if any(intersect(clump.window, w) for w in here):
            continue
        layout.append(clump)
        across, down = clump.window.width, clump.window.height
        placed += (across // ground.patch_px) * (down // ground.patch_px)
        if placed >= target:
            break
    return tuple(layout)


def _random_clump(island: Island, patch_px: int, n: int, rng: np.random.Generator) -> Clump:
    """At most n blocks in a random shape, often at an edge."""
    p, extent = patch_px, island.window
    across = int(rng.integers(1, min(n, extent.width // p) + 1))
    down = max(1, min(n // across, extent.height // p))
    col = _random_offset(extent.width - across * p, p // 2, rng)
    row = _random_offset(extent.height - down * p, p // 2, rng)
    return _clump(island, col, row, across * p, down * p)


def _clump(island: Island, col: int, row: int, width: int, height: int) -> Clump:
    """Blocks of an island, from its upper left."""
    there = island.window
    return Clump(island.scene, Window(there.col_off + col, there.row_off + row, width, height))


def _random_offset(spare_px: int, step_px: int, rng: np.random.Generator) -> int:
    """The near edge, the far edge or any step between, about equally often."""
    match int(rng.integers(3)):
        case 0:
            return 0
        case 1:
            return spare_px
        case _:
            return int(rng.integers(spare_px // step_px + 1)) * step_px


def _offsets(begin: int, length: int, side_px: int, step_px: int) -> npt.NDArray[np.int64]:
    """Where squares begin that lie within a stretch."""
    return np.arange(begin, begin + length - side_px + 1, step_px, dtype=np.int64)


def _meets(
    offsets: npt.NDArray[np.int64], side_px: int, begin: int, length: int
) -> npt.NDArray[np.bool_]:
    """Which squares share pixels with a stretch, along one axis."""
    return np.asarray((offsets + side_px > begin) & (offsets < begin + length))
