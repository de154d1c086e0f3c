"""`geocobot vectorize`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import VectorizeOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.vectorize import VectorizeResult


def vectorize(options: VectorizeOptions, progress: Progress) -> VectorizeResult:
    """Trace a raster of scores into polygons that open styled in QGIS."""
    from geocobot.workflows import vectorize as workflow

    return workflow.vectorize(options, progress)
