from __future__ import annotations

import numpy as np
import pytest

from geocobot.synthetic.frame import Canvas, Frame
from geocobot.synthetic.sensor import blur, expose


def test_blur_keeps_constants_and_spreads_a_point() -> None:
    flat = np.full((2, 9, 11), 0.3, np.float32)
    assert np.allclose(blur(flat, 0.8), flat, atol=1e-6)
    point = np.zeros((15, 15), np.float32)
    point[7, 7] = 1.0
    spread = blur(point, 1.0)
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.allclose(spread, spread.T)
    assert spread[7, 8] / spread[7, 7] == pytest.approx(np.exp(-0.5), rel=1e-4)


def test_a_gray_card_comes_out_gray_with_noise(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    canvas.color[:] = 0.45
    image = expose(canvas, 0)
    assert image.dtype == np.uint8
    assert image.shape == (3, 60, 80)
    assert image.mean() == pytest.approx(0.45 * 255, abs=16)
    assert 1.0 < (image[0].astype(float) - blur(image[0].astype(np.float32), 3.0)).std() < 6.0


def test_bright_and_dark_are_cut_to_the_range(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    canvas.color[:, :30] = 3.0
    canvas.color[:, 30:] = -1.0
    image = expose(canvas, 0)
    assert image[:, 5].min() == 255
    assert image[:, 50].max() == 0
