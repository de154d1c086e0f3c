from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import rasterio.features
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from geocobot.classes import IGNORE
from geocobot.grid import GeoGrid
from geocobot.steps import NODATA, SCORE_SCALE
from geocobot.tiling import ClassStrip, Strip
from geocobot.tracing.attributes import COLUMNS, widths
from geocobot.tracing.measures import measure
from geocobot.tracing.polygonize import CleanOptions, polygonize

from .rasters import CLASSES, TRANSFORM, class_rasters, cut, grid_of, parse, trace

# First eccentricity squared of WGS 84.
E2 = 0.0066943799901413165


def radii(latitude: float) -> tuple[float, float]:
    """East-west and north-south radius of curvature of the WGS 84 ellipsoid, in metres."""
    w = 1 - E2 * math.sin(math.radians(latitude)) ** 2
    return 6378137 / math.sqrt(w), 6378137 * (1 - E2) / w**1.5


def test_web_mercator_at_60_degrees_north():
    y_60 = 8_399_737.889818357
    grid = GeoGrid(CRS.from_epsg(3857), Affine(2, 0, 1_000_000, 0, -2, y_60 + 100), (100, 100))
    area_m2, perimeter_m = measure(np.array([shapely.box(10, 40, 30, 60)]), grid)
    east, north = radii(60)
    # 40 units of the projection either way are half as long, times radius over 6,378,137 m.
    width, height = 40 * 0.5 * east / 6378137, 40 * 0.5 * north / 6378137
    assert area_m2[0] == pytest.approx(width * height, rel=1e-5)
    assert perimeter_m[0] == pytest.approx(2 * (width + height), rel=1e-5)
    assert area_m2[0] == pytest.approx(400, rel=0.01)


def test_degrees():
    grid = GeoGrid(CRS.from_epsg(4326), Affine(1e-5, 0, 20, 0, -1e-5, 50), (100, 100))
    area_m2, perimeter_m = measure(np.array([shapely.box(0, 0, 100, 100)]), grid)
    east, north = radii(49.9995)
    width = math.radians(1e-3) * east * math.cos(math.radians(49.9995))
    height = math.radians(1e-3) * north
    assert area_m2[0] == pytest.approx(width * height, rel=1e-6)
    assert perimeter_m[0] == pytest.approx(2 * (width + height), rel=1e-6)


def test_utm_takes_its_scale_factor_off():
    # On the central meridian UTM is drawn at 0.9996.
    grid = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, 499_950, 0, -1, 5_000_000), (100, 100))
    area_m2, perimeter_m = measure(np.array([shapely.box(0, 0, 100, 100)]), grid)
    assert area_m2[0] == pytest.approx(10_000 / 0.9996**2, rel=1e-6)
    assert perimeter_m[0] == pytest.approx(400 / 0.9996, rel=1e-6)


def test_holes_count_for_the_perimeter_but_not_for_the_area():
    grid = grid_of(np.zeros((9, 9)))
    ring = shapely.box(0, 0, 9, 9) - shapely.box(2, 2, 6, 6)
    area_m2, perimeter_m = measure(np.array([shapely.box(0, 0, 9, 9), ring]), grid)
    hole_m2, hole_m = measure(np.array([shapely.box(2, 2, 6, 6)]), grid)
    assert area_m2[1] == pytest.approx(area_m2[0] - hole_m2[0])
    assert perimeter_m[1] == pytest.approx(perimeter_m[0] + hole_m[0])


def test_long_edges_follow_the_map_and_not_the_geodesic():
    grid = GeoGrid(CRS.from_epsg(3857), Affine(100, 0, 0, 0, -100, 8_500_000), (2000, 2000))
    area_m2, _ = measure(np.array([shapely.box(0, 0, 2000, 2000)]), grid)
    outline = shapely.segmentize(shapely.box(*grid.bounds), 50)
    to_degrees = Transformer.from_crs(3857, 4326, always_xy=True)
    lon, lat = to_degrees.transform(*shapely.get_coordinates(outline).T)
    expected, _ = Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
    assert area_m2[0] == pytest.approx(abs(expected), rel=1e-5)


def test_a_crs_without_a_code_is_measured_on_its_own_ellipsoid():
    albers = CRS.from_proj4("+proj=aea +lat_1=30 +lat_2=50 +lat_0=40 +lon_0=-100 +ellps=clrk66")
    grid = GeoGrid(albers, Affine(30, 0, 0, 0, -30, 0), (50, 50))
    area_m2, _ = measure(np.array([shapely.box(0, 0, 50, 50)]), grid)
    # Albers keeps areas.
    assert area_m2[0] == pytest.approx(1500**2, rel=1e-6)


def test_a_crs_that_counts_in_grads():
    # NTF (Paris): longitudes from Paris, in grads of 0.9 degrees.
    grid = GeoGrid(CRS.from_epsg(4807), Affine(1e-5, 0, 1, 0, -1e-5, 55), (100, 100))
    area_m2, _ = measure(np.array([shapely.box(0, 0, 100, 100)]), grid)
    expected = math.radians(0.9e-3) ** 2 * 6378e3 * 6378e3 * math.cos(math.radians(49.5))
    assert area_m2[0] == pytest.approx(expected, rel=0.01)


def test_score_is_the_mean_over_the_polygons_pixels():
    labels = parse("11.2\n11.2\n....\n1...")
    rng = np.random.default_rng(0)
    scores = (rng.integers(130, 255, (2, 4, 4)) / SCORE_SCALE).astype(np.float32)
    for plane, spec in zip(scores, CLASSES, strict=True):
        plane[labels != spec.number] = 52 / SCORE_SCALE
    strips = cut(labels, (1,), scores=scores)
    frames = polygonize(strips, grid_of(labels), CLASSES, CleanOptions(), block_rows=1)
    frame = pd.concat(frames, ignore_index=True)
    expected = [scores[0, :2, :2].mean(), scores[1, :2, 3].mean(), scores[0, 3, 0]]
    assert frame["score"].tolist() == pytest.approx(expected)
    assert frame["class_name"].tolist() == ["road", "roof", "road"]


def test_columns_and_crs():
    frame = trace(parse("1.2"))
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert frame.crs == CRS.from_epsg(32633)
    assert frame["class_id"].tolist() == [1, 2]
    assert frame.geometry.iloc[0].equals(shapely.box(500_000, 4_999_999.75, 500_000.5, 5_000_000))


def test_object_ids_are_places_and_depend_on_nothing_else():
    labels = parse("11.2\n1..2\n..1.\n221.")
    expected = [1, 4, 11, 13]
    for rows in (1, 2, 4):
        for clean in ({}, {"min_area_m2": 0.2}):
            frame = trace(labels, block_rows=rows, heights=(rows,), **clean)
            assert sorted(frame["object_id"]) == expected
    row, col = np.divmod(frame["object_id"] - 1, labels.shape[1])
    assert (labels[row, col] == frame["class_id"]).all()


@settings(max_examples=60, deadline=None)
@given(class_rasters(), st.integers(1, 14))
def test_scores_are_those_of_the_polygons_pixels(labels, block_rows):
    rng = np.random.default_rng(labels.size)
    steps = rng.integers(130, 255, (2, *labels.shape), dtype=np.uint8)
    for plane, spec in zip(steps, CLASSES, strict=True):
        plane[labels != spec.number] = 100
    steps[:, labels == IGNORE] = NODATA
    strips = [Strip(0, steps)]
    frames = polygonize(strips, grid_of(labels), CLASSES, CleanOptions(), block_rows=block_rows)
    for frame in frames:
        for polygon in frame.itertuples():
            inside = rasterio.features.rasterize(
                [polygon.geometry], labels.shape, transform=TRANSFORM
            ).astype(bool)
            own = steps[polygon.class_id - 1][inside] / SCORE_SCALE
            assert polygon.score == pytest.approx(own.mean())
            assert polygon.score_p10 == pytest.approx(np.percentile(own, 10, method="lower"))


@pytest.mark.parametrize(
    ("shape", "width"),
    [
        (shapely.box(0, 0, 100, 4), 4.0),
        (shapely.box(0, 0, 7, 7), 7.0),
        # A ring road 1 km around and 6 m wide, and two crossing streets of 5 m.
        (shapely.Point(0, 0).buffer(162).difference(shapely.Point(0, 0).buffer(156)), 6.0),
        (shapely.box(0, 0, 400, 5) | shapely.box(200, -200, 205, 200), 5.0),
        (shapely.Point(0, 0).buffer(10, quad_segs=64), math.sqrt(math.pi) * 10),
    ],
    ids=["strip", "square", "ring", "crossing", "disk"],
)
def test_width(shape, width):
    (found,) = widths(np.array([shape.area]), np.array([shape.length]))
    assert found == pytest.approx(width, rel=0.02)


def test_class_rasters_have_no_scores():
    labels = parse("11.2\n1..2")
    frames = polygonize([ClassStrip(0, labels)], grid_of(labels), CLASSES, CleanOptions())
    (frame,) = frames
    assert frame["score"].isna().all()
    assert frame["score_p10"].isna().all()
    scored = trace(labels).drop(columns=["score", "score_p10"])
    assert_geodataframe_equal(frame.drop(columns=["score", "score_p10"]), scored)
