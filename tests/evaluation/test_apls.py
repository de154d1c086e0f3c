"""APLS, by hand after its published definition, and beside another way to compute it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import floyd_warshall

from geocobot.evaluation.apls import LEAST_PATH_M, apls, harmonic
from geocobot.evaluation.roads import Network

FAR_M = 1000.0
"""So far apart that the nodes are the only control nodes."""

STAR = [[(0, 0), (-100, 0)], [(0, 0), (100, 0)], [(0, 0), (0, 100)]]


def network(*drawn):
    return Network.of(np.array([shapely.LineString(xy) for xy in drawn] or [], dtype=object))


def compared(predicted, truth, **options):
    return apls(network(*predicted), network(*truth), **options)


def test_the_authors_add_both_ways_up_like_this():
    # What their program printed for their samples: both ways, and the total.
    assert harmonic(0.463188008018, 0.989096345766) == pytest.approx(0.630919922727)
    assert harmonic(0.7973714316363272, 0.6837488820254419) == pytest.approx(0.7362019410731921)
    assert harmonic(0.0, 0.0) == harmonic(0.0, 1.0) == 0.0


def test_an_arm_is_missing():
    # Center, three ends: six paths, three of which lead to the end that is missing.
    found = compared(STAR[:2], STAR, spacing_m=FAR_M)
    assert found.paths == (12, 2)
    assert found.truth_to_predicted == pytest.approx(3 / 6)
    assert found.predicted_to_truth == pytest.approx(1)
    assert found.value == pytest.approx(2 / 3)


def test_a_way_is_too_long():
    # 100 m are 150 m on the map.
    bump = [[(0, 0), (50, np.sqrt(75**2 - 50**2)), (100, 0)]]
    found = compared(bump, [[(0, 0), (100, 0)]], spacing_m=FAR_M)
    assert found.truth_to_predicted == pytest.approx(1 - 50 / 100, abs=1e-4)
    assert found.predicted_to_truth == pytest.approx(1 - 50 / 150, abs=1e-4)
    assert found.value == pytest.approx(4 / 7, abs=1e-4)


def test_a_way_more_than_twice_as_long_is_as_bad_as_none():
    detour = [[(0, 0), (50, 200), (100, 0)]]
    found = compared(detour, [[(0, 0), (100, 0)]], spacing_m=FAR_M)
    assert (found.truth_to_predicted, found.value) == (0, 0)


def test_a_road_is_interrupted():
    # Places every 50 m; the middle one is 5 m from the map. Of ten paths, two are there.
    found = compared([[(0, 0), (95, 0)], [(105, 0), (200, 0)]], [[(0, 0), (200, 0)]])
    assert found.paths == (20, 12)
    assert found.truth_to_predicted == pytest.approx(2 / 10)
    assert found.predicted_to_truth == pytest.approx(1)
    assert found.value == pytest.approx(1 / 3)


def test_a_connection_is_false():
    # Six nodes on the map, fifteen paths: the nine that lead across are none in truth.
    sides = [[(0, 0), (100, 0)], [(0, 40), (100, 40)]]
    found = compared([*sides, [(50, 0), (50, 40)]], sides, spacing_m=FAR_M)
    assert found.truth_to_predicted == pytest.approx(1)
    assert found.predicted_to_truth == pytest.approx(6 / 15)
    assert found.value == pytest.approx(4 / 7)


def test_a_connection_is_missing_where_there_is_another_way():
    # Around the block: 100 m along one side become 300 m around the others.
    block = [[(0, 0), (100, 0)], [(100, 0), (100, 100), (0, 100), (0, 0)]]
    spurs = [[(0, 0), (-50, 0)], [(100, 0), (150, 0)]]
    found = compared([*spurs, block[1]], [*spurs, *block], spacing_m=FAR_M)
    # Of the six paths of truth the four across the block are 300 m around instead of 100 m:
    # off by 200 m of 100, 150, 150 and 200 m, each of them by its whole length.
    assert found.truth_to_predicted == pytest.approx(2 / 6)


def test_the_snapping_distance_decides():
    truth, beside = [[(0, 0), (100, 0)]], [[(0, 5), (100, 5)]]
    assert compared(beside, truth).value == 0
    assert compared(beside, truth, snap_m=6).value == pytest.approx(1)


def test_nothing_to_compare():
    nothing = compared([], [])
    assert (nothing.value, nothing.paths) == (None, (0, 0))
    missing = compared([], STAR)
    assert (missing.truth_to_predicted, missing.predicted_to_truth, missing.value) == (0, None, 0)
    short = compared([[(0, 0), (5, 0)]], [[(0, 0), (5, 0)]])
    assert short.value is None


def test_many_places_are_drawn_from(monkeypatch):
    grid = [[(x, 0), (x, 300)] for x in range(0, 301, 100)]
    grid += [[(0, y), (300, y)] for y in range(0, 301, 100)]
    monkeypatch.setattr("geocobot.evaluation.apls.MOST_SOURCES", 7)
    found = compared(grid, grid)
    assert found.value == pytest.approx(1)
    assert found.paths[0] == 7 * (16 + 24 - 1)


def test_a_ring_has_two_ways():
    ring = [[(0, 0), (100, 0), (100, 100), (0, 100), (0, 0)]]
    assert compared(ring, ring).value == pytest.approx(1)
    # Cut open, ways from one side of the cut to the other are longer.
    assert compared([[(0, 0), (100, 0), (100, 100), (0, 100), (0, 5)]], ring).value < 0.9


points = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda p: (p[0] * 20, p[1] * 20))
drawings = st.lists(st.tuples(points, points).filter(lambda ends: ends[0] != ends[1]), max_size=5)


@given(drawings, drawings)
def test_like_all_shortest_paths_between_nodes(one, other):
    predicted, truth = network(*one), network(*other)
    found = apls(predicted, truth, spacing_m=FAR_M)
    for value, (a, b) in zip(
        (found.truth_to_predicted, found.predicted_to_truth),
        ((truth, predicted), (predicted, truth)),
        strict=True,
    ):
        expected = slowly(a, b)
        assert value == (None if expected is None else pytest.approx(expected, abs=1e-4))


def slowly(source, target):
    """The similarity of paths between nodes, one by one."""
    if not len(source):
        return None
    own = floyd_warshall(matrix(source, source.nodes, 1e-6), directed=False)
    other = floyd_warshall(matrix(target, source.nodes, 4.0), directed=False)
    differences = [
        min(1.0, abs(other[i, j] - own[i, j]) / own[i, j])
        for i, j in itertools.combinations(range(len(source.nodes)), 2)
        if LEAST_PATH_M <= own[i, j] < np.inf
    ]
    return 1 - float(np.mean(differences)) if differences else None


def matrix(roads, places, snap_m):
    """Lengths of steps between places, then nodes, of a network; 0 for none."""
    size = len(places) + len(roads.nodes)
    steps = np.full((size, size), np.inf)
    stops = [
        [(0.0, len(places) + int(a)), (edge.length, len(places) + int(b))]
        for edge, (a, b) in zip(roads.edges, roads.ends, strict=True)
    ]
    for i, xy in enumerate(places):
        point = shapely.Point(xy)
        apart = [edge.distance(point) for edge in roads.edges]
        if apart and min(apart) <= snap_m:
            e = int(np.argmin(apart))
            stops[e].append((roads.edges[e].project(point), i))
    for found in stops:
        for (at, a), (to, b) in itertools.pairwise(sorted(found)):
            if a != b:
                steps[a, b] = steps[b, a] = min(steps[a, b], max(to - at, 1e-7))
    return np.where(np.isfinite(steps), steps, 0.0)
