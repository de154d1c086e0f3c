"""What a plan of tiles promises."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window

from geocobot.errors import GridMismatchError
from geocobot.grid import GeoGrid
from geocobot.tiling import Strip, TilePlan


def small_grid(height, width):
    return GeoGrid(CRS(32633), Affine(1, 0, 5e5, 0, -1, 5e6), (height, width))


def regular_tiles(height, width, tile, stride, shift=0):
    """Tiles as a grid sampler lays them, overhanging at the far edges."""
    rows = range(-shift, height - 0, stride)
    return [Window(c, r, tile, tile) for r in rows for c in range(0, width, stride)]


def covered(windows, height, width):
    mask = np.zeros((height, width), bool)
    for w in windows:
        mask[max(w.row_off, 0) : w.row_off + w.height, max(w.col_off, 0) : w.col_off + w.width] = 1
    return mask.all()


class TestTilePlan:
    @settings(deadline=None)
    @given(
        height=st.integers(1, 80),
        width=st.integers(1, 80),
        tile=st.integers(4, 32),
        data=st.data(),
    )
    def test_regular_tiles_in_any_order(self, height, width, tile, data):
        stride = data.draw(st.integers(1 + tile // 2, tile))
        shift = data.draw(st.integers(0, stride - 1))
        tiles = regular_tiles(height, width, tile, stride, shift)
        shuffled = data.draw(st.permutations(tiles))
        plan = TilePlan.of(small_grid(height, width), shuffled, overlap_px=tile - stride)
        assert sorted(map(repr, plan.windows)) == sorted(map(repr, tiles))
        assert [w for row in plan.rows() for w in row.windows] == list(plan.windows)

    @settings(deadline=None)
    @given(
        height=st.integers(1, 60),
        width=st.integers(1, 60),
        tile=st.integers(4, 32),
        data=st.data(),
    )
    def test_rows_say_what_they_cover(self, height, width, tile, data):
        stride = data.draw(st.integers(1, tile))
        tiles = regular_tiles(height, width, tile, stride)
        rows = list(TilePlan.of(small_grid(height, width), tiles, 0).rows())
        for row in rows:
            assert len({w.row_off for w in row.windows}) == 1
            assert row.top == row.windows[0].row_off
            assert row.bottom == min(row.top + tile, height)
        assert [row.top for row in rows] == sorted(row.top for row in rows)
        assert rows[-1].bottom == height

    @settings(deadline=None)
    @given(
        st.lists(
            st.builds(
                Window,
                st.integers(-4, 12),
                st.sampled_from([-2, 0, 3, 6, 9]),
                st.integers(1, 16),
                st.integers(1, 12),
            ),
            max_size=8,
        )
    )
    def test_a_plan_covers_every_pixel(self, windows):
        try:
            TilePlan.of(small_grid(12, 12), windows, 0)
        except GridMismatchError:
            return
        assert covered(windows, 12, 12)

    @pytest.mark.parametrize("drop", range(9))
    def test_a_missing_tile_is_noticed(self, drop):
        tiles = regular_tiles(30, 30, 10, 10)
        assert len(tiles) == 9
        del tiles[drop]
        with pytest.raises(GridMismatchError, match=r"of the 30 x 30 px scene uncovered from row"):
            TilePlan.of(small_grid(30, 30), tiles, 0)

    def test_no_tiles(self):
        with pytest.raises(GridMismatchError, match="uncovered from row 0"):
            TilePlan.of(small_grid(5, 5), [], 0)

    def test_strides_beyond_the_tile(self):
        with pytest.raises(GridMismatchError, match="Choose an overlap smaller than the tile"):
            TilePlan.of(small_grid(30, 30), regular_tiles(30, 30, 10, 12), 0)


def test_strip_height():
    assert Strip.of(5, np.zeros((2, 7, 9), "float32"), np.ones((7, 9), bool)).height == 7
