"""Spatial split into training and validation, with a gap that no patch bridges."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import shapely
from rasterio.windows import Window

from geocobot.data.layout import Ground, Layout, propose
from geocobot.data.rectangles import area, disjoint, maximal_rectangles
from geocobot.data.survey import Survey
from geocobot.errors import SplitError
from geocobot.grid import GeoGrid
from geocobot.io.regions import Region, write_regions
from geocobot.windows import intersect

PATCH_STEP_PX = 64
"""Patch sides are multiples of this: 16 px of a token times four, `tiny`'s window."""

MIN_TRAIN_PATCHES = 8
MIN_VAL_PATCHES = 2

_MIN_JUDGED = 40  # layouts judged exactly before the best one is taken

_log = logging.getLogger("geocobot.data")

Validation: TypeAlias = tuple[tuple[Window, ...], ...]
"""Windows of each scene, in its pixels, that somebody has chosen for validation."""


@dataclass(frozen=True)
class Split:
    """Which parts of one scene are for training and which for validation.

    Attributes:
        train: rectangles in pixels; training patches lie within one of them; they may overlap
            each other, and overhang the scene where it is smaller than a patch.
        val: validation blocks, which do not overlap: of one patch each, some of them smaller
            where somebody has drawn where to validate.
        patch_px: patch side.
        gap_px: least distance between the two.
    """

    train: tuple[Window, ...]
    val: tuple[Window, ...]
    patch_px: int
    gap_px: int

    @property
    def train_area_px(self) -> int:
        """Pixels open to training, each counted once."""
        return area(self.train)


@dataclass(frozen=True)
class _Judgement:
    """A layout worked out.

    Attributes:
        splits: one per scene.
        n_train: training patches that fit without overlap, counted to `MIN_TRAIN_PATCHES`.
        n_val: validation blocks, as many as would have their area.
        score: how bad it is.
    """

    splits: tuple[Split, ...]
    n_train: int
    n_val: int
    score: float

    @property
    def shortfall(self) -> int:
        """Patches that are missing on both sides together."""
        return max(0, MIN_TRAIN_PATCHES - self.n_train) + max(0, MIN_VAL_PATCHES - self.n_val)


def choose_patch_px(
    surveys: Sequence[Survey], max_px: int, seed: int = 0, given: Validation | None = None
) -> int:
    """The largest patch that leaves enough of them on both sides of a split.

    Args:
        surveys: one per scene; all scenes together have to yield the patches.
        max_px: largest patch side of interest.
        seed: as for `split_scenes`.
        given: as for `split_scenes`.

    Returns:
        A multiple of 64 px: the largest with at least 8 training patches that do not overlap
        and 2 validation blocks outside each other's gap, and no larger than a scene. 64 px where
        none leaves as many, but one on each side.

    Raises:
        SplitError: there is no room for one patch of 64 px on each side.
    """
    widest = max((min(s.grid.shape) for s in surveys), default=0)
    largest = min(max_px, widest) // PATCH_STEP_PX * PATCH_STEP_PX
    for patch_px in range(largest, 0, -PATCH_STEP_PX):
        ground = Ground(tuple(surveys), patch_px, given)
        # Each counts by its labels, and they do not overlap.
        if ground.totals.sum() < (MIN_TRAIN_PATCHES + MIN_VAL_PATCHES) * ground.least_px:
            continue
        best = _best(ground, seed)
        if best is not None and best.shortfall == 0:
            return patch_px
    if largest and _best(Ground(tuple(surveys), PATCH_STEP_PX, given), seed) is not None:
        return PATCH_STEP_PX
    raise SplitError(
        _names(surveys),
        f"has no room for a training patch and a validation patch of {PATCH_STEP_PX} px with a "
        f"gap of half a patch between them",
        "Training needs both, from labelled pixels with data",
        "Label a larger scene, or give more scenes with --raster"
        if given is None
        else "Give more with --raster, or validate elsewhere: --val-area, --val-raster",
    )


def split_scenes(
    surveys: Sequence[Survey], patch_px: int, seed: int = 0, given: Validation | None = None
) -> tuple[Split, ...]:
    """Set about a fifth of the labelled area aside as validation blocks, or what is given.

    Each class is on both sides where that is possible, the blocks resemble the whole, and the
    gaps cost as little as possible. Scenes that share ground keep their gap across scenes.

    Args:
        surveys: one per scene.
        patch_px: patch side.
        seed: decides between the layouts that are tried.
        given: windows of each scene to validate in; None lets the labels decide.

    Returns:
        One split per scene, in order; a scene may be all training or have none of it.

    Raises:
        SplitError: there is no room for one patch on each side.
    """
    best = _best(Ground(tuple(surveys), patch_px, given), seed)
    if best is None and given is not None:
        raise SplitError(
            _names(surveys),
            f"has no labelled patch of {patch_px} px to train on, or none to validate with, where "
            f"--val-area or --val-raster say",
            f"Training needs both, from labelled pixels with data, at least {-(-patch_px // 2)} px "
            f"apart",
            "Look at scene, labels and area in QGIS, or choose a smaller --patch-size",
        )
    if best is None:
        raise SplitError(
            _names(surveys),
            f"has no room for a training patch and a validation patch of {patch_px} px with a "
            f"gap of {-(-patch_px // 2)} px between them",
            "Training needs both, from labelled pixels with data",
            "Choose a smaller --patch-size, or give more scenes with --raster",
        )
    if best.shortfall:
        _log.warning(
            "Patches of %d px leave only %d for training and %d for validation; %s.",
            patch_px,
            best.n_train,
            best.n_val,
            "a smaller --patch-size leaves more"
            if patch_px > PATCH_STEP_PX
            else "more labels would tell more",
        )
    return best.splits


def write_split(
    path: str | Path, grids: Sequence[tuple[str, GeoGrid]], splits: Sequence[Split]
) -> None:
    """Write what is for training, for validation and for neither as a vector layer.

    Args:
        path: GeoPackage to write.
        grids: name and grid of each scene.
        splits: one per scene.

    Raises:
        OutputError: the file cannot be written.
    """
    regions = []
    for (name, grid), split in zip(grids, splits, strict=True):
        scene = shapely.box(*grid.bounds)
        train = _on_ground(grid, split.train) & scene
        blocks = [_on_ground(grid, [block]) & scene for block in split.val]
        neither = scene - shapely.union_all([train, *blocks])
        regions += [Region(name, grid.crs, "validation", block) for block in blocks]
        regions += [
            Region(name, grid.crs, role, shape)
            for role, shape in (("train", train), ("gap", neither))
            if not shape.is_empty
        ]
    write_regions(path, regions, layer="split")


def _on_ground(grid: GeoGrid, windows: Sequence[Window]) -> shapely.Geometry:
    """The ground that windows cover together, in the grid's CRS."""
    return shapely.union_all([shapely.box(*grid.bounds_of(w)) for w in windows])


def _best(ground: Ground, seed: int) -> _Judgement | None:
    """The best layout of those tried, or None if none leaves a patch on each side."""
    if ground.totals.sum() == 0:
        return None
    promising = sorted(
        ((_outlook(ground, layout), i, layout) for i, layout in enumerate(propose(ground, seed))),
        key=lambda entry: entry[:2],
    )
    best: _Judgement | None = None
    for judged, (_, _, layout) in enumerate(promising):
        if judged >= _MIN_JUDGED and best is not None and best.shortfall == 0:
            break
        judgement = _judge(ground, layout)
        if judgement.n_train == 0 or judgement.n_val == 0:
            continue
        if best is None or (judgement.shortfall, judgement.score) < (best.shortfall, best.score):
            best = judgement
    return best


def _outlook(ground: Ground, layout: Layout) -> float:
    """The score, estimated without working out the training regions."""
    blocks = ground.blocks(layout)
    held_out = np.zeros_like(ground.totals)
    barred = np.zeros_like(ground.totals)
    for scene in range(len(ground.surveys)):
        here = [b for k, b in blocks if k == scene]
        held_out += ground.counts(scene, here).sum(axis=0)
        barred += ground.counts(scene, ground.barred(layout, scene)).sum(axis=0)
    return ground.score(len(layout), len(blocks), held_out, np.maximum(ground.totals - barred, 0))


def _judge(ground: Ground, layout: Layout) -> _Judgement:
    """Work a layout out: regions, how many patches they hold, and the score."""
    blocks = ground.blocks(layout)
    held_out = np.zeros_like(ground.totals)
    train = np.zeros_like(ground.totals)
    splits = []
    n_train = 0
    for scene, extent in enumerate(ground.extents):
        regions = maximal_rectangles(extent, ground.barred(layout, scene), ground.patch_px)
        labelled = ground.counts(scene, regions).sum(axis=1)
        regions = tuple(r for r, n in zip(regions, labelled, strict=True) if n >= 1)
        here = tuple(b for k, b in blocks if k == scene)
        train += ground.counts(scene, disjoint(regions)).sum(axis=0)
        held_out += ground.counts(scene, here).sum(axis=0)
        n_train += _count_patches(ground, scene, regions, MIN_TRAIN_PATCHES - n_train)
        splits.append(Split(regions, here, ground.patch_px, ground.gap_px))
    score = ground.score(len(layout), len(blocks), held_out, train)
    n_val = sum(b.width * b.height for _, b in blocks) / ground.patch_px**2
    return _Judgement(tuple(splits), n_train, math.floor(n_val) or len(blocks[:1]), score)


def _count_patches(ground: Ground, scene: int, regions: Sequence[Window], enough: int) -> int:
    """Training patches that do not overlap and are not mostly without labels, up to `enough`."""
    found: list[Window] = []
    for square in _labelled_squares(ground, scene, regions):
        if len(found) >= enough:
            break
        if not any(intersect(square, other) for other in found):
            found.append(square)
    return len(found)


def _labelled_squares(ground: Ground, scene: int, regions: Sequence[Window]) -> Iterator[Window]:
    """Squares of a patch that lie side by side in a region and are not mostly without labels."""
    p = ground.patch_px
    islands = [island.window for island in ground.islands if island.scene == scene]
    for region in sorted(regions, key=lambda r: (r.width // p) * (r.height // p), reverse=True):
        for island in islands:
            for tops, lefts, labelled in ground.squares(scene, region, p, within=island):
                for row, col in np.argwhere(labelled >= ground.least_px).tolist():
                    yield Window(int(lefts[col]), int(tops[row]), p, p)


def _names(surveys: Sequence[Survey]) -> str:
    """The scenes for a message: the first by name, the others by number."""
    first = surveys[0].name if surveys else "scene"
    return first if len(surveys) < 2 else f"{first} with {len(surveys) - 1} more"
