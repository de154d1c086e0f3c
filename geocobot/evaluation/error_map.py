"""Where a map is right, false and incomplete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.evaluation.line_errors import LineErrors
from geocobot.evaluation.matching import Shapes
from geocobot.evaluation.objects import Objects
from geocobot.evaluation.overlay import (
    covered_by_class,
    near_union,
    polygon_parts,
    without_overlaps,
)
from geocobot.evaluation.places import rank_places
from geocobot.io.error_layers import (
    BREAKS_LAYER,
    FALSE_LAYER,
    FALSE_LINES_LAYER,
    FALSE_LINKS_LAYER,
    MISSED_LAYER,
    MISSED_LINES_LAYER,
    PLACES_LAYER,
    RIGHT_LAYER,
    RIGHT_LINES_LAYER,
)

MOST_PLACES = 100
"""Places to look at."""

RIM_M = 0.5
"""Outlines may lie so far to both sides of where they should, without being a place to look at."""

_MOSTLY = 0.5
_SCHEMA = {"class_id": "int64", "class_name": "str", "what": "str", "area_m2": "float64"}


@dataclass(frozen=True)
class ErrorMap:
    """What of a map is right and what is not.

    Attributes:
        right: mapped and labelled (true positive).
        false: mapped but not labelled (false positive).
        missed: labelled but not mapped (false negative).
        places: points, the largest error first.
        lines: the same of the classes that were compared as lines; None without any.

    All frames have the columns class_id, class_name, what (in words) and area_m2, `places` also
    rank, from 1 on, and length_m, which errors of areas do not have.
    """

    right: gpd.GeoDataFrame
    false: gpd.GeoDataFrame
    missed: gpd.GeoDataFrame
    places: gpd.GeoDataFrame
    lines: LineErrors | None = None

    @property
    def layers(self) -> dict[str, gpd.GeoDataFrame]:
        """All frames by the name of the layer that they are written to."""
        found = {
            PLACES_LAYER: self.places,
            MISSED_LAYER: self.missed,
            FALSE_LAYER: self.false,
            RIGHT_LAYER: self.right,
        }
        if self.lines is None:
            return found
        return found | {
            BREAKS_LAYER: self.lines.breaks,
            FALSE_LINKS_LAYER: self.lines.false_links,
            MISSED_LINES_LAYER: self.lines.missed,
            FALSE_LINES_LAYER: self.lines.false,
            RIGHT_LINES_LAYER: self.lines.right,
        }


@dataclass(frozen=True)
class _Words:
    """What an error is called.

    Attributes:
        whole: of an object that nothing of its class touches.
        part: of a part of an object of which another part is right.
        mixed: where the other side has another class.
    """

    whole: str
    part: str
    mixed: str

    def of(self, name: str, is_part: bool, other: str | None) -> str:
        """The words for one error."""
        chosen = self.part if is_part else self.whole
        return (self.mixed if other else chosen).format(name=name, other=other)


@dataclass(frozen=True)
class _Side:
    """Polygons of a class on one side.

    Attributes:
        whole: (N,) as they are.
        apart: (N,) the same without what they share with each other.
        over: (N,) what covers each on the other side.
    """

    whole: Shapes
    apart: Shapes
    over: Shapes

    @classmethod
    def of(cls, spec: ClassSpec, whole: Objects, apart: Objects, others: Objects) -> _Side:
        """Take the polygons of a class."""
        here = whole.classes == spec.number
        own, same = whole.polygons[here], others.polygons[others.classes == spec.number]
        return cls(own, apart.polygons[here], near_union(own, same))


_MISSED = _Words("{name} missed", "part of {name} missed", "{name} mapped as {other}")
_FALSE = _Words(
    "{name} that is not there", "{name} mapped beyond its label", "{other} mapped as {name}"
)


def map_errors(
    predicted: Objects,
    truth: Objects,
    classes: Sequence[ClassSpec],
    plane: CRS,
    crs: CRS,
    *,
    lines: LineErrors | None = None,
    area: shapely.Geometry | None = None,
    most_places: int = MOST_PLACES,
    rim_m: float = RIM_M,
) -> ErrorMap:
    """Lay mapped polygons over labelled ones.

    Class rasters are traced first; where nobody knows the truth, neither side may have a polygon.
    What several polygons of a class cover counts once.

    Args:
        predicted: mapped polygons.
        truth: labelled polygons, on the same plane.
        classes: to be judged.
        plane: on which they lie, in metres.
        crs: of the result.
        lines: errors of lines, on the plane; they are places to look at too, see `rank_places`.
        area: on the plane, where labels are complete: what lies outside is cut off both; None for
            everywhere.
        most_places: how many places to look at.
        rim_m: how far outlines may differ to both sides: what is nowhere wider than twice that is
            no place to look at, and neither are the narrow ends of what is.
    """
    mapped, labelled = (_in_area(side, area) for side in (predicted, truth))
    mapped_apart, labelled_apart = _apart(mapped), _apart(labelled)
    right, false, missed = [], [], []
    for spec in classes:
        p, t = (
            _Side.of(spec, *sides)
            for sides in ((mapped, mapped_apart, labelled), (labelled, labelled_apart, mapped))
        )
        found, _ = polygon_parts(shapely.intersection(p.apart, p.over))
        right.append(_frame(spec, found, [f"{spec.name} found"] * len(found), plane))
        missed.append(_errors(spec, t, mapped_apart, classes, words=_MISSED, plane=plane))
        false.append(_errors(spec, p, labelled_apart, classes, words=_FALSE, plane=plane))
    frames = [pd.concat(part, ignore_index=True) for part in (right, false, missed)]
    places = rank_places(frames[2], frames[1], lines, most=most_places, rim_m=rim_m)
    done = [f.drop(columns="is_mixed", errors="ignore").to_crs(crs) for f in (*frames, places)]
    return ErrorMap(
        right=done[0],
        false=done[1],
        missed=done[2],
        places=done[3],
        lines=None if lines is None else lines.to_crs(crs),
    )


def _errors(
    spec: ClassSpec,
    own: _Side,
    opposite: Objects,
    classes: Sequence[ClassSpec],
    *,
    words: _Words,
    plane: CRS,
) -> gpd.GeoDataFrame:
    """What polygons of a class cover and those of the other side do not."""
    parts, owner = polygon_parts(shapely.difference(own.apart, own.over))
    shared_m2 = shapely.area(shapely.intersection(own.whole, own.over))
    is_part = (shared_m2 > 0)[owner]
    others = [other for other in classes if other.number != spec.number]
    numbers = np.array([other.number for other in others], dtype=np.int64)
    shares = covered_by_class(parts, opposite.polygons, opposite.classes, numbers)
    is_mixed = np.asarray((shares > _MOSTLY).any(axis=1), dtype=np.bool_)
    most = shares.argmax(axis=1).tolist() if others else [0] * len(parts)
    what = [
        words.of(spec.name, part, others[k].name if mixed else None)
        for part, mixed, k in zip(is_part.tolist(), is_mixed.tolist(), most, strict=True)
    ]
    return _frame(spec, parts, what, plane, is_mixed=is_mixed)


def _in_area(objects: Objects, area: shapely.Geometry | None) -> Objects:
    """Objects without what lies outside of an area."""
    if area is None or not len(objects):
        return objects
    shapely.prepare(area)
    polygons = objects.polygons.copy()
    cut = ~shapely.contains_properly(area, polygons)
    polygons[cut] = shapely.intersection(polygons[cut], area)
    parts, owner = polygon_parts(polygons)
    return Objects(parts, objects.classes[owner])


def _apart(objects: Objects) -> Objects:
    """Objects of which none overlaps another one of its class."""
    polygons = objects.polygons.copy()
    for number in np.unique(objects.classes).tolist():
        same = objects.classes == number
        polygons[same] = without_overlaps(polygons[same])
    return Objects(polygons, objects.classes)


def _frame(
    spec: ClassSpec,
    parts: Shapes,
    what: Sequence[str],
    plane: CRS,
    **more: npt.NDArray[np.bool_],
) -> gpd.GeoDataFrame:
    """Polygons of a class with their attributes."""
    columns: Mapping[str, object] = {
        "class_id": spec.number,
        "class_name": spec.name,
        "what": pd.Series(what, dtype="str"),
        "area_m2": shapely.area(parts),
    }
    frame = gpd.GeoDataFrame({**columns, **more}, geometry=list(parts), crs=plane)
    return frame.astype({**_SCHEMA, **dict.fromkeys(more, "bool")})
