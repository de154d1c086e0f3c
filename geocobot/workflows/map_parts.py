"""A raster that maps several scenes: the parts of it that show each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from geocobot.errors import GridMismatchError
from geocobot.io.crs import crs_label
from geocobot.io.cut import part_of
from geocobot.io.resampled import aligned
from geocobot.io.scene import Scene


def parts_of_map(mapped: Scene, scenes: Sequence[Scene]) -> Iterator[tuple[Scene, Scene]]:
    """The part of a raster that shows each scene, and the scene in its pixels.

    Args:
        mapped: the raster.
        scenes: that it was made of.

    Raises:
        GridMismatchError: a scene has another CRS, or does not lie on the raster.
        PixelSizeError: its pixels are far larger or smaller than those of the raster.
    """
    for scene in scenes:
        if scene.grid.crs != mapped.grid.crs:
            raise _stranger(mapped, scene, f"has {crs_label(scene.grid.crs)}, and")
        placed = aligned(scene, mapped.grid)
        window = mapped.grid.window_around(placed.grid.bounds)
        if window is None:
            raise _stranger(mapped, scene, "lies elsewhere, and")
        part = part_of(mapped, window)
        yield part, part_of(placed, placed.grid.window_for(part.grid.bounds))


def _stranger(mapped: Scene, scene: Scene, found: str) -> GridMismatchError:
    """What to say of a scene that a raster does not show."""
    return GridMismatchError(
        scene.path,
        f"{found} {mapped.path} is in {crs_label(mapped.grid.crs)}",
        "A raster that maps several scenes shows each of them, in its own pixels",
        "Name the scenes that it was made of, or leave --raster out",
    )
