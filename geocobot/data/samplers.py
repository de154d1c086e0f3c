"""TorchGeo's samplers on whole pixels: random patches to learn from, tiles to predict."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torchgeo.samplers
from rasterio.windows import Window

from geocobot.config.values import SamplingName
from geocobot.data.dataset import GeoSlices, SceneDataset, index_of
from geocobot.data.hardness import HardPlaces
from geocobot.data.places import LabelledPlaces, patch_around
from geocobot.data.rectangles import area, contains
from geocobot.data.survey import Survey
from geocobot.grid import GeoGrid

# TorchGeo 0.10 (Python 3.12) deprecates the classes of 0.8 (Python 3.11), and no longer counts
# them as its `GeoSampler`.
_torchgeo: Any = torchgeo.samplers
_RandomSampler: Any = getattr(_torchgeo, "RandomPatchSampler", None) or _torchgeo.RandomGeoSampler
_GridSampler: Any = getattr(_torchgeo, "GriddedPatchSampler", None) or _torchgeo.GridGeoSampler

_REDRAWS = 50
_HARD_SHARE = 0.5
_PATCH_DICE = 1  # first word of the entropy; `collection` draws from 2 and 3
# Far above the noise of float64 coordinates (1e-6 px), below the tolerance of `window_for`.
_SLACK_PX = 0.04


class PatchSampler(_RandomSampler):  # type: ignore[misc] # the base depends on TorchGeo's version
    """Random patches within the regions of a dataset, new ones in every epoch.

    Every position that a patch can take in the regions is equally likely, where regions overlap
    too, unless `sampling` says otherwise. TorchGeo's own draw leaves the region to the global
    generator, never reaches the last row and column (0.8) or keeps half a diagonal from every
    edge (0.10).

    Args:
        dataset: a scene whose regions are all at least a patch wide and high.
        size_px: patch side.
        length: patches per epoch.
        seed: together with the epoch it decides everything.
        stream: tells samplers of one run and one seed apart.
        survey: where the scene has labelled pixels; patches without any are drawn again, and
            around a labelled one where chance does not find any.
        sampling: where patches lie. "classes": around a pixel of each class of the survey,
            background included, as often as of any other; "hard": every second one around a
            place of `hard_places`, the more often the larger its error.
    """

    def __init__(
        self,
        dataset: SceneDataset,
        *,
        size_px: int,
        length: int,
        seed: int = 0,
        stream: int = 0,
        survey: Survey | None = None,
        sampling: SamplingName = "area",
    ) -> None:
        super().__init__(dataset, size=size_px, length=length)
        self.grid = dataset.grid
        self.regions = dataset.regions
        self.size_px = size_px
        self.seed = seed
        self.stream = stream
        self.survey = survey
        self.places = None if survey is None else LabelledPlaces(survey, self.regions)
        self.sampling = sampling
        self.epoch = 0
        self._patches = length
        if sampling != "area" and survey is None:
            raise ValueError(f"patches are drawn by {sampling} with a survey, and there is none")
        self.hard_places = (
            HardPlaces(survey, self.regions) if sampling == "hard" and survey is not None else None
        )
        self._positions = np.array(
            [(r.width - size_px + 1) * (r.height - size_px + 1) for r in self.regions], dtype=float
        )

    @property
    def positions(self) -> float:
        """How many places the regions offer, each counted once: the scene's weight among others."""
        corners = [
            Window(r.col_off, r.row_off, r.width - self.size_px + 1, r.height - self.size_px + 1)
            for r in self.regions
        ]
        return float(area(corners))

    def set_epoch(self, epoch: int) -> None:
        """Choose which patches come next; Lightning calls it through the loader's sampler."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[GeoSlices]:
        """Yield the epoch's patches as TorchGeo slices."""
        rng = np.random.default_rng((_PATCH_DICE, self.seed, self.epoch, self.stream))
        # Once: what is noted while an epoch runs counts from the next one on, however far ahead
        # of the trainer workers draw.
        hard = None if self.hard_places is None else self.hard_places.weights()
        for _ in range(self._patches):
            if self.sampling == "classes":
                drawn = self._draw_balanced(rng)
            elif hard is not None and rng.random() < _HARD_SHARE:
                drawn = self._draw_hard(rng, hard)
            else:
                drawn = self._draw_labelled(rng)
            yield slices_of(self.grid, drawn)

    def __len__(self) -> int:
        """Patches per epoch."""
        return self._patches

    def _draw_labelled(self, rng: np.random.Generator) -> Window:
        """Draw until something in the patch is labelled, but not for ever."""
        window = self._draw(rng)
        for _ in range(_REDRAWS):
            if self.survey is None or self.survey.has_labelled(window):
                return window
            window = self._draw(rng)
        return self._draw_around(rng, None) or window

    def _draw_balanced(self, rng: np.random.Generator) -> Window:
        """Draw a class, then a patch that shows it."""
        assert self.places is not None
        if not self.places:
            return self._draw(rng)
        chosen = self.places.class_numbers[int(rng.integers(len(self.places.class_numbers)))]
        return self._draw_around(rng, chosen) or self._draw_labelled(rng)

    def _draw_hard(self, rng: np.random.Generator, weights: npt.NDArray[np.float64]) -> Window:
        """Draw a patch around a place by its error."""
        assert self.hard_places is not None
        pixel = self.hard_places.draw(rng, weights)
        found = patch_around(rng, pixel, self.regions, self.size_px)
        return found or self._draw_labelled(rng)

    def _draw_around(self, rng: np.random.Generator, class_number: int | None) -> Window | None:
        """Draw a patch around a labelled pixel; None where there is none."""
        found = None
        if self.places:
            assert self.survey is not None
            for _ in range(_REDRAWS):
                pixel = self.places.draw(rng, class_number)
                found = patch_around(rng, pixel, self.regions, self.size_px) or found
                if found is not None and self.survey.has_labelled(found):
                    break
        return found

    def _draw(self, rng: np.random.Generator) -> Window:
        """Draw a region by its positions, then a position; thin out where regions overlap."""
        while True:
            chosen = int(rng.choice(len(self.regions), p=self._positions / self._positions.sum()))
            region = self.regions[chosen]
            col = int(region.col_off + rng.integers(region.width - self.size_px + 1))
            row = int(region.row_off + rng.integers(region.height - self.size_px + 1))
            window = Window(col, row, self.size_px, self.size_px)
            if rng.random() * sum(contains(r, window) for r in self.regions) < 1:
                return window


class TileSampler(_GridSampler):  # type: ignore[misc] # the base depends on TorchGeo's version
    """Tiles that cover a region, top to bottom and west to east.

    The first tile starts at the region's first row and column; only the south and the east
    overhang. TorchGeo's grid starts in the south (0.8) or is centered (0.10), and yields nothing
    for a scene smaller than a tile.

    Args:
        dataset: the scene.
        size_px: tile side.
        stride_px: distance from tile to tile; default the tile side.
        region: what to cover, in pixels of the scene's grid; default all of it.
    """

    def __init__(
        self,
        dataset: SceneDataset,
        *,
        size_px: int,
        stride_px: int | None = None,
        region: Window | None = None,
    ) -> None:
        stride = size_px if stride_px is None else stride_px
        if not 0 < stride <= size_px:
            raise ValueError(f"a stride of {stride} px leaves gaps between {size_px} px tiles")
        self.grid = dataset.grid
        covered = dataset.grid.window if region is None else region
        rows = 1 + max(0, math.ceil((covered.height - size_px) / stride))
        cols = 1 + max(0, math.ceil((covered.width - size_px) / stride))
        # One tile more per axis than needed, so that float noise never decides how many there
        # are; from the south-west corner of the last row on, where TorchGeo starts.
        asked = Window(
            covered.col_off,
            covered.row_off - stride,
            cols * stride + size_px,
            rows * stride + size_px,
        )
        super().__init__(_just_within(dataset, asked), size=size_px, stride=stride)
        last_col = covered.col_off + (cols - 1) * stride
        kept = [
            (window.row_off, window.col_off, slices)
            for slices in super().__iter__()
            if (window := dataset.window_of(slices)).row_off >= covered.row_off
            and window.col_off <= last_col
        ]
        kept.sort(key=lambda tile: tile[:2])
        self._tiles = [slices for _, _, slices in kept]

    def __iter__(self) -> Iterator[GeoSlices]:
        """Yield the tiles as TorchGeo slices."""
        yield from self._tiles

    def __len__(self) -> int:
        """Number of tiles."""
        return len(self._tiles)


def slices_of(grid: GeoGrid, window: Window) -> GeoSlices:
    """A window as TorchGeo slices of x and y."""
    west, south, east, north = grid.bounds_of(window)
    return slice(west, east), slice(south, north)


def windows_of(sampler: Iterable[GeoSlices], grid: GeoGrid) -> list[Window]:
    """The integer windows of a TorchGeo sampler, in its order.

    Raises:
        GridMismatchError: a slice does not fall on the grid's pixels.
    """
    return [grid.window_for((x.start, y.start, x.stop, y.stop)) for x, y, *_ in sampler]


def _just_within(dataset: SceneDataset, window: Window) -> SceneDataset:
    """The dataset with one region: a window, short of a sliver in the north and the east."""
    west, south, east, north = dataset.grid.bounds_of(window)
    res_x, res_y = dataset.grid.res_xy
    extent = copy.copy(dataset)
    bounds = (west, south, east - _SLACK_PX * res_x, north - _SLACK_PX * res_y)
    extent.index = index_of(dataset.grid.crs, [bounds])
    return extent
