from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.ragged import Ragged, cut_edges

from .rasters import class_rasters, polygons_of, trace


@settings(max_examples=60, deadline=None)
@given(class_rasters(), st.lists(st.booleans(), min_size=200, max_size=200))
def test_rings_are_turned_as_shapely_turns_them(labels, turns):
    polygons = polygons_of(trace(labels))
    mixed = np.array(
        [p.reverse() if turn else p for p, turn in zip(polygons, turns, strict=False)], dtype=object
    )
    found = Ragged.of(mixed).oriented().build()
    assert shapely.equals_exact(found, shapely.orient_polygons(mixed)).all()
    assert shapely.to_wkb(found).tolist() == shapely.to_wkb(shapely.orient_polygons(mixed)).tolist()


@settings(max_examples=60, deadline=None)
@given(class_rasters(), st.floats(0.1, 3))
def test_edges_are_cut_as_shapely_cuts_them(labels, longest):
    polygons = polygons_of(trace(labels))
    ragged = Ragged.of(polygons)
    if not len(polygons):
        return
    xy, rings = cut_edges(ragged.xy, ragged.rings, longest)
    found = Ragged(xy, rings, ragged.polygons).build()
    expected = shapely.segmentize(polygons, longest)
    assert shapely.get_num_coordinates(found).tolist() == pytest.approx(
        shapely.get_num_coordinates(expected), abs=0
    )
    assert shapely.equals_exact(found, expected, tolerance=1e-6).all()


def test_nothing():
    nothing = Ragged.of(np.empty(0, dtype=object))
    assert len(nothing) == len(nothing.oriented().build()) == 0
