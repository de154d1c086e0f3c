"""`geocobot train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import TrainOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.train import TrainResult


def train(options: TrainOptions, progress: Progress) -> TrainResult:
    """Learn from labeled scenes what to map, and write a model file."""
    from geocobot.workflows import train as workflow

    return workflow.train(options, progress)
