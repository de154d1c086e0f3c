from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import geopandas as gpd
import pytest
import shapely

from geocobot.classes import ClassSpec, name_classes
from geocobot.io.styles import class_raster_qml, embed_style, qml_of


def test_every_class_has_a_category_and_a_symbol_in_its_color():
    root = ET.fromstring(qml_of(name_classes(["road", "roof"])))
    assert root.tag == "qgis"
    renderer = root.find("renderer-v2")
    assert renderer.attrib["type"] == "categorizedSymbol"
    assert renderer.attrib["attr"] == "class_name"
    categories = [c.attrib for c in renderer.iter("category")]
    assert [(c["value"], c["symbol"]) for c in categories] == [("road", "0"), ("roof", "1")]
    fills = [o.attrib["value"] for o in renderer.iter("Option") if o.get("name") == "color"]
    assert fills == ["230,159,0,96", "86,180,233,96"]
    outlines = [o.get("value") for o in renderer.iter("Option") if o.get("name") == "outline_color"]
    assert all(color.endswith(",255") for color in outlines)


def test_a_class_raster_has_its_background_transparent_and_its_classes_named():
    classes = (ClassSpec(1, "road", "#e69f00"), ClassSpec(7, "roof", "#0072b2"))
    root = ET.fromstring(class_raster_qml(classes))
    renderer = root.find("pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
    entries = [
        tuple(e.attrib[k] for k in ("value", "label", "color", "alpha")) for e in renderer[0]
    ]
    assert entries == [
        ("0", "background", "#000000", "0"),
        ("1", "road", "#e69f00", "255"),
        ("7", "roof", "#0072b2", "255"),
    ]


@pytest.mark.parametrize("name", ["a < b & 'c'", 'say "so"', "Gebäude 屋根"])
def test_names_are_escaped(name):
    root = ET.fromstring(qml_of([ClassSpec(1, name, "#102030")]))
    assert root.find(".//category").attrib["value"] == name
    root = ET.fromstring(class_raster_qml([ClassSpec(1, name, "#102030")]))
    assert root.findall(".//paletteEntry")[1].attrib["label"] == name


def test_a_character_that_xml_cannot_hold_does_not_spoil_the_style():
    classes = (ClassSpec(1, "a\x0bb\x00", "#102030"), ClassSpec(2, "roof\n\t", "#102030"))
    for text, tag, key in (
        (qml_of(classes), "category", "label"),
        (class_raster_qml(classes), "paletteEntry", "label"),
    ):
        labels = [e.attrib[key] for e in ET.fromstring(text).iter(tag)]
        assert labels[-2:] == ["a\ufffdb\ufffd", "roof\n\t"]


def test_the_style_is_the_layers_default_and_no_layer_of_the_map(tmp_path):
    path = tmp_path / "a.gpkg"
    classes = name_classes(["road"])
    frame = gpd.GeoDataFrame({"class_name": ["road"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    frame.to_file(path, layer="roads")
    embed_style(path, "roads", classes, datetime(2026, 1, 1, tzinfo=UTC))
    with closing(sqlite3.connect(path)) as db:
        kinds = dict(db.execute("SELECT table_name, data_type FROM gpkg_contents"))
        style = db.execute(
            "SELECT f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "useAsDefault, styleQML FROM layer_styles"
        ).fetchall()
    assert kinds == {"roads": "features", "layer_styles": "attributes"}
    assert style == [("", "", "roads", "geom", 1, qml_of(classes))]
