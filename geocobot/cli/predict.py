"""`geocobot predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import PredictOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.predict import PredictResult


def predict(options: PredictOptions, progress: Progress) -> PredictResult:
    """Map scenes with a trained model, and write polygons that open styled in QGIS."""
    from geocobot.workflows import predict as workflow

    return workflow.predict(options, progress)
