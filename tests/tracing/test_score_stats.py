from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.score_stats import N_STEPS, ScoreStats, SortedScores


@st.composite
def pixels(draw):
    """Pieces of some pixels, each with its score."""
    n_pieces = draw(st.integers(1, 6))
    piece = draw(st.lists(st.integers(0, n_pieces - 1), max_size=60)) + list(range(n_pieces))
    steps = draw(hnp.arrays(np.uint8, len(piece), elements=st.integers(0, 254)))
    return np.array(piece), steps, n_pieces


@settings(deadline=None)
@given(pixels())
def test_stats_are_those_of_numpy(given_pixels):
    piece, steps, n_pieces = given_pixels
    scores = SortedScores.of(piece, steps, n_pieces)
    stats = scores.stats()
    counted = ScoreStats.of_counts(scores.counts(np.arange(n_pieces)))
    for i in range(n_pieces):
        own = steps[piece == i]
        for found in (stats, counted):
            assert found.total[i] == own.sum()
            assert found.peak[i] == own.max()
            assert found.low[i] == np.percentile(own, 10, method="lower")


@settings(deadline=None)
@given(pixels(), st.data())
def test_counts_of_parts_add_up_to_those_of_the_whole(given_pixels, data):
    piece, steps, n_pieces = given_pixels
    first = data.draw(hnp.arrays(np.bool_, len(piece)))
    counts = np.zeros((n_pieces, N_STEPS), dtype=np.int64)
    for half in (first, ~first):
        present, number = np.unique(piece[half], return_inverse=True)
        scores = SortedScores.of(number, steps[half], len(present))
        counts[present] += scores.counts(np.arange(len(present)))
    stats, whole = ScoreStats.of_counts(counts), SortedScores.of(piece, steps, n_pieces).stats()
    np.testing.assert_array_equal(stats.total, whole.total)
    np.testing.assert_array_equal(stats.low, whole.low)
    np.testing.assert_array_equal(stats.peak, whole.peak)


def test_chosen_and_joined():
    piece = np.array([0, 1, 1, 2])
    stats = SortedScores.of(piece, np.array([5, 9, 7, 1], np.uint8), 3)[
        np.array([False, True, True])
    ].stats()
    both = stats[np.array([True, False])] + stats
    assert both.total.tolist() == [16, 16, 1]
    assert both.low.tolist() == [7, 7, 1]
    assert both.peak.tolist() == [9, 9, 1]


def test_nothing_has_no_stats():
    nothing = SortedScores.of(np.empty(0, np.int64), np.empty(0, np.uint8), 0)
    assert len(nothing.stats().total) == 0
