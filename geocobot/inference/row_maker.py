"""What a process or a node does that computes tile rows for another one."""

from __future__ import annotations

import pickle
from dataclasses import replace

from geocobot.inference.lanes import Lanes
from geocobot.inference.predictor import PredictorSource
from geocobot.inference.rows import RowWork, compute_rows
from geocobot.models.precision import Compute


class RowMaker:
    """Computes single rows; the model is loaded once, a scene is unpacked when it changes.

    Args:
        source: the model.
        compute: where, and how exactly.
        threads: of this process.

    Raises:
        GeocobotError: the model is not as needed.
    """

    def __init__(self, source: PredictorSource, compute: Compute, threads: int) -> None:
        self._compute = compute
        self._predictor = source.load()
        self._lanes = Lanes(compute, threads)
        self._packed = b""
        self._work: RowWork | None = None

    def make(self, packed: bytes, number: int) -> None:
        """Compute a row and keep it in the journal.

        Args:
            packed: a pickled `RowWork`.
            number: of the tile row.

        Raises:
            GeocobotError: the scene cannot be read, or the journal not be written.
        """
        if self._work is None or packed != self._packed:
            self.forget()
            work: RowWork = pickle.loads(packed)  # noqa: S301 # from who has started this process
            # For a single row workers would take longer to start than it takes to read it.
            self._packed, self._work = packed, replace(work, workers=0)
        rows = compute_rows(
            self._work, [number], self._predictor, self._compute, _untold, lanes=self._lanes
        )
        for _ in rows:  # which are in the journal when they come
            pass

    def forget(self) -> None:
        """Close the scene."""
        if self._work is not None:
            self._work.dataset.scene.close()
        self._packed, self._work = b"", None


def _untold(tiles: int) -> None:
    """Tell nobody: rows are counted by who asks for them."""
