"""Blocks that cover what is judged of scenes: square on the ground, and of one size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rasterio.windows import Window

MAX_BLOCKS = 10_000
"""More would take memory and time and tell nothing more."""

# On real scenes intervals grow with the blocks up to tens of metres: errors are alike that far, and
# smaller blocks promise too much. Fewer blocks than these would be too few to draw from.
_WANTED_BLOCKS = 36
_LEAST_PX = 32


@dataclass(frozen=True)
class BlockPlan:
    """Blocks that cover what is judged.

    Attributes:
        window: what is judged, in pixels of the grid.
        side_hw: height and width of a block in pixels; those at the far edges may be smaller.
    """

    window: Window
    side_hw: tuple[int, int]

    @classmethod
    def over(
        cls,
        window: Window,
        pixel_m: tuple[float, float],
        side_m: float | None = None,
        *,
        about_m: float | None = None,
    ) -> BlockPlan:
        """Choose blocks that are square on the ground.

        Args:
            window: what is judged.
            pixel_m: width and height of a pixel on the ground.
            side_m: side of a block; default such that there are about 36 of one size, of 32 px at
                least.
            about_m: blocks of one size, with about this side, in place of about 36.
        """
        lengths_px, pixels_m = (int(window.height), int(window.width)), pixel_m[::-1]
        if side_m is not None:
            height, width = (max(1, round(side_m / m)) for m in pixels_m)
            return cls(window, (height, width))
        wanted_m = about_m or wanted_side_m(window, pixel_m)
        height, width = (
            -(-n // max(1, min(round(n * m / wanted_m), n // _LEAST_PX)))
            for n, m in zip(lengths_px, pixels_m, strict=True)
        )
        return cls(window, (height, width))

    @classmethod
    def over_all(
        cls,
        windows: Sequence[Window],
        pixels_m: Sequence[tuple[float, float]],
        side_m: float | None = None,
    ) -> list[BlockPlan]:
        """Blocks of about the same side on the ground in several scenes.

        Args:
            windows: what is judged in each scene.
            pixels_m: width and height on the ground of a pixel of each.
            side_m: side of a block; default such that there are about 36 in the largest scene,
                fewer where that would make too many in all.
        """
        scenes = list(zip(windows, pixels_m, strict=True))
        most = max(1, min(_WANTED_BLOCKS, MAX_BLOCKS // len(scenes)))
        about_m = max(wanted_side_m(*scene, most) for scene in scenes)
        return [cls.over(*scene, side_m, about_m=about_m) for scene in scenes]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        height, width = self.side_hw
        return -(-int(self.window.height) // height), -(-int(self.window.width) // width)

    @property
    def size(self) -> int:
        """How many blocks there are."""
        return self.shape[0] * self.shape[1]

    def cells(self, row_off: int, n_rows: int) -> Iterator[tuple[int, slice, slice]]:
        """The parts of blocks that lie in full-width rows.

        Args:
            row_off: first row, in pixels of the grid.
            n_rows: how many.

        Yields:
            Position of the block; its rows, counted from the first; its columns.
        """
        height, width = self.side_hw
        left, right = self.window.col_off, self.window.col_off + self.window.width
        for i in range(self.shape[0]):
            top = self.window.row_off + i * height
            bottom = min(top + height, self.window.row_off + self.window.height)
            rows = slice(max(0, top - row_off), min(n_rows, bottom - row_off))
            if rows.start >= rows.stop:
                continue
            for j in range(self.shape[1]):
                first = left + j * width
                yield i * self.shape[1] + j, rows, slice(first, min(first + width, right))


def wanted_side_m(
    window: Window, pixel_m: tuple[float, float], blocks: int = _WANTED_BLOCKS
) -> float:
    """Side on the ground of so many square blocks that cover a window."""
    area_m2 = math.prod((int(window.height) * pixel_m[1], int(window.width) * pixel_m[0]))
    return math.sqrt(area_m2 / blocks)
