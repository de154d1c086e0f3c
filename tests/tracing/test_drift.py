from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.drift import drifted
from geocobot.tracing.trace import trace_block

from .rasters import class_rasters
from .test_trace import block_of

ONE_M = np.ones(2)
SQUARE = shapely.box(0, 0, 20, 20)


def with_spike(length: float, width: float) -> shapely.Polygon:
    """The square with a spike to the east."""
    middle = (10 - width / 2, 10 + width / 2)
    tip = [(20, middle[0]), (20 + length, middle[0]), (20 + length, middle[1]), (20, middle[1])]
    return shapely.Polygon([(0, 0), (20, 0), *tip, (20, 20), (0, 20)])


@pytest.mark.parametrize(
    ("width", "is_far"), [(1, False), (3, False), (5, True)], ids=["thin", "still", "thick"]
)
def test_a_spike_that_goes_is_near_its_sides(width, is_far):
    polygons = np.array([with_spike(8, width)])
    found = drifted(polygons, np.array([SQUARE]), ONE_M, 2.0)
    assert found.tolist() == [is_far]


def test_distances_are_measured_on_the_ground():
    polygons, simple = np.array([with_spike(8, 5)]), np.array([SQUARE])
    assert drifted(polygons, simple, np.array([1.0, 0.5]), 2.0).tolist() == [False]
    assert drifted(polygons, simple, np.array([1.0, 0.5]), 1.0).tolist() == [True]


def test_what_is_no_simpler_outline_has_drifted():
    polygons = np.array([SQUARE, SQUARE])
    holed = SQUARE - shapely.box(5, 5, 6, 6)
    for other in (
        holed,
        shapely.Polygon(),
        shapely.MultiPolygon([SQUARE]),
        shapely.box(0, 0, 9, 9),
    ):
        assert drifted(polygons, np.array([SQUARE, other]), ONE_M, 1.0)[1]
    assert not drifted(polygons, polygons, ONE_M, 1.0).any()


@settings(max_examples=150, deadline=None)
@given(class_rasters(16), st.sampled_from([0.8, 1.5, 4.0]), st.sampled_from([0.3, 1.0, 2.0]))
def test_what_has_not_drifted_stays_within_the_distance(labels, tolerance, most_m):
    polygons = shapely.normalize(trace_block(block_of(labels)).geometry)
    if not len(polygons):
        return
    simple = shapely.coverage_simplify(polygons, tolerance)
    kept = ~drifted(polygons, simple, ONE_M, most_m)
    # Ground that came or went lies near the outline as it was.
    changed = shapely.symmetric_difference(polygons, simple)[kept]
    near = shapely.buffer(shapely.boundary(polygons[kept]), most_m + 1e-6, quad_segs=32)
    assert shapely.area(shapely.difference(changed, near)).max(initial=0) < 1e-6
