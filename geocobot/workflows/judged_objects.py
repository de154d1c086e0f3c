"""A map and labels as objects and lines: compared one by one, and laid over each other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS

from geocobot.classes import IGNORE, ClassSpec
from geocobot.evaluation.error_map import ErrorMap, map_errors
from geocobot.evaluation.line_errors import line_errors
from geocobot.evaluation.lines import LinePair, LineScores, RoadLines, pair_lines, score_lines
from geocobot.evaluation.objects import ObjectMatches, Objects, match_objects
from geocobot.evaluation.plane import on_plane, plane_around
from geocobot.io.labels import FeatureLabels
from geocobot.io.shapes import neighborhood
from geocobot.steps import NODATA
from geocobot.tiling import ClassStrip, Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.workflows.judged import Judged, JudgedRows
from geocobot.workflows.predicted import PredictedPolygons

_LOG = logging.getLogger("geocobot.workflows")

_WHERE = ClassSpec(1, "judged", "#000000")


@dataclass(frozen=True)
class Comparison:
    """What came of comparing the objects of a scene.

    Attributes:
        flat: classes whose labels are areas.
        objects: which of them match; None without such classes.
        lines: figures of lines; None without any, or without centerlines beside the map.
        errors: what is right and what is not.
    """

    flat: tuple[ClassSpec, ...]
    objects: ObjectMatches | None
    lines: LineScores | None
    errors: ErrorMap


def compare_objects(judged: Judged, min_area_m2: float, crs: CRS) -> Comparison | None:
    """Compare objects and lines; memory holds all of them, and each row is read four times.

    Objects are those of the map's file where it holds polygons, else traced from its pixels;
    labels likewise. Classes whose labels are lines or points are no objects; they are compared as
    lines where centerlines lie beside the map. Errors are laid out pixel by pixel, for all classes.

    Args:
        judged: map and labels, placed on each other.
        min_area_m2: objects traced from the map's pixels are no smaller.
        crs: of the error map.

    Returns:
        None where neither side has an object.
    """
    classes = judged.matching.classes
    mapped, labelled = _traced_map(judged), _traced_truth(judged)
    frames = [frame for frame in (labelled, mapped) if len(frame)]
    if not frames:
        return None
    plane = plane_around(frames)
    area = _judged_area(judged, plane)
    flat, truth = classes, labelled
    labels = judged.labels
    lines, line_figures = None, None
    if isinstance(labels, FeatureLabels):
        flat, truth = _flat_classes(labels), _features(judged, labels)
        widths_m = _widths_m(labels)
        drawn = [c for c in classes if c.number in widths_m]
        pairs = _pair_lines(judged, labels, drawn, plane, area)
        if pairs is not None:
            line_figures = score_lines(pairs)
            lines = line_errors(pairs, widths_m, plane)
    objects = None
    if flat:
        objects = match_objects(
            Objects.of(_map_polygons(judged, mapped, min_area_m2), plane, judged.mapped.path),
            Objects.of(truth, plane, labels.name),
            flat,
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
    return Comparison(flat, objects, line_figures, errors)


def _pair_lines(
    judged: Judged,
    labels: FeatureLabels,
    classes: Sequence[ClassSpec],
    plane: CRS,
    area: shapely.Geometry,
) -> tuple[LinePair, ...] | None:
    """Lines of both sides; None where there are no lines on one of them."""
    if not classes or not isinstance(judged.mapped, PredictedPolygons):
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


def _widths_m(labels: FeatureLabels) -> dict[int, float]:
    """How wide the lines of each class are drawn, on average along them; no class without lines."""
    features = labels.features
    reach_m, numbers = features["reach_m"].to_numpy(), features["class_number"].to_numpy()
    length = np.maximum(shapely.length(features.geometry.to_numpy()), np.finfo(float).tiny)
    is_line = shapely.get_dimensions(features.geometry.to_numpy()) == 1
    return {
        number: 2 * float(np.average(reach_m[here], weights=length[here]))
        for number in np.unique(numbers[is_line]).tolist()
        for here in [is_line & (numbers == number)]
    }


def _flat_classes(labels: FeatureLabels) -> tuple[ClassSpec, ...]:
    """The classes all of whose features are areas."""
    features = labels.features
    is_thin = shapely.get_dimensions(features.geometry.to_numpy()) < 2
    thin = set(features["class_number"].to_numpy()[is_thin].tolist())
    return tuple(c for c in labels.classes if c.number not in thin)


def _near(frame: gpd.GeoDataFrame, judged: Judged) -> gpd.GeoDataFrame:
    """Features that lie on the scene or next to it, whole: others may be far from its plane."""
    bounds = neighborhood(judged.grid, frame.crs, 0.0)
    if bounds is None or not len(frame):
        return frame
    return frame[shapely.intersects(shapely.box(*bounds), frame.geometry.to_numpy())]


def _features(judged: Judged, labels: FeatureLabels) -> gpd.GeoDataFrame:
    """Labelled features, by class number."""
    features = _near(labels.features, judged)
    return gpd.GeoDataFrame(
        {"class_id": features["class_number"].astype("int64")},
        geometry=features.geometry,
        crs=features.crs,
    )


def _map_polygons(judged: Judged, traced: gpd.GeoDataFrame, min_area_m2: float) -> gpd.GeoDataFrame:
    """The map's own polygons, by the class numbers of the labels, else the traced ones."""
    if not isinstance(judged.mapped, PredictedPolygons):
        return traced[traced["area_m2"] >= min_area_m2] if len(traced) else traced
    return _numbered(judged.mapped.polygons.frame, judged)


def _numbered(frame: gpd.GeoDataFrame, judged: Judged) -> gpd.GeoDataFrame:
    """Features of the map whose class the labels have, by its number there."""
    mapped, matching = judged.mapped.classes, judged.matching
    numbers = {
        mapped[plane].name: spec.number
        for spec, plane in zip(matching.classes, matching.planes, strict=True)
        if plane is not None
    }
    frame = _near(frame, judged)
    number = frame["class_name"].map(numbers)
    known = number.notna().to_numpy()
    columns = {"class_id": number[known].astype("int64")}
    if "score" in frame:
        columns["score"] = frame["score"][known]
    return gpd.GeoDataFrame(columns, geometry=frame.geometry[known], crs=frame.crs)


def _traced_map(judged: Judged) -> gpd.GeoDataFrame:
    """Polygons of the map's pixels that are judged, with scores where it has some."""
    with_scores = all(plane is not None for plane in judged.matching.planes)
    return _traced(judged, _map_strips(judged, with_scores=with_scores))


def _traced_truth(judged: Judged) -> gpd.GeoDataFrame:
    """Polygons of the labels' pixels that are judged."""
    strips = (
        ClassStrip(row, np.where(rows.judged, rows.truth, np.uint8(IGNORE)))
        for row, rows in _placed(judged)
    )
    return _traced(judged, strips)


def _judged_area(judged: Judged, plane: CRS) -> shapely.Geometry:
    """What is judged, on the plane."""
    strips = (ClassStrip(row, rows.judged.astype(np.uint8)) for row, rows in _placed(judged))
    parts = polygonize(strips, judged.grid, [_WHERE], CleanOptions())
    frame = pd.concat(parts, ignore_index=True)
    placed = on_plane(frame, plane, judged.mapped.path)
    return shapely.union_all(placed.geometry.to_numpy())


def _map_strips(judged: Judged, *, with_scores: bool) -> Iterator[Strip | ClassStrip]:
    """The map's rows, nothing where they are not judged."""
    for row, rows in _placed(judged):
        if rows.steps is not None and with_scores:
            steps = _winning(rows.steps, rows.prediction, judged.matching.classes)
            yield Strip(row, np.where(rows.judged, steps, np.uint8(NODATA)))
        else:
            yield ClassStrip(row, np.where(rows.judged, rows.prediction, np.uint8(IGNORE)))


def _winning(
    steps: npt.NDArray[np.uint8],
    prediction: npt.NDArray[np.uint8],
    classes: Sequence[ClassSpec],
) -> npt.NDArray[np.uint8]:
    """Scores (K, h, W) of each class where it wins, 0 elsewhere.

    A class of the map that the labels do not have may win as well: its pixels are background.
    """
    numbers = np.array([spec.number for spec in classes], dtype=np.uint8)
    return np.where(prediction == numbers[:, None, None], steps, np.uint8(0))


def _placed(judged: Judged) -> Iterator[tuple[int, JudgedRows]]:
    """Rows, and the first of each."""
    row_off = 0
    for rows in judged.rows():
        yield row_off, rows
        row_off += rows.height


def _traced(judged: Judged, strips: Iterator[Strip | ClassStrip]) -> gpd.GeoDataFrame:
    """All polygons of strips."""
    parts = list(polygonize(strips, judged.grid, judged.matching.classes, CleanOptions()))
    if not parts:
        return gpd.GeoDataFrame({"class_id": []}, geometry=[], crs=judged.grid.crs)
    return pd.concat(parts, ignore_index=True)
