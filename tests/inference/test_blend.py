"""Blending: laws of the weighted mean, and memory that follows the plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window

from geocobot.errors import GridMismatchError
from geocobot.grid import GeoGrid
from geocobot.inference.blend import blend, merge_rows
from geocobot.inference.blended_row import blend_rows
from geocobot.inference.portions import STRIP_ROWS
from geocobot.inference.shares import axis_weights
from geocobot.inference.tiles import TileLogits
from geocobot.scaling import Scaling, scaled_scores, scaled_steps
from geocobot.steps import as_steps, score_steps, scores_of, sigmoid
from geocobot.tiling import TilePlan


def make_grid(height, width):
    return GeoGrid(CRS("EPSG:32631"), Affine(1, 0, 5e5, 0, -1, 5e6), (height, width))


def make_plan(height, width, size, overlap):
    stride = size - overlap
    windows = [
        Window(col, row, size, size)
        for row in range(0, max(height - overlap, 1), stride)
        for col in range(0, max(width - overlap, 1), stride)
    ]
    return TilePlan.of(make_grid(height, width), windows, overlap)


def tiles_of(plan, draw, valid=None):
    """One tile per window of the plan, with the logits `draw(window)` and the scene's validity."""
    height, width = plan.grid.shape
    scene_valid = np.ones((height, width), bool) if valid is None else valid
    for window in plan.windows:
        padded = np.zeros((int(window.height), int(window.width)), bool)
        inside = plan.grid.clip(window)
        part = scene_valid[
            inside.row_off : inside.row_off + inside.height,
            inside.col_off : inside.col_off + inside.width,
        ]
        padded[: part.shape[0], : part.shape[1]] = part
        yield TileLogits(draw(window).astype(np.float32), padded, window)


def noise(seed, n_classes=2):
    def draw(window):
        rng = np.random.default_rng((seed, window.row_off, window.col_off))
        return rng.normal(scale=5, size=(n_classes, window.height, window.width))

    return draw


def whole(strips, plan):
    """All strips as one array; they have to cover the grid once, top first."""
    scores, valid, next_row = [], [], 0
    for strip in strips:
        assert strip.row_off == next_row
        assert strip.scores.dtype == np.float32
        next_row += strip.height
        scores.append(strip.scores)
        valid.append(strip.valid)
    assert next_row == plan.grid.height
    return np.concatenate(scores, axis=1), np.concatenate(valid, axis=0)


layouts = st.tuples(
    st.integers(1, 150), st.integers(1, 150), st.sampled_from([16, 32, 64]), st.integers(0, 8)
)


def reference(plan, tiles):
    """The weighted mean of all tiles at once, as the textbook has it."""
    height, width = plan.grid.shape
    total = weight = 0.0
    for tile in tiles:
        w = tile.window
        ramp = np.outer(
            axis_weights(w.height, plan.overlap_px), axis_weights(w.width, plan.overlap_px)
        )
        canvas = np.zeros((tile.logits.shape[0], height + w.height, width + w.width))
        mass = np.zeros(canvas.shape[1:])
        rows, cols = (
            slice(w.row_off, w.row_off + w.height),
            slice(w.col_off, w.col_off + w.width),
        )
        canvas[:, rows, cols] = tile.logits * ramp
        mass[rows, cols] = ramp
        total = total + canvas[:, :height, :width]
        weight = weight + mass[:height, :width]
    return 1 / (1 + np.exp(-total / weight))


def written(logits):
    """Scores of logits as the scores raster holds them."""
    return scores_of(score_steps(as_steps(logits, np.ones(logits.shape[1:], bool))))


@settings(max_examples=25, deadline=None)
@given(layouts, st.integers(0, 99))
def test_equals_the_weighted_mean_of_all_tiles(layout, seed):
    plan = make_plan(*layout)
    scores, _ = whole(blend(tiles_of(plan, noise(seed)), plan), plan)
    np.testing.assert_allclose(
        scores, reference(plan, tiles_of(plan, noise(seed))), rtol=0, atol=0.5 / 254 + 5e-4
    )


@settings(max_examples=25, deadline=None)
@given(layouts, st.floats(-20, 20, width=32))
def test_keeps_constants_to_the_last_bit(layout, value):
    plan = make_plan(*layout)
    scores, _ = whole(
        blend(tiles_of(plan, lambda w: np.full((1, w.height, w.width), value)), plan), plan
    )
    assert (
        np.unique(scores).tolist() == written(np.full((1, 1, 1), value, np.float32)).tolist()[0][0]
    )


def test_a_single_tile_comes_back_unchanged():
    plan = make_plan(40, 50, 64, 16)
    (tile,) = tiles_of(plan, noise(0, n_classes=3))
    scores, _ = whole(blend([tile], plan), plan)
    np.testing.assert_array_equal(scores, written(tile.logits[:, :40, :50]))


@settings(max_examples=25, deadline=None)
@given(layouts, st.integers(0, 99), st.randoms(use_true_random=False))
def test_rows_that_are_blended_apart_make_the_same_map(layout, seed, random):
    """By other processes, in another order, before and after an interruption."""
    plan = make_plan(*layout)
    tiles = list(tiles_of(plan, noise(seed)))
    at_once = [s.scores.tobytes() for s in blend(tiles, plan)]
    rows = {}
    numbers = list(range(len(list(plan.rows()))))
    random.shuffle(numbers)
    layout_rows = list(plan.rows())
    for number in numbers:
        top = layout_rows[number].windows[0].row_off
        own = [t for t in tiles if t.window.row_off == top]
        (rows[number],) = blend_rows(own, plan, [number])
    apart = merge_rows((rows[number] for number in sorted(rows)), plan)
    assert [s.scores.tobytes() for s in apart] == at_once


@settings(max_examples=25, deadline=None)
@given(layouts, st.integers(0, 99))
def test_all_digits_are_those_of_the_mean_and_the_written_scores_stay_the_same(layout, seed):
    plan = make_plan(*layout)
    tiles = list(tiles_of(plan, noise(seed)))
    coarse, fine = list(blend(tiles, plan)), list(blend(tiles, plan, exact=True))
    assert [s.steps.tobytes() for s in fine] == [s.steps.tobytes() for s in coarse]
    assert [s.row_off for s in fine] == [s.row_off for s in coarse]
    assert all(s.exact is None for s in coarse)
    exact = np.concatenate([s.exact for s in fine], axis=1)
    np.testing.assert_allclose(exact, reference(plan, tiles), rtol=0, atol=5e-4)


def test_where_there_is_no_data_no_digit_is_a_score():
    plan = make_plan(40, 50, 64, 16)
    valid = np.random.default_rng(0).random((64, 64)) < 0.5
    tiles = [replace(tile, valid=valid) for tile in tiles_of(plan, noise(0))]
    (strip,) = blend(tiles, plan, exact=True)
    assert np.array_equal(np.isfinite(strip.exact[0]), valid[:40, :50])
    assert np.array_equal(strip.valid, valid[:40, :50])


def test_rows_that_overlap_by_more_than_half_are_refused():
    windows = [Window(0, row, 32, 32) for row in (0, 10, 20, 30)]
    plan = TilePlan.of(make_grid(60, 30), windows, 8)
    with pytest.raises(GridMismatchError, match="A pixel lies in two tile rows at most"):
        list(blend(tiles_of(plan, noise(0)), plan))


@settings(max_examples=25, deadline=None)
@given(layouts, st.randoms(use_true_random=False))
def test_the_order_within_a_row_does_not_change_a_byte(layout, random):
    plan = make_plan(*layout)
    in_order = list(tiles_of(plan, noise(1)))
    shuffled = []
    for row in plan.rows():
        part = [t for t in in_order if t.window.row_off == row.windows[0].row_off]
        random.shuffle(part)
        shuffled += part
    expected, _ = whole(blend(in_order, plan), plan)
    scores, _ = whole(blend(shuffled, plan), plan)
    assert scores.tobytes() == expected.tobytes()


def test_pixels_without_data_score_zero_and_leave_their_neighbors_alone():
    plan = make_plan(90, 70, 32, 8)
    valid = np.random.default_rng(0).random((90, 70)) < 0.7
    everywhere, _ = whole(blend(tiles_of(plan, noise(2)), plan), plan)
    scores, seen = whole(blend(tiles_of(plan, noise(2), valid), plan), plan)
    np.testing.assert_array_equal(seen, valid)
    np.testing.assert_array_equal(scores, everywhere * valid)


def test_strips_stay_low_and_rows_leave_as_soon_as_they_are_final():
    plan = make_plan(1500, 40, 512, 64)
    pulled = 0

    def counted():
        nonlocal pulled
        for tile in tiles_of(plan, noise(3)):
            pulled += 1
            yield tile

    strips = iter(blend(counted(), plan))
    first = next(strips)
    assert pulled == 1  # the row's only tile; the next row can touch nothing above row 448
    assert first.height == STRIP_ROWS
    assert next(strips).row_off + 192 == 448
    assert pulled == 1
    assert max(s.height for s in strips) <= STRIP_ROWS


def test_held_strips_are_not_overwritten_by_later_rows():
    plan = make_plan(300, 30, 64, 16)
    held = list(blend(tiles_of(plan, noise(4)), plan))
    fresh = [s.scores.copy() for s in blend(tiles_of(plan, noise(4)), plan)]
    for strip, expected in zip(held, fresh, strict=True):
        np.testing.assert_array_equal(strip.scores, expected)


def test_extreme_logits_neither_overflow_nor_leave_0_to_1():
    scores = sigmoid(np.array([-1e30, -800.0, 0.0, 800.0, 1e30]))
    assert scores.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("overlap", [0, 1, 7, 16, 32])
def test_weights_are_positive_symmetric_and_complete_each_other(overlap):
    weights = axis_weights(64, overlap)
    assert weights.min() >= 1
    assert weights.max() >= 1023
    np.testing.assert_array_equal(weights, weights[::-1])
    if overlap:
        shared = weights[:overlap] + weights[-overlap:]
        assert np.abs(shared - 1024).max() <= 1


def test_missing_tiles_are_named():
    plan = make_plan(60, 60, 32, 0)
    tiles = list(tiles_of(plan, noise(5)))
    with pytest.raises(GridMismatchError, match="end before the one at row 32, column 32"):
        list(blend(tiles[:-1], plan))
    with pytest.raises(GridMismatchError, match="end before the one at row 0, column 0"):
        list(blend([], plan))


@pytest.mark.parametrize("place", [0, 2, 4])
def test_tiles_out_of_turn_are_refused(place):
    plan = make_plan(60, 60, 32, 0)
    tiles = list(tiles_of(plan, noise(6)))
    tiles.insert(place, tiles[3 if place < 4 else 0])
    with pytest.raises(GridMismatchError, match="that is not in this row of the plan"):
        list(blend(tiles, plan))


SCALING = (Scaling(2.5, 0.7), Scaling(0.6))


def constant(values):
    def draw(window):
        planes = np.array(values, dtype=np.float64)[:, None, None]
        return np.broadcast_to(planes, (len(values), int(window.height), int(window.width)))

    return draw


@pytest.mark.parametrize("exact", [False, True])
def test_logits_are_scaled_where_they_become_scores(exact):
    """In the middle of tiles and on seams: what all tiles agree on comes out scaled, once."""
    plan = make_plan(150, 170, 64, 16)
    tiles = tiles_of(plan, constant((1.3, -0.4)))
    rows = blend_rows(tiles, plan, exact=exact, scaling=SCALING)
    logits = as_steps(np.array([1.3, -0.4], np.float32)[:, None, None], np.ones((1, 1), bool))
    for strip in merge_rows(rows, plan, SCALING):
        assert (strip.steps == scaled_steps(logits, SCALING)).all()
        assert (strip.exact is not None) == exact
        if exact:
            assert (strip.exact == scaled_scores(logits, SCALING)).all()


def test_scaled_scores_are_the_same_whatever_is_written():
    plan = make_plan(150, 170, 64, 16)
    rows = [
        blend_rows(tiles_of(plan, noise(3)), plan, exact=exact, scaling=SCALING)
        for exact in (False, True)
    ]
    coarse, fine = (
        np.concatenate([strip.steps for strip in merge_rows(own, plan, SCALING)], axis=1)
        for own in rows
    )
    assert np.array_equal(coarse, fine)


def test_without_scaling_scores_are_those_of_the_logits_to_the_byte():
    plan = make_plan(150, 170, 64, 16)
    unscaled = (Scaling(), Scaling())
    plain, one = (
        np.concatenate(
            [
                strip.steps
                for strip in merge_rows(
                    blend_rows(tiles_of(plan, noise(4)), plan, scaling=scaling), plan, scaling
                )
            ],
            axis=1,
        )
        for scaling in ((), unscaled)
    )
    assert plain.tobytes() == one.tobytes()
