"""Thinning: connected as before, one pixel wide, each pixel from near-by ones alone."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label

from geocobot.centerlines.thinning import MAX_HALF_WIDTH_PX, REACH_PX
from geocobot.centerlines.thinning import thin as thin_and_cores

RASTERS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14),
    elements=st.sampled_from([0, 1, 1, 2]),
)


def thin(labels: np.ndarray) -> np.ndarray:
    """The lines alone."""
    return thin_and_cores(labels)[0]


@given(RASTERS)
def test_every_class_stays_connected_as_it_is(labels):
    thinned = thin(labels)
    assert set(np.unique(thinned[thinned != labels])) <= {0}
    for number in (1, 2):
        before, n_before = label(labels == number, np.ones((3, 3)))
        after, n_after = label(thinned == number, np.ones((3, 3)))
        assert n_after == n_before
        assert len(np.unique(before[after > 0])) == n_before


@given(RASTERS)
def test_thinning_again_changes_nothing_but_what_the_edge_held_up(labels):
    once = thin(labels)
    twice = thin(once)
    assert np.array_equal(thin(twice), twice)


def test_a_pixel_depends_on_near_by_ones_alone():
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(1000, 400)), 12)
    labels = (noise > 0).astype(np.uint8)
    whole = thin(labels)
    part = thin(labels[200:850])
    assert np.array_equal(part[REACH_PX:-REACH_PX], whole[200 + REACH_PX : 850 - REACH_PX])


@pytest.mark.parametrize("width", [5, 6])
def test_a_line_runs_in_the_middle_and_to_the_edge(width):
    labels = np.zeros((20, 30), dtype=np.uint8)
    labels[7 : 7 + width] = 1
    rows, cols = np.nonzero(thin(labels))
    assert np.array_equal(cols, np.arange(30))
    assert np.all(np.abs(rows + 0.5 - (7 + width / 2)) <= 0.5)


def test_the_core_of_what_is_too_wide_is_left_out():
    side = 2 * MAX_HALF_WIDTH_PX
    labels = np.zeros((2 * side + 100, 3 * side), dtype=np.uint8)
    labels[50:-50, side : 2 * side + 100] = 1
    labels[side + 40 : side + 60] = 1
    rows, cols = np.nonzero(thin(labels))
    middle = (cols > 1.4 * side + 30) & (cols < 1.6 * side + 70)
    assert np.any(cols < side - 5)
    assert not np.any(middle & (np.abs(rows - side - 50) < side / 2))
