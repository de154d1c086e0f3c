from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio.features import rasterize, shapes
from shapely import affinity

from geocobot.grid import GeoGrid
from geocobot.ground import geod_of, local_axes
from geocobot.tracing.plans import Plans
from geocobot.tracing.square import LEAST_IOU, square
from geocobot.tracing.squaring import Squaring, SquaringTally

from .rasters import class_rasters, trace

PIXEL_M = 0.3
FLAT = np.array([[PIXEL_M, 0], [0, -PIXEL_M]])
BUILDINGS = {
    "rectangle": shapely.box(-10, -6, 10, 6),
    "shed": shapely.box(-2.1, -1.5, 2.1, 1.5),
    "long hall": shapely.box(-25, -3, 25, 3),
    "L": shapely.box(-10, -10, 10, 10) - shapely.box(0, -2, 11, 11),
    "U": shapely.box(-12, -10, 12, 10) - shapely.box(-6, -3, 6, 11),
    "T": shapely.box(-12, -3, 12, 4) | shapely.box(-3, 0, 3, 14),
    "courtyard": shapely.box(-12, -10, 12, 10) - shapely.box(-5, -4, 5, 4),
    "steps": shapely.box(-12, -12, 0, 12)
    | shapely.box(-1, -12, 6, 4)
    | shapely.box(5, -12, 12, -4),
}


def pixels_of(shape: shapely.Polygon, pixel_xy: tuple[float, float] = (PIXEL_M,) * 2):
    """The outline of the pixels that a shape around (30, 30), in metres, covers; in pixels."""
    width, height = pixel_xy
    grid = Affine(width, 0, 0, 0, height, 0)
    size = (int(60 / height), int(60 / width))
    burnt = rasterize([shape], size, transform=grid, dtype="uint8")
    return max(
        (shapely.geometry.shape(s) for s, value in shapes(burnt, burnt > 0, 4) if value),
        key=lambda polygon: polygon.area,
    )


def placed(shape: shapely.Polygon, degrees: float) -> shapely.Polygon:
    return affinity.translate(affinity.rotate(shape.simplify(0), degrees, origin=(0, 0)), 30, 30)


def corner_degrees(polygon: shapely.Polygon) -> np.ndarray:
    """How much each corner turns, 0 to 180."""
    turns = []
    for ring in (polygon.exterior, *polygon.interiors):
        xy = np.array(ring.coords)[:-1]
        before, after = xy - np.roll(xy, 1, 0), np.roll(xy, -1, 0) - xy
        cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        turns.append(np.abs(np.degrees(np.arctan2(cross, (before * after).sum(axis=1)))))
    return np.concatenate(turns)


def iou_of(a: shapely.Polygon, b: shapely.Polygon) -> float:
    return float(a.intersection(b).area / a.union(b).area)


@pytest.mark.parametrize("degrees", [0, 7, 22, 45, 61, 80])
@pytest.mark.parametrize("name", BUILDINGS)
def test_buildings_get_their_corners_back(name, degrees):
    truth = placed(BUILDINGS[name], degrees)
    traced = pixels_of(truth)
    found = square(np.array([traced]), FLAT[None], 0.0)
    metres = affinity.scale(found.geometry[0], PIXEL_M, PIXEL_M, origin=(0, 0))
    before = affinity.scale(traced, PIXEL_M, PIXEL_M, origin=(0, 0))
    assert corner_degrees(metres) == pytest.approx(90, abs=1e-6)
    assert len(corner_degrees(metres)) == len(corner_degrees(truth))
    assert iou_of(metres, truth) > iou_of(before, truth) - 0.005
    assert iou_of(metres, truth) > 0.9
    assert metres.area == pytest.approx(before.area, rel=0.02)
    assert found.iou[0] == pytest.approx(iou_of(metres, before))


def test_a_long_wall_at_45_degrees_stays():
    truth = placed(shapely.Polygon([(-10, -10), (10, -10), (10, 2), (2, 10), (-10, 10)]), 20)
    found = square(np.array([pixels_of(truth)]), FLAT[None], 0.0).geometry[0]
    assert sorted(corner_degrees(found)) == pytest.approx([45, 45, 90, 90, 90])


@pytest.mark.parametrize("radius", [3, 5, 8, 14])
def test_round_tanks_stay_round(radius):
    traced = pixels_of(shapely.Point(30, 30.1).buffer(radius))
    found = square(np.array([traced]), FLAT[None], 0.5)
    assert found.geometry[0] is traced
    assert np.isnan(found.iou[0])


def test_frayed_walls_become_straight():
    dice = np.random.default_rng(1)
    truth = placed(shapely.box(-12, -8, 12, 8), 17)
    traced = pixels_of(truth)
    spots = shapely.points(dice.uniform(15, 45, (400, 2)) / PIXEL_M)
    near = spots[shapely.distance(spots, traced.exterior) < 3]
    frayed = shapely.union_all([traced, *shapely.buffer(near[::2], 2)])
    frayed = frayed.difference(shapely.union_all(shapely.buffer(near[1::2], 2)))
    frayed = max(shapely.get_parts(frayed), key=lambda part: part.area)
    found = square(np.array([frayed]), FLAT[None], 0.5).geometry[0]
    metres = affinity.scale(found, PIXEL_M, PIXEL_M, origin=(0, 0))
    assert corner_degrees(metres) == pytest.approx(90, abs=1e-6)
    assert iou_of(metres, truth) > 0.93


@pytest.mark.parametrize("picture", ["1", "11", "11\n11", "111", "1111", "111\n111", "1\n1\n1\n1"])
def test_rectangles_of_few_pixels_stay_what_they_are(picture):
    rows = picture.split()
    blob = shapely.box(5, 7, 5 + len(rows[0]), 7 + len(rows))
    found = square(np.array([blob]), FLAT[None], 0.0)
    assert iou_of(found.geometry[0], blob) == pytest.approx(1)
    assert found.iou[0] == pytest.approx(1)


def test_right_angles_are_right_on_the_ground_where_pixels_are_not_square():
    truth = placed(BUILDINGS["L"], 30)
    traced = pixels_of(truth, (0.5, 0.25))
    axes = np.array([[0.5, 0], [0, 0.25]])
    found = square(np.array([traced]), axes[None], 0.0).geometry[0]
    assert corner_degrees(affinity.scale(found, 0.5, 0.25, origin=(0, 0))) == pytest.approx(90)
    assert np.abs(corner_degrees(found) - 90).max() > 10


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [
        ("EPSG:4326", 20.0, 60.0),
        ("EPSG:3857", 20.0, 60.0),
        ("EPSG:32633", 15.5, 48.0),
        ("EPSG:6933", 20.0, 60.0),  # of equal area: a metre east is not one north
        ("EPSG:3035", 40.0, 70.0),  # of equal area: its axes do not cross at right angles here
    ],
)
def test_right_angles_are_right_on_the_ground_in_any_crs(crs, lon, lat):
    """A building laid out with geodesics, rasterized in the CRS, squared, measured again."""
    crs = CRS.from_user_input(crs)
    x0, y0 = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    step = 3e-6 if crs.is_geographic else 0.3
    grid = GeoGrid(crs, Affine(step, 0, x0 - 200 * step, 0, -step, y0 + 200 * step), (400, 400))
    axes = local_axes(crs, grid.transform, np.array([200.0]), np.array([200.0]))[0]
    metres = np.array(affinity.rotate(BUILDINGS["L"], 25, origin=(0, 0)).exterior.coords)
    truth = shapely.Polygon(metres @ np.linalg.inv(axes).T + 200)
    labels = rasterize([truth], grid.shape, dtype="uint8")
    (polygon,) = trace(labels, grid=grid, square_classes=frozenset({1})).geometry
    corners = np.array(polygon.exterior.coords)
    lon_lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(*corners.T)
    azimuth, _, _ = geod_of(crs).inv(
        lon_lat[0][:-1], lon_lat[1][:-1], lon_lat[0][1:], lon_lat[1][1:]
    )
    turns = np.abs((azimuth - np.roll(azimuth, 1) + 180) % 360 - 180)
    assert turns == pytest.approx(90, abs=0.01)
    assert len(turns) == 6


def test_axes_are_those_of_the_ground():
    grid = Affine(1e-5, 0, 20, 0, -1e-5, 60)
    (axes,) = local_axes(CRS.from_epsg(4326), grid, np.array([0.0]), np.array([0.0]))
    np.testing.assert_allclose(axes, [[0.558, 0], [0, -1.1141]], atol=1e-3)


def test_where_a_crs_does_not_reach_nothing_is_squared():
    geostationary = CRS.from_user_input("+proj=geos +h=35785831 +lon_0=0")
    sky = Affine(1e5, 0, -6e6, 0, -1e5, 6e6)
    axes = local_axes(geostationary, sky, np.array([0.0, 60.0]), np.array([0.0, 60.0]))
    assert np.isnan(axes[0]).all()
    assert np.isfinite(axes[1]).all()
    blobs = np.array([shapely.box(0, 0, 3, 4), shapely.box(60, 60, 63, 64)])
    assert np.isfinite(square(blobs, axes, 0.0).iou).tolist() == [False, True]


def test_small_holes_go_and_larger_ones_stay():
    house = shapely.box(0, 0, 60, 40)
    holes = [shapely.box(10, 10, 11, 11), shapely.box(30, 10, 45, 30)]
    found = square(np.array([shapely.difference(house, shapely.union_all(holes))]), FLAT[None], 0.0)
    (hole,) = found.geometry[0].interiors
    assert shapely.Polygon(hole).equals_exact(holes[1], 1e-9, normalize=True)


@settings(max_examples=150, deadline=None)
@given(class_rasters(20), st.sampled_from([0.0, 0.5, 2.0]))
def test_what_is_squared_is_valid_and_about_what_it_was(labels, tolerance_m):
    polygons = np.asarray(trace(labels).geometry)
    assume(polygons.size)
    found = square(polygons, np.tile(np.eye(2), (len(polygons), 1, 1)), tolerance_m)
    assert shapely.is_valid(found.geometry).all()
    assert not shapely.is_empty(found.geometry).any()
    assert (shapely.get_type_id(found.geometry) == shapely.GeometryType.POLYGON).all()
    stays = np.isnan(found.iou)
    assert all(a is b for a, b in zip(found.geometry[stays], polygons[stays], strict=True))
    assert (found.iou[~stays] >= LEAST_IOU).all()


def test_outlines_are_squared_alike_alone_and_among_others():
    truths = [placed(shape, 7 * n) for n, shape in enumerate(BUILDINGS.values())]
    traced = np.array([pixels_of(truth) for truth in truths])
    axes = np.tile(FLAT, (len(traced), 1, 1))
    together = square(traced, axes, 0.5)
    for n in range(len(traced)):
        alone = square(traced[n : n + 1], axes[:1], 0.5)
        assert alone.geometry[0].equals_exact(together.geometry[n], 0)
        assert alone.iou[0] == together.iou[n]


def test_footprints_of_a_city_come_back(real_data):
    """True footprints, rasterized at 0.3 m: squared they are nearer to the truth than pixels."""
    labels = gpd.read_file(real_data / "kampala_buildings" / "labels.geojson")
    metric = labels.geometry.to_crs("EPSG:32636")
    truths = [g for g in metric if g.is_valid and g.geom_type == "Polygon" and g.area > 20]
    truths = [affinity.translate(g, 30 - g.centroid.x, 30 - g.centroid.y) for g in truths]
    traced = np.array([pixels_of(g) for g in truths if max(*g.bounds[2:]) < 59])
    truths = [g for g in truths if max(*g.bounds[2:]) < 59]
    assert len(truths) > 150
    found = square(traced, np.tile(FLAT, (len(traced), 1, 1)), 0.5)
    before, after = (
        np.mean(
            [
                iou_of(affinity.scale(p, PIXEL_M, PIXEL_M, origin=(0, 0)), g)
                for p, g in zip(polygons, truths, strict=True)
            ]
        )
        for polygons in (traced, found.geometry)
    )
    assert after > before + 0.01
    assert np.isfinite(found.iou).mean() > 0.97
    assert shapely.get_num_coordinates(found.geometry).sum() < 0.15 * (
        shapely.get_num_coordinates(traced).sum()
    )


def test_a_rectangle_that_has_no_area_is_none(monkeypatch):
    """GEOS 3.14 makes flat ones of some polygons of a few pixels."""
    flat = shapely.Polygon([(0, 0), (5, 0), (0, 0), (5, 0)])
    plans = Plans(np.array([shapely.box(0, 0, 3, 2)]), FLAT[None], 0.5)
    assert len(plans.rectangles(np.array([0]))[0]) == 1
    monkeypatch.setattr(shapely, "oriented_envelope", lambda given: np.full(len(given), flat))
    found, index = plans.rectangles(np.array([0]))
    assert len(found) == len(index) == 0


def test_the_cost_is_added_up_by_class():
    tally = SquaringTally({1, 3})
    number = np.array([1, 1, 2, 1])
    tally.add(number, np.array([10.0, 30.0, 5.0, 7.0]), np.array([0.9, 0.98, np.nan, np.nan]))
    tally.add(number[:1], np.array([40.0]), np.array([0.96]))
    found = tally.of(1)
    assert found == Squaring(3, 1, pytest.approx(0.96), 0.9)
    assert found.summary() == "3 of 4 outlines, IoU with what they were 0.960 (least 0.900)"
    assert tally.of(2) is None
    assert tally.of(3) == Squaring()
    assert Squaring(0, 4).summary() == "0 of 4 outlines"
