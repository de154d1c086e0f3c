from __future__ import annotations

import numpy as np
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pyproj import CRS
from rasterio.windows import Window

from geocobot.data.islands import find_islands
from geocobot.data.rectangles import contains
from geocobot.data.survey import Survey
from geocobot.grid import GeoGrid

CELL_PX = 32


def survey_of(labelled: np.ndarray, shape_hw: tuple[int, int] | None = None) -> Survey:
    """A class that fills the cells that are True."""
    table = np.zeros((1, labelled.shape[0] + 1, labelled.shape[1] + 1), dtype=np.int64)
    table[0, 1:, 1:] = (labelled * CELL_PX**2).cumsum(axis=0).cumsum(axis=1)
    height, width = shape_hw or tuple(CELL_PX * length for length in labelled.shape)
    grid = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, 5e5, 0, -1, 5e6), (height, width))
    return Survey("scene", grid, CELL_PX, (1,), table)


def extent_of(survey: Survey, patch_px: int) -> Window:
    height, width = survey.grid.shape
    return Window(0, 0, max(width, patch_px), max(height, patch_px))


def test_what_is_labelled_from_edge_to_edge_is_one_island():
    survey = survey_of(np.ones((7, 9), dtype=bool), (210, 280))
    (island,) = find_islands(survey, 3, extent_of(survey, 64), 64)
    assert island.scene == 3
    assert island.window == Window(0, 0, 280, 210)


def test_squares_far_apart_are_islands_of_a_patch_at_least():
    labelled = np.zeros((30, 30), dtype=bool)
    labelled[2:6, 3:9] = True
    labelled[29, 29] = True
    survey = survey_of(labelled)
    found = find_islands(survey, 0, extent_of(survey, 128), 128)
    assert [island.window for island in found] == [
        Window(3 * 32, 2 * 32, 6 * 32, 4 * 32),
        Window(30 * 32 - 128, 30 * 32 - 128, 128, 128),
    ]
    assert [island.labelled_px for island in found] == [24 * 32**2, 32**2]


def test_a_scene_smaller_than_a_patch_is_an_island():
    survey = survey_of(np.ones((2, 2), dtype=bool), (50, 60))
    (island,) = find_islands(survey, 0, extent_of(survey, 128), 128)
    assert island.window == Window(0, 0, 128, 128)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))), st.integers(1, 4))
def test_every_labelled_cell_lies_in_an_island_and_counts_once(labelled, cells):
    patch_px = 64 * cells
    survey = survey_of(labelled)
    extent = extent_of(survey, patch_px)
    islands = find_islands(survey, 0, extent, patch_px)
    assert sum(island.labelled_px for island in islands) == labelled.sum() * CELL_PX**2
    assert all(contains(extent, island.window) for island in islands)
    assert all(min(i.window.width, i.window.height) >= patch_px for i in islands)
    for row, col in np.argwhere(labelled).tolist():
        cell = Window(col * CELL_PX, row * CELL_PX, CELL_PX, CELL_PX)
        assert any(contains(island.window, cell) for island in islands)
