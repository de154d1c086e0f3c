"""Validation where somebody says: scenes of its own, or polygons drawn on the scenes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import shapely
from rasterio.windows import Window

from geocobot.data.split import Validation
from geocobot.errors import OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.area import VALIDATION_AREA, Area, read_area
from geocobot.io.misplaced import in_words
from geocobot.io.scene import Scene


def choose_validation(
    scenes: Sequence[Scene], n_learned: int, val_area: Sequence[str] | None
) -> Validation | None:
    """The windows of each scene to validate in.

    Args:
        scenes: those to learn from first.
        n_learned: how many these are; the others are for validation as a whole.
        val_area: files with polygons to validate in.

    Returns:
        One entry per scene; None where nobody says anything.

    Raises:
        OverlapError: no polygon lies on a scene that is learned from.
        GeocobotError: the polygons cannot be read.
    """
    if val_area is None and n_learned == len(scenes):
        return None
    learned, judged = scenes[:n_learned], scenes[n_learned:]
    drawn: list[tuple[Window, ...]] = [() for _ in learned]
    if val_area is not None:
        area = read_area(val_area, VALIDATION_AREA)
        drawn = [_windows(area, scene.grid) for scene in learned]
        if not any(drawn):
            raise OverlapError(
                in_words(area.files),
                f"has no polygon on {in_words([scene.name for scene in learned])}",
                f"{VALIDATION_AREA} is drawn on the scenes",
                "Check in QGIS that they lie on each other",
            )
    return (*drawn, *((scene.grid.window,) for scene in judged))


def _windows(area: Area, grid: GeoGrid) -> tuple[Window, ...]:
    """The smallest windows of a scene around each polygon, as far as they lie on it."""
    windows = []
    for left, top, right, bottom in shapely.bounds(area.on(grid).shapes).tolist():
        col, row = math.floor(left), math.floor(top)
        around = Window(col, row, math.ceil(right) - col, math.ceil(bottom) - row)
        inside = grid.clip(around)
        windows += [] if inside is None else [inside]
    return tuple(windows)
