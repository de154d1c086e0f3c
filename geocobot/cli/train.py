"""`geocobot train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import TrainOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.train_result import TrainResult


def train(options: TrainOptions, progress: Progress) -> TrainResult | None:
    """Learn from labeled scenes what to map, and write a model file."""
    from geocobot.workflows import crew
    from geocobot.workflows import train as workflow

    result = workflow.train(options, progress)
    launch = crew.launch_of(options)
    # Of several processes that a launcher has started, the first one says it.
    return result if launch is None or launch.number == 0 else None
