from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocobot.tracing.rings import (
    close_rings,
    drop_straight_vertices,
    order_cycles,
    twice_areas,
)


@given(st.integers(1, 40).flatmap(lambda n: st.permutations(range(n))))
def test_cycles_follow_the_permutation_from_their_smallest_element(successor):
    ordered, offsets = order_cycles(np.array(successor))
    assert sorted(ordered.tolist()) == list(range(len(successor)))
    firsts = []
    for start, end in pairwise(offsets):
        cycle = ordered[start:end].tolist()
        firsts.append(cycle[0])
        assert cycle[0] == min(cycle)
        assert [successor[e] for e in cycle] == [*cycle[1:], cycle[0]]
    assert firsts == sorted(firsts)


def test_polygons_with_holes_are_built_and_measured():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], dtype=float)
    hole = np.array([[1, 1], [1, 2], [2, 2], [2, 1]], dtype=float)
    coords = np.concatenate([square, hole, square + 10])
    offsets = np.array([0, 4, 8, 12])
    assert twice_areas(coords, offsets).tolist() == [32, -2, 32]
    first, second = close_rings(coords, offsets, np.array([2, 1])).build()
    assert first.equals(shapely.box(0, 0, 4, 4) - shapely.box(1, 1, 2, 2))
    assert second.equals(shapely.box(10, 10, 14, 14))


def test_only_named_vertices_that_lie_straight_are_dropped():
    polygon = shapely.Polygon([(0, 2), (0, 0), (2, 0), (4, 0), (4, 4), (0, 4)])
    named = np.array([[0.0, 2.0], [4.0, 4.0]])
    (dropped,) = drop_straight_vertices(np.array([polygon]), named)
    vertices = set(map(tuple, shapely.get_coordinates(dropped).tolist()))
    assert vertices == {(0, 0), (2, 0), (4, 0), (4, 4), (0, 4)}
    assert dropped.equals(polygon)
