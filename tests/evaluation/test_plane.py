import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geocobot.evaluation.plane import area_on_plane, on_plane, plane_around
from geocobot.ground import geod_of

WGS84 = CRS.from_epsg(4326)


def frame_of(*shapes, crs=WGS84):
    return gpd.GeoDataFrame({}, geometry=list(shapes), crs=crs)


@settings(max_examples=30)
@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(0, 0.5))
def test_areas_and_lengths_are_those_of_the_ground(lon, lat, away):
    box = shapely.segmentize(shapely.box(lon, lat, lon + 0.001, lat + 0.001), 1e-5)
    other = shapely.Point(lon, min(lat + away, 85)).buffer(1e-3)
    frame = frame_of(box, other)
    (placed, _) = on_plane(frame, plane_around([frame]), "boxes").geometry
    area_m2, length_m = geod_of(WGS84).geometry_area_perimeter(box)
    assert placed.area == pytest.approx(abs(area_m2), rel=1e-6)
    assert placed.length == pytest.approx(length_m, rel=1e-4)


def test_the_date_line_is_no_edge():
    frames = [
        frame_of(shapely.box(179.9, 1, 180, 1.1)),
        frame_of(shapely.box(-180, 1, -179.9, 1.1)),
    ]
    plane = plane_around(frames)
    shapes = [on_plane(frame, plane, "boxes").geometry.iloc[0] for frame in frames]
    assert shapely.distance(*shapes) < 1
    assert max(np.abs(shape.bounds).max() for shape in shapes) < 12_000


def test_frames_may_differ_in_their_crs_and_be_empty():
    box = frame_of(shapely.box(16, 48, 16.01, 48.01))
    plane = plane_around([frame_of(), box, box.to_crs(3857)])
    a, b = (on_plane(f, plane, "boxes").geometry.iloc[0] for f in (box, box.to_crs(3857)))
    assert a.equals_exact(b, 1e-3)


def test_broken_polygons_are_mended():
    bow = shapely.Polygon([(16, 48), (16.01, 48.01), (16.01, 48), (16, 48.01)])
    frame = frame_of(bow)
    assert on_plane(frame, plane_around([frame]), "bow").geometry.is_valid.all()


def test_no_area_is_everywhere():
    assert area_on_plane([]) is None
    assert area_on_plane([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]).area == 2


def test_nothing_has_no_plane():
    with pytest.raises(ValueError, match="around nothing"):
        plane_around([frame_of()])
