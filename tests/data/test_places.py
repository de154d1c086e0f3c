"""Labelled pixels and the patches around them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from geocobot.data.places import LabelledPlaces, patch_around
from geocobot.data.rectangles import contains

_REGIONS = st.lists(
    st.builds(
        Window, st.integers(0, 40), st.integers(0, 40), st.integers(9, 40), st.integers(9, 40)
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=200)
@given(_REGIONS, st.tuples(st.integers(-5, 90), st.integers(-5, 90)), st.integers(0, 2**32))
def test_a_patch_shows_the_pixel_and_stays_in_a_region(regions, pixel, seed):
    window = patch_around(np.random.default_rng(seed), pixel, regions, 9)
    shown = Window(*pixel, 1, 1)
    possible = [
        Window(col, row, 9, 9)
        for col in range(pixel[0] - 8, pixel[0] + 1)
        for row in range(pixel[1] - 8, pixel[1] + 1)
        if any(contains(r, Window(col, row, 9, 9)) for r in regions)
    ]
    if window is None:
        assert not possible
    else:
        assert contains(window, shown)
        assert window in possible


@pytest.fixture
def survey(make_survey):
    """Class 1 fills a square of one cell, class 2 three cells; the east has no data."""
    numbers = np.zeros((640, 640), dtype=np.uint8)
    numbers[64:96, 64:96] = 1
    numbers[320:416, 64:96] = 2
    mask = np.ones((640, 640), dtype=bool)
    mask[:, 320:] = False
    return make_survey((640, 640), numbers=numbers, mask=mask)


def test_pixels_are_drawn_where_their_class_is(survey):
    places = LabelledPlaces(survey, (Window(0, 0, 640, 640),))
    rng = np.random.default_rng(0)
    assert places.class_numbers == (0, 1, 2)
    assert all(
        64 <= col < 96 and 64 <= row < 96 for col, row in (places.draw(rng, 1) for _ in range(50))
    )
    rows = Counter(places.draw(rng, 2)[1] // 32 for _ in range(3000))
    assert sorted(rows) == [10, 11, 12]
    assert min(rows.values()) > 850
    assert all(places.draw(rng, None)[0] < 320 for _ in range(200))


def test_only_what_a_region_reaches(survey):
    places = LabelledPlaces(survey, (Window(0, 300, 200, 200),))
    assert places.class_numbers == (0, 2)
    rng = np.random.default_rng(0)
    assert all(288 <= places.draw(rng, None)[1] < 512 for _ in range(200))
    assert not LabelledPlaces(survey, (Window(400, 0, 100, 100),))
    assert not LabelledPlaces(survey, ())
