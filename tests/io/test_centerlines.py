"""Centerlines in files: a second layer, or a file beside the polygons'."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from geocobot.classes import name_classes
from geocobot.errors import OutputError, UnreadableFileError
from geocobot.io.centerlines import (
    CenterlineWriter,
    centerlines_beside,
    read_centerlines,
    read_lengths,
)
from geocobot.io.polygons import PolygonWriter

CRS = "EPSG:32633"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def lines(count: int) -> gpd.GeoDataFrame:
    at = np.arange(count, dtype=float)
    geometry = [shapely.LineString([(500_000 + x, 0), (500_010 + x, 5)]) for x in at]
    return gpd.GeoDataFrame(
        {
            "class_id": np.ones(count, dtype=np.int64),
            "class_name": pd.array(["road"] * count, dtype="str"),
            "length_m": 11.0 + at,
            "width_m": 4.5 + at,
            "score": np.full(count, 0.75),
        },
        geometry=gpd.GeoSeries(geometry, crs=CRS),
    )


def write(frame: gpd.GeoDataFrame, path: Path) -> None:
    own = centerlines_beside(path)
    CenterlineWriter(
        path,
        frame.crs,
        name_classes(["road"]),
        unfinished=[path] if own is None else [own, own.with_suffix(".qml")],
        origin=None,
        moment=MOMENT,
    ).write(frame)


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("name", ["map.gpkg", "map.fgb", "map.geojson", "map.parquet", "map.shp"])
def test_what_is_written_is_read_again(tmp_path, name, count):
    path = tmp_path / name
    given = lines(count)
    with PolygonWriter(path, given.crs, name_classes(["road"]), "map", moment=MOMENT):
        pass
    beside = centerlines_beside(path)
    write(given, path)
    if name.endswith(".parquet"):
        found = gpd.read_parquet(beside)
    else:
        layer = None if beside else "map_centerlines"
        found = gpd.read_file(beside or path, layer=layer).to_crs(CRS)
    assert read_lengths(path).columns.tolist() == ["class_id", "length_m"]
    assert sorted(read_lengths(path)["length_m"]) == given["length_m"].tolist()
    assert read_centerlines(path)["class_name"].tolist() == given["class_name"].tolist()
    if name == "map.geojson" and not count:
        return  # features alone name columns
    assert list(found.columns[:-1]) == list(given.columns[:-1])
    found = found.sort_values("length_m", ignore_index=True)
    assert found["length_m"].tolist() == given["length_m"].tolist()
    assert found.geometry.geom_equals_exact(given.geometry, 1e-3).all()


def test_a_geopackage_keeps_its_polygons_and_says_what_the_lines_are(tmp_path):
    path = tmp_path / "map.gpkg"
    with PolygonWriter(path, lines(1).crs, name_classes(["road"]), "map"):
        pass
    write(lines(2), path)
    layers = dict(pyogrio.list_layers(path))
    assert layers["map"] == "Polygon"
    assert layers["map_centerlines"] == "LineString"
    assert pyogrio.read_info(path, layer="map_centerlines")["features"] == 2
    styles = gpd.read_file(path, layer="layer_styles")
    assert (styles["f_table_name"] == "map_centerlines").sum() == 1
    assert "width_m" in styles.set_index("f_table_name").loc["map_centerlines", "styleQML"]


def test_other_formats_have_their_style_beside_them(tmp_path):
    write(lines(2), tmp_path / "map.fgb")
    style = (tmp_path / "map_centerlines.qml").read_text()
    assert "layerGeometryType>1<" in style
    assert "width_m" in style


def test_a_folder_that_is_gone_is_told(tmp_path):
    path = tmp_path / "gone" / "map.fgb"
    with pytest.raises(OutputError, match=r"map_centerlines.fgb cannot be written"):
        write(lines(1), path)


def test_lines_that_are_gone_are_told(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"map_centerlines.fgb"):
        read_lengths(tmp_path / "map.fgb")


@pytest.mark.parametrize("ending", ["fgb", "geojson", "parquet"])
def test_lines_for_which_there_is_no_room_leave_nothing_behind(tmp_path, fill_the_disk, ending):
    found = fill_the_disk(tmp_path, f"map_centerlines.{ending}")
    assert found["broken"] == found["left behind"] == []
    assert len(found["refused"]) > 40
