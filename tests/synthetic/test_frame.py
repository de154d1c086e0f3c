from __future__ import annotations

import numpy as np
import pytest

from geocobot.synthetic.frame import Canvas, Frame, rgb, rng_for


def test_pixel_centers_run_east_and_north_from_the_south_west_corner(frame: Frame) -> None:
    assert frame.size_m == (40.0, 30.0)
    assert frame.whole.x_m[0, [0, -1]].tolist() == [0.25, 39.75]
    assert frame.whole.y_m[[0, -1], 0].tolist() == [29.75, 0.25]


def test_a_cut_holds_every_pixel_that_its_bounds_touch(frame: Frame) -> None:
    cut = frame.cut((10.1, 5.0, 12.4, 6.0))
    assert cut is not None
    assert cut.x_m[0].tolist() == [10.25, 10.75, 11.25, 11.75, 12.25]
    assert cut.y_m[:, 0].tolist() == [5.75, 5.25]
    assert frame.whole.x_m[:, cut.cols].tolist() == cut.x_m.tolist()
    assert frame.whole.y_m[cut.rows].tolist() == cut.y_m.tolist()


def test_a_cut_at_the_rim_is_clipped_and_outside_is_none(frame: Frame) -> None:
    cut = frame.cut_around(0.0, 0.0, 2.0)
    assert cut is not None
    assert cut.shape == (4, 4)
    assert frame.cut_around(-9.0, 0.0, 2.0) is None


def test_paint_mixes_by_coverage_and_only_inside_the_cut(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    cut = frame.cut((0.0, 0.0, 1.0, 0.5))
    assert cut is not None
    canvas.paint(cut, np.array([[1.0, 0.25]], np.float32), rgb(255, 102, 0))
    assert canvas.color[:, -1, 0] == pytest.approx([1.0, 0.4, 0.0])
    assert canvas.color[:, -1, 1] == pytest.approx([0.25, 0.1, 0.0])
    assert np.count_nonzero(canvas.color) == 4


def test_heights_pile_up_where_half_a_pixel_is_covered(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    cut = frame.cut((0.0, 0.0, 1.5, 0.5))
    assert cut is not None
    canvas.raise_to(cut, np.array([[1.0, 0.5, 0.4]], np.float32), 3.0)
    canvas.raise_to(cut, np.array([[1.0, 0.0, 0.0]], np.float32), 2.0)
    assert canvas.height_m[-1, :3].tolist() == [3.0, 3.0, 0.0]


def test_layers_draw_different_numbers_and_repeat_them() -> None:
    first = rng_for(5, "roads").random(4)
    assert np.array_equal(first, rng_for(5, "roads").random(4))
    assert not np.array_equal(first, rng_for(5, "trees").random(4))
    assert not np.array_equal(first, rng_for(6, "roads").random(4))
