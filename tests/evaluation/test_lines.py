"""Roads: lengths, connections and paths, computed by hand, and laws."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from geocobot.classes import name_classes
from geocobot.evaluation.apls import Apls
from geocobot.evaluation.breaks import find_breaks
from geocobot.evaluation.coverage import cover
from geocobot.evaluation.lines import (
    BUFFER_M,
    LineClassScores,
    LineOptions,
    RoadLines,
    pair_lines,
    score_lines,
)
from geocobot.evaluation.roads import Network

CLASSES = name_classes(["road", "river"])
points = st.tuples(st.integers(0, 120), st.integers(0, 120))
drawings = st.lists(st.lists(points, min_size=2, max_size=4, unique=True), max_size=5)


def lines(*drawn):
    return np.array([shapely.LineString(xy) for xy in drawn] or [], dtype=object)


def network(*drawn):
    return Network.of(lines(*drawn))


def roads(drawn, number=1):
    return RoadLines(lines(*drawn), np.full(len(drawn), number, dtype=np.int64))


def scored(predicted, truth, **options):
    return score_lines(pair_lines(roads(predicted), roads(truth), CLASSES[:1], **options)).classes[
        0
    ]


def test_completeness_correctness_and_quality_by_hand():
    truth = [[(0, 0), (100, 0)]]
    # 80 m lie 1 m beside the road; 50 m lie where there is none.
    predicted = [[(0, 1), (80, 1)], [(0, 50), (50, 50)]]
    score = scored(predicted, truth)
    # Around the end of the mapped line the buffer reaches sqrt(4^2 - 1^2) m beyond it.
    found_m = 80 + np.sqrt(15)
    assert score.truth_m == pytest.approx(100)
    assert score.predicted_m == pytest.approx(130)
    assert score.completeness == pytest.approx(found_m / 100, abs=1e-3)
    assert score.correctness == pytest.approx(80 / 130)
    assert score.quality == pytest.approx(80 / (130 + 100 - found_m), abs=1e-3)


def test_lengths_that_rounding_makes_longer_are_no_better_than_all():
    nothing = Apls(None, None, None, (0, 0))
    score = LineClassScores("road", 0.3, 0.3, 0.3, 0.1 + 0.2, 0, 0, nothing)
    assert score.right_m > score.predicted_m
    assert score.quality == 1.0


def test_the_buffer_decides():
    truth, predicted = [[(0, 0), (100, 0)]], [[(0, 4.5), (100, 4.5)]]
    assert scored(predicted, truth).completeness == 0.0
    wide = LineOptions(buffer_m=5)
    assert scored(predicted, truth, options=wide).completeness == pytest.approx(1)


def test_what_lies_outside_of_the_judged_area_is_cut_off():
    truth, predicted = [[(0, 0), (100, 0)]], [[(0, 0), (50, 0)], [(60, 20), (100, 20)]]
    score = scored(predicted, truth, area=shapely.box(-1, -10, 50, 10))
    assert (score.truth_m, score.predicted_m) == (pytest.approx(50), pytest.approx(50))
    assert score.quality == pytest.approx(1)


def test_classes_are_apart():
    drawn = [[(0, 0), (100, 0)]]
    scores = score_lines(pair_lines(roads(drawn, 2), roads(drawn), CLASSES))
    road, river = scores.classes
    assert (road.truth_m, road.predicted_m, road.completeness) == (pytest.approx(100), 0, 0)
    assert (road.correctness, river.completeness) == (None, None)
    assert (road.quality, river.quality, scores.mean_quality) == (0, 0, 0)


def test_no_lines_have_no_scores():
    scores = score_lines(pair_lines(roads([]), roads([]), CLASSES))
    assert (scores.mean_quality, scores.mean_apls) == (None, None)
    assert [(c.breaks, c.false_links) for c in scores.classes] == [(0, 0), (0, 0)]


def test_lines_that_cross_meet_and_what_is_drawn_twice_counts_once():
    crossing = network([(0, 0), (10, 0)], [(5, -5), (5, 5)], [(2, 0), (8, 0)])
    assert (len(crossing), len(crossing.nodes)) == (4, 5)
    assert crossing.length_m == pytest.approx(20)


def test_ends_meet_what_they_nearly_reach():
    drawn = [[(0, 0), (10, 0)], [(5, 0.4), (5, 5)]]
    assert len(network(*drawn)) == 3
    assert len(Network.of(lines(*drawn), join_m=0.1)) == 2


def test_lines_in_pieces_are_one_edge():
    assert len(network([(0, 0), (3, 0)], [(3, 0), (5, 5)], [(9, 9), (5, 5)])) == 1


CROSS = [[(-50, 0), (0, 0)], [(0, 0), (50, 0)], [(0, 0), (0, 50)]]
LADDER = [[(0, 0), (100, 0)], [(0, 40), (100, 40)], [(50, 0), (50, 40)]]


@pytest.mark.parametrize(
    ("truth", "predicted", "breaks"),
    [
        pytest.param([[(0, 0), (100, 0)]], [[(0, 0), (40, 0)], [(60, 0), (100, 0)]], 1, id="gap"),
        pytest.param([[(0, 0), (100, 0)]], [[(0, 0), (50, 0)], [(51, 0), (100, 0)]], 1, id="slit"),
        pytest.param([[(0, 0), (100, 0)]], [[(0, 0), (30, 0)]], 0, id="ends early"),
        pytest.param([[(0, 0), (100, 0)]], [[(30, 0), (60, 0)]], 0, id="middle only"),
        pytest.param([[(0, 0), (100, 0)]], [], 0, id="missing"),
        pytest.param(
            [[(0, 0), (100, 0)]],
            [[(0, 0), (20, 0)], [(50, -9), (50, 9)], [(80, 0), (100, 0)]],
            1,
            id="only crossed",
        ),
        pytest.param(
            CROSS,
            [[(-50, 0), (-20, 0)], [(20, 0), (50, 0)], [(0, 20), (0, 50)]],
            2,
            id="junction missing",
        ),
        pytest.param(CROSS, CROSS[:2], 0, id="arm missing"),
        pytest.param(LADDER, LADDER[:2], 1, id="link missing"),
        pytest.param(
            [[(0, 0), (40, 0)], [(0, 0), (20, 30)], [(20, 30), (40, 0)]],
            [[(0, 0), (40, 0)]],
            1,
            id="two ways missing in a row",
        ),
        pytest.param(
            [[(0, 0), (100, 0)]],
            [[(0, 1), (60, 1)], [(40, -1), (100, -1)]],
            0,
            id="two lanes",
        ),
    ],
)
def test_breaks_by_hand(truth, predicted, breaks):
    assert find_breaks(network(*truth), network(*predicted), 2 * BUFFER_M).total == breaks
    score = scored(predicted, truth)
    assert score.breaks == breaks
    # A connection that is not there is a break of the truth along the map.
    assert scored(truth, predicted).false_links == breaks


def test_what_is_missing_as_a_whole_is_not_interrupted_however_short_its_edges():
    drawn = [[(0, 0), (100, 0)], [(50, 0), (50, 50)], [(50.001, 0), (50.001, -50)]]
    truth = network(*drawn)
    assert truth.lengths.min() == pytest.approx(0.001)
    assert find_breaks(truth, network(), 2 * BUFFER_M).total == 0


def test_a_road_that_leaves_the_buffer_for_a_while_is_not_interrupted():
    aside = [[(0, 0), (40, 0), (50, 7), (60, 7), (70, 0), (100, 0)]]
    score = scored(aside, [[(0, 0), (100, 0)]])
    assert score.completeness < 0.9
    assert (score.breaks, score.false_links) == (0, 0)


def test_a_road_that_runs_a_little_beside_is_not_interrupted():
    grid = [[(x, 0), (x, 200)] for x in range(0, 201, 50)]
    grid += [[(0, y), (200, y)] for y in range(0, 201, 50)]
    beside = [[(x + 1.5, y - 1.5) for x, y in line] for line in grid]
    assert scored(beside, grid).breaks == 0
    assert scored(beside, grid).false_links == 0


@given(drawings)
def test_a_perfect_map_scores_1(drawn):
    score = scored(drawn, drawn)
    if score.truth_m:
        for value in (score.completeness, score.correctness, score.quality):
            assert value == pytest.approx(1)
        assert score.apls.value in (None, pytest.approx(1))
    assert (score.breaks, score.false_links) == (0, 0)


@given(drawings, drawings)
def test_completeness_is_the_correctness_of_the_labels_in_the_map(one, other):
    there, back = scored(one, other), scored(other, one)
    assert there.completeness == back.correctness
    assert there.correctness == back.completeness
    assert (there.breaks, there.false_links) == (back.false_links, back.breaks)
    assert there.apls.value == back.apls.value
    for value in (there.completeness, there.correctness, there.quality, there.apls.value):
        assert value is None or 0 <= value <= 1 + 1e-9


@given(drawings, drawings, st.randoms())
def test_order_does_not_matter(one, other, dice):
    a = scored(one, other)
    b = scored(dice.sample(one, len(one)), [line[::-1] for line in dice.sample(other, len(other))])
    for name in ("completeness", "correctness", "quality"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-6)
    assert (a.breaks, a.false_links) == (b.breaks, b.false_links)


@given(drawings, drawings, points)
def test_place_does_not_matter(one, other, by):
    def moved(drawn):
        return [[(x + by[0], y + by[1]) for x, y in line] for line in drawn]

    a, b = scored(one, other), scored(moved(one), moved(other))
    for name in ("completeness", "correctness", "quality"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-4)


@given(drawings, drawings)
def test_what_is_covered_is_what_lies_in_the_buffer(one, other):
    a, b = network(*one), network(*other)
    assume(len(a) and len(b))
    whole = shapely.union_all(b.edges).buffer(BUFFER_M, quad_segs=64)
    expected = shapely.length(shapely.intersection(a.edges, whole)).sum()
    assert cover(a, b, BUFFER_M).near_m == pytest.approx(expected, abs=1)
