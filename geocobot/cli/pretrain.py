"""`geocobot pretrain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import PretrainOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.pretrain import PretrainResult


def pretrain(options: PretrainOptions, progress: Progress) -> PretrainResult:
    """Make the weights that a base of geocobot's own starts from, out of a made-up world."""
    from geocobot.workflows import pretrain as workflow

    return workflow.pretrain(options, progress)
