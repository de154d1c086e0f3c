"""Labels of real scenes, compared with themselves moved, thinned out and mixed up."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.evaluation.error_map import map_errors
from geocobot.evaluation.line_errors import LABELS_SIDE, line_errors
from geocobot.evaluation.lines import RoadLines, pair_lines, score_lines
from geocobot.evaluation.objects import Objects, score_objects
from geocobot.evaluation.plane import area_on_plane, on_plane, plane_around
from geocobot.io.shapes import clean_parts


class Scene:
    """Labels on the plane of their scene, and the scene's outline."""

    def __init__(self, scene, labels, kind):
        with rasterio.open(scene) as source:
            self.crs = CRS.from_user_input(source.crs)
            box = gpd.GeoDataFrame(geometry=[shapely.box(*source.bounds)], crs=self.crs)
        self.plane = plane_around([box])
        self.area = area_on_plane(on_plane(box, self.plane, "scene").geometry.to_numpy())
        frame = clean_parts(gpd.read_file(labels), "labels").assign(class_id=1)
        self.labels = kind.of(frame, self.plane, "labels")


@pytest.fixture
def kampala(real_data):
    folder = real_data / "kampala_buildings"
    return Scene(folder / "scene_a.tif", folder / "labels.geojson", Objects)


@pytest.fixture
def vegas(real_data):
    folder = real_data / "vegas_roads"
    return Scene(folder / "scene.tif", folder / "roads.geojson", RoadLines)


def moved(polygons, by_m):
    return Objects(shapely.transform(polygons, lambda xy: xy + by_m), np.ones(len(polygons), int))


CLASSES = name_classes(["building"])


def test_buildings_moved_a_little_are_found_less_the_further_and_the_smaller(kampala):
    labels = kampala.labels
    quality = []
    for by_m in (0.0, 0.2, 0.5, 1.0, 2.0):
        scores = score_objects(
            moved(labels.polygons, by_m), labels, CLASSES, area=kampala.area
        ).classes[0]
        quality.append((scores.by_iou[0].f1, scores.panoptic.pq, scores.by_iou[-1].f1))
        small, large = scores.sizes[0], scores.sizes[2]
        assert small.missed / small.truth >= large.missed / large.truth
    assert quality[0] == (1, 1, 1)
    assert all((np.diff(np.array(quality), axis=0) <= 0).all(axis=1))
    assert quality[1][0] > 0.95
    assert quality[1][2] < 0.2


def test_buildings_that_are_not_on_the_map_come_first(kampala):
    labels = kampala.labels
    size_m2 = shapely.area(shapely.intersection(labels.polygons, kampala.area))
    largest = int(size_m2.argmax())
    predicted = labels.taken(np.arange(len(labels)) != largest)
    found = map_errors(predicted, labels, CLASSES, kampala.plane, kampala.crs, area=kampala.area)
    assert found.places["what"].tolist() == [f"building missed: {size_m2[largest]:,.0f} m²"]
    assert found.missed["area_m2"].sum() == pytest.approx(size_m2[largest], rel=1e-3)
    assert found.false.empty


def test_roads_by_themselves_and_with_every_fourth_one_gone(vegas):
    labels = vegas.labels
    same = score_lines(pair_lines(labels, labels, CLASSES, area=vegas.area)).classes[0]
    assert (same.quality, same.apls.value) == (pytest.approx(1), pytest.approx(1))
    assert (same.breaks, same.false_links) == (0, 0)
    kept = np.arange(len(labels.lines)) % 4 != 0
    fewer = RoadLines(labels.lines[kept], labels.classes[kept])
    score = score_lines(pair_lines(fewer, labels, CLASSES, area=vegas.area)).classes[0]
    assert score.correctness == pytest.approx(1)
    assert 0.5 < score.completeness < 0.95
    assert score.breaks > 3
    assert score.false_links == 0
    assert score.apls.truth_to_predicted < score.completeness


def test_roads_a_metre_aside_are_the_same_roads(vegas):
    labels = vegas.labels
    aside = RoadLines(shapely.transform(labels.lines, lambda xy: xy + 1.0), labels.classes)
    score = score_lines(pair_lines(aside, labels, CLASSES, area=vegas.area)).classes[0]
    assert score.quality > 0.98
    assert (score.breaks, score.false_links) == (0, 0)
    assert score.apls.value > 0.95


def test_the_road_that_is_not_on_the_map_is_found_in_its_errors(vegas):
    labels = vegas.labels
    shown = shapely.length(shapely.intersection(labels.lines, vegas.area))
    kept = np.arange(len(labels.lines)) != shown.argmax()
    fewer = RoadLines(labels.lines[kept], labels.classes[kept])
    pairs = pair_lines(fewer, labels, CLASSES, area=vegas.area)
    (score,) = score_lines(pairs).classes
    found = line_errors(pairs, {1: 8.0}, vegas.plane)
    missed_m, side = found.missed["length_m"].sum(), found.right["side"]
    found_m = found.right["length_m"][side == LABELS_SIDE].sum()
    assert found_m / (found_m + missed_m) == pytest.approx(score.completeness, abs=1e-4)
    assert found_m + missed_m == pytest.approx(score.truth_m, abs=0.05)
    assert found.false.empty
    assert found.breaks["count"].sum() == score.breaks > 0
    gone = labels.lines[~kept][0]
    assert found.missed.geometry.distance(gone).max() < 0.01
    assert found.breaks.geometry.distance(gone).max() < 0.01
