from __future__ import annotations

import numpy as np
import pytest
from rasterio.windows import Window

from geocobot.data.survey import class_shares

from .conftest import blobs


def test_counts_on_cell_edges_are_exact(make_survey):
    numbers = blobs((200, 300), n_classes=2)
    survey = make_survey((200, 300), numbers=numbers)
    for window in (Window(0, 0, 64, 32), Window(96, 64, 128, 96), Window(-32, 160, 96, 96)):
        top, left = max(0, window.row_off), max(0, window.col_off)
        cut = numbers[top : window.row_off + window.height]
        cut = cut[:, left : window.col_off + window.width]
        expected = [(cut == n).sum() for n in survey.class_numbers]
        assert survey.counts([window])[0].tolist() == expected
    assert survey.class_numbers == (0, 1, 2)
    assert survey.totals.sum() == 200 * 300


def test_counts_between_cell_edges_are_shared_evenly(make_survey):
    survey = make_survey((64, 64), numbers=np.ones((64, 64), dtype=np.uint8))
    assert survey.counts([Window(5, 7, 11, 13)])[0] == pytest.approx([11 * 13])


def test_squares_are_counted_as_windows_are(make_survey):
    survey = make_survey((200, 300), numbers=blobs((200, 300), n_classes=2))
    tops, lefts = np.array([-40, 0, 7, 64, 190]), np.array([-96, 0, 33, 299])
    found = survey.labelled_in_squares(tops, lefts, 50)
    windows = [Window(int(col), int(row), 50, 50) for row in tops for col in lefts]
    expected = survey.counts(windows).sum(axis=1).reshape(len(tops), len(lefts))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.max() > 0


def test_pixels_without_data_do_not_count(make_survey):
    mask = np.zeros((96, 96), dtype=bool)
    mask[40:80, 8:16] = True
    survey = make_survey((96, 96), mask=mask)
    assert survey.totals.sum() == mask.sum()


def test_scenes_larger_than_a_block_are_counted_whole(make_survey):
    numbers = blobs((1100, 70), n_classes=3)
    survey = make_survey((1100, 70), numbers=numbers)
    assert survey.totals.tolist() == np.bincount(numbers.ravel(), minlength=4).tolist()


def test_has_labelled_believes_only_cells_within_the_window(make_survey):
    mask = np.zeros((128, 128), dtype=bool)
    mask[0:32, 0:32] = True
    survey = make_survey((128, 128), mask=mask)
    assert survey.has_labelled(Window(0, 0, 64, 64))
    assert not survey.has_labelled(Window(31, 31, 64, 64))
    assert not survey.has_labelled(Window(64, 64, 64, 64))
    assert survey.has_labelled(Window(16, 16, 10, 10))


def test_a_scene_without_any_data_has_no_classes(make_survey):
    survey = make_survey((64, 64), mask=np.zeros((64, 64), dtype=bool))
    assert survey.class_numbers == ()
    assert not survey.has_labelled(Window(0, 0, 64, 64))


def test_shares_count_every_labelled_pixel_of_the_regions_once(make_survey):
    numbers = np.zeros((128, 128), dtype=np.uint8)
    numbers[:32, :64] = 1
    numbers[96:, 96:] = 3
    mask = np.ones((128, 128), dtype=bool)
    mask[32:64, :32] = False
    survey = make_survey((128, 128), numbers=numbers, mask=mask)
    overlapping = [Window(0, 0, 64, 64), Window(32, 0, 96, 64), Window(-64, -64, 96, 96)]
    whole = [Window(0, 0, 128, 128)]
    # 64 rows of 128 px without 32 x 32 px: 2048 of class 1; with the whole scene the rest too.
    assert class_shares([survey], [overlapping], 3) == pytest.approx((2048 / 7168, 0, 0))
    both = class_shares([survey, survey], [overlapping, whole], 3)
    assert both == pytest.approx((4096 / (7168 + 15360), 0, 1024 / (7168 + 15360)))


def test_shares_of_nothing_are_zero(make_survey):
    survey = make_survey((64, 64), mask=np.zeros((64, 64), dtype=bool))
    assert class_shares([survey], [[Window(0, 0, 64, 64)]], 2) == (0, 0)
