"""A map and labels as objects and lines: compared one by one, and laid over each other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import shapely
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.evaluation.error_map import ErrorMap, map_errors
from geocobot.evaluation.line_errors import line_errors
from geocobot.evaluation.lines import LinePair, LineScores, RoadLines, pair_lines, score_lines
from geocobot.evaluation.objects import ObjectMatches, Objects, match_objects
from geocobot.evaluation.plane import plane_around
from geocobot.io.labels import FeatureLabels
from geocobot.workflows.judged import Judged
from geocobot.workflows.label_kinds import LabelKinds, is_near
from geocobot.workflows.predicted import PredictedPolygons
from geocobot.workflows.traced import JudgedArea, traced_map, traced_truth, whole_map, whole_truth

_LOG = logging.getLogger("geocobot.workflows")


@dataclass(frozen=True)
class Comparison:
    """What came of comparing the objects of a scene.

    Attributes:
        objects: which match; None without a class whose labels are areas.
        lines: figures of lines; None without any, or without centerlines beside the map.
        errors: what is right and what is not.
    """

    objects: ObjectMatches | None
    lines: LineScores | None
    errors: ErrorMap


def compare_objects(
    judged: Judged, kinds: LabelKinds, min_area_m2: float, crs: CRS
) -> Comparison | None:
    """Compare objects and lines; memory holds all of them, and each row is read up to five times.

    Objects are those of the map's file where it holds polygons, else traced from its pixels;
    labels likewise. All of them are whole until they are cut by what is judged. Classes whose
    labels are lines or points are no objects; they are compared as lines where centerlines lie
    beside the map. Errors are laid out pixel by pixel, for all classes.

    Args:
        judged: map and labels, placed on each other.
        kinds: what the labels of each class are.
        min_area_m2: objects traced from pixels are no smaller.
        crs: of the error map.

    Returns:
        None where neither side has an object.
    """
    classes = judged.matching.classes
    mapped, labelled = traced_map(judged), traced_truth(judged)
    frames = [frame for frame in (labelled, mapped) if len(frame)]
    if not frames:
        return None
    plane = plane_around(frames)
    where = JudgedArea.of(judged)
    area = where.on(plane, judged)
    labels = judged.labels
    lines, line_figures = None, None
    pairs = _pair_lines(judged, kinds.drawn, plane, area)
    if pairs is not None:
        line_figures = score_lines(pairs)
        lines = line_errors(pairs, kinds.widths_m, plane)
    objects = None
    if kinds.flat:
        objects = match_objects(
            Objects.of(
                _map_polygons(judged, where, mapped, min_area_m2), plane, judged.mapped.path
            ),
            Objects.of(_true_polygons(judged, where, min_area_m2), plane, labels.name),
            kinds.flat,
            area=area,
        )
    errors = map_errors(
        Objects.of(mapped, plane, judged.mapped.path),
        Objects.of(labelled, plane, labels.name),
        classes,
        plane,
        crs,
        lines=lines,
    )
    return Comparison(objects, line_figures, errors)


def _pair_lines(
    judged: Judged, classes: Sequence[ClassSpec], plane: CRS, area: shapely.Geometry
) -> tuple[LinePair, ...] | None:
    """Lines of both sides; None where there are no lines on one of them."""
    labels = judged.labels
    if not classes or not isinstance(labels, FeatureLabels):
        return None
    if not isinstance(judged.mapped, PredictedPolygons):
        return None
    mapped = judged.mapped.polygons.centerlines()
    if mapped is None:
        _LOG.info(
            "%s: its labels are lines, and no centerlines lie beside the map; geocobot predict "
            "--centerlines draws them.",
            judged.mapped.path,
        )
        return None
    return pair_lines(
        RoadLines.of(_numbered(mapped, judged), plane, judged.mapped.path),
        RoadLines.of(_features(judged, labels), plane, labels.name),
        classes,
        area=area,
    )


def _features(judged: Judged, labels: FeatureLabels) -> gpd.GeoDataFrame:
    """Labelled features, by class number."""
    features = labels.features[is_near(labels.features, judged.grid)]
    return gpd.GeoDataFrame(
        {"class_id": features["class_number"].astype("int64")},
        geometry=features.geometry,
        crs=features.crs,
    )


def _map_polygons(
    judged: Judged, where: JudgedArea, traced: gpd.GeoDataFrame, min_area_m2: float
) -> gpd.GeoDataFrame:
    """The map's own polygons, by the class numbers of the labels, else those of its pixels.

    Whole in either case, also beyond what is judged, whose edge is none of theirs.
    """
    if isinstance(judged.mapped, PredictedPolygons):
        return _numbered(judged.mapped.polygons.frame, judged)
    return _no_smaller(whole_map(judged, where) if where.cuts_map else traced, min_area_m2)


def _true_polygons(judged: Judged, where: JudgedArea, min_area_m2: float) -> gpd.GeoDataFrame:
    """Labelled features, or polygons of the labels' pixels; whole in either case."""
    if isinstance(judged.labels, FeatureLabels):
        return _features(judged, judged.labels)
    return _no_smaller(whole_truth(judged, where), min_area_m2)


def _no_smaller(traced: gpd.GeoDataFrame, min_area_m2: float) -> gpd.GeoDataFrame:
    """Those of the traced polygons that are objects."""
    return traced[traced["area_m2"] >= min_area_m2] if len(traced) else traced


def _numbered(frame: gpd.GeoDataFrame, judged: Judged) -> gpd.GeoDataFrame:
    """Features of the map whose class the labels have, by its number there."""
    mapped, matching = judged.mapped.classes, judged.matching
    numbers = {
        mapped[plane].name: spec.number
        for spec, plane in zip(matching.classes, matching.planes, strict=True)
        if plane is not None
    }
    frame = frame[is_near(frame, judged.grid)]
    number = frame["class_name"].map(numbers)
    known = number.notna().to_numpy()
    columns = {"class_id": number[known].astype("int64")}
    if "score" in frame:
        columns["score"] = frame["score"][known]
    return gpd.GeoDataFrame(columns, geometry=frame.geometry[known], crs=frame.crs)
