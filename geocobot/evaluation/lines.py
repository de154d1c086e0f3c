"""How well roads were found: their length, their connections, the ways that they offer.

Heipke, Mayer, Wiedemann and Jamet (1997), Evaluation of automatic road extraction; Wiedemann,
Heipke, Mayer and Jamet (1998), Empirical evaluation of automatically extracted road axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.evaluation.apls import SNAP_M, SPACING_M, Apls, apls, mean_apls
from geocobot.evaluation.coverage import count_breaks, covered_m
from geocobot.evaluation.plane import on_plane
from geocobot.evaluation.ratios import mean, ratio
from geocobot.evaluation.roads import JOIN_M, Lines, Network

BUFFER_M = 4.0
"""How far a line may lie beside the one that it is: half of the width of a road."""

_STILL_THERE = 2.0
"""So many buffers aside, a line is not where it should be, but interrupts nothing."""


@dataclass(frozen=True, kw_only=True)
class LineOptions:
    """What counts as the same road.

    Attributes:
        buffer_m: how far a line may lie beside the one that it is; up to twice as far it counts as
            wrong, but breaks nothing.
        snap_m: how far a place may lie beside the one that it is, see `apls`.
        spacing_m: distance between places from which, and to which, paths lead.
        join_m: ends within so much of another line meet it.
    """

    buffer_m: float = BUFFER_M
    snap_m: float = SNAP_M
    spacing_m: float = SPACING_M
    join_m: float = JOIN_M


@dataclass(frozen=True)
class RoadLines:
    """Lines to be compared.

    Attributes:
        lines: (N,) single ones, on a plane in metres.
        classes: (N,) their class numbers.
    """

    lines: Lines
    classes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, frame: gpd.GeoDataFrame, plane: CRS, name: str) -> RoadLines:
        """Take the lines of features.

        Args:
            frame: single parts with the column class_id, in their own CRS; polygons and points
                among them are no lines.
            plane: see `plane_around`.
            name: of the file, for messages.

        Raises:
            CrsError: nothing leads from their CRS to the plane.
        """
        placed = on_plane(frame, plane, name).explode(ignore_index=True)
        placed = placed[placed.geom_type == "LineString"]
        return cls(placed.geometry.to_numpy(), placed["class_id"].to_numpy(np.int64))


@dataclass(frozen=True)
class LineClassScores:
    """How well the lines of a class were found.

    Attributes:
        name: the class.
        truth_m: length of the labelled lines.
        predicted_m: length of the mapped lines.
        found_m: length of the labelled lines within the buffer around mapped ones.
        right_m: length of the mapped lines within the buffer around labelled ones.
        breaks: how often the mapped lines are interrupted, see `count_breaks`.
        false_links: how often the mapped lines connect what is not connected: breaks of the
            labelled lines along the mapped ones.
        apls: similarity of the paths.
    """

    name: str
    truth_m: float
    predicted_m: float
    found_m: float
    right_m: float
    breaks: int
    false_links: int
    apls: Apls

    @property
    def completeness(self) -> float | None:
        """Share of the labelled length that was mapped; None where nothing is labelled."""
        return ratio(self.found_m, self.truth_m)

    @property
    def correctness(self) -> float | None:
        """Share of the mapped length that is labelled; None where nothing was mapped."""
        return ratio(self.right_m, self.predicted_m)

    @property
    def quality(self) -> float | None:
        """Right length by that of all mapped and all missed lines; None where there are none."""
        return ratio(self.right_m, self.predicted_m + self.truth_m - self.found_m)


@dataclass(frozen=True)
class LineScores:
    """How well lines were found.

    Attributes:
        classes: in the order of the classes.
        mean_quality: of the classes that have one.
        mean_apls: of the classes that have one.
    """

    classes: tuple[LineClassScores, ...]
    mean_quality: float | None
    mean_apls: float | None


def score_lines(
    predicted: RoadLines,
    truth: RoadLines,
    classes: Sequence[ClassSpec],
    *,
    area: shapely.Geometry | None = None,
    options: LineOptions | None = None,
) -> LineScores:
    """Compare mapped lines with labelled ones, class by class.

    Args:
        predicted: mapped.
        truth: labelled, on the same plane.
        classes: to be judged.
        area: on the same plane, where labels are complete: what lies outside is cut off both;
            None for everywhere.
        options: what counts as the same road.
    """
    options = options or LineOptions()
    sides = _cut(predicted, area), _cut(truth, area)
    parts = []
    for spec in classes:
        mapped, labelled = (
            Network.of(side.lines[side.classes == spec.number], options.join_m) for side in sides
        )
        parts.append(_score(spec.name, mapped, labelled, options))
    return _all(parts)


def joint_lines(scenes: Sequence[LineScores]) -> LineScores:
    """The figures of scenes together: lengths and counts add up, and so longer roads count more.

    APLS is the mean over the scenes that have one, each counting once, as in the program of its
    authors.

    Args:
        scenes: of the same classes; at least one.
    """
    columns = zip(*(scene.classes for scene in scenes), strict=True)
    return _all([_joint(column) for column in columns])


def _joint(scenes: Sequence[LineClassScores]) -> LineClassScores:
    """One class in all scenes."""
    return LineClassScores(
        name=scenes[0].name,
        truth_m=sum(s.truth_m for s in scenes),
        predicted_m=sum(s.predicted_m for s in scenes),
        found_m=sum(s.found_m for s in scenes),
        right_m=sum(s.right_m for s in scenes),
        breaks=sum(s.breaks for s in scenes),
        false_links=sum(s.false_links for s in scenes),
        apls=mean_apls([s.apls for s in scenes]),
    )


def _all(parts: Sequence[LineClassScores]) -> LineScores:
    """All classes, and their means."""
    return LineScores(
        classes=tuple(parts),
        mean_quality=mean(p.quality for p in parts),
        mean_apls=mean(p.apls.value for p in parts),
    )


def _score(name: str, predicted: Network, truth: Network, options: LineOptions) -> LineClassScores:
    """Compare two networks."""
    buffer_m = options.buffer_m
    return LineClassScores(
        name=name,
        truth_m=truth.length_m,
        predicted_m=predicted.length_m,
        found_m=covered_m(truth, predicted, buffer_m),
        right_m=covered_m(predicted, truth, buffer_m),
        breaks=count_breaks(truth, predicted, _STILL_THERE * buffer_m),
        false_links=count_breaks(predicted, truth, _STILL_THERE * buffer_m),
        apls=apls(predicted, truth, spacing_m=options.spacing_m, snap_m=options.snap_m),
    )


def _cut(roads: RoadLines, area: shapely.Geometry | None) -> RoadLines:
    """Cut lines by the judged area."""
    if area is None or not len(roads.lines):
        return roads
    shapely.prepare(area)
    parts, owner = shapely.get_parts(shapely.intersection(roads.lines, area), return_index=True)
    is_line = shapely.length(parts) > 0
    return RoadLines(parts[is_line], roads.classes[owner[is_line]])
