import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from geocobot.classes import IGNORE
from geocobot.training.thresholds import ScoreHistograms


def logit(scores):
    return torch.logit(torch.as_tensor(scores, dtype=torch.float32))


def tuned(scores, label, valid=None):
    """Tune one class on a row of scores and labels."""
    histograms = ScoreHistograms(1)
    label = torch.tensor(label).view(1, 1, -1)
    valid = torch.ones_like(label, dtype=torch.bool) if valid is None else torch.tensor(valid)
    histograms.add(logit(scores).view(1, 1, 1, -1), label, valid.view(1, 1, -1))
    return histograms.tune()


def test_the_middle_of_a_clean_gap_is_chosen():
    found = tuned([0.11, 0.21, 0.81, 0.91], [0, 0, 1, 1])
    assert found.thresholds[0] == pytest.approx(0.51, abs=0.01)
    assert found.iou == (1.0,)
    assert found.mean_iou == 1.0


def test_a_shy_model_gets_a_low_threshold():
    found = tuned([0.02, 0.04, 0.21, 0.31], [0, 0, 1, 1])
    assert 0.04 < found.thresholds[0] < 0.21


def test_a_class_that_is_nowhere_keeps_its_threshold():
    found = tuned([0.9, 0.8], [0, 0])
    assert found.thresholds == (0.5,)
    assert found.iou == (None,)
    assert found.mean_iou == 0.0


def test_ignored_and_invalid_pixels_do_not_count():
    clean = tuned([0.11, 0.81], [0, 1])
    noisy = tuned([0.11, 0.99, 0.81, 0.01], [0, IGNORE, 1, 1], valid=[True, True, True, False])
    assert noisy == clean


def rows_of(*rows):
    """Tune one class on rows (scores, label), each a sample of its own."""
    histograms = ScoreHistograms(1)
    for scores, label in rows:
        truth = torch.tensor(label).view(1, 1, -1)
        valid = torch.ones_like(truth, dtype=torch.bool)
        histograms.add(logit(scores).view(1, 1, 1, -1), truth, valid)
    return histograms.tune()


SHY = ([0.02, 0.04, 0.21, 0.31], [0, 0, 1, 1])
BOLD = ([0.02, 0.60, 0.91, 0.95], [0, 0, 1, 1])
NOISY = ([0.02, 0.90, 0.70, 0.95], [0, 0, 1, 1])
PLAIN = ([0.02, 0.30, 0.70, 0.95], [0, 0, 1, 1])


def test_samples_that_agree_keep_an_extreme_threshold():
    assert rows_of(*[SHY] * 10).thresholds == rows_of(SHY).thresholds
    assert rows_of(*[BOLD] * 10).thresholds == rows_of(BOLD).thresholds


@pytest.mark.parametrize("odd", [SHY, BOLD])
def test_one_odd_sample_does_not_pull_the_threshold_far(odd):
    alone, among = rows_of(odd).thresholds[0], rows_of(odd, *[PLAIN] * 3).thresholds[0]
    assert abs(among - 0.5) < abs(alone - 0.5)
    assert 0.3 <= among <= 0.7


def square_of(*quarters, around=(0, 0, 0, 0)):
    """Tune one class on one sample with a row (scores, label) in each quarter of 4 x 4 px.

    Around them so many unlabelled pixels to the left, right, top and bottom.
    """
    scores, label = (
        torch.tensor([quarter[part] for quarter in quarters])
        .view(2, 2, 2, 2)
        .transpose(1, 2)
        .reshape(1, 4, 4)
        for part in (0, 1)
    )
    scores, label = pad(scores, around, value=0.99), pad(label, around, value=IGNORE)
    histograms = ScoreHistograms(1)
    histograms.add(logit(scores)[None], label, torch.ones_like(label, dtype=torch.bool))
    return histograms.tune()


def test_a_lone_sample_is_compared_with_itself():
    assert square_of(*[SHY] * 4).thresholds == rows_of(*[SHY] * 4).thresholds
    assert square_of(*[PLAIN] * 4).mean_error == 0.0
    odd = [BOLD, PLAIN, PLAIN, PLAIN]
    assert square_of(*odd) == rows_of(*odd)
    assert square_of(*odd, around=(7, 1, 0, 3)) == rows_of(*odd)
    assert square_of(NOISY, PLAIN, NOISY, PLAIN).mean_error > 0.05


def test_a_lone_sample_among_unlabelled_ones_is_compared_with_itself():
    unlabelled = (PLAIN[0], [IGNORE] * 4)
    assert rows_of(unlabelled, BOLD, unlabelled) == rows_of(BOLD)


def test_the_error_of_the_mean_is_that_of_the_mean():
    alike, apart = rows_of(*[PLAIN] * 6), rows_of(*[PLAIN] * 3, *[NOISY] * 3)
    assert alike.mean_error == 0.0
    assert apart.mean_error > 0.05
    # The mean of a sample falls as the root of its size.
    more = rows_of(*[PLAIN] * 9, *[NOISY] * 9)
    assert more.mean_error == pytest.approx(apart.mean_error / 3**0.5, rel=0.15)


def test_the_iou_told_is_that_of_the_threshold_told():
    found = rows_of(BOLD, PLAIN, PLAIN)
    mapped = np.array(BOLD[0] + PLAIN[0] * 2) >= found.thresholds[0]
    truth = np.array(BOLD[1] + PLAIN[1] * 2) == 1
    assert found.iou[0] == pytest.approx((mapped & truth).sum() / (mapped | truth).sum())


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_the_iou_is_the_one_at_that_threshold_and_nearly_the_best(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(300) < 0.3
    scores = np.clip(rng.normal(0.4 + 0.2 * truth, 0.15), 0.01, 0.99)
    found = rows_of(*[(scores.tolist(), truth.astype(np.int64).tolist())] * 2)

    def iou(threshold):
        mapped = scores >= threshold
        return (mapped & truth).sum() / (mapped | truth).sum()

    assert found.iou[0] == pytest.approx(iou(found.thresholds[0]), abs=0.02)
    assert found.iou[0] >= max(iou(t) for t in np.arange(0, 1, 0.005)) - 0.02


def test_batches_add_up():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 2, 6, 6, generator=generator)
    label = torch.randint(0, 3, (4, 6, 6), generator=generator)
    valid = torch.rand(4, 6, 6, generator=generator) < 0.9
    whole, parts = ScoreHistograms(2), ScoreHistograms(2)
    whole.add(logits, label, valid)
    parts.add(logits[:1], label[:1], valid[:1])
    parts.add(logits[1:], label[1:], valid[1:])
    assert torch.equal(whole.counts, parts.counts)
    assert whole.counts.sum() == 2 * valid.sum()


@pytest.mark.parametrize("of", [2, 3, 5])
def test_what_processes_count_adds_up_to_what_one_counts(of):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 2, 6, 6, generator=generator)
    label = torch.randint(0, 3, (4, 6, 6), generator=generator)
    valid = torch.rand(4, 6, 6, generator=generator) < 0.9
    whole = ScoreHistograms(2)
    whole.add(logits, label, valid)
    parts = [ScoreHistograms(2, first=k, step=of) for k in range(of)]
    for k, part in enumerate(parts):
        for j in range(k, 4, of):
            part.add(logits[j : j + 1], label[j : j + 1], valid[j : j + 1])
    assert torch.equal(sum(part.counts for part in parts), whole.counts)
