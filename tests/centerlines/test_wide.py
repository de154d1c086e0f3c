"""Areas too wide for a line are counted, whatever the rows that are looked at."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from geocobot.centerlines.wide import WidePlaces

RASTERS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16),
    elements=st.sampled_from([0, 1, 1, 2]),
)


@given(RASTERS, st.lists(st.integers(1, 15), max_size=6))
def test_places_are_counted_once_across_seams(cores, cuts):
    wide = WidePlaces()
    for part in np.split(cores, sorted({c for c in cuts if c < len(cores)})):
        wide.add(part)
    for number in (1, 2):
        assert wide.counts[number] == label(cores == number)[1]
