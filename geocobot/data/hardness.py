"""Where in a scene a network errs, to show it such places more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.data.places import reached_cells
from geocobot.data.survey import Survey

_RENEWED = 0.5  # share of the newest error in what is remembered of a place
_LEAST = 0.1  # of the mean error, so that what was learned is still shown now and then


class HardPlaces:
    """How badly places of a scene were mapped when they were last shown.

    Args:
        survey: of the scene; its cells are the places, those with something labelled.
        regions: what patches lie in, in pixels of the scene.

    Attributes:
        errors: (N,) of the places, NaN where nothing was shown yet.
    """

    def __init__(self, survey: Survey, regions: Sequence[Window]) -> None:
        self.cell_px = survey.cell_px
        reached = reached_cells(survey, regions) & (survey.cells.sum(axis=0) > 0)
        self._rows, self._cols = np.nonzero(reached)
        self.errors = np.full(len(self._rows), np.nan)

    def note(self, window: Window, error: float) -> None:
        """Remember how badly a patch was mapped, at all places whose middle it shows."""
        x, y = (self._cols + 0.5) * self.cell_px, (self._rows + 0.5) * self.cell_px
        shown = (x >= window.col_off) & (x < window.col_off + window.width)
        shown &= (y >= window.row_off) & (y < window.row_off + window.height)
        before = np.where(np.isnan(self.errors[shown]), error, self.errors[shown])
        self.errors[shown] = before + _RENEWED * (error - before)

    def weights(self) -> npt.NDArray[np.float64] | None:
        """(N,) shares of the draws that places get; None as long as nothing was noted."""
        known = ~np.isnan(self.errors)
        if not known.any():
            return None
        mean = float(self.errors[known].mean())
        if mean <= 0:
            return None
        weights = np.where(known, np.maximum(self.errors, _LEAST * mean), mean)
        return np.asarray(weights / weights.sum())

    def draw(self, rng: np.random.Generator, weights: npt.NDArray[np.float64]) -> tuple[int, int]:
        """Draw a pixel (column, row) in one of the places.

        Args:
            rng: decides.
            weights: as `weights` gave them, so that all draws of an epoch have the same.
        """
        place = int(rng.choice(len(weights), p=weights))
        col, row = rng.integers(self.cell_px, size=2).tolist()
        return (
            int(self._cols[place]) * self.cell_px + col,
            int(self._rows[place]) * self.cell_px + row,
        )
