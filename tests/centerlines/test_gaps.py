"""Gaps: closed where they are short, straight, supported by the scores, and cross nothing."""

from __future__ import annotations

import numpy as np
import pytest

from .rasters import draw, in_pixels, trace

SHAPE = (60, 80)
WEST, EAST = [(0, 30), (34, 30)], [(48, 30), (80, 30)]
GAP_M = 8.0  # of the 14 m between the middles of the round ends


def bridged(labels: np.ndarray, between: float, **options: object) -> int:
    """How many lines there are, with a score of the road beside it."""
    road = np.where(labels == 1, 0.75, between)
    scores = np.stack([road, np.where(labels == 2, 0.75, 0.0)])
    return len(trace(labels, scores=scores, **options))


@pytest.fixture
def labels() -> np.ndarray:
    return draw([WEST, EAST], 6, SHAPE)


@pytest.mark.parametrize(
    ("between", "most_m", "lines"),
    [(0.3, 10.0, 1), (0.2, 10.0, 2), (0.3, 7.0, 2), (0.3, 0.0, 2)],
)
def test_a_gap_is_closed_where_it_is_short_and_scores_support_it(labels, between, most_m, lines):
    assert bridged(labels, between, bridge_gaps_m=most_m) == lines


def test_a_bridge_counts_for_length_and_score_and_not_for_width(labels):
    scores = np.stack([np.where(labels == 1, 0.8, 0.4), np.zeros(SHAPE)])
    frame = trace(labels, scores=scores, bridge_gaps_m=10)
    (line,) = in_pixels(frame)
    assert line.length == pytest.approx(80, abs=0.1)
    assert frame["width_m"].item() == pytest.approx(6, abs=0.1)
    share = GAP_M / 80
    assert frame["score"].item() == pytest.approx(0.8 * (1 - share) + 0.4 * share, abs=0.01)


def test_pixels_without_data_support_nothing(labels):
    labels[28:33, 40] = 255
    assert bridged(labels, 0.4, bridge_gaps_m=10) == 2


def test_no_bridge_crosses_a_line(labels):
    labels[:, 40:42] = 2
    assert bridged(labels, 0.4, bridge_gaps_m=10) == 3


def test_lines_turn_by_no_more_than_half_a_right_angle():
    beside = draw([[(0, 20), (34, 20)], [(38, 33), (80, 33)]], 6, SHAPE)
    assert bridged(beside, 0.4, bridge_gaps_m=20) == 2
    ahead = draw([[(0, 20), (34, 20)], [(52, 27), (80, 27)]], 6, SHAPE)
    assert bridged(ahead, 0.4, bridge_gaps_m=20) == 1


def test_each_end_is_used_once_by_the_nearest():
    lines = draw([WEST, EAST, [(50, 44), (80, 56)]], 6, SHAPE)
    scores = np.stack([np.where(lines == 1, 0.8, 0.3), np.zeros(SHAPE)])
    frame = trace(lines, scores=scores, bridge_gaps_m=20)
    assert len(frame) == 2
    assert frame["length_m"].max() == pytest.approx(80, abs=0.2)


@pytest.mark.parametrize("rows", [8, 23, 29])
def test_gaps_across_seams_are_the_same(rows):
    labels = draw([[(30, 0), (30, 22)], [(30, 34), (31, 60)]], 6, SHAPE)
    scores = np.stack([np.where(labels == 1, 0.75, 0.3), np.zeros(SHAPE)])
    whole = trace(labels, scores=scores, bridge_gaps_m=10)
    assert len(whole) == 1
    assert trace(labels, scores=scores, bridge_gaps_m=10, rows=rows, block_rows=9).equals(whole)
