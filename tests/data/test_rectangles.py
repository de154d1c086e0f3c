from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from geocobot.data.rectangles import area, contains, disjoint, maximal_rectangles
from geocobot.windows import intersect

SIDE = 24


def windows(low: int = 0, high: int = SIDE) -> st.SearchStrategy[Window]:
    return st.builds(
        Window, st.integers(low, high), st.integers(low, high), st.integers(1, 9), st.integers(1, 9)
    )


def painted(some: list[Window] | tuple[Window, ...], side: int = 3 * SIDE) -> np.ndarray:
    image = np.zeros((side, side), dtype=bool)
    for w in some:
        rows = slice(SIDE + w.row_off, SIDE + w.row_off + w.height)
        image[rows, SIDE + w.col_off : SIDE + w.col_off + w.width] = True
    return image


def test_a_window_contains_itself_but_not_its_neighbor():
    window = Window(2, 3, 4, 5)
    assert contains(window, window)
    assert not contains(window, Window(3, 3, 4, 5))


@given(st.lists(windows(-4), max_size=5), st.integers(1, 6))
def test_maximal_rectangles_hold_exactly_the_squares_that_are_free(barred, min_px):
    extent = Window(0, 0, SIDE, SIDE)
    found = maximal_rectangles(extent, barred, min_px)
    for rectangle in found:
        assert contains(extent, rectangle)
        assert all(intersect(rectangle, b) is None for b in barred)
        assert not any(contains(other, rectangle) for other in found if other != rectangle)
    blocked = painted(barred)
    for row in range(SIDE - min_px + 1):
        for col in range(SIDE - min_px + 1):
            square = Window(col, row, min_px, min_px)
            free = not (blocked & painted([square])).any()
            assert free == any(contains(r, square) for r in found)


@given(st.lists(windows(-4), max_size=6))
def test_disjoint_covers_the_same_pixels_each_once(some):
    pieces = disjoint(some)
    assert np.array_equal(painted(pieces), painted(some))
    assert sum(p.width * p.height for p in pieces) == area(some) == painted(some).sum()
