"""What is to be mapped of scenes: polygons, masks, or both together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geocobot.grid import GeoGrid
from geocobot.io.area import MAPPED_AREA, read_area
from geocobot.io.files import find_labels, is_raster_file
from geocobot.io.mask import read_mask
from geocobot.io.placed import AreaUnion, Placeable, PlacedArea


@dataclass(frozen=True)
class MappedArea:
    """Polygons and masks, not yet tied to a scene.

    Attributes:
        parts: what lies in any of them is to be mapped; at least one.
    """

    parts: tuple[Placeable, ...]

    def on(self, grid: GeoGrid) -> PlacedArea:
        """What lies in any of them, in the pixels of a scene."""
        parts = tuple(part.on(grid) for part in self.parts)
        return parts[0] if len(parts) == 1 else AreaUnion(parts)


def find_area(given: Sequence[str]) -> tuple[str, ...]:
    """The files that `--area` names.

    Raises:
        GeocobotError: whatever `find_labels` finds.
    """
    return tuple(path for s in find_labels(given, MAPPED_AREA) for path in s.paths)


def read_mapped_area(paths: Sequence[str]) -> MappedArea:
    """Read polygons and masks.

    Args:
        paths: vector files, and rasters that are neither 0 nor nodata where is to be mapped; at
            least one.

    Raises:
        GeocobotError: whatever `read_area` and `read_mask` find.
    """
    masks = [path for path in paths if is_raster_file(path)]
    drawn = [path for path in paths if path not in masks]
    areas: list[Placeable] = [read_area(drawn, MAPPED_AREA)] if drawn else []
    return MappedArea((*areas, *(read_mask(path, MAPPED_AREA) for path in masks)))
