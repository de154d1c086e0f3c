from __future__ import annotations

import math

import pytest
import shapely

from geocobot.tracing.walls import FALLING, SOUTHERN, WESTERN, Wall, corners_of


def walls_of(corners: list[tuple[float, float]]) -> tuple[list[Wall], list[tuple[float, float]]]:
    """A wall for each edge of an outline whose edges run along x or y."""
    walls = []
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        kind = SOUTHERN if abs(x1 - x0) > abs(y1 - y0) else WESTERN
        across, step = ((y0 + y1) / 2, x1 - x0) if kind == SOUTHERN else ((x0 + x1) / 2, y1 - y0)
        walls.append(Wall(kind, across, abs(step), math.copysign(1.0, step)))
    return walls, corners


def outline(corners: list[tuple[float, float]], shortest: float) -> shapely.Polygon:
    found = corners_of(*walls_of(corners), shortest)
    assert found is not None
    return shapely.Polygon(found)


SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]


def test_walls_meet_in_corners():
    assert outline(SQUARE, 1.0).equals(shapely.box(0, 0, 10, 10))


def test_a_wall_in_several_parts_is_one_at_their_mean():
    frayed = [(0.0, 0.0), (4.0, 0.3), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
    found = outline(frayed, 1.0)
    assert len(found.exterior.coords) == 5
    assert found.bounds[1] == pytest.approx(0.15)


def test_parallel_walls_far_from_each_other_get_one_across():
    slanting = [(0.0, 0.0), (5.0, 0.0), (10.0, 4.0), (10.0, 10.0), (0.0, 10.0)]
    found = outline(slanting, 1.0)
    assert found.area == pytest.approx(shapely.Polygon(slanting).area)
    assert found.equals(shapely.box(0, 0, 10, 10) - shapely.box(5, 0, 10, 2))


@pytest.mark.parametrize("depth", [0.4, -0.4])
def test_a_shallow_step_goes_and_leaves_the_area(depth):
    step = [(0.0, 0.0), (4.0, 0.0), (4.0, depth), (10.0, depth), (10.0, 10.0), (0.0, 10.0)]
    found = outline(step, 1.0)
    assert len(found.exterior.coords) == 5
    assert found.area == pytest.approx(shapely.Polygon(step).area)


@pytest.mark.parametrize("far", [7.0, 14.0])
def test_thin_spurs_and_slots_go(far):
    corners = [*SQUARE[:2], (10.0, 4.0), (far, 4.0), (far, 4.5), (10.0, 4.5), *SQUARE[2:]]
    assert outline(corners, 1.0).equals(shapely.box(0, 0, 10, 10))


def test_a_wall_across_a_corner_stays_where_it_is():
    walls, starts = walls_of(SQUARE)
    walls.insert(2, Wall(FALLING, 17 / math.sqrt(2), 3 * math.sqrt(2), 1.0))
    starts.insert(2, (10.0, 7.0))
    found = corners_of(walls, starts, 1.0)
    assert found is not None
    cut = [(0.0, 0.0), (10.0, 0.0), (10.0, 7.0), (7.0, 10.0), (0.0, 10.0)]
    assert shapely.Polygon(found).symmetric_difference(shapely.Polygon(cut)).area < 1e-9


def test_what_encloses_nothing_is_none():
    assert corners_of(*walls_of([(0.0, 0.0), (9.0, 0.0), (9.0, 0.0), (0.0, 0.0)]), 1.0) is None
    assert corners_of([Wall(SOUTHERN, 0.0, 9.0, 1.0)], [(0.0, 0.0)], 1.0) is None
    assert corners_of([], [], 1.0) is None
