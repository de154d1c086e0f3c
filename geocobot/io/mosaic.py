"""Several scenes as one, so that their map has neither seams nor anything twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.errors import BandError, CrsError
from geocobot.io.crs import crs_label
from geocobot.io.resampled import aligned
from geocobot.io.scene import Scene
from geocobot.windows import around, intersect


@dataclass(frozen=True)
class MosaicScene(Scene):
    """Scenes on one grid; where they overlap, the first one that has data there is seen.

    Attributes:
        members: the scenes, all in pixels of the grid.
        places: their windows on the grid.
    """

    members: tuple[Scene, ...] = field(kw_only=True)
    places: tuple[Window, ...] = field(kw_only=True)

    @property
    def parts(self) -> tuple[Scene, ...]:
        """The scenes in their files."""
        return tuple(part for member in self.members for part in member.parts)

    @property
    def covered_share(self) -> float:
        """How much of the rectangle around them the scenes cover, overlaps counted twice."""
        covered_px = sum(int(w.width) * int(w.height) for w in self.places)
        return covered_px / (self.grid.width * self.grid.height)

    def close(self) -> None:
        """Close this process's handles; the next read opens the files again."""
        for member in self.members:
            member.close()

    def read_inside(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """Image (C, H, W) and validity (H, W) of a window that lies on the grid."""
        shape = (int(window.height), int(window.width))
        image = np.zeros((len(self.bands), *shape), dtype=self.dtype)
        valid = np.zeros(shape, dtype=np.bool_)
        for number in self._met_by(window):
            place = self.places[number]
            shared = intersect(window, place)
            if shared is None:
                continue
            here = _slices(shared, window)
            if valid[here].all():
                continue
            seen, has_data = self.members[number].read_inside(_moved(shared, place))
            fills = has_data & ~valid[here]
            np.copyto(image[:, *here], seen, where=fills)
            valid[here] |= fills
        return image, valid

    @cached_property
    def _edges(self) -> npt.NDArray[np.int64]:
        """Left, top, right and bottom (4, N) of all places."""
        return np.array(
            [(w.col_off, w.row_off, w.col_off + w.width, w.row_off + w.height) for w in self.places]
        ).T

    def _met_by(self, window: Window) -> list[int]:
        """Numbers of the scenes that a window touches, in their order."""
        left, top, right, bottom = self._edges
        meets = (
            (left < window.col_off + window.width)
            & (right > window.col_off)
            & (top < window.row_off + window.height)
            & (bottom > window.row_off)
        )
        return [int(number) for number in np.flatnonzero(meets)]


def mosaic(scenes: Sequence[Scene], name: str) -> MosaicScene:
    """Join scenes into one, in the pixels of the first.

    Those whose pixels lie elsewhere, or are of another size, are resampled while they are read.

    Args:
        scenes: in the pixels of their files, in the order in which they are seen.
        name: of the whole.

    Raises:
        CrsError: their CRS differ.
        BandError: their data types differ.
        PixelSizeError: their pixels are more than four times as large as the first one's, or more
            than a hundred times smaller.
    """
    first = scenes[0]
    for scene in scenes[1:]:
        _refuse_foreign(scene, first)
    lattice = first.grid
    members = [aligned(scene, lattice) for scene in scenes]
    places = [lattice.window_for(member.grid.bounds) for member in members]
    whole = around(places)
    grid = lattice.crop(whole)
    return MosaicScene(
        **first.seen_on(grid) | {"path": name, "flipped": False},
        # One CRS for all, so that thousands of them do not travel to other processes.
        members=tuple(replace(m, grid=replace(m.grid, crs=grid.crs)) for m in members),
        places=tuple(_moved(place, whole) for place in places),
    )


def _refuse_foreign(scene: Scene, first: Scene) -> None:
    """Refuse what cannot be seen beside the first scene."""
    if scene.grid.crs != first.grid.crs:
        raise CrsError(
            scene.path,
            f"is in {crs_label(scene.grid.crs)}, and {first.path} in {crs_label(first.grid.crs)}",
            "Scenes that are mapped into one file need one CRS",
            "Warp it with: gdalwarp -r bilinear -t_srs "
            f"{crs_label(first.grid.crs)} {scene.path} warped.tif; or name a folder for --out, "
            "which gets a file for every scene",
        )
    if scene.dtype != first.dtype:
        raise BandError(
            scene.path,
            f"holds {scene.dtype} values, and {first.path} {first.dtype}",
            "Scenes that are mapped into one file need one data type",
            "Name a folder for --out, which gets a file for every scene",
        )


def _slices(window: Window, within: Window) -> tuple[slice, slice]:
    """Rows and columns of a window in another one."""
    row, col = window.row_off - within.row_off, window.col_off - within.col_off
    return slice(row, row + window.height), slice(col, col + window.width)


def _moved(window: Window, onto: Window) -> Window:
    """A window counted from the corner of another one."""
    return Window(
        window.col_off - onto.col_off, window.row_off - onto.row_off, window.width, window.height
    )
