"""Gaps between an end and the side of another line: a new node where scores support it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from geocobot.centerlines.attaching import attach
from geocobot.centerlines.cleaning import conflicts
from geocobot.centerlines.lines import Line
from geocobot.centerlines.network import Network
from geocobot.centerlines.sides import Side
from geocobot.grid import GeoGrid
from geocobot.tracing.pixel_sizes import RowSizes

from .rasters import METRE, UTM, draw, in_pixels, trace

SHAPE = (60, 80)
ROAD, STREET = [(0, 14), (80, 14)], [(40, 32), (40, 60)]
GAP_M = 12.0  # of the 18 m between the middle of the road and the end of the street


def joined(labels: np.ndarray, between: float, **options: object) -> np.ndarray:
    """The lines, in pixels, with a score of the road beside it."""
    road = np.where(labels == 1, 0.75, between)
    scores = np.stack([road, np.where(labels == 2, 0.75, 0.0)])
    return in_pixels(trace(labels, scores=scores, **options))


@pytest.mark.parametrize(
    ("between", "most_m", "lines"), [(0.45, 14.0, 3), (0.3, 14.0, 2), (0.45, 10.0, 2)]
)
def test_a_street_is_led_on_to_a_road_where_scores_support_it(between, most_m, lines):
    drawn = joined(draw([ROAD, STREET], 6, SHAPE), between, bridge_gaps_m=most_m)
    assert len(drawn) == lines
    if lines == 3:
        (node,) = shapely.intersection_all(drawn).coords
        assert np.hypot(node[0] - 40, node[1] - 14) < 1
        assert shapely.length(drawn).sum() == pytest.approx(80 + 46, abs=1)


def test_a_bridge_counts_for_length_and_score_and_not_for_width():
    labels = draw([ROAD, STREET], 6, SHAPE)
    scores = np.stack([np.where(labels == 1, 0.8, 0.5), np.zeros(SHAPE)])
    frame = trace(labels, scores=scores, bridge_gaps_m=14)
    street = int(frame.geometry.bounds["miny"].argmin())
    share = GAP_M / 46
    assert frame["score"][street] == pytest.approx(0.8 * (1 - share) + 0.5 * share, abs=0.02)
    assert frame["width_m"].tolist() == pytest.approx([6, 6, 6], abs=0.2)


def test_two_streets_that_end_before_a_road_cross_it():
    labels = draw([[(0, 30), (80, 30)], [(40, 0), (40, 18)], [(40, 42), (40, 60)]], 6, SHAPE)
    drawn = joined(labels, 0.5, bridge_gaps_m=12)
    assert len(drawn) == 4
    assert shapely.intersection_all(drawn).distance(shapely.Point(40, 30)) < 1


@pytest.mark.parametrize("streets", [1, 2, 3])
def test_streets_are_led_on_to_a_ring(streets):
    around = np.linspace(0, 2 * np.pi, 49)
    ring = np.stack([60 + 20 * np.cos(around), 60 + 20 * np.sin(around)], axis=1)
    angles = np.radians([20, 150, 265])[:streets]
    away = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ends = [[tuple(60 + r * unit) for r in (32, 55)] for unit in away]
    labels = draw([ring.tolist(), *ends], 6, (120, 120))
    apart = joined(labels, 0.5)
    assert len(apart) == 1 + streets
    drawn = joined(labels, 0.5, bridge_gaps_m=10)
    # One street meets the ring in one node: it goes around from there and back.
    assert len(drawn) == 2 * streets
    assert shapely.union_all(drawn).geom_type == "MultiLineString"
    assert len(shapely.get_parts(shapely.line_merge(shapely.union_all(apart)))) == 1 + streets
    for unit in away:
        meets = shapely.distance(drawn, shapely.Point(*(60 + 20 * unit))) < 3
        assert meets.sum() == (2 if streets == 1 else 3)
    gained = shapely.length(drawn).sum() - shapely.length(apart).sum()
    assert gained == pytest.approx(12 * streets, abs=1.5 * streets)
    assert not conflicts(drawn).any()


def test_lines_without_a_length_are_no_side():
    """Warnings are errors here."""
    common = {"radius": (2.0, 2.0, 2.0), "score_sum": 9.0, "score_n": 3, "width_sum": 9.0}
    street = Line(1, (5, 45), False, np.array([[5.5, 0.5], [5.5, 4.5]]), width_n=3, **common)
    speck = Line(1, (85, 85), False, np.array([[5.5, 8.5], [5.5, 8.5]]), width_n=3, **common)
    ring = replace(speck, nodes=(86, 86), is_ring=True)
    network = Network([street, speck, ring], width=10)
    sizes = RowSizes(GeoGrid(UTM, METRE, (10, 10)))
    assert attach(network, [Side(45, 85, 3.0, 9.0, 3)], sizes) == 0
    assert len(network.lines) == 2


def test_a_street_that_leads_elsewhere_stays_where_it_is():
    beside = draw([ROAD, [(30, 28), (70, 28)]], 6, SHAPE)
    assert len(joined(beside, 0.5, bridge_gaps_m=20)) == 2


@pytest.mark.parametrize("number", [0, 2, 255])
def test_neither_lines_nor_missing_data_are_crossed(number):
    labels = draw([ROAD, STREET], 6, SHAPE)
    labels[21:25] = number
    drawn = joined(labels, 0.5, bridge_gaps_m=14)
    assert len(drawn) == {0: 3, 2: 3, 255: 2}[number]
    assert (shapely.distance(drawn, shapely.Point(40, 26)) < 3).sum() == {0: 1}.get(number, 0)


@given(
    st.integers(0, 50), st.integers(1, 90), st.integers(1, 60), st.integers(20, 200), st.booleans()
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
def test_pieces_and_threads_make_no_difference(seed, strip_rows, block_rows, rows, threaded):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(300, 110)), 4)
    score = np.clip(0.5 + 1.2 * (0.2 - np.abs(field) / field.std()), 0, 1)
    labels = (score > 0.5).astype(np.uint8)
    labels[
        gaussian_filter(np.random.default_rng(seed + 99).normal(size=labels.shape), 2) > 0.06
    ] = 0
    scores = np.stack([np.where(labels == 1, 0.8, 0.45), np.zeros(labels.shape)])
    options = {"bridge_gaps_m": 9.0, "simplify_m": 1.0, "scores": scores}
    whole = trace(labels, strip_rows=300, rows=300, **options)
    parts = trace(
        labels,
        strip_rows=strip_rows,
        block_rows=block_rows,
        rows=rows,
        threads=1 + threaded,
        **options,
    )
    assert parts.equals(whole)
    assert not conflicts(np.asarray(whole.geometry)).any()
    ends_alone = trace(labels, **{**options, "bridge_gaps_m": 0.0})
    assert len(whole) != len(ends_alone)
