"""Lines that cross get nodes, lines that do not stay as they are."""

from __future__ import annotations

import numpy as np
import shapely

from geocobot.centerlines.cleaning import clean_lines, conflicts


def as_lines(*coordinates: list[tuple[float, float]]) -> np.ndarray:
    return np.array([shapely.LineString(xy) for xy in coordinates], dtype=object)


def test_lines_may_meet_at_their_ends_alone():
    star = as_lines([(0, 0), (5, 5)], [(5, 5), (9, 0)], [(5, 5), (5, 9)], [(20, 0), (30, 0)])
    assert not conflicts(star).any()
    touching = as_lines([(0, 0), (8, 0)], [(4, 0), (4, 5)], [(9, 9), (9, 5)])
    assert conflicts(touching).tolist() == [True, True, False]
    itself = as_lines([(0, 0), (4, 0), (4, 4), (2, -2)], [(10, 0), (11, 0)])
    assert conflicts(itself).tolist() == [True, False]


def test_lines_that_cross_are_drawn_with_more_of_their_corners_first():
    simple = as_lines([(0, 0), (10, 0)], [(4, -2), (6, -2), (5, 1)])
    detailed = as_lines([(0, 0), (5, 3), (10, 0)], [(4, -2), (6, -2), (5, 1)])
    lines, source = clean_lines(2, [simple.take, detailed.take])
    assert source.tolist() == [0, 1]
    assert lines[0].equals(detailed[0])


def test_lines_that_cross_still_get_a_node():
    cross = as_lines([(0, 0), (10, 10)], [(0, 10), (10, 0)], [(20, 0), (21, 0)])
    lines, source = clean_lines(3, [cross.take])
    assert source.tolist() == [0, 0, 1, 1, 2]
    assert not conflicts(lines).any()
    ends = [tuple(line.coords[i]) for line in lines for i in (0, -1)]
    assert ends.count((5.0, 5.0)) == 4


def test_what_several_lines_have_in_common_is_there_once():
    double = as_lines([(0, 0), (10, 0)], [(2, 0), (8, 0), (8, 5)])
    lines, _ = clean_lines(2, [double.take])
    assert not conflicts(lines).any()
    assert shapely.length(lines).sum() == 15
