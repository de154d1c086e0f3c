"""What is right, false and missed, by hand and by law."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.evaluation.error_map import map_errors
from geocobot.evaluation.objects import Objects
from geocobot.evaluation.overlay import (
    cores,
    covered_by_class,
    near_union,
    polygon_parts,
    without_overlaps,
)

CLASSES = name_classes(["roof", "tree"])
UTM = CRS.from_epsg(32633)

corners = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(2, 20), st.integers(2, 20))
boxes = st.lists(st.tuples(corners, st.integers(1, 2)), max_size=6)


def objects(*given_boxes):
    """Boxes (left, top, width, height), each with its class."""
    polygons = [shapely.box(x, y, x + w, y + h) for (x, y, w, h), _ in given_boxes]
    numbers = np.array([number for _, number in given_boxes], dtype=np.int64)
    return Objects(np.array(polygons, dtype=object), numbers)


def mapped(predicted, truth, **options):
    return map_errors(objects(*predicted), objects(*truth), CLASSES, UTM, UTM, **options)


def said(frame):
    return list(zip(frame["what"], frame["area_m2"].round(3), strict=True))


TRUTH = [((0, 0, 10, 10), 1), ((20, 0, 10, 10), 1), ((40, 0, 10, 10), 2), ((60, 0, 10, 10), 1)]
PREDICTED = [((0, 0, 10, 12), 1), ((20, 0, 6, 10), 1), ((40, 0, 10, 10), 1), ((80, 0, 6, 6), 2)]


def test_by_hand():
    found = mapped(PREDICTED, TRUTH)
    assert said(found.right) == [("roof found", 100), ("roof found", 60)]
    assert said(found.missed) == [
        ("part of roof missed", 40),
        ("roof missed", 100),
        ("tree mapped as roof", 100),
    ]
    assert said(found.false) == [
        ("roof mapped beyond its label", 20),
        ("tree mapped as roof", 100),
        ("tree that is not there", 36),
    ]
    assert found.missed["class_name"].tolist() == ["roof", "roof", "tree"]


def test_the_largest_errors_come_first_and_what_was_mixed_up_comes_once():
    places = mapped(PREDICTED, TRUTH).places
    assert places["rank"].tolist() == [1, 2, 3, 4, 5]
    assert places["what"].tolist() == [
        "tree mapped as roof: 100 m²",
        "roof missed: 100 m²",
        "part of roof missed: 40 m²",
        "tree that is not there: 36 m²",
        "roof mapped beyond its label: 20 m²",
    ]
    assert set(places.geom_type) == {"Point"}
    assert places.geometry.iloc[0].within(shapely.box(40, 0, 50, 10))
    assert mapped(PREDICTED, TRUTH, most_places=2).places["rank"].tolist() == [1, 2]


def test_outlines_that_differ_a_little_are_no_place_to_look_at():
    wider = [((0, 0, 20, 11), 1)]
    truth = [((0, 0, 20, 10), 1)]
    assert mapped(wider, truth, rim_m=0.4).places["what"].tolist() == [
        "roof mapped beyond its label: 20 m²"
    ]
    narrow = mapped(wider, truth, rim_m=0.6)
    assert narrow.places.empty
    assert said(narrow.false) == [("roof mapped beyond its label", 20)]


def test_small_areas_keep_a_digit():
    found = mapped([], [((0, 0, 3, 3), 1)])
    assert found.places["what"].tolist() == ["roof missed: 9.0 m²"]


def test_what_lies_outside_of_the_judged_area_is_cut_off():
    found = mapped(PREDICTED, TRUTH, area=shapely.box(0, 0, 25, 100))
    assert said(found.right) == [("roof found", 100), ("roof found", 50)]
    assert (len(found.missed), len(found.false), len(found.places)) == (0, 1, 1)


def test_nothing_gives_empty_layers():
    found = mapped([], [])
    for frame in (found.right, found.false, found.missed, found.places):
        assert frame.empty
        assert frame.crs == UTM
        assert {"class_id", "class_name", "what", "area_m2"} <= set(frame.columns)


def test_the_result_lies_where_it_is_asked_for():
    degrees = CRS.from_epsg(4326)
    found = map_errors(objects(*PREDICTED), objects(*TRUTH), CLASSES, UTM, degrees)
    assert found.places.crs == degrees
    assert found.missed["area_m2"].sum() == pytest.approx(240)


def covered(frame, number):
    return shapely.union_all(frame.geometry[frame["class_id"] == number].to_numpy())


@settings(max_examples=30)
@given(boxes, boxes)
def test_right_false_and_missed_are_the_overlay(one, other):
    found, p, t = mapped(one, other), objects(*one), objects(*other)
    for number in (1, 2):
        a, b = (shapely.union_all(side.polygons[side.classes == number]) for side in (p, t))
        for frame, expected in (
            (found.right, a & b),
            (found.false, a - b),
            (found.missed, b - a),
        ):
            assert covered(frame, number).symmetric_difference(expected).area < 1e-6
            counted = frame["area_m2"][frame["class_id"] == number].sum()
            assert counted == pytest.approx(expected.area, abs=1e-6)


@settings(max_examples=30)
@given(boxes, boxes)
def test_a_swap_turns_missed_into_false(one, other):
    there, back = mapped(one, other), mapped(other, one)
    for a, b in ((there.missed, back.false), (there.false, back.missed)):
        assert sorted(a["area_m2"].round(6)) == sorted(b["area_m2"].round(6))


@settings(max_examples=30)
@given(boxes)
def test_a_perfect_map_has_no_errors(found):
    errors = mapped(found, found)
    assert (len(errors.false), len(errors.missed), len(errors.places)) == (0, 0, 0)


@settings(max_examples=30)
@given(boxes, boxes, st.integers(1, 5))
def test_few_places_are_the_first_of_many(one, other, most):
    few, many = (mapped(one, other, most_places=n).places for n in (most, 1000))
    assert few["what"].tolist() == many["what"].tolist()[:most]
    assert few["area_m2"].tolist() == sorted(few["area_m2"], reverse=True)


def test_what_two_polygons_cover_counts_once():
    twice = [((0, 0, 10, 10), 1), ((5, 0, 10, 10), 1)]
    found = mapped(twice, [((0, 0, 10, 10), 1)])
    assert said(found.right) == [("roof found", 100)]
    assert said(found.false) == [("roof mapped beyond its label", 50)]


@given(boxes)
def test_polygons_without_overlaps_cover_the_same(drawn):
    polygons = objects(*drawn).polygons
    apart = without_overlaps(polygons)
    whole = shapely.union_all(polygons)
    assert shapely.union_all(apart).symmetric_difference(whole).area < 1e-6
    assert shapely.area(apart).sum() == pytest.approx(whole.area)


def test_unions_of_what_is_near():
    polygons = objects(((0, 0, 10, 10), 1), ((50, 0, 10, 10), 1)).polygons
    others = objects(((5, 0, 10, 10), 1), ((0, 5, 2, 10), 1)).polygons
    near = near_union(polygons, others)
    assert near[0].area == 120
    assert near[1].is_empty


def test_lines_and_crumbs_are_no_parts():
    shapes = np.array(
        [
            shapely.GeometryCollection(
                [shapely.box(0, 0, 1, 1), shapely.LineString([(0, 0), (9, 9)])]
            ),
            shapely.box(0, 0, 1e-3, 1e-3),
            shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 5, 7, 7)]),
        ],
        dtype=object,
    )
    parts, owner = polygon_parts(shapes)
    assert shapely.area(parts).tolist() == [1, 1, 4]
    assert owner.tolist() == [0, 2, 2]


def test_shares_by_class():
    parts = objects(((0, 0, 10, 10), 1)).polygons
    others = objects(((0, 0, 5, 10), 1), ((0, 0, 10, 2), 2), ((0, 5, 10, 2), 2))
    shares = covered_by_class(parts, others.polygons, others.classes, np.array([1, 2, 3]))
    assert shares.tolist() == [[0.5, 0.4, 0.0]]


def test_cores_of_nothing():
    wide, owner = cores(np.empty(0, dtype=object), 0.5, 10)
    assert (len(wide), len(owner)) == (0, 0)
