"""Where in a scene something is labelled, to draw patches around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.data.survey import Survey
from geocobot.windows import intersect


class LabelledPlaces:
    """Labelled pixels that patches in some regions can show, drawn by class.

    A cell of the survey is the finest that is known: a pixel drawn in it may be a neighbor.

    Args:
        survey: of the scene.
        regions: what patches lie in, in pixels of the scene.
    """

    def __init__(self, survey: Survey, regions: Sequence[Window]) -> None:
        self._cell_px = survey.cell_px
        self._rows, self._cols = np.nonzero(reached_cells(survey, regions))
        counts = survey.cells[:, self._rows, self._cols].astype(np.float64)
        seen = counts.sum(axis=1) > 0
        self.class_numbers = tuple(n for n, s in zip(survey.class_numbers, seen, strict=True) if s)
        # Running sums per class, the last row over all classes.
        self._sums = np.concatenate([counts[seen], counts.sum(axis=0)[None]]).cumsum(axis=1)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.class_numbers)

    def draw(self, rng: np.random.Generator, class_number: int | None = None) -> tuple[int, int]:
        """Draw a pixel (column, row) near a labelled one, every one as likely as any other.

        Args:
            rng: decides.
            class_number: one of `class_numbers`; None draws from all of them together.
        """
        which = -1 if class_number is None else self.class_numbers.index(class_number)
        sums = self._sums[which]
        cell = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
        col, row = rng.integers(self._cell_px, size=2).tolist()
        return (
            int(self._cols[cell]) * self._cell_px + col,
            int(self._rows[cell]) * self._cell_px + row,
        )


def reached_cells(survey: Survey, regions: Sequence[Window]) -> npt.NDArray[np.bool_]:
    """Which cells (R, C) of a survey any of the regions touches."""
    reached = np.zeros(survey.cells.shape[1:], dtype=np.bool_)
    for region in regions:
        reached[_cells_of(region, survey)] = True
    return reached


def patch_around(
    rng: np.random.Generator, pixel: tuple[int, int], regions: Sequence[Window], size_px: int
) -> Window | None:
    """A patch in one of the regions that shows a pixel, at random; None where there is none.

    Args:
        rng: decides.
        pixel: column and row.
        regions: what the patch lies in, each at least as large as a patch.
        size_px: patch side.
    """
    col, row = pixel
    corners = [
        corner
        for region in regions
        if (corner := intersect(_corners_showing(col, row, size_px), _corners_in(region, size_px)))
    ]
    if not corners:
        return None
    sizes = np.array([c.width * c.height for c in corners], dtype=np.float64)
    chosen = corners[int(rng.choice(len(corners), p=sizes / sizes.sum()))]
    return Window(
        int(chosen.col_off + rng.integers(chosen.width)),
        int(chosen.row_off + rng.integers(chosen.height)),
        size_px,
        size_px,
    )


def _corners_showing(col: int, row: int, size_px: int) -> Window:
    """Upper left corners of all patches that show a pixel."""
    return Window(col - size_px + 1, row - size_px + 1, size_px, size_px)


def _corners_in(region: Window, size_px: int) -> Window:
    """Upper left corners of all patches in a region."""
    return Window(
        region.col_off, region.row_off, region.width - size_px + 1, region.height - size_px + 1
    )


def _cells_of(region: Window, survey: Survey) -> tuple[slice, slice]:
    """The cells that a region touches."""
    cell = survey.cell_px
    rows = slice(max(region.row_off // cell, 0), -(-(region.row_off + region.height) // cell))
    cols = slice(max(region.col_off // cell, 0), -(-(region.col_off + region.width) // cell))
    return rows, cols
