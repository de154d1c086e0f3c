"""Scores of a resampled scene in the pixels of its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocobot.inference.restore import restore
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene
from geocobot.resampling import resample
from geocobot.steps import SCORE_SCALE
from geocobot.tiling import Strip

STEP = 1 / SCORE_SCALE


def at(path, size_m):
    return resampled(Scene.open(path), (size_m, size_m))


def strips_of(scores, valid, heights):
    row = 0
    while row < scores.shape[1]:
        height = next(heights)
        yield Strip.of(row, scores[:, row : row + height], valid[row : row + height])
        row += height


def joined(strips):
    strips = list(strips)
    rows = [strip.row_off for strip in strips]
    assert rows == list(np.cumsum([0, *(s.height for s in strips[:-1])]))
    assert all(strip.scores.dtype == np.float32 for strip in strips)
    return (
        np.concatenate([s.scores for s in strips], axis=1),
        np.concatenate([s.valid for s in strips]),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.sampled_from([0.4, 0.77, 2.0, 3.3, 9.0]), st.data())
def test_strips_of_any_height_give_what_the_whole_gives(scene_factory, size_m, data):
    image = np.full((3, 600, 50), 7, "uint8")
    image[:, 100:300, 10:30] = 0
    scene = at(scene_factory(image=image, nodata=0), size_m)
    height, width = scene.grid.shape
    scores = np.random.default_rng(0).random((2, height, width), dtype=np.float32) / 2 + 0.5
    valid = scene.read(scene.grid.window).valid
    heights = iter(lambda: data.draw(st.integers(1, 90)), 0)
    out, out_valid = joined(restore(strips_of(scores, valid, heights), scene))
    native = scene.native.read(scene.native.grid.window)
    assert np.array_equal(out_valid, native.valid)
    box = (0, 0, 50 / scene.scale_xy[0], 600 / scene.scale_xy[1])
    expected = resample(scores, valid, box, (600, 50))
    np.testing.assert_allclose(out, expected * native.valid, atol=STEP + 1e-3)
    assert (out[:, native.valid] > 0).all()  # no pixel with data is left without a score


@pytest.mark.parametrize("size_m", [0.5, 1.7, 4.0])
def test_a_gradient_of_scores_keeps_its_place(scene_factory, size_m):
    scene = at(scene_factory(shape_hw=(400, 400)), size_m)
    height, width = scene.grid.shape
    x, y = np.meshgrid((np.arange(width) + 0.5) * size_m, (np.arange(height) + 0.5) * size_m)
    scores = np.stack([x, y]).astype(np.float32) / 500
    out, _ = joined(restore(iter([Strip.of(0, scores, np.ones((height, width), bool))]), scene))
    inner = slice(8, -8)
    native = (np.arange(400) + 0.5) / 500
    np.testing.assert_allclose(out[0, 200, inner], native[inner], atol=STEP + 1e-3)
    np.testing.assert_allclose(out[1, inner, 200], native[inner], atol=STEP + 1e-3)


def test_all_digits_come_through_beside_what_is_written(scene_factory):
    image = np.full((3, 300, 50), 7, "uint8")
    image[:, 100:200, 10:30] = 0
    scene = at(scene_factory(image=image, nodata=0), 0.77)
    height, width = scene.grid.shape
    scores = np.random.default_rng(0).random((2, height, width), dtype=np.float32)
    valid = scene.read(scene.grid.window).valid
    coarse = list(strips_of(scores, valid, iter([100, 1000])))
    exact = [np.where(s.valid, scores[:, s.row_off :][:, : s.height], np.nan) for s in coarse]
    fine = [replace(strip, exact=own) for strip, own in zip(coarse, exact, strict=True)]
    written = list(restore(iter(coarse), scene))
    restored = list(restore(iter(fine), scene))
    assert [s.steps.tobytes() for s in restored] == [s.steps.tobytes() for s in written]
    assert all(s.exact is None for s in written)
    found = np.concatenate([s.exact for s in restored], axis=1)
    native = scene.native.read(scene.native.grid.window)
    assert np.array_equal(np.isfinite(found[0]), native.valid)
    box = (0, 0, 50 / scene.scale_xy[0], 300 / scene.scale_xy[1])
    expected = resample(scores, valid, box, (300, 50))[:, native.valid]
    np.testing.assert_allclose(found[:, native.valid], expected, atol=2e-4)


def test_what_makes_the_strips_comes_to_its_end(scene_factory):
    scene = at(scene_factory(shape_hw=(300, 40)), 2.0)
    ended = []

    def strips():
        height, width = scene.grid.shape
        yield Strip.of(0, np.zeros((1, height, width), np.float32), np.ones((height, width), bool))
        ended.append(True)

    assert sum(strip.height for strip in restore(strips(), scene)) == 300
    assert ended
