from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.ragged import PolygonArray, Ragged, cut_edges

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


@settings(max_examples=60, deadline=None)
@given(class_rasters(), st.data())
def test_some_polygons_as_vertices_are_those_as_objects(labels, data):
    polygons = polygons_of(trace(labels))
    chosen = data.draw(st.lists(st.integers(0, max(0, len(polygons) - 1)), max_size=12))
    index = np.array(chosen if len(polygons) else [], dtype=np.int64)
    mask = np.isin(np.arange(len(polygons)), index)
    ragged, objects = PolygonArray(Ragged.of(polygons)), PolygonArray(polygons)
    for wanted in (index, mask):
        some = ragged[wanted]
        assert len(some) == len(polygons[wanted])
        np.testing.assert_array_equal(some.bounds, objects[wanted].bounds)
        np.testing.assert_array_equal(some.corners, objects[wanted].corners)
        assert shapely.to_wkb(some.objects).tolist() == shapely.to_wkb(polygons[wanted]).tolist()


@settings(max_examples=60, deadline=None)
@given(class_rasters(), st.integers(0, 10), st.tuples(st.booleans(), st.booleans()))
def test_polygons_put_behind_each_other_keep_their_vertices(labels, cut, kinds):
    polygons = polygons_of(trace(labels))
    parts = [
        PolygonArray(Ragged.of(part) if as_vertices else part)
        for part, as_vertices in zip((polygons[:cut], polygons[cut:]), kinds, strict=True)
    ]
    joined = PolygonArray.concatenated(parts)
    assert shapely.to_wkb(joined.objects).tolist() == shapely.to_wkb(polygons).tolist()
    assert shapely.to_wkb(joined.ragged.build()).tolist() == shapely.to_wkb(polygons).tolist()


def test_objects_that_are_replaced_count():
    array = PolygonArray(Ragged.of(np.array([shapely.box(0, 0, 1, 1)])))
    array.objects[0] = shapely.box(0, 0, 2, 2)
    assert array.ragged.bounds.tolist() == [[0, 0, 2, 2]]
