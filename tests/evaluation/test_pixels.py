import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from geocobot.classes import IGNORE, name_classes
from geocobot.evaluation.pixels import Confusion

CLASSES = name_classes(["road", "roof", "tree"])
maps = hnp.arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 3, IGNORE]))
masks = hnp.arrays(np.bool_, (6, 7))


def counted(truth, prediction, valid, classes=CLASSES):
    confusion = Confusion(classes)
    confusion.add(truth, prediction, valid)
    return confusion


def test_scores_by_hand():
    truth = np.array([[1, 1, 1, 0], [2, 2, 0, 0]], np.uint8)
    prediction = np.array([[1, 1, 2, 1], [2, 0, 0, 0]], np.uint8)
    road, roof, tree = counted(truth, prediction, np.ones_like(truth, bool)).scores().classes
    assert (road.name, road.truth_px, road.predicted_px) == ("road", 3, 3)
    assert road.iou == 2 / 4
    assert road.f1 == 4 / 6
    assert road.precision == 2 / 3
    assert road.recall == 2 / 3
    assert roof.iou == 1 / 3
    assert (tree.iou, tree.f1, tree.precision, tree.recall) == (None, None, None, None)


def test_the_mean_leaves_out_classes_that_are_nowhere():
    truth = np.array([[1, 0]], np.uint8)
    scores = counted(truth, truth, np.ones_like(truth, bool)).scores()
    assert scores.mean_iou == 1.0
    assert scores.mean_f1 == 1.0


def test_nothing_counted_has_no_scores():
    scores = Confusion(CLASSES).scores()
    assert scores.mean_iou is None
    assert scores.judged_px == 0


@pytest.mark.parametrize(
    ("prediction", "unlearned"),
    [([1, 1, 1, 1], ("road",)), ([0, 0, 0, 0], ("road",)), ([1, 0, 0, 0], ()), ([1, 1, 0, 0], ())],
)
def test_a_class_that_is_everywhere_or_nowhere_on_the_map_was_not_learned(prediction, unlearned):
    truth = np.array([[1, 0, 0, 0]], np.uint8)
    found = np.array([prediction], np.uint8)
    assert counted(truth, found, np.ones_like(truth, bool)).scores().unlearned == unlearned


def test_a_class_that_really_is_everywhere_or_nowhere_counts_as_learned():
    for number in (0, 1):
        truth = np.full((1, 4), number, np.uint8)
        assert counted(truth, truth, np.ones_like(truth, bool)).scores().unlearned == ()


@given(maps, maps, masks)
def test_pixels_without_truth_or_data_do_not_count(truth, prediction, valid):
    judged = valid & (truth != IGNORE)
    other = np.where(judged, prediction, (prediction + 1) % 4).astype(np.uint8)
    ours = counted(truth, prediction, valid)
    assert np.array_equal(ours.counts, counted(truth, other, valid).counts)
    assert ours.scores().judged_px == judged.sum()


def test_a_place_left_out_is_a_miss():
    truth = np.array([[1, 1]], np.uint8)
    prediction = np.array([[1, IGNORE]], np.uint8)
    assert counted(truth, prediction, np.ones_like(truth, bool)).scores().classes[0].iou == 0.5


@given(maps, maps, masks)
def test_scores_are_those_of_scikit_learn(truth, prediction, valid):
    prediction = np.where(prediction == IGNORE, 0, prediction).astype(np.uint8)
    judged = valid & (truth != IGNORE)
    t, p = truth[judged], prediction[judged]
    for spec, ours in zip(CLASSES, counted(truth, prediction, valid).scores().classes, strict=True):
        a, b = t == spec.number, p == spec.number
        expected = {
            "iou": jaccard_score(a, b, zero_division=0) if (a | b).any() else None,
            "f1": f1_score(a, b, zero_division=0) if (a | b).any() else None,
            "precision": precision_score(a, b, zero_division=0) if b.any() else None,
            "recall": recall_score(a, b, zero_division=0) if a.any() else None,
        }
        for name, value in expected.items():
            assert getattr(ours, name) == pytest.approx(value)


@given(maps, maps, masks, st.integers(1, 5))
def test_windows_add_up(truth, prediction, valid, cut):
    whole = counted(truth, prediction, valid)
    parts = counted(truth[:cut], prediction[:cut], valid[:cut]) + counted(
        truth[cut:], prediction[cut:], valid[cut:]
    )
    assert np.array_equal(whole.counts, parts.counts)
    assert whole.scores() == parts.scores()


def test_numbers_need_not_be_consecutive():
    classes = (CLASSES[0], CLASSES[2])
    truth = np.array([[1, 3, 2, 0]], np.uint8)
    scores = counted(truth, truth, np.ones_like(truth, bool), classes).scores()
    assert [c.iou for c in scores.classes] == [1.0, 1.0]
    assert scores.judged_px == 4


def test_other_windows_are_refused():
    with pytest.raises(ValueError, match="cover different windows"):
        Confusion(CLASSES).add(
            np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), np.ones((2, 2), bool)
        )


def test_other_classes_do_not_add_up():
    with pytest.raises(ValueError, match="different classes"):
        Confusion(CLASSES) + Confusion(CLASSES[:1])
