"""Grids: where pixels and coordinates meet."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window

from geocobot.errors import CrsError, GridError, GridMismatchError
from geocobot.grid import GeoGrid, geod_of

UTM = CRS(32633)
GRID = GeoGrid(UTM, Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), (40, 60))


@st.composite
def grids(draw):
    """Grids as scenes have them: metres, degrees, oblong pixels, coordinates far from 0."""
    if draw(st.booleans()):
        crs, west, north = UTM, draw(st.floats(1e5, 9e5)), draw(st.floats(0, 9e6))
        sizes = st.floats(0.01, 100)
    else:
        crs, west, north = CRS(4326), draw(st.floats(-180, 179)), draw(st.floats(-80, 80))
        sizes = st.floats(1e-7, 1e-3)
    x, y = draw(sizes), draw(sizes)
    shape = draw(st.tuples(st.integers(1, 100_000), st.integers(1, 100_000)))
    return GeoGrid(crs, Affine(x, 0, west, 0, -y, north), shape)


WINDOWS = st.builds(
    Window,
    st.integers(-5000, 100_000),
    st.integers(-5000, 100_000),
    st.integers(1, 5000),
    st.integers(1, 5000),
)


class TestGeoGrid:
    @pytest.mark.parametrize(
        "transform",
        [
            Affine(1, 0, 0, 0, 1, 0),
            Affine(-1, 0, 0, 0, -1, 0),
            Affine(0, 1, 0, -1, 0, 0),
            Affine(1, 0.01, 0, 0, -1, 0),
            Affine(1, 0, 0, 0.01, -1, 0),
        ],
    )
    def test_refuses_what_is_not_north_up(self, transform):
        with pytest.raises(GridError, match=r"grid has the transform .* A GeoGrid is north-up"):
            GeoGrid(UTM, transform, (10, 10))

    def test_plain_properties(self):
        assert (GRID.height, GRID.width) == (40, 60)
        assert GRID.res_xy == (0.5, 0.5)
        assert GRID.window == Window(0, 0, 60, 40)
        assert GRID.bounds == (500_000, 4_999_980, 500_030, 5_000_000)

    def test_pickles_and_compares(self):
        _ = GRID.ground_pixel_m
        copy = pickle.loads(pickle.dumps(GRID))
        assert copy == GRID
        assert copy.ground_pixel_m == GRID.ground_pixel_m
        assert copy != GRID.crop(Window(0, 0, 60, 39))

    def test_crop_may_overhang_and_stays_aligned(self):
        crop = GRID.crop(Window(-4, 38, 10, 6))
        assert crop.shape == (6, 10)
        assert crop.bounds == GRID.bounds_of(Window(-4, 38, 10, 6))
        assert crop.bounds == (499_998, 4_999_978, 500_003, 4_999_981)

    @settings(deadline=None)
    @given(grids(), WINDOWS)
    def test_window_and_bounds_go_round(self, grid, window):
        # Float64 has to tell pixels apart, with room for the 0.05 px of tolerance.
        assume(min(grid.res_xy) > 1e-12 * max(abs(v) for v in (*grid.bounds, 1)))
        assert grid.window_for(grid.bounds_of(window)) == window

    @settings(deadline=None)
    @given(grids(), WINDOWS, WINDOWS)
    def test_crop_of_crop(self, grid, outer, inner):
        twice = grid.crop(outer).crop(inner)
        shifted = Window(
            outer.col_off + inner.col_off,
            outer.row_off + inner.row_off,
            inner.width,
            inner.height,
        )
        assert twice.shape == (inner.height, inner.width)
        np.testing.assert_allclose(
            twice.bounds, grid.bounds_of(shifted), rtol=1e-12, atol=0.01 * min(grid.res_xy)
        )

    @settings(deadline=None)
    @given(
        window=st.builds(
            Window, st.integers(0, 59), st.integers(0, 39), st.integers(1, 60), st.integers(1, 40)
        ),
        shrink=st.floats(0.001, 0.999),
    )
    def test_window_around_covers_with_nothing_to_spare(self, window, shrink):
        clipped = GRID.clip(window)
        assert GRID.window_around(GRID.bounds_of(window)) == clipped
        west, south, east, north = GRID.bounds_of(window)
        inset = 0.5 * shrink * min(GRID.res_xy)
        inner = (west + inset, south + inset, east - inset, north - inset)
        assert GRID.window_around(inner) == clipped

    def test_window_around_keeps_edges_in_degrees(self):
        grid = GeoGrid(CRS(4326), Affine(2.7e-6, 0, -115.17, 0, -2.7e-6, 36.24), (1300, 1300))
        for col in range(0, 1300, 7):
            window = Window(col, col, 7, 7)
            assert grid.window_around(grid.bounds_of(window)) == grid.clip(window)

    def test_window_around_outside(self):
        assert GRID.window_around((0, 0, 10, 10)) is None

    @pytest.mark.parametrize("off_px", [0.06, 0.5, -0.2])
    def test_bounds_off_the_pixels_are_refused(self, off_px):
        west, south, east, north = GRID.bounds_of(Window(3, 4, 10, 10))
        with pytest.raises(GridMismatchError, match="fall on the pixel edges"):
            GRID.window_for((west + off_px * 0.5, south, east, north))

    @pytest.mark.parametrize("off_px", [0.04, -0.04])
    def test_bounds_a_little_off_snap(self, off_px):
        west, south, east, north = GRID.bounds_of(Window(3, 4, 10, 10))
        moved = (west + off_px * 0.5, south, east, north)
        assert GRID.window_for(moved) == Window(3, 4, 10, 10)

    def test_pixels_of(self):
        pixels = GRID.pixels_of(np.array([[500_000.0, 5_000_000.0], [500_001.25, 4_999_999.0]]))
        np.testing.assert_allclose(pixels, [[0, 0], [2.5, 2]])


class TestNorthUp:
    def test_north_up_is_kept(self):
        grid, flipped = GeoGrid.north_up(UTM, GRID.transform, GRID.shape, "a.tif")
        assert grid == GRID
        assert not flipped

    def test_south_up_is_flipped(self):
        transform = Affine(0.5, 0, 500_000, 0, 0.5, 4_999_980)
        grid, flipped = GeoGrid.north_up(UTM, transform, GRID.shape, "a.tif")
        assert flipped
        assert grid == GRID

    @pytest.mark.parametrize("degrees", [0.01, 45, 90, 180.5])
    def test_rotated(self, degrees):
        transform = Affine.rotation(degrees) @ Affine.scale(1, -1)
        with pytest.raises(GridError, match=r"a\.tif is rotated or sheared .*gdalwarp -r cubic"):
            GeoGrid.north_up(UTM, transform, (10, 10), "a.tif")

    @pytest.mark.parametrize(("a", "e"), [(-1, -1), (0, -1), (1, 0)])
    def test_mirrored_or_empty(self, a, e):
        with pytest.raises(GridError, match=r"a\.tif has the pixel size"):
            GeoGrid.north_up(UTM, Affine(a, 0, 0, 0, e, 0), (10, 10), "a.tif")


class TestGround:
    def test_vegas(self):
        grid = GeoGrid(CRS(4326), Affine(2.7e-6, 0, -115.17, 0, -2.7e-6, 36.24), (1300, 1300))
        assert grid.ground_pixel_m == pytest.approx((0.2427, 0.2996), abs=1e-4)
        assert grid.ground_pixel_m2 == pytest.approx(0.2427 * 0.2996, rel=1e-3)

    @pytest.mark.parametrize(("y", "latitude"), [(0, 0), (8_399_737.9, 60)])
    def test_web_mercator_metres_shrink(self, y, latitude):
        grid = GeoGrid(CRS(3857), Affine(10, 0, 0, 0, -10, y + 50), (10, 10))
        expected = 10 * np.cos(np.radians(latitude))
        # Within 0.7 %: Web Mercator is drawn on a sphere, the ground is an ellipsoid.
        assert grid.ground_pixel_m == pytest.approx((expected, expected), rel=0.007)

    def test_grads(self):
        grid = GeoGrid(CRS(27572), Affine(1, 0, 600_000, 0, -1, 2_400_000), (100, 100))
        assert grid.ground_pixel_m == pytest.approx((1, 1), rel=1e-3)

    def test_degrees_of_a_place_that_does_not_exist(self):
        grid = GeoGrid(UTM, Affine(1, 0, 5e9, 0, -1, 5e9), (10, 10))
        with pytest.raises(CrsError, match="which its CRS WGS 84 / UTM zone 33N does not reach"):
            _ = grid.ground_pixel_m

    def test_degrees_beyond_a_pole(self):
        grid = GeoGrid(CRS(4326), Affine(1, 0, 5e5, 0, -1, 5e6), (10, 10))
        with pytest.raises(CrsError, match="which its CRS WGS 84 does not reach"):
            _ = grid.ground_pixel_m

    def test_pixels_without_a_size(self):
        grid = GeoGrid(CRS(3857), Affine(1, 0, 1e12, 0, -1, -1e12), (10, 10))
        with pytest.raises(CrsError, match="which have no size there"):
            _ = grid.ground_pixel_m

    def test_ellipsoid(self):
        assert geod_of(CRS(4326)).a == 6_378_137
        assert geod_of(CRS(4267)).a == pytest.approx(6_378_206.4)
