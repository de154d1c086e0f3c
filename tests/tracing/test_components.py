from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geocobot.tracing.components import Components, connected

from .rasters import class_rasters, parse


def flood(labels: np.ndarray) -> np.ndarray:
    """Number 4-connected components by first pixel, one pixel at a time."""
    number = np.full(labels.shape, -1)
    count = 0
    for start in np.ndindex(labels.shape):
        if number[start] >= 0:
            continue
        todo = [start]
        number[start] = count
        while todo:
            row, col = todo.pop()
            for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                inside = 0 <= r < labels.shape[0] and 0 <= c < labels.shape[1]
                if inside and number[r, c] < 0 and labels[r, c] == labels[start]:
                    number[r, c] = count
                    todo.append((r, c))
        count += 1
    return number


@given(class_rasters())
def test_components_equal_a_flood_fill(labels):
    components = Components.of(labels)
    expected = flood(labels)
    found = components.raster(np.arange(len(components)))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(components.pixels(), np.bincount(expected.ravel()))
    weights = np.arange(labels.size, dtype=np.float64).reshape(labels.shape)
    np.testing.assert_array_equal(
        components.total(weights), np.bincount(expected.ravel(), weights.ravel())
    )
    np.testing.assert_array_equal(components.class_number, labels.ravel()[components.first_px])


@given(class_rasters())
def test_bounds_hold_a_component_and_touch_it_on_every_side(labels):
    expected = flood(labels)
    bounds = Components.of(labels).bounds()
    assert len(bounds) == expected.max() + 1
    for number, box in enumerate(bounds.tolist()):
        rows, cols = np.nonzero(expected == number)
        assert box == [cols.min(), rows.min(), cols.max(), rows.max()]


def test_cuts_separate_rows():
    labels = parse("11\n11\n11")
    components = Components.of(labels, cuts=(1,))
    assert components.pixels().tolist() == [2, 4]
    assert components.at(np.array([0, 2, 5])).tolist() == [0, 1, 1]


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))
        )
    )
)
def test_connected_nodes_have_the_same_smallest_node(graph):
    n_nodes, links = graph
    root = list(range(n_nodes))
    for a, b in links:
        old, new = max(root[a], root[b]), min(root[a], root[b])
        root = [new if r == old else r for r in root]
    ends = np.array(links, dtype=np.int64).reshape(-1, 2)
    assert connected(n_nodes, ends[:, 0], ends[:, 1]).tolist() == root
