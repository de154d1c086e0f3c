"""Lines that are right, false, missed and interrupted: by hand, and sums that agree."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.evaluation.error_map import map_errors
from geocobot.evaluation.line_errors import LABELS_SIDE, MAP_SIDE, line_errors
from geocobot.evaluation.lines import LineOptions, RoadLines, pair_lines, score_lines
from geocobot.evaluation.objects import Objects

CLASSES = name_classes(["road", "river"])
UTM = CRS.from_epsg(32633)
WIDTHS_M = {1: 8.0, 2: 20.0}
points = st.tuples(st.integers(0, 120), st.integers(0, 120))
drawings = st.lists(st.lists(points, min_size=2, max_size=4, unique=True), max_size=5)

TRUTH = [[(0, 0), (100, 0)], [(0, 50), (60, 50)]]


def roads(drawn, number=1):
    lines = np.array([shapely.LineString(xy) for xy in drawn] or [], dtype=object)
    return RoadLines(lines, np.full(len(drawn), number, dtype=np.int64))


def paired(predicted, truth, classes=CLASSES[:1], **options):
    return pair_lines(roads(predicted), roads(truth), classes, **options)


def errors(predicted, truth, **options):
    return line_errors(paired(predicted, truth, **options), WIDTHS_M, UTM)


def objects(*boxes, number=1):
    polygons = np.array([shapely.box(*box) for box in boxes] or [], dtype=object)
    return Objects(polygons, np.full(len(boxes), number, dtype=np.int64))


def said(frame):
    return list(zip(frame["what"], frame["length_m"].round(1), strict=True))


def test_by_hand():
    # The first road has a gap of 20 m, the second is not mapped, a third is not there.
    found = errors([[(0, 0), (40, 0)], [(60, 0), (100, 0)], [(0, 90), (30, 90)]], TRUTH)
    assert said(found.missed) == [("road missed", 12.0), ("road missed", 60.0)]
    assert said(found.false) == [("road that is not there", 30.0)]
    labelled = found.right[found.right["side"] == LABELS_SIDE]
    mapped = found.right[found.right["side"] == MAP_SIDE]
    assert said(labelled) == [("road found", 44.0), ("road found", 44.0)]
    assert said(mapped) == [("road found", 40.0), ("road found", 40.0)]
    assert said(found.breaks) == [("break of road: 20 m missing", 20.0)]
    assert found.breaks["count"].tolist() == [1]
    assert found.breaks.geometry.iloc[0].distance(shapely.Point(50, 0)) < 1e-6
    assert found.false_links.empty


def test_a_false_link_is_a_point_on_what_links():
    found = errors([*TRUTH, [(30, 0), (30, 50)]], TRUTH)
    assert said(found.false_links) == [("false link of road: 50 m", 50.0)]
    assert found.false_links.geometry.iloc[0].distance(shapely.Point(30, 25)) < 1e-6
    assert found.breaks.empty


def test_a_missing_junction_is_one_point_that_counts_twice():
    truth = [[(0, 0), (100, 0)], [(50, 0), (50, 50)]]
    arms = [[(0, 0), (30, 0)], [(70, 0), (100, 0)], [(50, 20), (50, 50)]]
    found = errors(arms, truth)
    assert said(found.breaks) == [("2 breaks of road: 60 m missing", 60.0)]
    assert found.breaks["count"].tolist() == [2]


def test_a_small_gap_that_completeness_does_not_see_is_shown():
    found = errors([[(0, 0), (48, 0)], [(51, 0), (100, 0)]], TRUTH[:1])
    assert found.missed.empty
    assert said(found.breaks) == [("break of road: 3.0 m missing", 3.0)]


def test_a_break_stands_for_what_is_missing_in_it():
    found = errors([[(0, 0), (40, 0)], [(60, 0), (100, 0)], [(0, 90), (30, 90)]], TRUTH)
    assert said(found.places) == [
        ("break of road: 20 m missing", 20.0),
        ("road missed: 60 m", 60.0),
        ("road that is not there: 30 m", 30.0),
    ]
    assert found.places["area_m2"].round(6).tolist() == [160, 480, 240]


def test_what_hangs_together_is_one_place():
    star = [[(0, 0), (50, 0)], [(50, 0), (90, 40)], [(50, 0), (90, -40)]]
    found = errors([], star)
    assert len(found.missed) == 3
    assert said(found.places) == [("road missed: 163 m", pytest.approx(163.1))]
    assert len(errors([], [star[0], [(50, 5), (90, 5)]]).places) == 2


def test_the_ends_of_roads_that_differ_a_little_are_no_place():
    found = errors([[(0, 0), (95.5, 0)]], TRUTH[:1])
    assert found.missed["length_m"].sum() == pytest.approx(0.5, abs=0.01)
    assert found.places.empty


def test_the_area_and_the_classes():
    drawn = RoadLines(np.concatenate([roads(TRUTH).lines] * 2), np.array([1, 1, 2, 2]))
    pairs = pair_lines(roads([]), drawn, CLASSES, area=shapely.box(-1, -1, 50, 10))
    found = line_errors(pairs, WIDTHS_M, UTM)
    assert found.missed["class_name"].tolist() == ["road", "river"]
    assert found.missed["length_m"].tolist() == [50, 50]
    assert found.places["area_m2"].tolist() == [400, 1000]


def test_nothing_gives_empty_frames_and_degrees_are_as_good():
    found = errors([], []).to_crs(CRS.from_epsg(4326))
    for frame in (found.right, found.false, found.missed, found.breaks, found.false_links):
        assert frame.empty
        assert frame.crs == CRS.from_epsg(4326)
        assert {"class_id", "class_name", "what", "length_m"} <= set(frame.columns)
    moved = errors([], TRUTH).to_crs(CRS.from_epsg(4326))
    assert moved.missed["length_m"].sum() == 160


def check_sums(pairs):
    """The figures follow from the layers."""
    found = line_errors(pairs, WIDTHS_M, UTM)
    for pair, score in zip(pairs, score_lines(pairs).classes, strict=True):
        number = pair.spec.number
        right, false, missed, breaks, links = (
            frame[frame["class_id"] == number]
            for frame in (found.right, found.false, found.missed, found.breaks, found.false_links)
        )
        found_m = right["length_m"][right["side"] == LABELS_SIDE].sum()
        right_m = right["length_m"][right["side"] == MAP_SIDE].sum()
        missed_m, false_m = missed["length_m"].sum(), false["length_m"].sum()
        assert found_m + missed_m == pytest.approx(pair.labelled.length_m, abs=0.05)
        assert right_m + false_m == pytest.approx(pair.mapped.length_m, abs=0.05)
        if score.truth_m:
            assert found_m / (found_m + missed_m) == pytest.approx(score.completeness, abs=1e-4)
        if score.predicted_m:
            assert right_m / (right_m + false_m) == pytest.approx(score.correctness, abs=1e-4)
        if score.quality is not None:
            quality = right_m / (right_m + false_m + missed_m)
            assert quality == pytest.approx(score.quality, abs=1e-4)
        assert (breaks["count"].sum(), links["count"].sum()) == (score.breaks, score.false_links)


@settings(max_examples=50)
@given(drawings, drawings, st.sampled_from([1.0, 4.0, 9.0]))
def test_completeness_correctness_and_quality_follow_from_the_layers(one, other, buffer_m):
    check_sums(paired(one, other, options=LineOptions(buffer_m=buffer_m)))


@settings(max_examples=50)
@given(drawings, drawings)
def test_points_lie_on_the_lines_that_they_are_of(one, other):
    (pair,) = paired(one, other)
    found = line_errors([pair], WIDTHS_M, UTM)
    for frame, network in ((found.breaks, pair.labelled), (found.false_links, pair.mapped)):
        lines = shapely.union_all(network.edges)
        assert all(shapely.distance(frame.geometry.to_numpy(), lines) < 0.01)


@settings(max_examples=40)
@given(drawings, drawings)
def test_a_swap_turns_missed_into_false(one, other):
    there, back = errors(one, other), errors(other, one)
    for a, b in ((there.missed, back.false), (there.breaks, back.false_links)):
        assert sorted(a["length_m"].round(6)) == sorted(b["length_m"].round(6))


@settings(max_examples=40)
@given(drawings)
def test_a_perfect_map_has_no_errors(drawn):
    found = errors(drawn, drawn)
    assert (len(found.breaks), len(found.false_links), len(found.places)) == (0, 0, 0)
    assert found.missed["length_m"].sum() + found.false["length_m"].sum() < 0.05


def ranked(predicted, truth, lines):
    return map_errors(predicted, truth, CLASSES, UTM, UTM, lines=lines).places


def test_lines_and_areas_are_ranked_by_area_and_none_comes_twice():
    # 100 m of road are not mapped, neither as a line nor as the area around it; nor is a lake.
    missing = errors([], TRUTH[:1])
    road, lake = objects((0, -4, 100, 4)), objects((0, 200, 30, 230), number=2)
    truth = Objects(np.append(road.polygons, lake.polygons), np.array([1, 2]))
    places = ranked(objects(), truth, missing)
    assert places["what"].tolist() == ["river missed: 900 m²", "road missed: 100 m"]
    assert places["rank"].tolist() == [1, 2]
    assert places["area_m2"].tolist() == [900, 800]
    assert places["length_m"].isna().tolist() == [True, False]
    assert places.geometry.iloc[1].equals(shapely.Point(50, 0))


def test_an_area_that_no_line_explains_stays_a_place():
    # A yard of 60 m by 60 m is mapped as road, and a line of 30 m in it.
    false = errors([*TRUTH, [(200, 0), (230, 0)]], TRUTH)
    places = ranked(objects((180, -30, 240, 30)), objects(), false)
    assert places["what"].tolist() == [
        "road that is not there: 3,600 m²",
        "road that is not there: 30 m",
    ]


def test_an_area_of_another_class_or_outcome_stays_a_place():
    missing = errors([], TRUTH[:1])
    for predicted, truth, what in (
        (objects(), objects((0, -4, 100, 4), number=2), "river missed: 800 m²"),
        (objects((0, -4, 100, 4)), objects(), "road that is not there: 800 m²"),
    ):
        places = ranked(predicted, truth, missing)
        assert sorted(places["what"]) == sorted([what, "road missed: 100 m"])
