"""Error maps as files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import geopandas as gpd
import pyogrio
import pytest
import shapely
from pyproj import CRS

from geocobot.errors import OutputError
from geocobot.io.error_layers import ERROR_LAYERS
from geocobot.io.error_map import error_map_layers, write_error_map

MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LAYERS = ["look_here_first", "false_negative", "false_positive", "true_positive"]
LINE_LAYERS = [
    *("breaks", "false_links"),
    *(f"{name}_lines" for name in LAYERS[1:]),
]
ALL_LAYERS = [LAYERS[0], *LINE_LAYERS, *LAYERS[1:]]


def polygons(what, count=1):
    shapes = [shapely.box(10 * i, 0, 10 * i + 5, 5) for i in range(count)]
    columns = {"class_id": 1, "class_name": "roof", "what": what, "area_m2": 25.0}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=32633, index=range(count))


def layers(**changed):
    points = polygons("roof missed: 25 m²", 2).assign(rank=[1, 2], length_m=float("nan"))
    points = points.set_geometry(points.representative_point())
    return {
        "true_positive": polygons("roof found"),
        "false_positive": polygons("roof that is not there", 3),
        "false_negative": polygons("roof missed", 2),
        "look_here_first": points,
    } | changed


def line_layers():
    lines = polygons("road missed", 2).assign(length_m=10.0, side="map", count=1)
    lines = lines.set_geometry([shapely.LineString([(0, y), (9, y)]) for y in (0, 5)], crs=32633)
    points = lines.set_geometry(lines.centroid)
    return {name: points if name in LINE_LAYERS[:2] else lines for name in LINE_LAYERS}


def test_layers_come_back(tmp_path):
    path = tmp_path / "errors.gpkg"
    write_error_map(path, layers())
    listed = pyogrio.list_layers(path)
    assert listed[:, 0].tolist() == [*LAYERS, "layer_styles"]
    assert listed[:, 1].tolist() == ["Point", "Polygon", "Polygon", "Polygon", None]
    places = pyogrio.read_dataframe(path, layer="look_here_first")
    columns = ["rank", "class_id", "class_name", "what", "area_m2", "length_m", "geometry"]
    assert list(places.columns) == columns
    assert places["what"].tolist() == ["roof missed: 25 m²"] * 2
    counts = [pyogrio.read_info(path, layer=name)["features"] for name in LAYERS]
    assert counts == [2, 2, 3, 1]


def test_each_layer_has_its_style(tmp_path):
    path = tmp_path / "errors.gpkg"
    write_error_map(path, layers())
    styles = pyogrio.read_dataframe(path, layer="layer_styles").set_index("f_table_name")
    assert sorted(styles.index) == sorted(LAYERS)
    assert styles["useAsDefault"].all()
    roots = {name: ET.fromstring(styles.loc[name, "styleQML"]) for name in LAYERS}
    fills = {name: roots[name].find(".//Option[@name='color']").get("value") for name in LAYERS[1:]}
    assert len(set(fills.values())) == 3
    first = roots["look_here_first"]
    assert (first.get("labelsEnabled"), first.findtext("layerGeometryType")) == ("1", "0")
    assert first.find("labeling/settings/text-style").get("fieldName") == "rank"
    assert "what" in first.findtext("mapTip")
    assert {a.get("field") for a in first.iter("alias")} == {
        *("rank", "what", "class_id", "class_name", "area_m2", "length_m")
    }
    labels = [roots[name].find(".//rule").get("label") for name in LAYERS]
    assert labels[1:] == [
        "missed: labelled, not mapped",
        "false: mapped, not labelled",
        "right: mapped and labelled",
    ]


def test_layers_of_a_project(tmp_path):
    path = tmp_path / "errors.gpkg"
    shown = error_map_layers(path, CRS.from_epsg(32633), LAYERS)
    assert [layer.layer for layer in shown] == LAYERS
    elements = [layer.element(f"layer_000000000{i}", tmp_path) for i, layer in enumerate(shown)]
    assert [e.get("geometry") for e in elements] == ["Point", "Polygon", "Polygon", "Polygon"]
    assert [e.get("labelsEnabled") for e in elements] == ["1", "0", "0", "0"]
    assert elements[1].findtext("datasource") == "./errors.gpkg|layername=false_negative"


def test_layers_of_lines_come_between_points_and_polygons(tmp_path):
    path = tmp_path / "errors.gpkg"
    frames = layers() | line_layers()
    assert [layer.name for layer in ERROR_LAYERS] == ALL_LAYERS
    write_error_map(path, frames)
    listed = dict(pyogrio.list_layers(path))
    assert list(listed) == [*ALL_LAYERS, "layer_styles"]
    assert [listed[name] for name in LINE_LAYERS] == ["Point"] * 2 + ["LineString"] * 3
    added = [set(pyogrio.read_dataframe(path, layer=name).columns) for name in LINE_LAYERS]
    shared = {"class_id", "class_name", "what", "length_m", "geometry"}
    assert [more - shared for more in added] == [{"count"}, {"count"}, set(), set(), {"side"}]
    shown = error_map_layers(path, CRS.from_epsg(32633), frames)
    assert [layer.layer for layer in shown] == ALL_LAYERS
    kinds = [
        layer.element(f"layer_000000000{i}", tmp_path).get("geometry")
        for i, layer in enumerate(shown)
    ]
    assert kinds == ["Point"] * 3 + ["Line"] * 3 + ["Polygon"] * 3


def test_lines_and_points_have_the_colors_of_polygons(tmp_path):
    colors = {}
    for layer in error_map_layers(tmp_path / "errors.gpkg", CRS.from_epsg(32633), ALL_LAYERS):
        (style,) = layer.styles.values()
        symbol = style.findall(".//symbol/layer")[-1]
        color = symbol.find("Option/Option[@name='line_color']")
        color = symbol.find("Option/Option[@name='color']") if color is None else color
        colors[layer.layer] = color.get("value").rsplit(",", 1)[0]
    missed, false, right = (colors[name] for name in LAYERS[1:])
    assert len({missed, false, right}) == 3
    assert [colors[name] for name in LINE_LAYERS] == [missed, false, missed, false, right]


def test_empty_layers_are_there(tmp_path):
    path = tmp_path / "errors.gpkg"
    none = polygons("x", 0)
    empty = dict.fromkeys(LAYERS[1:], none)
    write_error_map(path, layers(**empty, look_here_first=none.assign(rank=[], length_m=[])))
    assert [pyogrio.read_info(path, layer=name)["features"] for name in LAYERS] == [0] * 4


def test_version_for_old_qgis_and_the_same_bytes_at_the_same_moment(tmp_path):
    paths = [tmp_path / f"{name}.gpkg" for name in "ab"]
    for path in paths:
        write_error_map(path, layers(), moment=MOMENT)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with closing(sqlite3.connect(paths[0])) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (10300,)


def test_an_existing_file_stays_unless_it_may_be_replaced(tmp_path):
    path = tmp_path / "errors.gpkg"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_error_map(path, layers())
    assert path.read_text() == "mine"
    write_error_map(path, layers(), overwrite=True)
    assert len(pyogrio.list_layers(path)) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["errors.gpkg"]


def test_another_format_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"is not a GeoPackage.*Name it errors\.gpkg"):
        write_error_map(tmp_path / "errors.geojson", layers())
    assert not list(tmp_path.iterdir())


def test_somebody_else_may_give_the_name(tmp_path):
    hidden = tmp_path / ".errors.part.gpkg"
    write_error_map(tmp_path / "errors.gpkg", layers(), unfinished=hidden)
    assert [p.name for p in tmp_path.iterdir()] == [hidden.name]


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("geocobot.io.error_map.embed_styles", fail)
    with pytest.raises(OutputError, match="cannot be written"):
        write_error_map(tmp_path / "errors.gpkg", layers())
    assert not list(tmp_path.iterdir())
