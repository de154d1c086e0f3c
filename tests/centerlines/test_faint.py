"""What is dropped because it scores too low has no centerline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label

from geocobot.centerlines import faint
from geocobot.tracing.polygonize import CleanOptions

from .rasters import draw, in_pixels, trace

SHAPE = (240, 110)
CLEANING = [
    {},
    {"simplify_m": 2.0},
    {"smooth_m": 1.5, "min_area_m2": 12.0},
    {"min_area_m2": 12.0, "square_classes": frozenset({2})},
    {"simplify_m": 1.0, "square_classes": frozenset({1})},
]


def bands(seed: int) -> np.ndarray:
    """One class in bands of all directions, some of them in pieces."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 5)
    gaps = gaussian_filter(np.random.default_rng(seed + 99).normal(size=SHAPE), 2) > 0.05
    return ((np.abs(field) < 0.25 * field.std()) & ~gaps).astype(np.uint8)


def planes(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Scores of the two classes: those given where the first one is."""
    return np.stack([np.where(labels == 1, scores, 0.4), np.zeros(SHAPE)])


@pytest.fixture
def few_wait(monkeypatch):
    """Areas are compared with lines now and again, and not at the end alone."""
    monkeypatch.setattr(faint, "_MOST_CORNERS", 30)


@pytest.mark.parametrize("clean", [one for one in CLEANING if "min_area_m2" not in one])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.usefixtures("few_wait")
def test_lines_are_those_of_what_is_sure(seed, clean):
    labels = bands(seed)
    area, count = label(labels, np.ones((3, 3)))
    is_sure = np.random.default_rng(seed).random(count + 1) < 0.5
    scores = planes(labels, np.where(is_sure[area], 0.75, 0.6))
    every, kept = (
        trace(labels, scores=scores, rows=40, clean=CleanOptions(high_threshold=high, **clean))
        for high in (0.0, 0.7)
    )
    expected = every[every["score"] > 0.7].reset_index(drop=True)
    assert 3 < len(expected) < len(every) - 3
    assert kept.equals(expected)


def test_without_a_high_threshold_all_lines_stay():
    labels = bands(4)
    scores = planes(labels, np.full(SHAPE, 0.6))
    assert trace(labels, scores=scores, clean=CleanOptions(high_threshold=0.0)).equals(
        trace(labels, scores=scores)
    )
    assert not len(trace(labels, scores=scores, clean=CleanOptions(high_threshold=0.7)))


def test_gaps_are_not_bridged_to_what_is_faint():
    shape = (60, 110)
    labels = draw([[(5, 30), (50, 30)], [(58, 30), (105, 30)]], 6, shape)
    road = np.where(labels == 1, 0.75, 0.45)
    options = {"bridge_gaps_m": 12.0}
    whole = trace(labels, scores=np.stack([road, np.zeros(shape)]), **options)
    road[labels == 1] = np.where(np.indices(shape)[1] < 54, 0.75, 0.6)[labels == 1]
    scores = np.stack([road, np.zeros(shape)])
    sure = trace(labels, scores=scores, clean=CleanOptions(high_threshold=0.7), **options)
    assert [round(x) for x in whole["length_m"]] == [100]
    (line,) = in_pixels(sure)
    assert line.bounds[2] < 51


@given(
    st.integers(0, 50),
    st.tuples(st.integers(1, 90), st.integers(1, 60), st.integers(20, 150)),
    st.booleans(),
    st.sampled_from(CLEANING),
)
@settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@pytest.mark.usefixtures("few_wait")
def test_pieces_and_threads_make_no_difference(seed, heights, threaded, clean):
    labels = bands(seed)
    # A peak now and then makes an area sure.
    peaks = np.random.default_rng(seed).random(SHAPE) < 0.004
    options = {
        "scores": planes(labels, np.where(peaks, 0.75, 0.6)),
        "bridge_gaps_m": 9.0,
        "simplify_m": 1.0,
        "clean": CleanOptions(high_threshold=0.7, **clean),
    }
    whole = trace(labels, strip_rows=SHAPE[0], rows=SHAPE[0], **options)
    parts = trace(
        labels,
        strip_rows=heights[0],
        block_rows=heights[1],
        rows=heights[2],
        threads=1 + threaded,
        **options,
    )
    assert parts.equals(whole)
    assert len(whole) != len(trace(labels, **(options | {"clean": None})))
