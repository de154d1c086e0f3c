"""The scenes to be mapped as the model is to see them, and those that cannot be mapped."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from geocobot.config import PredictOptions
from geocobot.errors import (
    BandError,
    CrsError,
    GeocobotError,
    GridError,
    MissingFileError,
    OverlapError,
    PixelSizeError,
    SceneSizeError,
    UnreadableFileError,
)
from geocobot.grid import Bounds
from geocobot.io.cut import check_bounds, cut
from geocobot.io.fitting import check_resolution, check_size, open_bands_for, open_scene_for
from geocobot.io.mapped_area import read_mapped_area
from geocobot.io.mosaic import mosaic
from geocobot.io.placed import Placeable
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard
from geocobot.progress import Progress, SilentProgress

_LOG = logging.getLogger("geocobot.workflows")

OF_A_SCENE = (
    BandError,
    CrsError,
    GridError,
    MissingFileError,
    OverlapError,
    PixelSizeError,
    SceneSizeError,
    UnreadableFileError,
)
"""What is wrong with a scene, and not with the model, the machine or the command."""

_MANY = 100
"""Scenes that take seconds to open."""

_SPARSE_SHARE, _SPARSE_PX = 0.1, 1e9
"""Scenes that cover less of so many pixels are far apart."""


@dataclass(frozen=True)
class Opened:
    """Scenes to be mapped.

    Attributes:
        scenes: one for each result to come; None where the scene cannot be mapped.
        failures: why scenes cannot be mapped, by their positions among those named.
    """

    scenes: tuple[Scene | None, ...]
    failures: Mapping[int, GeocobotError]


def open_scenes(
    rasters: Sequence[str],
    card: ModelCard,
    options: PredictOptions,
    progress: Progress,
    *,
    joined: str | None = None,
) -> Opened:
    """Open scenes, each for a result of its own or all for one.

    Args:
        rasters: their paths.
        card: of the model.
        options: how they are to be read.
        progress: is told of every one, where they are many.
        joined: what all of them are called together, if they are mapped as one.

    Raises:
        GeocobotError: an option is not as needed, or the only scene.
    """
    reading = _Reading.asked_for(card, options)
    if joined is None:
        return _open_all(rasters, reading.part_of, progress)
    found = _open_all(rasters, reading.whole, progress)
    scenes = [scene for scene in found.scenes if scene is not None]
    together = reading.part_of_all(scenes, joined) if scenes else None
    return Opened((together,), found.failures)


@dataclass(frozen=True)
class _Reading:
    """What is read of scenes, and how.

    Attributes:
        card: of the model.
        options: of the command.
        area: what is to be mapped, or None for all.
        bounds: the same as west, south, east and north.
        resampling: whether scenes are read in pixels of the model's size, whatever their own are.
    """

    card: ModelCard
    options: PredictOptions
    area: Placeable | None
    bounds: Bounds | None
    resampling: bool

    @classmethod
    def asked_for(cls, card: ModelCard, options: PredictOptions) -> _Reading:
        """What the options say, checked."""
        if options.resolution is not None:
            check_resolution(options.resolution, card.ground_pixel_m, options.model)
        return cls(
            card,
            options,
            area=None if options.area is None else read_mapped_area(options.area),
            bounds=None if options.bbox is None else check_bounds(options.bbox),
            resampling=card.resampled or options.resolution is not None,
        )

    def part_of(self, raster: str) -> Scene:
        """What is to be mapped of a scene, as the model is to see it."""
        return open_scene_for(
            raster,
            self.card.ranges,
            self.card.ground_pixel_m,
            bands=self.options.bands,
            nodata=self.options.nodata,
            area=self.area,
            bounds=self.bounds,
            resampling=self.resampling,
        )

    def whole(self, raster: str) -> Scene:
        """All of a scene that is to be joined with others."""
        bands, nodata = self.options.bands, self.options.nodata
        scene = open_bands_for(raster, self.card.ranges, bands=bands, nodata=nodata)
        if not self.resampling:
            check_size(scene, self.card.ground_pixel_m)
        return scene

    def part_of_all(self, scenes: Sequence[Scene], name: str) -> Scene:
        """What is to be mapped of scenes together, as the model is to see it."""
        together = mosaic(scenes, name)
        if together.covered_share < _SPARSE_SHARE and math.prod(together.grid.shape) > _SPARSE_PX:
            _LOG.warning(
                "%s: the scenes cover %.1g %% of the rectangle around them, and all of it is gone "
                "through. A folder for --out, which gets a file for every scene, takes less time.",
                name,
                100 * together.covered_share,
            )
        scene = cut(together, self.area, self.bounds)
        return resampled(scene, self.card.ground_pixel_m) if self.resampling else scene


def _open_all(rasters: Sequence[str], opened: Callable[[str], Scene], progress: Progress) -> Opened:
    """Open each scene."""
    scenes: list[Scene | None] = []
    failures: dict[int, GeocobotError] = {}
    shown = progress if len(rasters) > _MANY else SilentProgress()
    with shown.task("Opening scenes", len(rasters)) as task:
        for number, raster in enumerate(rasters):
            try:
                scenes.append(opened(raster))
            except OF_A_SCENE as error:
                failures[number] = unless_alone(error, len(rasters))
                scenes.append(None)
            task.advance()
    return Opened(tuple(scenes), failures)


def unless_alone(error: GeocobotError, n_scenes: int) -> GeocobotError:
    """What is wrong with one of many scenes: said at once, and told when the others are done."""
    if n_scenes == 1:
        raise error
    _LOG.warning("%s", error)
    return error
