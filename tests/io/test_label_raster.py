"""Burning labels: which pixels, which class, and the same in every window."""

from __future__ import annotations

import pickle

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE, name_classes
from geocobot.grid import GeoGrid
from geocobot.io.burnt import BurntShapes
from geocobot.io.label_raster import LabelRaster, near_boundary
from geocobot.io.labels import FeatureLabels

HEIGHT, WIDTH = 48, 64
GRID = GeoGrid(
    CRS.from_epsg(32633), Affine(0.3, 0, 500_000.1, 0, -0.3, 5_000_000.7), (HEIGHT, WIDTH)
)


def labels_of(shapes, numbers, line_width_m=2.0, crs=GRID.crs):
    columns = {
        "class_number": np.asarray(numbers, "uint8"),
        "file": 0,
        "reach_m": line_width_m / 2,
    }
    frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)
    names = [f"class {i}" for i in range(1, max(numbers) + 1)]
    return FeatureLabels(name_classes(names), frame, ("labels.gpkg",), ("labels.gpkg",))


def at_pixels(shape):
    """Put a shape in pixels onto the grid."""
    return shapely.transform(shape, lambda xy: np.column_stack(GRID.transform @ (*xy.T,)))


# Half pixels put edges and corners exactly on pixel centers, where rounding would decide.
_COORDINATE = st.one_of(
    st.integers(-20, 170).map(lambda v: v / 2),
    st.floats(-10, 85, allow_nan=False, width=32).map(float),
)
_RINGS = st.lists(st.tuples(_COORDINATE, _COORDINATE), min_size=3, max_size=6)
_WINDOWS = st.builds(
    Window, st.integers(-20, 70), st.integers(-20, 60), st.integers(1, 70), st.integers(1, 60)
)


@settings(deadline=None, max_examples=150)
@given(rings=st.lists(_RINGS, min_size=1, max_size=6), window=_WINDOWS, data=st.data())
def test_any_window_is_that_part_of_the_whole(rings, window, data):
    shapes = [at_pixels(shapely.make_valid(shapely.Polygon(ring))) for ring in rings]
    polygons = [s for s in shapes if s.area > 0 and s.geom_type == "Polygon"]
    polygons.append(at_pixels(shapely.box(1, 1, 5, 4)))
    numbers = data.draw(st.lists(st.integers(1, 4), min_size=len(polygons), max_size=len(polygons)))
    raster = labels_of(polygons, numbers).on(GRID, "scene")
    whole = np.pad(raster.read(GRID.window).classes, 150, constant_values=IGNORE)
    top, left = window.row_off + 150, window.col_off + 150
    patch = raster.read(window)
    assert patch.window == window
    np.testing.assert_array_equal(
        patch.classes, whole[top : top + window.height, left : left + window.width]
    )


@settings(deadline=None, max_examples=50)
@given(
    box=st.tuples(
        st.integers(0, WIDTH - 2),
        st.integers(0, HEIGHT - 2),
        st.integers(1, 30),
        st.integers(1, 30),
    )
)
def test_whole_pixels_burn_whole(box):
    col, row, width, height = box
    raster = labels_of([at_pixels(shapely.box(col, row, col + width, row + height))], [1]).on(
        GRID, "scene"
    )
    expected = np.zeros((HEIGHT, WIDTH), "uint8")
    expected[row : row + height, col : col + width] = 1
    np.testing.assert_array_equal(raster.read(GRID.window).classes, expected)


def test_equals_rasterio_on_the_whole_scene():
    rng = np.random.default_rng(4)
    discs = [
        at_pixels(shapely.Point(x, y).buffer(r))
        for x, y, r in zip(
            rng.uniform(0, WIDTH, 30),
            rng.uniform(0, HEIGHT, 30),
            rng.uniform(1, 6, 30),
            strict=True,
        )
    ]
    numbers = np.sort(rng.integers(1, 4, 30))
    expected = rasterio.features.rasterize(
        zip(discs, numbers.tolist(), strict=True),
        out_shape=(HEIGHT, WIDTH),
        transform=GRID.transform,
        dtype="uint8",
    )
    raster = labels_of(discs, numbers).on(GRID, "scene")
    np.testing.assert_array_equal(raster.read(GRID.window).classes, expected)


def test_the_later_class_wins_in_any_order():
    first, second = at_pixels(shapely.box(0, 0, 10, 10)), at_pixels(shapely.box(5, 5, 15, 15))
    expected = labels_of([first, second], [1, 2]).on(GRID, "scene").read(GRID.window).classes
    assert expected[7, 7] == 2
    found = labels_of([second, first], [2, 1]).on(GRID, "scene").read(GRID.window).classes
    np.testing.assert_array_equal(found, expected)


def test_holes_stay_background():
    ring = shapely.box(2, 2, 20, 20).difference(shapely.box(5, 5, 10, 10))
    classes = labels_of([at_pixels(ring)], [1]).on(GRID, "scene").read(GRID.window).classes
    assert (classes[5:10, 5:10] == BACKGROUND).all()
    assert (classes == 1).sum() == 18 * 18 - 5 * 5


def test_outside_is_ignored_and_empty_is_background():
    raster = labels_of([at_pixels(shapely.box(0, 0, 4, 4))], [1]).on(GRID, "scene")
    patch = raster.read(Window(WIDTH - 3, HEIGHT - 2, 10, 10)).classes
    assert (patch[:2, :3] == BACKGROUND).all()
    assert (patch[2:] == IGNORE).all()
    assert (patch[:, 3:] == IGNORE).all()
    assert (raster.read(Window(1000, 0, 5, 5)).classes == IGNORE).all()


def brute_boundary(classes, within_px):
    """Every pixel against every other."""
    rows, cols = np.indices(classes.shape).reshape(2, -1)
    flat = classes.ravel()
    distance = np.hypot(rows[:, None] - rows, cols[:, None] - cols)
    differs = (flat[:, None] != flat) & (flat[:, None] != IGNORE) & (flat != IGNORE)
    return ((distance <= within_px) & differs).any(axis=1).reshape(classes.shape)


@settings(deadline=None, max_examples=60)
@given(
    classes=st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda hw: st.lists(
            st.sampled_from([BACKGROUND, 1, 2, IGNORE]),
            min_size=hw[0] * hw[1],
            max_size=hw[0] * hw[1],
        ).map(lambda values: np.array(values, "uint8").reshape(hw))
    ),
    within_px=st.integers(1, 6),
)
def test_near_a_boundary_is_what_has_another_class_near(classes, within_px):
    np.testing.assert_array_equal(
        near_boundary(classes, within_px), brute_boundary(classes, within_px)
    )


@settings(deadline=None, max_examples=40)
@given(window=_WINDOWS, boundary_px=st.integers(1, 5))
def test_boundaries_and_areas_are_the_same_in_every_window(window, boundary_px):
    discs = [shapely.Point(x, y).buffer(r) for x, y, r in ((12, 9, 6), (30, 20, 9), (55, 40, 12))]
    plain = LabelRaster(GRID, BurntShapes(np.array(discs, object), np.array([1, 1, 2], "uint8")))
    known = np.array([shapely.box(5, 5, 40, 44), shapely.box(44.5, 0, 70, 30)], object)
    area = BurntShapes(known, np.ones(2, "uint8"))
    raster = LabelRaster(GRID, plain.source, area, boundary_px)
    whole = plain.read(GRID.window).classes
    whole[rasterio.features.rasterize(known, out_shape=(HEIGHT, WIDTH), dtype="uint8") == 0] = (
        IGNORE
    )
    whole[brute_boundary(whole, boundary_px)] = IGNORE
    padded = np.pad(whole, 150, constant_values=IGNORE)
    top, left = window.row_off + 150, window.col_off + 150
    np.testing.assert_array_equal(
        raster.read(window).classes,
        padded[top : top + window.height, left : left + window.width],
    )


def test_pickles_before_and_after_reading():
    raster = labels_of([at_pixels(shapely.box(3, 4, 9, 8))], [1]).on(GRID, "scene")
    copies = [pickle.loads(pickle.dumps(raster))]
    expected = raster.read(GRID.window).classes
    copies.append(pickle.loads(pickle.dumps(raster)))
    for copy in copies:
        np.testing.assert_array_equal(copy.read(GRID.window).classes, expected)


def test_only_features_on_the_scene_are_kept():
    shapes = [at_pixels(shapely.box(x, 1, x + 2, 3)) for x in (-500, -1, 10, WIDTH + 40)]
    raster = labels_of(shapes, [1, 2, 3, 4]).on(GRID, "scene")
    assert raster.source.numbers.tolist() == [2, 3]


@pytest.mark.parametrize("epsg", [4326, 3857, 32633])
def test_polygons_of_another_crs_fall_on_the_same_pixels(epsg):
    inner = at_pixels(shapely.box(9.8, 9.8, 20.2, 20.2))
    frame = gpd.GeoSeries([inner], crs=GRID.crs).to_crs(epsg)
    raster = labels_of(frame, [1], crs=frame.crs).on(GRID, "scene")
    expected = np.zeros((HEIGHT, WIDTH), "uint8")
    expected[10:20, 10:20] = 1
    np.testing.assert_array_equal(raster.read(GRID.window).classes, expected)
