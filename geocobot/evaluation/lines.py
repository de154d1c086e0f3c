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
from geocobot.evaluation.breaks import Breaks, find_breaks
from geocobot.evaluation.coverage import Coverage, cover
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
        breaks: how often the mapped lines are interrupted, see `find_breaks`.
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
        quality = ratio(self.right_m, self.predicted_m + self.truth_m - self.found_m)
        return None if quality is None else min(1.0, quality)


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


@dataclass(frozen=True)
class LinePair:
    """The mapped and the labelled lines of a class, laid over each other.

    Attributes:
        spec: the class.
        mapped: lines of the map, as a network.
        labelled: lines of the labels, likewise.
        right: what of the mapped lines lies near labelled ones.
        found: what of the labelled lines lies near mapped ones.
        breaks: where the mapped lines are interrupted.
        false_links: where the mapped lines connect what is not connected.
        options: what counted as the same road.
    """

    spec: ClassSpec
    mapped: Network
    labelled: Network
    right: Coverage
    found: Coverage
    breaks: Breaks
    false_links: Breaks
    options: LineOptions

    @classmethod
    def of(
        cls, spec: ClassSpec, mapped: Network, labelled: Network, options: LineOptions
    ) -> LinePair:
        """Lay two networks over each other."""
        near_m, there_m = options.buffer_m, _STILL_THERE * options.buffer_m
        return cls(
            spec=spec,
            mapped=mapped,
            labelled=labelled,
            right=cover(mapped, labelled, near_m),
            found=cover(labelled, mapped, near_m),
            breaks=find_breaks(labelled, mapped, there_m),
            false_links=find_breaks(mapped, labelled, there_m),
            options=options,
        )


def pair_lines(
    predicted: RoadLines,
    truth: RoadLines,
    classes: Sequence[ClassSpec],
    *,
    area: shapely.Geometry | None = None,
    options: LineOptions | None = None,
) -> tuple[LinePair, ...]:
    """Lay mapped lines over labelled ones, class by class.

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
    pairs = []
    for spec in classes:
        mapped, labelled = (
            Network.of(side.lines[side.classes == spec.number], options.join_m) for side in sides
        )
        pairs.append(LinePair.of(spec, mapped, labelled, options))
    return tuple(pairs)


def score_lines(pairs: Sequence[LinePair]) -> LineScores:
    """How well the lines of each class were found."""
    return _all([_score(pair) for pair in pairs])


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


def _score(pair: LinePair) -> LineClassScores:
    """The figures of a class."""
    how = pair.options
    return LineClassScores(
        name=pair.spec.name,
        truth_m=pair.labelled.length_m,
        predicted_m=pair.mapped.length_m,
        found_m=pair.found.near_m,
        right_m=pair.right.near_m,
        breaks=pair.breaks.total,
        false_links=pair.false_links.total,
        apls=apls(pair.mapped, pair.labelled, spacing_m=how.spacing_m, snap_m=how.snap_m),
    )


def _cut(roads: RoadLines, area: shapely.Geometry | None) -> RoadLines:
    """Cut lines by the judged area."""
    if area is None or not len(roads.lines):
        return roads
    shapely.prepare(area)
    lines = roads.lines.copy()
    cut = ~shapely.contains_properly(area, lines)
    lines[cut] = shapely.intersection(lines[cut], area)
    parts, owner = shapely.get_parts(lines, return_index=True)
    is_line = shapely.length(parts) > 0
    return RoadLines(parts[is_line], roads.classes[owner[is_line]])
