"""Objects, lines and errors of all scenes together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.evaluation.error_map import ErrorMap
from geocobot.evaluation.joint_errors import joint_errors
from geocobot.evaluation.line_errors import LineErrors
from geocobot.evaluation.lines import joint_lines
from geocobot.evaluation.objects import joint_scores
from geocobot.io.misplaced import in_words
from geocobot.workflows.judged import Judged
from geocobot.workflows.judged_objects import Comparison, compare_objects
from geocobot.workflows.label_kinds import LabelKinds
from geocobot.workflows.object_report import ObjectReport

_LOG = logging.getLogger("geocobot.workflows")
_ANYWHERE = CRS.from_epsg(4326)


@dataclass(frozen=True)
class Compared:
    """What came of comparing objects.

    Attributes:
        report: figures.
        errors: what is right and what is not.
        lines: the same of lines, by the name of the scene; of those with lines.
    """

    report: ObjectReport
    errors: ErrorMap
    lines: Mapping[str, LineErrors]


def compare_scenes(
    judged: Sequence[Judged], names: Sequence[str], min_area_m2: float
) -> Compared | None:
    """Compare objects and lines scene by scene, and count them together.

    Args:
        judged: maps and labels.
        names: of the scenes.
        min_area_m2: objects traced from pixels are no smaller.

    Returns:
        None where neither side has an object anywhere.
    """
    crs = common_crs(judged)
    kinds = LabelKinds.of(judged)
    found = {
        name: compared
        for one, name in zip(judged, names, strict=True)
        if (compared := compare_objects(one, kinds, min_area_m2, crs)) is not None
    }
    if not found:
        return None
    _tell_of_scenes_without_lines(found)
    parts = list(found.values())
    errors = [part.errors for part in parts]
    joint = errors[0] if len(judged) == 1 else joint_errors(errors, list(found))
    lines = {name: p.errors.lines for name, p in found.items() if p.errors.lines is not None}
    return Compared(_report(parts, kinds.flat), joint, lines)


def common_crs(judged: Sequence[Judged]) -> CRS:
    """The CRS of the scenes, or that of longitudes and latitudes (WGS 84) where they differ."""
    first = judged[0].grid.crs
    return first if all(one.grid.crs == first for one in judged) else _ANYWHERE


def _tell_of_scenes_without_lines(found: Mapping[str, Comparison]) -> None:
    """Say whose roads are in no figure, though those of other scenes are."""
    bare = [name for name, part in found.items() if part.lines is None]
    if bare and len(bare) < len(found):
        _LOG.warning(
            "No centerlines of %s are compared: roads there are in no figure, neither found nor "
            "missed. geocobot predict --centerlines draws them.",
            in_words(bare),
        )


def _report(parts: Sequence[Comparison], flat: Sequence[ClassSpec]) -> ObjectReport:
    """The figures of all scenes."""
    matches = [part.objects for part in parts if part.objects is not None]
    lines = [part.lines for part in parts if part.lines is not None]
    return ObjectReport(
        joint_scores(matches, flat) if matches else None,
        joint_lines(lines) if lines else None,
    )
