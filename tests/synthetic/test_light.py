from __future__ import annotations

import numpy as np
import pytest

from geocobot.synthetic.frame import Canvas, Frame
from geocobot.synthetic.light import Sun, cast_shadows, shade


def test_shadow_falls_away_from_the_sun_as_far_as_height_over_tangent(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    canvas.height_m[40, 30:50] = 6.0
    shadow = cast_shadows(canvas, Sun(azimuth=-np.pi / 2, elevation=np.pi / 4))
    assert (shadow[40, 30:50] == 0).all()
    assert (shadow[30:40, 30:50] > 0.9).all()
    assert shadow[:27].max() == 0
    assert shadow[41:].max() == 0
    assert shadow[30:40, 51:].max() == 0


def test_shadow_in_the_east_when_the_sun_is_in_the_west(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    canvas.height_m[20:40, 40] = 4.0
    shadow = cast_shadows(canvas, Sun(azimuth=np.pi, elevation=np.pi / 4))
    assert (shadow[20:40, 41:46] > 0.9).all()
    assert shadow[:, :40].max() == 0


def test_flat_ground_has_no_shadow(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    assert cast_shadows(canvas, Sun(0.0, 0.8)).max() == 0


def test_shade_darkens_and_leaves_blue_most(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    canvas.color[:] = 0.5
    shadow = np.zeros(frame.grid.shape, np.float32)
    shadow[0, 0] = 1.0
    shade(canvas, shadow)
    red, green, blue = canvas.color[:, 0, 0]
    assert red < green < blue < 0.5
    assert canvas.color[:, 1, 1] == pytest.approx(0.5)


def test_slopes_towards_the_sun_are_brighter_than_flat_ground() -> None:
    sun = Sun(azimuth=0.0, elevation=np.pi / 4)
    assert float(sun.brightness(0.0, 0.0, 1.0)) == pytest.approx(1.0)
    assert float(sun.brightness(0.6, 0.0, 0.8)) == pytest.approx(1.4)
    assert float(sun.brightness(-0.8, 0.0, 0.6)) == 0.0
