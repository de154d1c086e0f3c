"""Parts of scenes: a window, and within it what lies in an area."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.errors import ConfigError, OverlapError
from geocobot.grid import Bounds
from geocobot.io.crs import crs_label
from geocobot.io.placed import Placeable, PlacedArea
from geocobot.io.scene import Scene
from geocobot.windows import intersect


@dataclass(frozen=True)
class CutScene(Scene):
    """A part of a scene; what lies outside of its area has no data, and is not read.

    Attributes:
        whole: the scene.
        window: the part, in pixels of the scene.
        area: what counts within it, in pixels of the part; None for all of it.
    """

    whole: Scene = field(kw_only=True)
    window: Window = field(kw_only=True)
    area: PlacedArea | None = field(kw_only=True, compare=False)

    @property
    def parts(self) -> tuple[Scene, ...]:
        """The scenes in their files."""
        return self.whole.parts

    def expect(self, window: Window) -> None:
        """Say that windows within the rows of this one are read next."""
        self.whole.expect(self._there(window))

    def close(self) -> None:
        """Close this process's handles; the next read opens the file again."""
        self.whole.close()
        if self.area is not None:
            self.area.close()

    def read_inside(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """Image (C, H, W) and validity (H, W) of a window that lies on the grid."""
        counts = None if self.area is None else self.area.read(window) > 0
        if counts is not None and not counts.any():
            shape = (int(window.height), int(window.width))
            return np.zeros((len(self.bands), *shape), self.dtype), np.zeros(shape, np.bool_)
        image, valid = self.whole.read_inside(self._there(window))
        return image, valid if counts is None else valid & counts

    def _there(self, window: Window) -> Window:
        """A window in pixels of the scene."""
        col_off, row_off = self.window.col_off, self.window.row_off
        return Window(
            window.col_off + col_off, window.row_off + row_off, window.width, window.height
        )


def cut(scene: Scene, area: Placeable | None, bounds: Bounds | None) -> Scene:
    """The part of a scene that lies in an area, within bounds, or both; itself without either.

    Args:
        scene: in the pixels of its file.
        area: polygons, masks, or both.
        bounds: west, south, east and north in the scene's CRS.

    Raises:
        OverlapError: nothing of the scene lies there.
    """
    window: Window | None = scene.grid.window
    named = []
    if bounds is not None:
        window = scene.grid.window_around(bounds)
        named.append("--bbox")
    if area is not None and window is not None:
        with closing(area.on(scene.grid)) as placed:
            around = placed.around()
        window = None if around is None else intersect(window, around)
        named.append("--area")
    if not named:
        return scene
    if window is None:
        west, south, east, north = scene.grid.bounds
        raise OverlapError(
            scene.path,
            f"has nothing within {' and '.join(named)}",
            f"It covers {west:.6g}, {south:.6g} to {east:.6g}, {north:.6g} in "
            f"{crs_label(scene.grid.crs)}",
            "Check in QGIS that they lie on each other",
        )
    grid = scene.grid.crop(window)
    counted = None if area is None else area.on(grid)
    return CutScene(**scene.seen_on(grid), whole=scene, window=window, area=counted)


def part_of(scene: Scene, window: Window) -> Scene:
    """The part of a scene within a window that lies on it; itself where that is all of it."""
    if window == scene.grid.window:
        return scene
    return CutScene(**scene.seen_on(scene.grid.crop(window)), whole=scene, window=window, area=None)


def check_bounds(bounds: tuple[float, ...]) -> Bounds:
    """Refuse what are no bounds.

    Raises:
        ConfigError: they are not four finite numbers, or the east is not east of the west, or the
            north not north of the south.
    """
    if (
        len(bounds) == 4
        and np.isfinite(bounds).all()
        and bounds[0] < bounds[2]
        and bounds[1] < bounds[3]
    ):
        west, south, east, north = bounds
        return west, south, east, north
    raise ConfigError(
        "--bbox",
        f"is {','.join(f'{value:g}' for value in bounds)}",
        "It has west, south, east and north in the scene's CRS, the smaller ones first",
        "Write it as 500000,4990000,501000,4991000",
    )
