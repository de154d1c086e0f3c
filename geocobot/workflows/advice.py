"""What to mend before training, and the training to do then."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import replace

from geocobot.classes import BACKGROUND
from geocobot.config import TrainOptions
from geocobot.inspection.findings import Findings
from geocobot.inspection.labels import ClassFacts, FeatureFacts
from geocobot.inspection.scenes import SceneFacts
from geocobot.inspection.shift import Shift
from geocobot.settings import to_flags
from geocobot.workflows.ground import MUCH_BLACK

_RARE_SHARE = 0.005
_MANY_OUTSIDE = 0.5


def judge(
    findings: Findings,
    features: FeatureFacts | None,
    classes: Sequence[ClassFacts],
    shift: Shift | None,
) -> None:
    """Say what the facts mean.

    Args:
        findings: what is found is added here.
        features: of labels that are features.
        classes: background and classes; empty where nobody has counted.
        shift: of the labels.
    """
    if features is not None:
        _judge_features(findings, features)
    _judge_classes(findings, [c for c in classes if c.pixels])
    if shift is not None and shift.is_worth_naming:
        findings.say(
            "warning",
            f"The labels lie {shift.in_words()}. If QGIS shows the same, move them back "
            f"(Processing Toolbox > Translate), or give outlines room with --ignore-boundary.",
        )


def advised_command(
    options: TrainOptions, scenes: Sequence[SceneFacts], classes: Sequence[ClassFacts]
) -> str:
    """The training to do, as one types it.

    Args:
        options: as they were given.
        scenes: all of them; a black border becomes --nodata 0.
        classes: background and classes; a rare one becomes --sampling classes.
    """
    if options.nodata is None and any((s.black_share or 0) >= MUCH_BLACK for s in scenes):
        options = replace(options, nodata=0.0)
    if any(_is_rare(c) for c in classes):
        options = replace(options, sampling="classes")
    words = ["geocobot", "train", *to_flags(options)]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _judge_features(findings: Findings, features: FeatureFacts) -> None:
    """Say what is wrong with the features."""
    number = sum(features.kinds.values())
    if _MANY_OUTSIDE * number < features.outside < number:
        findings.say(
            "note",
            f"{features.outside:,} of {number:,} features lie on no scene; more scenes with "
            f"--raster would use them.",
        )
    if features.duplicates:
        findings.say(
            "warning",
            f"{features.duplicates:,} features have the geometry of another one. Where they differ "
            f"in class the later one wins; QGIS removes them (Delete duplicate geometries).",
        )


def _judge_classes(findings: Findings, seen: Sequence[ClassFacts]) -> None:
    """Say what is wrong with the classes that occur."""
    if len(seen) == 1 and seen[0].number != BACKGROUND:
        name = seen[0].name
        findings.say(
            "stop",
            f"All that is labelled is {name}, and training needs something to tell it from. Label "
            f"what is not {name} as well, or leave out --labelled-area.",
        )
    rare = [c for c in seen if _is_rare(c)]
    if rare:
        names = ", ".join(f"{c.name} ({c.share:.2%})" for c in rare)
        findings.say(
            "note",
            f"Rare: {names} of what is labelled. --sampling classes shows each class as often.",
        )


def _is_rare(facts: ClassFacts) -> bool:
    """Whether patches drawn anywhere would hardly ever show a class that there is."""
    return facts.number != BACKGROUND and 0 < facts.share < _RARE_SHARE
