from __future__ import annotations

import numpy as np
import pytest
import shapely

from geocobot.synthetic.blocks import Block, Use
from geocobot.synthetic.frame import Canvas, Frame
from geocobot.synthetic.noise import Relief
from geocobot.synthetic.terrain import asphalt, paint_blocks, paint_ground


def test_grass_covers_everything(frame: Frame) -> None:
    canvas = Canvas.blank(frame)
    paint_ground(canvas, Relief.of(0, frame))
    _, green, blue = canvas.color
    assert (green > blue).all()
    assert canvas.color.min() > 0.1
    assert canvas.color.max() < 0.9


@pytest.mark.parametrize("use", ["yard", "park", "field", "fallow", "meadow", "forest"])
def test_a_use_is_painted_inside_its_block_alone(frame: Frame, use: Use) -> None:
    canvas = Canvas.blank(frame)
    block = Block(shapely.box(10.0, 5.0, 30.0, 20.0), use, 0.3)
    paint_blocks(canvas, [block], Relief.of(0, frame), 0)
    painted = canvas.color.min(axis=0) > 0
    expected = np.zeros(frame.grid.shape, bool)
    expected[20:50, 20:60] = True
    assert np.array_equal(painted, expected)


def test_one_block_more_does_not_change_the_others(frame: Frame) -> None:
    first = Block(shapely.box(1, 1, 15, 15), "field", 0.0)
    second = Block(shapely.box(20, 1, 39, 29), "fallow", 0.0)
    alone, both = Canvas.blank(frame), Canvas.blank(frame)
    paint_blocks(alone, [first], Relief.of(0, frame), 7)
    paint_blocks(both, [first, second], Relief.of(0, frame), 7)
    assert np.array_equal(alone.color[:, :, :32], both.color[:, :, :32])


def test_asphalt_has_its_tone_and_hardly_any_hue(frame: Frame) -> None:
    color = asphalt(np.random.default_rng(0), frame.whole, Relief.of(0, frame), 120.0)
    assert color[1].mean() * 255 == pytest.approx(120.0, abs=6.0)
    assert np.ptp(color.mean(axis=(1, 2))) * 255 < 16
