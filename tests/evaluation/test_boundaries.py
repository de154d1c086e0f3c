"""Outlines: the plain way, pair by pair, gives the same."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from geocobot.classes import IGNORE, name_classes
from geocobot.evaluation.boundaries import DISTANCES_PX, BoundaryCounts

CLASSES = name_classes(["road", "roof"])
maps = hnp.arrays(np.uint8, (13, 17), elements=st.sampled_from([0, 0, 1, 1, 2]))


def counted(truth, prediction, judged=None, classes=CLASSES):
    counts = BoundaryCounts(classes)
    counts.add(truth, prediction, np.ones(truth.shape, bool) if judged is None else judged)
    return counts.scores()


def near(marked, distance_px):
    """Where a marked pixel is within a distance, by SciPy's exact distances."""
    if not marked.any():
        return marked
    return distance_transform_edt(~marked) <= distance_px


def plain(truth, prediction, judged, distance_px):
    """IoU, precision and recall of one class, given as (H, W) bool."""
    t, p = truth & judged, prediction & judged
    t_band = t & near(judged & ~t, distance_px)
    p_band = p & near(judged & ~p, distance_px)
    t_line, p_line = t & near(judged & ~t, 1), p & near(judged & ~p, 1)
    right, found = p_line & near(t_line, distance_px), t_line & near(p_line, distance_px)
    pairs = [
        ((t_band & p_band).sum(), (t_band | p_band).sum()),
        (right.sum(), p_line.sum()),
        (found.sum(), t_line.sum()),
    ]
    return [a / b if b else None for a, b in pairs]


@settings(max_examples=60)
@given(maps, maps, hnp.arrays(np.bool_, (13, 17), elements=st.sampled_from([True, True, False])))
def test_scores_are_those_of_exact_distances(truth, prediction, judged):
    found = counted(truth, prediction, judged)
    for spec, boundary in zip(CLASSES, found[:-1], strict=True):
        for score in boundary.scores:
            expected = plain(
                truth == spec.number, prediction == spec.number, judged, score.distance_px
            )
            assert [score.iou, score.precision, score.recall] == pytest.approx(expected)


def square(top, left, side=20, shape=(60, 70)):
    drawn = np.zeros(shape, np.uint8)
    drawn[top : top + side, left : left + side] = 1
    return drawn


def test_a_square_moved_by_two_pixels():
    one = CLASSES[:1]
    boundary = counted(square(20, 20), square(20, 22), classes=one)[0]
    at_1, at_2, at_4 = boundary.scores
    assert at_2.f1 == at_4.f1 == 1.0
    # Of the 76 px of an outline, those of the far sides lie 2 px away, their neighbours with them.
    assert at_1.precision == at_1.recall == pytest.approx((76 - 2 * 19) / 76, abs=0.08)
    assert at_1.iou < at_2.iou < at_4.iou < 1


def test_the_band_is_the_inside_of_the_outline():
    # 20 x 20 px less 12 x 12 px within; the other map has nothing.
    counts = BoundaryCounts(CLASSES[:1])
    empty = np.zeros((60, 70), np.uint8)
    counts.add(square(20, 20), square(20, 20), np.ones(empty.shape, bool))
    counts.scores()
    assert counts._counts[0, DISTANCES_PX.index(4)].tolist()[:2] == [400 - 12 * 12] * 2
    assert counts._outlines[0].tolist() == [76, 76]


def test_neither_the_edge_of_the_scene_nor_of_what_is_known_is_an_outline():
    truth = np.ones((20, 20), np.uint8)
    truth[:, 12:] = IGNORE
    (boundary, _) = counted(truth, np.ones((20, 20), np.uint8), classes=CLASSES[:1])
    assert {score.iou for score in boundary.scores} == {None}
    assert {score.f1 for score in boundary.scores} == {None}


def test_a_missed_object_has_no_precision():
    boundary = counted(square(20, 20), np.zeros((60, 70), np.uint8), classes=CLASSES[:1])[0]
    assert [(s.iou, s.f1, s.precision, s.recall) for s in boundary.scores] == [(0, 0, None, 0)] * 3


def test_wide_scenes_are_compared_in_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (5, 30)), np.ones((6, 6))).astype(np.uint8)
    prediction = np.roll(truth, 2, axis=1)
    whole = counted(truth, prediction)
    monkeypatch.setattr("geocobot.evaluation.boundaries._CHUNK_PX", 7)
    assert counted(truth, prediction) == whole


def test_the_mean_is_over_the_classes_that_have_a_score():
    road, roof, mean = counted(square(20, 20), square(20, 21))
    assert roof.scores[0].iou is None
    assert mean.name == "mean"
    assert mean.scores == road.scores
