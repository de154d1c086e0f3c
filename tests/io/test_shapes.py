"""Label geometry: repaired, clipped and widened truly."""

from __future__ import annotations

import itertools
import logging

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geocobot.errors import CrsError
from geocobot.grid import GeoGrid
from geocobot.io.shapes import bounds_in, clean_parts, clip_to_scene, reproject, widen

BOX = shapely.box(0, 0, 10, 10)
LINE = shapely.LineString([(0, 0), (10, 10)])


def clean(*shapes, **columns):
    return clean_parts(gpd.GeoDataFrame(columns, geometry=list(shapes), crs="EPSG:32633"), "x.shp")


class TestClean:
    def test_multi_geometries_are_split_with_their_attributes(self):
        multi = shapely.MultiPolygon([BOX, shapely.box(20, 0, 30, 10)])
        lines = shapely.MultiLineString([LINE, shapely.LineString([(5, 0), (9, 0)])])
        parts = clean(multi, lines, BOX, class_name=["a", "b", "c"])
        assert parts["class_name"].tolist() == ["a", "a", "b", "b", "c"]
        assert parts.geom_type.tolist() == ["Polygon"] * 2 + ["LineString"] * 2 + ["Polygon"]
        assert parts.index.tolist() == [0, 1, 2, 3, 4]

    def test_nested_collections(self):
        nested = shapely.GeometryCollection(
            [shapely.GeometryCollection([BOX, LINE]), shapely.MultiPolygon([BOX])]
        )
        assert sorted(clean(nested).geom_type) == ["LineString", "Polygon", "Polygon"]

    def test_z_is_dropped(self):
        assert not clean(shapely.force_3d(BOX), shapely.force_3d(LINE)).has_z.any()

    def test_nothing_drawn_is_counted(self, caplog):
        parts = clean(None, shapely.Polygon(), BOX, shapely.GeometryCollection())
        assert len(parts) == 1
        assert "x.shp: 3 features have no geometry" in caplog.text

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_finite_is_counted(self, caplog, bad):
        with np.errstate(invalid="ignore"):
            line = shapely.LineString([(0, 0), (bad, 1)])
        parts = clean(line, LINE)
        assert len(parts) == 1
        assert "1 features have no area or no finite coordinates" in caplog.text

    def test_bow_tie_is_repaired_without_loss(self, caplog):
        with caplog.at_level(logging.INFO, logger="geocobot"):
            parts = clean(shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]))
        assert parts.area.tolist() == [25, 25]
        assert parts.is_valid.all()
        assert "1 invalid polygons were repaired" in caplog.text

    def test_collapsed_polygon_is_left_out(self, caplog):
        assert len(clean(shapely.Polygon([(0, 0), (5, 5), (10, 10)]), BOX)) == 1
        assert "1 features have no area" in caplog.text

    def test_all_gone(self):
        assert clean(None, shapely.Polygon()).empty

    def test_points_stay(self):
        shapes = [
            shapely.Point(1, 1),
            shapely.MultiPoint([(1, 1), (2, 2)]),
            shapely.GeometryCollection([shapely.Point(1, 1), BOX]),
        ]
        assert clean(*shapes).geom_type.tolist() == ["Point"] * 4 + ["Polygon"]


def grid_at(crs, lon, lat, size_m=200.0):
    """A square grid of 100 px around a place."""
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    metric = CRS.from_user_input(crs).axis_info[0].unit_name == "metre"
    res = size_m / 100 / (1 if metric else 111_000)
    return GeoGrid(CRS(crs), Affine(res, 0, x - 50 * res, 0, -res, y + 50 * res), (100, 100))


@pytest.mark.parametrize(
    ("crs", "lon", "latitude"),
    [
        *itertools.product(
            ["EPSG:4326", "EPSG:3857", "EPSG:32633"], [15.2], [0.0, 45.0, 70.0, -33.9]
        ),
        ("EPSG:27572", 3.0, 45.0),  # counts in grads from Paris
    ],
)
@pytest.mark.parametrize("azimuth", [0.0, 30.0, 90.0])
def test_width_on_the_ground_is_true(crs, lon, latitude, azimuth):
    """The middle of a long line, measured on the ellipsoid across it."""
    grid = grid_at(crs, lon, latitude)
    geod = Geod(ellps="WGS84")
    ends = [geod.fwd(lon, latitude, azimuth + turn, 300)[:2] for turn in (180, 0)]
    line = gpd.GeoSeries([shapely.LineString(ends)], crs=4326).to_crs(grid.crs)
    frame = gpd.GeoDataFrame({"reach_m": [4.0]}, geometry=line)
    road = gpd.GeoSeries(widen(frame, grid), crs=grid.crs).to_crs(4326)[0]
    across = [geod.fwd(lon, latitude, azimuth + turn, 50)[:2] for turn in (-90, 90)]
    cut = shapely.intersection(road, shapely.LineString(across))
    assert geod.geometry_length(cut) == pytest.approx(8.0, rel=2e-3)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32633"])
@pytest.mark.parametrize("latitude", [0.0, 45.0, 70.0])
def test_a_point_becomes_a_disc_on_the_ground(crs, latitude):
    grid = grid_at(crs, 15.2, latitude)
    point = gpd.GeoSeries([shapely.Point(15.2, latitude)], crs=4326).to_crs(grid.crs)
    frame = gpd.GeoDataFrame({"reach_m": [12.0]}, geometry=point)
    disc = gpd.GeoSeries(widen(frame, grid), crs=grid.crs).to_crs(4326)[0]
    lon, lat = shapely.get_coordinates(disc).T
    _, _, radii = Geod(ellps="WGS84").inv(
        np.full(lon.shape, 15.2), np.full(lon.shape, latitude), lon, lat
    )
    np.testing.assert_allclose(radii, 12.0, rtol=1e-3)


def test_each_feature_has_its_own_width_and_polygons_none():
    grid = grid_at("EPSG:32633", 15, 45)
    west, south, _, _ = grid.bounds
    here = [
        shapely.transform(shape, lambda xy: xy + np.array([west, south]))
        for shape in (BOX, LINE, LINE)
    ]
    frame = gpd.GeoDataFrame({"reach_m": [5.0, 1.0, 3.0]}, geometry=here, crs=grid.crs)
    box, narrow, wide = widen(frame, grid)
    assert box.equals(here[0])
    # A line with round ends.
    for road, reach in ((narrow, 1.0), (wide, 3.0)):
        expected = 2 * reach * LINE.length + np.pi * reach**2
        assert road.area == pytest.approx(expected, rel=0.01)


class TestClip:
    GRID = grid_at("EPSG:32633", 15, 45)

    def clip(self, *shapes, width_m=8.0):
        columns = {"n": range(len(shapes)), "reach_m": width_m / 2}
        frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=32633)
        return clip_to_scene(frame, self.GRID)

    def test_far_features_go_and_near_ones_stay_whole(self):
        west, south, _, _ = self.GRID.bounds
        near = shapely.box(west + 1, south + 1, west + 9, south + 9)
        clipped = self.clip(shapely.transform(near, lambda xy: xy + 5000), near)
        assert clipped["n"].tolist() == [1]
        assert clipped.geometry[0].equals(near)

    def test_a_line_beside_the_scene_reaches_into_it(self):
        west, south, _, north = self.GRID.bounds
        beside = shapely.LineString([(west - 3.9, south), (west - 3.9, north)])
        far = shapely.LineString([(west - 40, south), (west - 40, north)])
        assert self.clip(beside, far)["n"].tolist() == [0]

    def test_what_crosses_is_cut_but_not_on_the_scene(self):
        west, south, east, north = self.GRID.bounds
        large = shapely.box(west - 1e5, south - 1e5, east + 1e5, north + 1e5)
        long = shapely.LineString([(west - 1e5, south + 5), (east + 1e5, south + 5)])
        clipped = self.clip(large, long)
        assert clipped.geom_type.tolist() == ["Polygon", "LineString"]
        assert clipped.geometry[0].contains(shapely.box(west, south, east, north))
        assert clipped.length.max() < 1000

    def test_a_comb_falls_into_parts(self):
        west, south, _, north = self.GRID.bounds
        comb = shapely.union_all(
            [
                shapely.box(west - 2000, south, west - 1000, north),
                shapely.box(west - 1500, south + 10, west + 20, south + 20),
                shapely.box(west - 1500, south + 30, west + 20, south + 40),
            ]
        )
        assert self.clip(comb)["n"].tolist() == [0, 0]

    def test_nothing_in(self):
        assert self.clip().empty


def test_bounds_that_a_crs_does_not_reach():
    assert bounds_in((0, 0, 1, 1), CRS(4326), CRS(32633)) is not None
    assert bounds_in((179, 10, 181, 11), CRS(4326), CRS(4326)) == (179, 10, 181, 11)
    assert bounds_in((4e5, 1e6, 9e5, 2e6), CRS(32660), CRS(4326)) is None


def test_what_cannot_be_reprojected_is_counted(caplog):
    frame = gpd.GeoDataFrame(geometry=[BOX, shapely.box(np.inf, 0, np.inf, 1)], crs="EPSG:32633")
    assert len(reproject(frame, CRS(4326), "roads")) == 1
    assert "roads: 1 features cannot be reprojected" in caplog.text


def test_a_crs_of_another_body_leads_nowhere():
    frame = gpd.GeoDataFrame(geometry=[BOX], crs="IAU_2015:30100")
    with pytest.raises(CrsError, match=r"roads is in the CRS Moon.*no way to WGS 84\."):
        reproject(frame, CRS(4326), "roads")
