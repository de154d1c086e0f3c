"""Every figure of pixels: strips of any height, and other libraries, give the same."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_f1_score,
    binary_jaccard_index,
    binary_precision,
    binary_recall,
    multiclass_accuracy,
    multiclass_confusion_matrix,
)

from geocobot.classes import IGNORE, classify, name_classes
from geocobot.evaluation.block_plan import BlockPlan
from geocobot.evaluation.judge import PixelJudge
from geocobot.steps import NODATA, scores_of

CLASSES = name_classes(["road", "roof"])


def made_up(seed, shape=(61, 83)):
    """Truth, scores in steps and where to judge: blobs, with holes in all of it."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 0, 1, 2, IGNORE], (9, 12)).astype(np.uint8)
    truth = np.kron(coarse, np.ones((8, 8), np.uint8))[: shape[0], : shape[1]]
    chance = np.stack([truth == 1, truth == 2]) * 140 + rng.integers(0, 110, (2, *shape))
    steps = chance.astype(np.uint8)
    steps[:, rng.random(shape) < 0.02] = NODATA
    return truth, steps, rng.random(shape) > 0.1


def reported(truth, steps, judged, heights, side_m=20.0):
    plan = BlockPlan.over(Window(0, 0, truth.shape[1], len(truth)), (1.0, 1.0), side_m)
    judge = PixelJudge(CLASSES, plan)
    prediction = classify(scores_of(steps), steps[0] != NODATA, CLASSES)
    for top, bottom in zip([0, *heights], [*heights, len(truth)], strict=True):
        rows = slice(top, bottom)
        judge.add(truth[rows], prediction[rows], judged[rows], steps[:, rows])
    return judge.report((1.0, 1.0), seed=3)


@settings(max_examples=25)
@given(st.integers(0, 5), st.sets(st.integers(1, 60), max_size=61))
def test_strips_of_any_height_give_the_same_figures(seed, cuts):
    truth, steps, judged = made_up(seed)
    whole = reported(truth, steps, judged, [])
    assert reported(truth, steps, judged, sorted(cuts)) == whole


def test_row_by_row_is_the_same_as_well():
    truth, steps, judged = made_up(9)
    assert reported(truth, steps, judged, range(1, 61)) == reported(truth, steps, judged, [])


def test_pixel_figures_are_those_of_torchmetrics_and_scikit_learn():
    truth, steps, judged = made_up(1)
    known = judged & (truth != IGNORE)
    prediction = classify(scores_of(steps), np.ones(truth.shape, bool), CLASSES)
    t, p = truth[known].astype(int), prediction[known].astype(int)
    scores = reported(truth, steps, judged, [7, 40]).scores
    tt, pt = torch.from_numpy(t), torch.from_numpy(p)
    assert scores.confusion == tuple(map(tuple, confusion_matrix(t, p, labels=[0, 1, 2])))
    theirs = multiclass_confusion_matrix(pt, tt, num_classes=3)
    assert np.array_equal(scores.confusion, theirs)
    assert scores.accuracy == pytest.approx(accuracy_score(t, p), abs=1e-6)
    overall = multiclass_accuracy(pt, tt, num_classes=3, average="micro")
    assert scores.accuracy == pytest.approx(float(overall), abs=1e-6)
    for ours, number in zip(scores.classes, (1, 2), strict=True):
        a, b = tt == number, pt == number
        for name, function in {
            "iou": binary_jaccard_index,
            "f1": binary_f1_score,
            "precision": binary_precision,
            "recall": binary_recall,
            "accuracy": binary_accuracy,
        }.items():
            assert getattr(ours, name) == pytest.approx(float(function(b, a)), abs=1e-6), name
        assert ours.accuracy == pytest.approx(accuracy_score(t == number, p == number), abs=1e-6)
    labels = {"labels": [1, 2], "average": "macro"}
    assert scores.mean_iou == pytest.approx(jaccard_score(t, p, **labels), abs=1e-6)
    assert scores.mean_f1 == pytest.approx(f1_score(t, p, **labels), abs=1e-6)


def test_without_scores_there_are_no_curves():
    truth, _, judged = made_up(2)
    judge = PixelJudge(CLASSES, BlockPlan.over(Window(0, 0, 83, 61), (1.0, 1.0)))
    judge.add(truth, truth, judged)
    report = judge.report((1.0, 1.0), seed=0)
    assert (report.curves, report.calibration) == ((), ())
    assert report.scores.mean_iou == 1.0


@given(hnp.arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, IGNORE])))
def test_a_map_equal_to_the_truth_is_perfect(truth):
    judge = PixelJudge(CLASSES, BlockPlan.over(Window(0, 0, 7, 6), (1.0, 1.0), 2.0))
    judge.add(truth, truth, np.ones(truth.shape, bool))
    report = judge.report((1.0, 1.0), seed=0)
    for score in report.scores.classes:
        assert score.iou in {1.0, None}
    for boundary in report.boundaries:
        for score in boundary.scores:
            assert {score.iou, score.f1, score.precision, score.recall} <= {1.0, None}


def test_what_lies_outside_the_blocks_is_not_judged():
    truth, steps, judged = made_up(4)
    window = Window(10, 5, 50, 40)
    inside = np.zeros(truth.shape, bool)
    inside[5:45, 10:60] = True
    judge = PixelJudge(CLASSES, BlockPlan.over(window, (1.0, 1.0), 15.0))
    judge.add(truth, truth, judged & inside, steps)
    report = judge.report((1.0, 1.0), seed=0)
    assert report.scores.judged_px == (judged & inside & (truth != IGNORE)).sum()
    assert report.uncertainty.blocks == 3 * 4
