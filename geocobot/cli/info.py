"""`geocobot info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.info import Info


def info(progress: Progress) -> Info:  # noqa: ARG001
    """Show versions, devices and caches: what a bug report needs."""
    from geocobot.workflows.info import collect_info

    return collect_info()
