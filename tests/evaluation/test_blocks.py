"""Blocks and the intervals that they give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.windows import Window

from geocobot.classes import name_classes
from geocobot.evaluation.block_plan import BlockPlan
from geocobot.evaluation.blocks import BlockCounts, quarters
from geocobot.evaluation.pixels import Confusion

CLASSES = name_classes(["road", "roof"])
PIXEL_M = (0.5, 0.25)


def filled(counts):
    """Block counts of right, true and predicted pixels (B, 3)."""
    blocks = BlockCounts(CLASSES[:1], len(counts), (1, 1))
    for block, (hit, true, predicted) in enumerate(counts):
        confusion = Confusion(CLASSES[:1])
        confusion.counts[:] = [[100, predicted - hit], [true - hit, hit]]
        blocks.add(block, confusion)
    return blocks


def some(n, seed=0):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(1, 60, (2, n))
    return np.stack([np.minimum(true, predicted) // 2, true, predicted], axis=1)


@given(
    st.integers(1, 90), st.integers(1, 70), st.integers(0, 9), st.integers(0, 9), st.integers(1, 40)
)
def test_cells_cover_the_window_once(width, height, left, top, side):
    plan = BlockPlan(Window(left, top, width, height), (side, side + 3))
    seen = np.zeros((top + height + 5, left + width + 5), int)
    of_block = {}
    for row in range(0, len(seen), 7):
        for block, rows, cols in plan.cells(row, min(7, len(seen) - row)):
            seen[row : row + 7][rows, cols] += 1
            of_block.setdefault(block, []).append((row + rows.start, cols))
    wanted = np.zeros_like(seen)
    wanted[top : top + height, left : left + width] = 1
    assert np.array_equal(seen, wanted)
    assert set(of_block) == set(range(plan.size))
    assert all(len({cols.start for _, cols in parts}) == 1 for parts in of_block.values())


def test_blocks_are_square_on_the_ground_and_about_three_dozen():
    plan = BlockPlan.over(Window(0, 0, 4000, 8000), PIXEL_M)
    assert plan.side_hw == (1334, 667)
    assert plan.shape == (6, 6)


def test_small_scenes_have_fewer_blocks():
    assert BlockPlan.over(Window(0, 0, 64, 64), (1.0, 1.0)).shape == (2, 2)


def test_a_side_that_is_asked_for_is_kept():
    assert BlockPlan.over(Window(0, 0, 64, 64), PIXEL_M, 4.0).side_hw == (16, 8)


@settings(max_examples=40)
@given(st.integers(2, 30), st.integers(0, 1000))
def test_intervals_hold_the_figure_and_come_out_the_same(n, seed):
    blocks = filled(some(n, seed))
    found = blocks.uncertainty(PIXEL_M, seed)
    hit, true, predicted = blocks.counts[:, :, 0].sum(axis=0)
    iou, f1 = hit / (true + predicted - hit), 2 * hit / (true + predicted)
    assert found.iou[0].low <= iou <= found.iou[0].high
    assert found.f1[0].low <= f1 <= found.f1[0].high
    assert found == blocks.uncertainty(PIXEL_M, seed)
    assert found.mean_iou == found.iou[0]


def test_the_interval_is_that_of_the_textbook():
    # Of blocks of one size the share of true pixels found is a mean: its error is s / sqrt(n).
    rng = np.random.default_rng(0)
    hits = rng.integers(20, 80, 200)
    blocks = filled(np.stack([hits, np.full(200, 100), hits], axis=1))
    interval = blocks.uncertainty(PIXEL_M, 0).iou[0]
    error = hits.std(ddof=1) / 100 / np.sqrt(200)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_more_blocks_are_more_certain():
    few, many = (filled(some(n)).uncertainty(PIXEL_M, 0).iou[0] for n in (10, 400))
    assert many.high - many.low < (few.high - few.low) / 3


def test_sizes_are_stated():
    found = filled(some(12)).uncertainty(PIXEL_M, 5)
    assert (found.blocks, found.block_px, found.block_m) == (12, (1, 1), (0.25, 0.5))
    assert found.seed == 5


def test_blocks_without_a_judged_pixel_are_not_drawn():
    blocks = filled(some(4))
    empty = BlockCounts(CLASSES[:1], 9, (1, 1))
    empty.counts[:4] = blocks.counts
    empty._judged[:4] = True
    assert empty.uncertainty(PIXEL_M, 1) == blocks.uncertainty(PIXEL_M, 1)


def test_one_block_tells_nothing():
    assert filled(some(1)).uncertainty(PIXEL_M, 0) is None


def test_a_class_that_is_nowhere_has_no_interval():
    blocks = BlockCounts(CLASSES, 3, (1, 1))
    for block in range(3):
        confusion = Confusion(CLASSES)
        confusion.counts[1, 1] = 4
        confusion.counts[0, 1] = block
        blocks.add(block, confusion)
    found = blocks.uncertainty(PIXEL_M, 0)
    assert found.iou[1] is None
    assert found.mean_iou == found.iou[0]


@given(
    arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_quarters_hold_what_counts_wherever_it_lies(known, down, right):
    parts = quarters(known)
    assert len(parts) == 4
    assert sum(int(known[part].sum()) for part in parts) == known.sum()
    moved = np.pad(known, ((down, 3), (right, 2)))
    assert [known[p].tolist() for p in parts] == [moved[p].tolist() for p in quarters(moved)]


def test_a_block_in_the_corner_of_what_is_seen_has_equal_quarters():
    seen = np.zeros((256, 256), bool)
    seen[:128, 128:] = True
    assert [seen[part].sum() for part in quarters(seen)] == [64 * 64] * 4
