"""`geocobot demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import DemoOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.demo import DemoResult


def demo(options: DemoOptions, progress: Progress) -> DemoResult:
    """Make a place, train on one part of it and map a part never seen, in a few minutes."""
    from geocobot.workflows import demo as workflow

    return workflow.demo(options, progress)
