"""`geocobot check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import CheckOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.check import CheckResult


def check(options: CheckOptions, progress: Progress) -> CheckResult:
    """Look at scenes and labels before training, and say what to mend first."""
    from geocobot.workflows import check as workflow

    return workflow.check(options, progress)
