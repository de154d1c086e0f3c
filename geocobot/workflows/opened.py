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
    UnreadableFileError,
)
from geocobot.grid import Bounds
from geocobot.io.area import MAPPED_AREA, Area, read_area
from geocobot.io.cut import check_bounds, cut
from geocobot.io.fitting import check_resolution, check_size, open_bands_for, open_scene_for
from geocobot.io.mosaic import mosaic
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard

_LOG = logging.getLogger("geocobot.workflows")

OF_A_SCENE = (
    BandError,
    CrsError,
    GridError,
    MissingFileError,
    OverlapError,
    PixelSizeError,
    UnreadableFileError,
)
"""What is wrong with a scene, and not with the model, the machine or the command."""

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
    rasters: Sequence[str], card: ModelCard, options: PredictOptions, *, joined: str | None = None
) -> Opened:
    """Open scenes, each for a result of its own or all for one.

    Args:
        rasters: their paths.
        card: of the model.
        options: how they are to be read.
        joined: what all of them are called together, if they are mapped as one.

    Raises:
        GeocobotError: an option is not as needed, or the only scene.
    """
    if options.resolution is not None:
        check_resolution(options.resolution, card.ground_pixel_m, options.model)
    part = _Part.asked_for(options)
    resampling = card.resampled or options.resolution is not None
    if joined is not None:
        return _open_joined(rasters, card, options, part, name=joined, resampling=resampling)

    def as_mapped(raster: str) -> Scene:
        return open_scene_for(
            raster,
            card.ranges,
            card.ground_pixel_m,
            bands=options.bands,
            nodata=options.nodata,
            area=part.area,
            bounds=part.bounds,
            resampling=resampling,
        )

    return _open_all(rasters, as_mapped)


@dataclass(frozen=True)
class _Part:
    """What is to be mapped of the scenes.

    Attributes:
        area: polygons, or None.
        bounds: west, south, east and north, or None.
    """

    area: Area | None
    bounds: Bounds | None

    @classmethod
    def asked_for(cls, options: PredictOptions) -> _Part:
        """What the options say, checked."""
        return cls(
            None if options.area is None else read_area(options.area, MAPPED_AREA),
            None if options.bbox is None else check_bounds(options.bbox),
        )


def _open_joined(
    rasters: Sequence[str],
    card: ModelCard,
    options: PredictOptions,
    part: _Part,
    *,
    name: str,
    resampling: bool,
) -> Opened:
    """Open scenes that are mapped as one."""

    def whole(raster: str) -> Scene:
        scene = open_bands_for(raster, card.ranges, bands=options.bands, nodata=options.nodata)
        if not resampling:
            check_size(scene, card.ground_pixel_m)
        return scene

    found = _open_all(rasters, whole)
    scenes = [scene for scene in found.scenes if scene is not None]
    if not scenes:
        return Opened((None,), found.failures)
    together = mosaic(scenes, name)
    if together.covered_share < _SPARSE_SHARE and math.prod(together.grid.shape) > _SPARSE_PX:
        _LOG.warning(
            "%s: the scenes cover %.1g %% of the rectangle around them, and all of it is gone "
            "through. A folder for --out, which gets a file for every scene, takes less time.",
            name,
            100 * together.covered_share,
        )
    scene = cut(together, part.area, part.bounds)
    if resampling:
        scene = resampled(scene, card.ground_pixel_m)
    return Opened((scene,), found.failures)


def _open_all(rasters: Sequence[str], opened: Callable[[str], Scene]) -> Opened:
    """Open each scene."""
    scenes: list[Scene | None] = []
    failures: dict[int, GeocobotError] = {}
    for number, raster in enumerate(rasters):
        try:
            scenes.append(opened(raster))
        except OF_A_SCENE as error:
            failures[number] = unless_alone(error, len(rasters))
            scenes.append(None)
    return Opened(tuple(scenes), failures)


def unless_alone(error: GeocobotError, n_scenes: int) -> GeocobotError:
    """What is wrong with one of many scenes: said at once, and told when the others are done."""
    if n_scenes == 1:
        raise error
    _LOG.warning("%s", error)
    return error
