"""The insides of single objects: apart from each other, never lost, the same in every window."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window
from shapely.affinity import rotate

from geocobot.io.burnt import BurntShapes
from geocobot.io.interiors import DEPTH_PX, LEAST_INSIDE_PX, Interiors
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.io.shapes import in_exact_pixels
from geocobot.io.widths import Widths
from geocobot.tracing.components import Components

WHOLE = Window(0, 0, 64, 48)
WEST, NORTH = 500_000.0, 5_000_000.0


def interiors(*shapes, whole=()):
    return Interiors(
        in_exact_pixels(np.array(shapes, dtype=object)),
        np.array([i in whole for i in range(len(shapes))], dtype=bool),
    )


def burn(*shapes, window=WHOLE, **options):
    return interiors(*shapes, **options).read(window)


def objects(inside):
    """Pixels of each 4-connected inside, in reading order."""
    found = Components.of(inside.astype(np.uint8))
    return found.pixels()[found.class_number > 0].tolist()


polygons = st.builds(
    lambda x, y, w, h, angle: rotate(shapely.box(x, y, x + w, y + h), angle),
    *[st.floats(-5, 60)] * 2,
    *[st.floats(0.5, 25)] * 2,
    st.floats(0, 90),
)


def test_squares_that_touch_are_apart():
    inside = burn(shapely.box(4, 4, 20, 20), shapely.box(20, 4, 36, 20))
    side = 16 - 2 * int(DEPTH_PX)
    assert objects(inside) == [side**2] * 2
    assert not inside[:, 20 - int(DEPTH_PX) : 20 + int(DEPTH_PX)].any()


@pytest.mark.parametrize("angle", [0, 17, 45, 80])
def test_a_row_of_rotated_houses_is_apart(angle):
    row = [rotate(shapely.box(x, 18, x + 12, 30), angle, (32, 24)) for x in (8, 20, 32, 44)]
    sizes = objects(burn(*row))
    assert len(sizes) == 4
    assert min(sizes) > 0.8 * (12 - 2 * DEPTH_PX) ** 2


def test_rings_and_bent_outlines():
    ring = shapely.Point(30, 24).buffer(20).difference(shapely.Point(30, 24).buffer(9))
    disc = shapely.Point(30, 24).buffer(9)
    inside = burn(ring, disc)
    assert len(objects(inside)) == 2
    assert inside[24, 30]
    assert not inside[24, 30 + 9 - 2 : 30 + 9 + 2].any()


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 6, 7])
def test_nothing_is_lost_however_small(side):
    box = shapely.box(10, 10, 10 + side, 10 + side)
    inside = burn(box)
    assert inside.any()
    if side <= DEPTH_PX:
        assert inside.sum() == side**2
    narrow = burn(shapely.box(10, 10, 10 + side, 40))
    assert narrow.any(axis=1).sum() >= 30 - 2 * DEPTH_PX


def test_the_later_one_lies_on_top_with_its_edge():
    lower, upper = shapely.box(4, 4, 40, 40), shapely.box(20, 4, 60, 40)
    inside = burn(lower, upper)
    assert not inside[:, 20 : 20 + int(DEPTH_PX)].any()
    assert inside[20, 10]
    assert inside[20, 19]
    assert inside[20, 30]
    assert len(objects(inside)) == 2


def test_what_is_whole_has_no_edge():
    roads = shapely.box(0, 10, 64, 16), shapely.box(30, 0, 36, 48)
    inside = burn(*roads, whole=(0, 1))
    np.testing.assert_array_equal(
        inside, BurntShapes(np.array(roads), np.ones(2, np.uint8)).read(WHOLE)
    )
    assert not interiors(*roads, whole=(0, 1)).has_objects
    assert interiors(*roads, whole=(0,)).has_objects


@given(st.lists(polygons, max_size=5), st.integers(-8, 60), st.integers(-8, 40))
def test_any_window_equals_that_part_of_the_whole(shapes, col, row):
    field = interiors(*shapes)
    large = field.read(Window(-8, -8, 80, 64))
    part = field.read(Window(col, row, 9, 7))
    np.testing.assert_array_equal(part, large[row + 8 : row + 15, col + 8 : col + 17])


@given(st.lists(polygons, max_size=5))
def test_insides_lie_inside(shapes):
    drawn = np.array(shapes, dtype=object)
    inside = burn(*shapes)
    classes = BurntShapes(in_exact_pixels(drawn), np.ones(len(drawn), np.uint8)).read(WHOLE)
    assert not (inside & (classes == 0)).any()


@given(st.lists(polygons, min_size=2, max_size=5))
def test_no_inside_touches_that_of_a_wide_neighbor(shapes):
    wide = [s for s in shapes if shapely.area(s.buffer(-DEPTH_PX)) >= LEAST_INSIDE_PX]
    numbers = np.zeros((48, 64), dtype=np.int64)
    for number, shape in enumerate(wide, start=1):
        drawn = in_exact_pixels(np.array([shape], dtype=object))
        own = BurntShapes(drawn, np.ones(1, np.uint8)).read(WHOLE)
        numbers[own > 0] = number
    numbers[~burn(*wide)] = 0
    for one, other in pairwise_pixels(numbers):
        assert ((one == other) | (one == 0) | (other == 0)).all()


def pairwise_pixels(numbers):
    yield numbers[:, 1:], numbers[:, :-1]
    yield numbers[1:], numbers[:-1]


def test_the_labels_of_a_scene(scene_factory, labels_factory):
    """Polygons are objects, and so is the ground of points; lines are not."""
    scene = Scene.open(scene_factory())
    line = shapely.LineString([(WEST, NORTH - 40), (WEST + 96, NORTH - 40)])
    boxes = [shapely.box(WEST + x, NORTH - 20, WEST + x + 12, NORTH - 8) for x in (8, 20)]
    disc = shapely.Point(WEST + 60, NORTH - 14)
    path = labels_factory([*boxes, line, disc], name="all.gpkg")
    choice = LabelChoice(widths=Widths(line_width_m=6.0, point_radius_m=6.0))
    raster = read_labels([path], choice).on(scene.grid, scene.name)
    assert raster.interiors.has_objects
    inside = raster.interiors.read(scene.grid.window)
    classes = raster.read(scene.grid.window).classes
    assert len(objects(inside)) == 4
    assert classes[14, 20] == 1
    assert not inside[14, 18:22].any()
    np.testing.assert_array_equal(inside[30:], classes[30:] == 1)
    assert inside[14, 60]
    assert not inside[14, 65]


def test_houses_of_a_real_scene_keep_apart(real_data):
    """As many insides as labelled houses that the scene shows to a good part."""
    folder = real_data / "kampala_buildings"
    scene = Scene.open(folder / "scene_b.tif")
    raster = read_labels([folder / "labels.geojson"]).on(scene.grid, scene.name)
    inside = raster.interiors.read(scene.grid.window)
    n_insides = sum(n > 50 for n in objects(inside))
    n_regions = sum(n > 50 for n in objects(raster.read(scene.grid.window).classes == 1))
    shapes = shapely.intersection(raster.interiors.shapes, shapely.box(0, 0, 1024, 1024))
    n_houses = int((shapely.area(shapes) > 300).sum())
    assert n_insides == pytest.approx(n_houses, abs=2)
    assert n_regions < n_houses
    assert scene.grid.crs == CRS(3857)
