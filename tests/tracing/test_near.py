from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.components import connected
from geocobot.tracing.near import Reach, links
from geocobot.tracing.pixel_sizes import RowSizes

from .rasters import grid_of, parse

reaches = st.builds(Reach, st.integers(1, 4), st.integers(1, 4), st.just(0.0))
filled = hnp.arrays(
    np.bool_,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14),
    elements=st.sampled_from([True, False, False, False]),
)


def by_pairs(pixels: np.ndarray, reach: Reach) -> np.ndarray:
    """Group (h, W) of each pixel, found by looking at every two of them; -1 of no pixel."""
    row, column = np.nonzero(pixels)
    near = np.abs(np.subtract.outer(row, row)) <= reach.rows
    near &= np.abs(np.subtract.outer(column, column)) <= reach.columns
    groups = np.full(pixels.shape, -1)
    groups[row, column] = connected(len(row), *np.nonzero(near))
    return groups


def same_groups(groups: np.ndarray, others: np.ndarray) -> bool:
    pairs = np.unique(np.stack([groups, others]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@settings(max_examples=150, deadline=None)
@given(filled, reaches)
def test_groups_are_what_hangs_together_by_near_pixels(pixels, reach):
    numbers = reach.number(pixels)
    assert ((numbers > 0) == pixels).all()
    assert same_groups(numbers[pixels], by_pairs(pixels, reach)[pixels])


@settings(max_examples=150, deadline=None)
@given(filled, reaches, st.integers(0, 14))
def test_links_join_groups_across_a_seam(pixels, reach, row):
    above, below = (by_pairs(part, reach) for part in np.split(pixels, [min(row, len(pixels))]))
    below = np.where(below >= 0, below + pixels.size, -1)
    # Of the rows above, those that can be near are enough.
    a, b = links(above[max(0, len(above) - reach.rows) :], below[: reach.rows], reach)
    root = connected(2 * pixels.size, a, b)
    joined = root[np.concatenate([above, below])]
    assert same_groups(joined[pixels], by_pairs(pixels, reach)[pixels])


@pytest.mark.parametrize(
    ("simplify_m", "smooth_m", "rows", "columns"),
    [
        (0.2, 0.0, 1, 1),  # no triangle of the raster is so small
        (0.5, 0.0, 4, 2),
        (0.0, 1.0, 6, 3),
        (0.5, 1.0, 10, 5),
    ],
)
def test_the_reach_is_measured_on_the_ground(simplify_m, smooth_m, rows, columns):
    sizes = RowSizes(grid_of(parse("1")))  # 0.5 x 0.25 m, and 1/2500 more on the ellipsoid
    reach = Reach.of(sizes, simplify_m, smooth_m)
    assert (reach.rows, reach.columns) == (rows, columns)
    gap_m = min(rows * 0.25, columns * 0.5)
    assert reach.drift_m == pytest.approx(gap_m / 2 - 0.75 * smooth_m, abs=1e-3)
