"""Widths of lines and points: numbers, texts, and what is said where there are none."""

from __future__ import annotations

import logging

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geocobot.errors import ConfigError, FieldError, GeometryError
from geocobot.io.widths import Widths

LINE = shapely.LineString([(0, 0), (9, 9)])
POINT, BOX = shapely.Point(1, 2), shapely.box(0, 0, 1, 1)


def frame(*shapes, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs="EPSG:32633")


def test_half_a_line_a_radius_and_nothing():
    widths = Widths(line_width_m=5, point_radius_m=3)
    assert widths.reach_m(frame(LINE, POINT, BOX), "a.gpkg").tolist() == [2.5, 3.0, 0.0]
    assert Widths().reach_m(frame(LINE), "a.gpkg").tolist() == [4.0]
    assert Widths().reach_m(frame(), "a.gpkg").size == 0


@pytest.mark.parametrize(
    ("value", "metres"),
    [
        (7, 7.0),
        (7.5, 7.5),
        (np.float32(2.5), 2.5),
        ("7.5", 7.5),
        (" 7,5 m ", 7.5),
        ("12m", 12.0),
    ],
)
def test_widths_as_people_write_them(value, metres):
    reach = Widths(width_field="w").reach_m(frame(LINE, w=[value]), "a.gpkg")
    assert reach.tolist() == [metres / 2]


@pytest.mark.parametrize("value", [None, np.nan, 0, -3, 1e6, np.inf, "wide", "12 ft", "", b"5"])
def test_what_is_no_width_is_replaced_and_counted(value, caplog):
    lines = gpd.GeoDataFrame({"w": np.array([6.0, value], object)}, geometry=[LINE, LINE])
    reach = Widths(width_field="w").reach_m(lines, "folder/a.gpkg")
    assert reach.tolist() == [3.0, 4.0]
    assert caplog.messages == [
        "a.gpkg: 1 of 2 lines have no width in w and are taken to be 8 m wide."
    ]


def test_no_line_has_a_width():
    with pytest.raises(FieldError, match=r"a\.gpkg has no width in the field 'w'.*up to 10,000"):
        Widths(width_field="w").reach_m(frame(LINE, LINE, w=["x", "y"]), "a.gpkg")


def test_points_need_a_radius():
    with pytest.raises(GeometryError, match=r"a\.gpkg has 1 points\. A map is of areas\."):
        Widths().reach_m(frame(POINT, BOX), "a.gpkg")


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_sizes_of_nothing(size):
    with pytest.raises(ConfigError, match=r"--line-width is .* a length in metres"):
        Widths(line_width_m=size)
    with pytest.raises(ConfigError, match=r"--point-radius is .* a length in metres"):
        Widths(point_radius_m=size)


def test_what_changes_nothing_is_said(caplog):
    with caplog.at_level(logging.INFO, logger="geocobot"):
        Widths(line_width_m=3, width_field="w", point_radius_m=2).announce(0, 0)
        Widths(line_width_m=3, width_field="w", point_radius_m=2).announce(1, 1)
    assert caplog.messages == [
        "--line-width changes nothing: there are no lines.",
        "--width-field changes nothing: there are no lines.",
        "--point-radius changes nothing: there are no points.",
    ]
