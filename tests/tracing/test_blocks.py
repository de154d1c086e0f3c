from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geocobot.tracing.blocks import recut
from geocobot.tracing.holes import HoleFilling

from .rasters import CLASSES, class_rasters, cut, grid_of


@given(class_rasters(), st.lists(st.integers(1, 6), min_size=1), st.integers(1, 8))
def test_blocks_put_together_are_the_scene(labels, heights, rows):
    grid = grid_of(labels)
    blocks = list(recut(cut(labels, heights), grid, CLASSES, rows, HoleFilling(grid, 0)))
    expected = np.where(labels == 255, 0, labels)
    np.testing.assert_array_equal(np.concatenate([b.classes for b in blocks]), expected)
    assert [len(b.classes) for b in blocks[:-1]] == [rows] * (len(blocks) - 1)
    edge = np.zeros((1, grid.width))
    framed = np.concatenate([edge, expected, edge])
    for block in blocks:
        np.testing.assert_array_equal(block.above, framed[block.row_off])
        np.testing.assert_array_equal(block.below, framed[block.row_off + len(block.classes) + 1])


def test_scores_are_those_of_the_pixels_class():
    labels = np.array([[1, 2, 0, 255]], dtype=np.uint8)
    scores = np.array([[[0.9, 0.1, 0.2, 0]], [[0.2, 0.7, 0.4, 0]]], dtype=np.float32)
    grid = grid_of(labels)
    (block,) = recut(cut(labels, (1,), scores=scores), grid, CLASSES, 4, HoleFilling(grid, 0))
    assert block.steps[0].tolist() == [229, 178, 0, 0]
