"""Areas and perimeters of many rings, against GeographicLib."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import shapely.affinity
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod

from geocobot.classes import name_classes
from geocobot.grid import GeoGrid
from geocobot.ground import degrees_of
from geocobot.tiling import ClassStrip
from geocobot.tracing.attributes import widths
from geocobot.tracing.measures import grid_to_crs, measure, measure_rings
from geocobot.tracing.polygonize import CleanOptions, polygonize

ELLIPSOIDS = [Geod(ellps="WGS84"), Geod(ellps="clrk66"), Geod(ellps="sphere")]


def ring(longitude: float, latitude: float, size_m: float, seed: int):
    """A ragged ring of twelve corners, closed, in degrees."""
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    radius = np.degrees(size_m * rng.uniform(0.5, 1, 12) / 6.37e6)
    lon = longitude + radius * np.cos(turn) / np.cos(np.radians(latitude))
    lat = latitude + radius * np.sin(turn)
    lon = (lon + 180) % 360 - 180
    return np.append(lon, lon[0]), np.append(lat, lat[0])


places = st.tuples(
    st.floats(-180, 180),
    st.floats(-60, 60),
    st.sampled_from([1.0, 20.0, 200.0]),
    st.integers(0, 99),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(places, min_size=1, max_size=6), st.sampled_from(ELLIPSOIDS))
def test_rings_are_measured_as_by_geographiclib(corners, geod):
    rings = [ring(*place) for place in corners]
    lon, lat = (np.concatenate(part) for part in zip(*rings, strict=True))
    offsets = np.cumsum([0, *(len(one) for one, _ in rings)])
    area_m2, perimeter_m = measure_rings(lon, lat, offsets, geod)
    expected = np.array([geod.polygon_area_perimeter(*one) for one in rings])
    # GeographicLib is 2e-5 m2 off for what is 1 m wide, as 50 digits show.
    assert area_m2 == pytest.approx(np.abs(expected[:, 0]), rel=1e-6, abs=1e-4)
    assert perimeter_m == pytest.approx(expected[:, 1], rel=1e-7)


def test_near_a_pole_they_are_those_of_geographiclib():
    polar = CRS.from_epsg(3413)  # the north pole lies at 0, 0
    grid = GeoGrid(polar, Affine(100, 0, -50_000, 0, -100, 50_000), (1000, 1000))
    triangle = shapely.Polygon([(400, 450), (520, 480), (450, 600)])
    area_m2, perimeter_m = measure(np.array([triangle]), grid)
    dense = shapely.get_coordinates(shapely.segmentize(triangle, 0.1))
    lon, lat = degrees_of(polar, *grid_to_crs(dense, grid).T)
    area, perimeter = Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
    assert area_m2[0] == pytest.approx(abs(area), rel=1e-6)
    assert perimeter_m[0] == pytest.approx(perimeter, rel=1e-6)


def test_the_whole_earth():
    grid = GeoGrid(CRS.from_epsg(4326), Affine(1, 0, -180, 0, -1, 90), (180, 360))
    area_m2, _ = measure(np.array([shapely.box(0, 0, 360, 180)]), grid)
    assert area_m2[0] == pytest.approx(510_065_621_724_000, rel=1e-6)


def test_around_a_pole():
    polar = CRS.from_epsg(3413)  # the north pole lies at 0, 0
    grid = GeoGrid(polar, Affine(10_000, 0, -1_500_000, 0, -10_000, 1_500_000), (300, 300))
    whole = shapely.box(0, 0, 300, 300)
    quarters = shapely.box([0, 0, 150, 150], [0, 150, 0, 150], [150, 150, 300, 300], [150, 300] * 2)
    area_m2, _ = measure(np.array([whole, *quarters]), grid)
    assert area_m2[0] == pytest.approx(area_m2[1:].sum(), rel=1e-6)
    # Polar stereographic is true to scale at 70 degrees; the square's middle is drawn smaller.
    assert 1.0 < area_m2[0] / 3e6**2 < 1.1


def test_measures_hardly_depend_on_where_outlines_have_vertices():
    grid = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, 300_000, 0, -1, 7_800_000), (5000, 5000))
    box = shapely.box(10, 20, 4700, 4900)
    area_m2, perimeter_m = measure(np.array([box, shapely.segmentize(box, 7)]), grid)
    assert area_m2[1] == pytest.approx(area_m2[0], rel=1e-8)
    assert perimeter_m[1] == pytest.approx(perimeter_m[0], rel=1e-8)


EARTH = GeoGrid(  # an equal-area map of a whole sphere, with corners beside it
    CRS.from_user_input("+proj=moll +R=6371000 +units=m"),
    Affine(50_000, 0, -20_000_000, 0, -50_000, 10_000_000),
    (400, 800),
)
OUTLINE = shapely.affinity.scale(
    shapely.Point(400, 200).buffer(1, quad_segs=2000),
    2 * np.sqrt(2) * 6371000 / 50_000,
    np.sqrt(2) * 6371000 / 50_000,
)


def test_what_lies_beside_a_map_of_the_earth_does_not_reach_into_other_polygons():
    inside = shapely.box(380, 190, 390, 200)
    beside = [shapely.box(790, 0, 800, 5), shapely.box(0, 390, 10, 400)]
    alone, _ = measure(np.array([inside]), EARTH)
    area_m2, perimeter_m = measure(np.array([beside[0], inside, beside[1], inside]), EARTH)
    assert area_m2.tolist() == [0, alone[0], 0, alone[0]]
    assert perimeter_m[0] == perimeter_m[2] == 0 < perimeter_m[1]
    assert widths(area_m2, perimeter_m)[[0, 2]].tolist() == [0, 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.integers(150, 240))
def test_of_polygons_on_the_edge_of_a_map_of_the_earth_that_part_is_measured(turn, row):
    for shape in (shapely.box(740, row, 775, row + 9), shapely.box(20, row, 60, row + 9)):
        corners = shapely.get_coordinates(shape)[:-1]
        area_m2, _ = measure(np.array([shapely.Polygon(np.roll(corners, turn, axis=0))]), EARTH)
        expected = shapely.area(shapely.intersection(shape, OUTLINE)) * 50_000**2
        assert area_m2[0] == pytest.approx(expected, rel=2e-3)


def test_no_polygon_is_dropped_because_a_corner_lies_beside_the_earth():
    labels = np.zeros(EARTH.shape, np.uint8)
    labels[195:205, 740:775] = 1
    clean = CleanOptions(min_area_m2=1e6)
    (found,) = polygonize([ClassStrip(0, labels)], EARTH, name_classes(["sea"]), clean)
    assert np.isfinite(found[["area_m2", "perimeter_m", "width_m"]].to_numpy()).all()
