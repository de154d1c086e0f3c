"""Images in pixels of another size: what resampling keeps, and GDAL as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geocobot.resampling import reach_px, resample

SIDES = st.integers(2, 40)
SCALES = st.floats(0.2, 6)


def image_of(height, width, seed=0):
    return np.random.default_rng(seed).random((2, height, width), dtype=np.float32) * 200


def everywhere(image):
    return np.ones(image.shape[1:], np.bool_)


@given(SIDES, SIDES, st.integers(1, 30), st.integers(1, 10_000), st.data())
def test_a_constant_stays_what_it_is_wherever_there_is_data(h, w, side, value, data):
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w)))
    valid = valid.reshape(h, w)
    image = np.where(valid, value, np.nan)[None]
    shown = resample(image, valid, (0, 0, w, h), (side, side))
    assert shown.shape == (1, side, side)
    seen = shown != 0
    np.testing.assert_allclose(shown[seen], np.float32(value), rtol=1e-2)
    assert seen.any() == valid.any() or side**2 < h * w


def test_pixels_of_the_same_size_are_the_same():
    image = image_of(20, 30)
    valid = image[0] > 20
    shown = resample(image, valid, (4, 3, 24, 18), (15, 20))
    assert np.array_equal(shown, np.where(valid, image, 0)[:, 3:18, 4:24])


@given(SCALES, SCALES, st.integers(1, 20), st.integers(0, 2**16))
def test_boxes_side_by_side_are_one_box(scale_x, scale_y, split, seed):
    rows, cols = 12, 24
    h, w = int(np.ceil(rows * scale_y)) + 1, int(np.ceil(cols * scale_x)) + 1
    image = image_of(h, w, seed)
    valid = image[1] > 30
    whole = resample(image, valid, (0, 0, cols * scale_x, rows * scale_y), (rows, cols))
    edge = split * scale_x
    reach = reach_px(scale_x)
    last = min(w, int(np.ceil(edge)) + reach)
    first = max(0, int(np.floor(edge)) - reach)
    left = resample(image[..., :last], valid[:, :last], (0, 0, edge, rows * scale_y), (rows, split))
    right = resample(
        image[..., first:],
        valid[:, first:],
        (edge - first, 0, cols * scale_x - first, rows * scale_y),
        (rows, cols - split),
    )
    cover = resample(
        valid[None], everywhere(image), (0, 0, cols * scale_x, rows * scale_y), (rows, cols)
    )
    # Pillow takes boxes in single precision; values go up to 200. Where next to nothing has a
    # say, the shares of what does are rounded most.
    difference = (np.concatenate([left, right], axis=2) - whole) * cover
    np.testing.assert_allclose(difference, 0, atol=2e-2)


@pytest.mark.parametrize("scale", [0.5, 0.3, 1.24, 2.0, 3.7])
def test_gdal_draws_the_same_picture(scale):
    image = image_of(60, 60)
    cols = int(60 / scale)
    ours = resample(image, everywhere(image), (0, 0, cols * scale, cols * scale), (cols, cols))
    theirs = np.zeros_like(ours)
    reproject(
        image,
        theirs,
        src_transform=Affine.identity(),
        dst_transform=Affine.scale(scale),
        src_crs="EPSG:32633",
        dst_crs="EPSG:32633",
        resampling=Resampling.bilinear,
    )
    inner = slice(3, cols - 3)
    # GDAL takes the kernel at steps of its own; on noise of 0 to 200 that is a little.
    difference = np.abs(ours[:, inner, inner] - theirs[:, inner, inner])
    assert difference.mean() < 1
    assert difference.max() < 12


@pytest.mark.parametrize("scale", [0.4, 2.5])
def test_a_slope_keeps_its_place(scale):
    """Resampled pixels lie where the grid says, not half a pixel beside it."""
    image = np.broadcast_to(np.arange(100, dtype=np.float32), (1, 100, 100))
    cols = int(100 / scale)
    shown = resample(image, everywhere(image), (0, 0, cols * scale, 100), (100, cols))
    expected = (np.arange(cols) + 0.5) * scale - 0.5
    np.testing.assert_allclose(shown[0, 50, 4:-4], expected[4:-4], atol=0.02)


def test_nodata_has_no_say():
    image = np.full((1, 8, 8), 100, np.float32)
    image[0, :, 4:] = -9999
    shown = resample(image, image[0] > 0, (0, 0, 8, 8), (2, 2))
    np.testing.assert_allclose(shown, 100, rtol=1e-6)
