"""Labels not yet tied to a scene, and those of them that are features of vector files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import geopandas as gpd
import numpy as np
import shapely

from geocobot.classes import ClassSpec
from geocobot.errors import OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.area import Area
from geocobot.io.burnt import BurntShapes
from geocobot.io.datums import tell_of_shift
from geocobot.io.interiors import Interiors
from geocobot.io.label_raster import LabelPatch, LabelRaster
from geocobot.io.misplaced import in_words, no_overlap
from geocobot.io.scene import Scene
from geocobot.io.shapes import LINES, clip_to_scene, reproject, to_pixels, widen

__all__ = ["FeatureLabels", "LabelPatch", "LabelRaster", "Labels"]

_LOG = logging.getLogger("geocobot.io")


class Labels(Protocol):
    """Labels of any kind, not yet tied to a scene."""

    @property
    def classes(self) -> tuple[ClassSpec, ...]:
        """The classes in the order of their numbers."""

    @property
    def name(self) -> str:
        """The files in a few words."""

    @property
    def area(self) -> Area | None:
        """Where the labels are complete; None where they are throughout."""

    @property
    def boundary_px(self) -> int:
        """Pixels so close to the boundary of a class are unknown."""

    def on(self, grid: GeoGrid, scene_name: str) -> LabelRaster:
        """Place the labels on a scene.

        Args:
            grid: of the scene.
            scene_name: for messages.

        Raises:
            OverlapError: nothing of them lies on the scene.
        """

    def on_each(self, scenes: Sequence[Scene]) -> tuple[LabelRaster, ...]:
        """Place the labels on scenes, of which some may have nothing of them.

        Raises:
            OverlapError: nothing of them lies on any of the scenes.
        """

    def digest(self) -> bytes:
        """A checksum of what they say."""


@dataclass(frozen=True)
class FeatureLabels:
    """Labeled features, not yet tied to a scene.

    Attributes:
        classes: in the order of their numbers; later ones win where features overlap.
        features: single points, lines and polygons with the columns `class_number`, `file`
            (position in `files`) and `reach_m` (how far they reach beyond their geometry on the
            ground: half the width of a line, the radius of a point), in one CRS.
        files: their names without folders, for messages.
        given: the names that stood for them, without folders, for messages too.
        area: where the labels are complete; None where they are throughout.
        boundary_px: pixels so close to the boundary of a class are unknown.
    """

    classes: tuple[ClassSpec, ...]
    features: gpd.GeoDataFrame
    files: tuple[str, ...]
    given: tuple[str, ...]
    area: Area | None = None
    boundary_px: int = 0

    @property
    def name(self) -> str:
        """What was given, in a few words."""
        return in_words(self.given)

    def on(self, grid: GeoGrid, scene_name: str) -> LabelRaster:
        """Place the labels on a scene.

        Args:
            grid: of the scene.
            scene_name: for messages.

        Raises:
            OverlapError: no feature lies on the scene.
        """
        tell_of_shift(self.features.crs, grid, self.name, scene_name)
        placed = self._place(grid, scene_name)
        if not placed.files:
            raise self._no_overlap(grid, scene_name)
        return placed.raster

    def on_each(self, scenes: Sequence[Scene]) -> tuple[LabelRaster, ...]:
        """Place the labels on scenes, and say which files have nothing on any of them.

        A scene may have no feature: it shows what is background.

        Raises:
            OverlapError: no feature lies on any of the scenes.
        """
        for scene in {scene.grid.crs: scene for scene in reversed(scenes)}.values():
            tell_of_shift(self.features.crs, scene.grid, self.name, scene.name)
        placed = [self._place(scene.grid, scene.name) for scene in scenes]
        used = {file for here in placed for file in here.files}
        if not used:
            raise self._no_overlap(scenes[0].grid, scenes[0].name)
        # A file without a feature has been told of.
        drawn = set(self.features["file"].tolist())
        unused = [name for i, name in enumerate(self.files) if i in drawn - used]
        if unused:
            _LOG.warning(
                "%s: nothing of it lies on %s, so that it is of no use.",
                in_words(unused),
                in_words([scene.name for scene in scenes]),
            )
        return tuple(here.raster for here in placed)

    def digest(self) -> bytes:
        """SHA-256 of the geometry, its width and its classes."""
        return hashlib.sha256(self.features.to_wkb().to_csv(index=False).encode()).digest()

    def _place(self, grid: GeoGrid, scene_name: str) -> _Placed:
        """The labels on a scene."""
        near = clip_to_scene(self.features, grid)
        near = reproject(near, grid.crs, self.name)
        self._warn_of_thin_lines(near, grid, scene_name)
        shapes = to_pixels(widen(near, grid), grid)
        scene_box = shapely.box(0, 0, grid.width, grid.height)
        hits = np.flatnonzero(shapely.intersects(scene_box, shapes))
        numbers = near["class_number"].to_numpy(np.uint8)[hits]
        order = np.argsort(numbers, kind="stable")
        known = None if self.area is None else self.area.on(grid)
        burnt = BurntShapes(shapes[hits][order], numbers[order])
        if known is not None:
            _tell_what_is_outside(burnt, known, self.name, scene_name)
        is_line = np.isin(shapely.get_type_id(np.asarray(near.geometry.array)), LINES)
        interiors = Interiors(burnt.shapes, is_line[hits][order])
        raster = LabelRaster(grid, burnt, known, self.boundary_px, interiors)
        return _Placed(raster, frozenset(near["file"].to_numpy()[hits].tolist()))

    def _no_overlap(self, grid: GeoGrid, scene_name: str) -> OverlapError:
        """Why no feature lies on a scene."""
        west, south, east, north = (float(v) for v in self.features.total_bounds)
        crs = self.features.crs
        return no_overlap((west, south, east, north), crs, self.given, grid, scene_name)

    def _warn_of_thin_lines(self, near: gpd.GeoDataFrame, grid: GeoGrid, scene_name: str) -> None:
        """Say that lines thinner than a pixel burn as dots."""
        is_line = np.isin(shapely.get_type_id(np.asarray(near.geometry.array)), LINES)
        widths_m = 2 * near["reach_m"].to_numpy(np.float64)[is_line]
        thin = widths_m < max(grid.ground_pixel_m)
        if thin.any():
            _LOG.warning(
                "%s: %d lines %g m wide or less are thinner than the pixels of %s (%.3g m) and "
                "burn as dots.",
                self.name,
                int(thin.sum()),
                widths_m[thin].max(),
                scene_name,
                max(grid.ground_pixel_m),
            )


@dataclass(frozen=True)
class _Placed:
    """Labels on a scene, and the positions of the files that they come from."""

    raster: LabelRaster
    files: frozenset[int]


def _tell_what_is_outside(
    burnt: BurntShapes, known: BurntShapes, name: str, scene_name: str
) -> None:
    """Say how many features do not count because they lie outside the labelled area."""
    inside = shapely.STRtree(known.shapes).query(burnt.shapes, predicate="intersects")[0]
    outside = burnt.shapes.size - np.unique(inside).size
    if outside:
        _LOG.warning(
            "%s: %d of %d features on %s lie outside the labelled area and do not count.",
            name,
            outside,
            burnt.shapes.size,
            scene_name,
        )
