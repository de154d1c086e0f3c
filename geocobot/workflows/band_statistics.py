"""The values of the bands as a run has measured them, beside it, so that nobody measures twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geocobot.bands import BandRange
from geocobot.config import TrainOptions
from geocobot.io.identity import scene_identity
from geocobot.io.scene import Scene
from geocobot.io.unfinished import write_text
from geocobot.workflows.ground import BandRanges

STATISTICS_NAME = "statistics.json"


def keep_ranges(
    path: Path, scenes: Sequence[Scene], options: TrainOptions, ranges: BandRanges
) -> None:
    """Write down which values are dark and bright, and what that was measured on.

    Args:
        path: of the file.
        scenes: to learn from.
        options: say how it was measured.
        ranges: one per band and data type.

    Raises:
        OutputError: it cannot be written.
    """
    content = {"bands": [asdict(r) for r in ranges], "measured": _occasion(scenes, options)}
    write_text(path, json.dumps(content, indent=2), path)


def recall_ranges(path: Path, scenes: Sequence[Scene], options: TrainOptions) -> BandRanges | None:
    """What `keep_ranges` wrote; None where it would be measured otherwise now.

    Args:
        path: of the file; there may be none.
        scenes: to learn from.
        options: say how it would be measured.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # the run was killed before or while it was written
        return None
    occasion = _occasion(scenes, options)
    can_tell = all(scene["bytes"] is not None for scene in occasion["scenes"])
    if not can_tell or content["measured"] != json.loads(json.dumps(occasion)):
        return None
    return tuple(BandRange(**band) for band in content["bands"])


def _occasion(scenes: Sequence[Scene], options: TrainOptions) -> dict[str, Any]:
    """All that the ranges follow from."""
    return {
        "scenes": [scene_identity(scene) for scene in scenes],
        "stretch": options.stretch,
        "value_range": options.value_range,
        "seed": options.seed,
    }
