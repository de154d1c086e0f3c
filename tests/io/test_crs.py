"""Coordinate reference systems by code, definition and example."""

from __future__ import annotations

import pytest
from pyproj import CRS

from geocobot.errors import CrsError
from geocobot.io.crs import parse_crs


def test_code_and_proj_string():
    assert parse_crs("EPSG:32633") == CRS(32633)
    assert parse_crs("+proj=utm +zone=33 +datum=WGS84").to_epsg() == 32633


def test_a_raster_lends_its_own(scene_factory):
    assert parse_crs(str(scene_factory(crs="EPSG:3857"))) == CRS(3857)


@pytest.mark.parametrize("text", ["EPSG:99999999", "nonsense", ""])
def test_nonsense(text):
    with pytest.raises(CrsError, match=r"--labels-crs is .*which is no CRS"):
        parse_crs(text)


@pytest.mark.parametrize("text", ["A" * 5000, "GEOGCS[" + "x" * 300, "a\0b"])
def test_what_is_no_file_name_either(text):
    with pytest.raises(CrsError, match=r"--labels-crs is .*which is no CRS") as caught:
        parse_crs(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ['LOCAL_CS["x",UNIT["metre",1]]', "EPSG:5701", "EPSG:4978"])
def test_a_plan_a_height_and_the_whole_globe_are_no_maps(text):
    with pytest.raises(CrsError, match="which is no CRS of a place on the earth"):
        parse_crs(text)


def test_a_map_with_heights_is_one():
    assert parse_crs("EPSG:4326+5773").is_geographic
    assert parse_crs("EPSG:25833+5783").is_projected


def test_a_raster_without_one(scene_factory):
    with pytest.raises(CrsError, match="which is no CRS"):
        parse_crs(str(scene_factory(crs=None)))
