"""Normalizing raw values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geocobot.bands import NO_DATA_FILL, BandRange, normalize

RANGE = BandRange(1, "band 1", "uint8", 10, 110)
ALL = np.ones((1, 5), bool)


@pytest.mark.parametrize(("low", "high"), [(5, 5), (6, 5), (float("nan"), 5), (1e9, 1e9 + 1)])
def test_an_empty_range_is_refused(low, high):
    with pytest.raises(ValueError, match=r"range of nir: high .* is not above low"):
        BandRange(4, "nir", "uint8", low, high)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_low_is_zero_high_is_one_and_the_rest_is_linear(dtype):
    image = np.array([[[10, 110, 60, 35, 85]]], dtype)
    scaled = normalize(image, ALL, [RANGE])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[[0, 1, 0.5, 0.25, 0.75]]], atol=1e-6)


def test_goes_on_for_half_a_range_and_is_cut_there():
    image = np.array([[[-40, -100, 160, 161, 30_000]]], "int16")
    np.testing.assert_allclose(normalize(image, ALL, [RANGE]), [[[-0.5, -0.5, 1.5, 1.5, 1.5]]])


def test_every_band_has_its_own_range():
    ranges = [RANGE, BandRange(2, "b", "uint8", 0, 50)]
    image = np.full((2, 1, 1), 50, "uint8")
    scaled = normalize(image, np.ones((1, 1), bool), ranges)
    np.testing.assert_allclose(scaled[:, 0, 0], [0.4, 1.0])


@pytest.mark.parametrize("rubbish", [np.nan, np.inf, -np.inf, -1.7976931348623157e308])
def test_what_is_not_valid_is_mid_gray(rubbish):
    image = np.full((1, 1, 5), rubbish, "float64")
    assert (normalize(image, ~ALL, [RANGE]) == 0.5).all()


@settings(deadline=None)
@given(
    image=arrays(np.int16, (3, 4, 5)),
    valid=arrays(np.bool_, (4, 5)),
    low=st.integers(-3000, 3000),
    width=st.integers(1, 5000),
)
def test_always_within_bounds_and_in_order(image, valid, low, width):
    ranges = [BandRange(b, f"band {b}", "int16", low, low + width) for b in (1, 2, 3)]
    before = image.copy()
    scaled = normalize(image, valid, ranges)
    np.testing.assert_array_equal(image, before)
    assert scaled.shape == image.shape
    assert scaled.min() >= -0.5
    assert scaled.max() <= 1.5
    assert (scaled[:, ~valid] == 0.5).all()
    kept, raw = scaled[:, valid].ravel(), image[:, valid].ravel()
    order = np.argsort(raw, kind="stable")
    assert (np.diff(kept[order]) >= 0).all()


def test_bytes_are_looked_up_and_come_out_as_if_they_were_computed():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 40, 50), dtype=np.uint8)
    valid = rng.random((40, 50)) > 0.2
    ranges = [BandRange(i, f"band {i}", "uint8", low, high) for i, low, high in LIMITS]
    looked_up = normalize(image, valid, ranges)
    assert looked_up.dtype == np.float32
    assert np.array_equal(looked_up, normalize(image.astype(np.uint16), valid, ranges))
    assert np.array_equal(
        normalize(image, np.ones_like(valid), ranges)[:, valid], looked_up[:, valid]
    )


LIMITS = [(1, 0.0, 255.0), (2, 13.7, 201.3), (3, 90.0, 91.0)]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_where_nothing_is_valid_everything_is_gray(dtype):
    ranges = [BandRange(b, f"band {b}", dtype, 0.0, 9.0) for b in (1, 2)]
    image = np.full((2, 3, 4), 7, dtype)
    gray = normalize(image, np.zeros((3, 4), bool), ranges)
    assert gray.dtype == np.float32
    assert np.unique(gray).tolist() == [NO_DATA_FILL]
    one = np.zeros((3, 4), bool)
    one[1, 2] = True
    mixed = normalize(image, one, ranges)
    assert (mixed[:, ~one] == NO_DATA_FILL).all()
    assert mixed[:, one] == pytest.approx(7 / 9)
