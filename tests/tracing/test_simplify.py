from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.simplify import is_sound, simplify_groups
from geocobot.tracing.trace import trace_block

from .rasters import parse, trace
from .test_trace import block_of


def staircase(side: int) -> np.ndarray:
    return np.where(np.tri(side), 1, 2).astype(np.uint8)


def simplify_pieces(pieces, pixel_m: tuple[float, float], tolerance_m: float) -> np.ndarray:
    group = np.zeros(len(pieces.geometry), dtype=np.int64)
    return simplify_groups(
        pieces.geometry, group, np.array(pixel_m), tolerance_m, beside=pieces.neighbors
    )


def test_shared_borders_stay_shared():
    pieces = trace_block(block_of(staircase(20)))
    smooth = simplify_pieces(pieces, (0.3, 0.3), 1.0)
    assert shapely.coverage_is_valid(pieces.geometry)
    assert shapely.coverage_is_valid(smooth)
    assert shapely.get_num_coordinates(smooth).max() < 10
    assert shapely.union_all(smooth).area == pytest.approx(shapely.area(smooth).sum())
    assert shapely.intersection(*smooth).length > 20


def test_points_on_a_seam_stay_where_they_are():
    block = block_of(parse("111..\n1111.\n.1111\n..111"), above="1....", below="..11.")
    smooth = simplify_pieces(trace_block(block), (1.0, 1.0), 5.0)
    vertices = shapely.get_coordinates(smooth[0]).tolist()
    for seam_point in ([0, 100], [1, 100], [2, 104], [4, 104]):
        assert seam_point in vertices


def test_tolerance_is_measured_on_the_ground():
    # Pixels three times as high as wide on the ground: a bump one pixel high is 3 m.
    labels = np.zeros((6, 12), dtype=np.uint8)
    labels[2:5, 1:11] = labels[1, 5:7] = 1
    pieces = trace_block(block_of(labels))
    flat = simplify_pieces(pieces, (1.0, 0.3), 1.2)
    kept = simplify_pieces(pieces, (1.0, 3.0), 1.2)
    assert shapely.area(flat[0]) == pytest.approx(30, abs=1)
    assert shapely.get_num_coordinates(kept[0]) > shapely.get_num_coordinates(flat[0])


def test_unsound_results_are_replaced_by_the_traced_polygons(monkeypatch, caplog):
    pieces = trace_block(block_of(staircase(6)))
    broken = np.array([shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)])
    monkeypatch.setattr(shapely, "coverage_simplify", lambda *_: broken)
    with caplog.at_level(logging.WARNING, "geocobot.tracing"):
        kept = simplify_pieces(pieces, (1.0, 1.0), 1.0)
    assert shapely.equals_exact(kept, pieces.geometry).all()
    assert "2 polygons could not be simplified" in caplog.text


@pytest.mark.parametrize(
    "polygons",
    [
        [shapely.Polygon()],
        [shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])],
        [shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])],
        [shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)],
    ],
    ids=["empty", "crossing itself", "of two parts", "overlapping"],
)
def test_unsound_polygons_are_recognized(polygons):
    assert not is_sound(np.array(polygons))
    assert is_sound(np.array([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]))


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 3),
    st.tuples(st.integers(2, 11), st.integers(2, 11)),
    st.sampled_from([0.0, 1.0]),
    st.randoms(use_true_random=False),
)
def test_what_is_sound_is_what_geos_says_of_all_polygons_together(n_classes, shape, soft, random):
    """Traced, and then with one polygon moved, or all of its corners at one place."""
    labels = np.array([random.choice(range(n_classes + 1)) for _ in range(math.prod(shape))])
    polygons = np.asarray(trace(labels.reshape(shape).astype(np.uint8), simplify_m=soft).geometry)
    for moved in ("nothing", "corner", "polygon"):
        changed = polygons.copy()
        if len(changed) and moved != "nothing":
            number = random.randrange(len(changed))
            way = np.array([random.randint(-2, 2), random.randint(-2, 2)])
            corners = shapely.get_coordinates(changed[number])
            place = corners[random.randrange(len(corners))]
            changed[number] = shapely.transform(
                changed[number],
                lambda xy, place=place, way=way, all_of_it=moved == "polygon": np.where(
                    (xy == place).all(axis=1)[:, None] | all_of_it, xy + way, xy
                ),
            )
        is_valid = shapely.is_valid(changed).all() and not shapely.is_empty(changed).any()
        expected = bool(is_valid and shapely.coverage_is_valid(changed))
        assert is_sound(changed) == expected


def test_a_polygon_within_another_is_unsound_though_their_outlines_do_not_meet():
    outer, hole = shapely.box(0, 0, 20, 20), shapely.box(5, 5, 15, 15)
    island = shapely.box(8, 8, 12, 12)
    assert is_sound(np.array([outer - hole, island]))
    assert not is_sound(np.array([outer, island]))
    assert not is_sound(np.array([island, outer, shapely.box(20, 0, 30, 20)]))


def test_scaling_does_not_move_vertices_onto_chords(caplog):
    # Ground pixel sizes of no short binary fraction once let chords run through vertices.
    rng = np.random.default_rng(3)
    for _ in range(60):
        labels = rng.choice([0, 1, 2], size=(11, 11)).astype(np.uint8)
        assert shapely.coverage_is_valid(np.asarray(trace(labels, simplify_m=1.3).geometry))
    assert not caplog.records
