"""`geocobot evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import EvaluateOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.evaluate_result import EvaluateResult


def evaluate(options: EvaluateOptions, progress: Progress) -> EvaluateResult:
    """Say how good a map is, against labels."""
    from geocobot.workflows import evaluate as workflow

    return workflow.evaluate(options, progress)
