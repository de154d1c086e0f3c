"""How well objects were found: each by itself, whatever its size, in one scene or in several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.evaluation.matching import HAIR, Shapes
from geocobot.evaluation.object_pairs import (
    IOU_THRESHOLDS,
    ClassPair,
    Side,
    detection,
    panoptic,
    sizes,
)
from geocobot.evaluation.object_scores import ObjectClassScores, ObjectScores
from geocobot.evaluation.plane import on_plane
from geocobot.evaluation.ratios import mean

__all__ = [
    "IOU_THRESHOLDS",
    "ObjectMatches",
    "Objects",
    "joint_scores",
    "match_objects",
    "score_objects",
]

SIZE_EDGES_M2 = (0.0, 20.0, 100.0, 500.0, 2500.0, math.inf)
"""Where size classes begin and end: sheds and cars, houses, large houses, halls, and the rest."""

LEAST_INSIDE = 0.5
"""Of its area: an object with less of it in the judged area is not judged."""


@dataclass(frozen=True)
class Objects:
    """Polygons to be compared.

    Attributes:
        polygons: (N,) valid ones, on a plane in metres.
        classes: (N,) their class numbers.
        scores: (N,) how sure the map is of each; None where nothing says so.
    """

    polygons: Shapes
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64] | None = None

    @classmethod
    def of(cls, frame: gpd.GeoDataFrame, plane: CRS, name: str) -> Objects:
        """Take the polygons of features.

        Args:
            frame: single parts with the column class_id and, of a map, score, in their own CRS;
                lines and points among them are no objects.
            plane: see `plane_around`.
            name: of the file, for messages.

        Raises:
            CrsError: nothing leads from their CRS to the plane.
        """
        placed = on_plane(frame, plane, name).explode(ignore_index=True)
        placed = placed[placed.geom_type == "Polygon"]
        scores = placed["score"].to_numpy(np.float64) if "score" in placed else None
        if scores is not None and not np.isfinite(scores).all():
            scores = None
        return cls(placed.geometry.to_numpy(), placed["class_id"].to_numpy(np.int64), scores)

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.polygons)

    def taken(self, chosen: npt.NDArray[np.bool_]) -> Objects:
        """Some of them."""
        scores = None if self.scores is None else self.scores[chosen]
        return Objects(self.polygons[chosen], self.classes[chosen], scores)


@dataclass(frozen=True)
class ObjectMatches:
    """Which mapped objects are which labelled ones, in one scene.

    Attributes:
        pairs: both sides of each class, in the order of the classes.
    """

    pairs: tuple[ClassPair, ...]


def match_objects(
    predicted: Objects,
    truth: Objects,
    classes: Sequence[ClassSpec],
    *,
    area: shapely.Geometry | None = None,
) -> ObjectMatches:
    """Compare mapped objects with labelled ones.

    Objects match within their class, one to one, see `match`. Where an area is judged, what lies
    outside is cut off both; an object most of which was cut off counts neither as found nor as
    missed nor as false, and neither does what it matches.

    Args:
        predicted: mapped, with scores or without.
        truth: labelled, on the same plane.
        classes: to be judged.
        area: on the same plane, where labels are complete; None for everywhere.
    """
    inside = _cut(predicted, area), _cut(truth, area)
    return ObjectMatches(
        tuple(ClassPair(*(side.of(spec.number) for side in inside)) for spec in classes)
    )


def score_objects(
    predicted: Objects,
    truth: Objects,
    classes: Sequence[ClassSpec],
    *,
    area: shapely.Geometry | None = None,
    size_edges_m2: Sequence[float] = SIZE_EDGES_M2,
) -> ObjectScores:
    """The figures of one scene; what it takes is that of `match_objects`.

    Args:
        predicted: mapped, with scores or without.
        truth: labelled, on the same plane.
        classes: to be judged.
        area: on the same plane, where labels are complete; None for everywhere.
        size_edges_m2: where size classes begin and end, ascending.
    """
    return joint_scores(
        [match_objects(predicted, truth, classes, area=area)], classes, size_edges_m2
    )


def joint_scores(
    scenes: Sequence[ObjectMatches],
    classes: Sequence[ClassSpec],
    size_edges_m2: Sequence[float] = SIZE_EDGES_M2,
) -> ObjectScores:
    """The figures of scenes together: their objects are counted as if they lay in one.

    Args:
        scenes: what matches in each, of the same classes.
        classes: those that were judged.
        size_edges_m2: where size classes begin and end, ascending.
    """
    parts = []
    for k, spec in enumerate(classes):
        pairs = [scene.pairs[k] for scene in scenes]
        parts.append(
            ObjectClassScores(
                name=spec.name,
                by_iou=tuple(detection(pairs, iou) for iou in IOU_THRESHOLDS),
                panoptic=panoptic(pairs),
                sizes=sizes(pairs, size_edges_m2),
            )
        )
    every = [pair for scene in scenes for pair in scene.pairs]
    return ObjectScores(
        classes=tuple(parts),
        mean_f1=mean(p.by_iou[0].f1 for p in parts),
        mean_f1_by_iou=mean(mean(d.f1 for d in p.by_iou) for p in parts),
        mean_pq=mean(p.panoptic.pq for p in parts),
        truth_left_out=sum(int(pair.truth.is_partial.sum()) for pair in every),
        predicted_left_out=sum(int(pair.predicted.is_partial.sum()) for pair in every),
    )


@dataclass(frozen=True)
class _Cut:
    """Objects as far as they lie in the judged area, and which of them lie there in small part."""

    objects: Objects
    is_partial: npt.NDArray[np.bool_]

    def of(self, number: int) -> Side:
        """Those of one class."""
        chosen = self.objects.classes == number
        some = self.objects.taken(chosen)
        return Side(some.polygons, self.is_partial[chosen], some.scores)


def _cut(objects: Objects, area: shapely.Geometry | None) -> _Cut:
    """Cut objects by the judged area; what only touches it is gone."""
    if area is None or not len(objects):
        return _Cut(objects, np.zeros(len(objects), dtype=np.bool_))
    shapely.prepare(area)
    polygons = objects.polygons.copy()
    cut = ~shapely.contains_properly(area, polygons)
    before = shapely.area(polygons)
    polygons[cut] = shapely.intersection(polygons[cut], area)
    share = shapely.area(polygons) / before
    reached = share > HAIR
    kept = Objects(polygons, objects.classes, objects.scores).taken(reached)
    return _Cut(kept, share[reached] < LEAST_INSIDE - HAIR)
