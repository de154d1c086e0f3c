from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import geopandas as gpd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocobot.classes import ClassSpec, name_classes
from geocobot.io.styles import (
    Origin,
    centerline_qml,
    class_raster_qml,
    embed_metadata,
    embed_styles,
    metadata_xml,
    polygon_styles,
    qml_of,
    score_qml,
)
from geocobot.io.styles.fields import FIELD_STYLES
from geocobot.io.styles.raster import scene_style, score_raster_style

CLASSES = name_classes(["road", "roof"])
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def options(element, name):
    return [o.get("value") for o in element.iter("Option") if o.get("name") == name]


def test_every_class_has_a_category_and_a_symbol_in_its_color():
    root = ET.fromstring(qml_of(CLASSES))
    assert root.tag == "qgis"
    renderer = root.find("renderer-v2")
    assert renderer.attrib["type"] == "categorizedSymbol"
    assert renderer.attrib["attr"] == "class_name"
    categories = [c.attrib for c in renderer.iter("category")]
    assert [(c["value"], c["symbol"]) for c in categories] == [("road", "0"), ("roof", "1")]
    assert options(renderer, "color") == ["230,159,0,96", "86,180,233,96"]
    assert all(color.endswith(",255") for color in options(renderer, "outline_color"))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_grades_of_scores_cover_0_to_1_without_gap_or_overlap(thresholds):
    classes = [ClassSpec(i, f"c{i}", "#102030", t) for i, t in enumerate(thresholds, start=1)]
    renderer = ET.fromstring(score_qml(classes)).find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("graduatedSymbol", "score")
    edges = [(float(r.get("lower")), float(r.get("upper"))) for r in renderer.iter("range")]
    assert edges[0][0] == 0
    assert edges[-1][1] == 1
    assert all(lower < upper for lower, upper in edges)
    assert [e[1] for e in edges[:-1]] == [e[0] for e in edges[1:]]
    assert edges[0][1] <= max(min(thresholds), 0.75) + 0.2
    assert len(set(options(renderer, "color"))) == len(edges)


def test_centerlines_are_drawn_as_wide_as_they_are_on_the_ground():
    root = ET.fromstring(centerline_qml(CLASSES))
    assert root.findtext("layerGeometryType") == "1"
    band, casing, line = root.find(".//symbol[@name='1']").iter("layer")
    assert options(band, "line_color") == ["86,180,233,48"]
    assert options(casing, "line_color") == ["255,255,255,255"]
    # All bands of a layer are drawn before the first line of it.
    assert root.find("renderer-v2").get("symbollevels") == "1"
    assert [layer.get("pass") for layer in (band, casing, line)] == ["0", "1", "2"]
    assert options(band, "line_width_unit") == ["RenderMetersInMapUnits"]
    assert options(band, "field") == ["width_m"]
    assert options(line, "line_width_unit") == ["MM"]
    assert options(line, "field") == []
    aliases = {a.get("field"): a.get("name") for a in root.iter("alias")}
    assert aliases["width_m"] == "Width (m)"


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


def test_scores_and_scenes_are_shown_by_their_values():
    scores = score_raster_style(2).find("pipe/rasterrenderer")
    assert (scores.get("type"), scores.get("band")) == ("singlebandpseudocolor", "2")
    assert [float(i.get("value")) for i in scores.iter("item")] == [0, 0.25, 0.5, 0.75, 1]
    colors = scene_style((3, 2, 1), ((0, 10), (1, 20), (2, 30)), alpha=4)
    renderer = colors.find("pipe/rasterrenderer")
    assert [renderer.get(f"{c}Band") for c in ("red", "green", "blue", "alpha")] == list("3214")
    assert renderer.findtext("blueContrastEnhancement/maxValue") == "30"
    gray = scene_style((1,), None).find("pipe/rasterrenderer")
    assert (gray.get("type"), gray.get("grayBand"), list(gray)) == ("singlebandgray", "1", [])


def test_attributes_have_aliases_with_units_and_only_those_that_are_there():
    root = ET.fromstring(qml_of(CLASSES, ["class_id", "area_m2", "something"]))
    assert [(a.get("field"), a.get("name")) for a in root.iter("alias")] == [
        ("class_id", "Class number"),
        ("area_m2", "Area (m²)"),
    ]
    formats = {f.get("name"): options(f, "Precision") for f in root.find("fieldConfiguration")}
    assert formats == {"area_m2": ["1"]}
    renamed = ET.fromstring(qml_of(CLASSES, {"perimeter_m": "perim_m"}))
    assert renamed.find("aliases/alias").attrib == {"field": "perim_m", "name": "Perimeter (m)"}
    assert root.get("labelsEnabled") == "0"


def test_every_attribute_of_a_length_or_an_area_says_its_unit():
    for column, style in FIELD_STYLES.items():
        for ending, unit in (("_m2", "(m²)"), ("_m", "(m)")):
            if column.endswith(ending):
                assert style.alias.endswith(unit)


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


def test_metadata_say_what_a_layer_was_made_of_when_and_how():
    origin = Origin("runs/roads.safetensors, base tiny", ("a.tif", "b.tif"), "CC BY 4.0")
    root = ET.fromstring(metadata_xml("roads", CLASSES, origin, MOMENT))
    assert root.findtext("title") == "roads"
    assert root.findtext("license") == "CC BY 4.0"
    facts = [h.text for h in root.iter("history")]
    assert "on 2026-01-01T00:00:00+00:00" in facts[0]
    assert facts[1:] == [
        "Model: runs/roads.safetensors, base tiny",
        "Scenes: a.tif, b.tif",
        "Thresholds: road 0.5, roof 0.5",
    ]
    nothing_known = ET.fromstring(metadata_xml("roads", CLASSES, Origin(), MOMENT))
    assert nothing_known.find("license") is None
    many = Origin(scenes=tuple(f"{i}.tif" for i in range(25)))
    assert "19.tif and 5 more" in metadata_xml("roads", CLASSES, many, MOMENT)


@given(TEXTS, st.lists(TEXTS, max_size=3).map(tuple), TEXTS)
def test_the_origin_travels_through_tags(model, scenes, terms):
    origin = Origin(model, scenes, terms)
    assert Origin.of_tags(origin.tags()) == origin


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scenes": 3}', "{", "null"])
def test_tags_of_others_are_no_origin(text):
    assert Origin.of_tags({"GEOCOBOT_ORIGIN": text}) == Origin()


def geopackage(path, layers=("roads",)):
    frame = gpd.GeoDataFrame({"class_name": ["road"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    for layer in layers:
        frame.to_file(path, layer=layer)


def test_styles_are_no_layer_of_the_map_and_the_first_is_the_default(tmp_path):
    path = tmp_path / "a.gpkg"
    geopackage(path, ["roads", "lines"])
    for layer in ("roads", "lines"):
        embed_styles(path, layer, polygon_styles(CLASSES), MOMENT)
    with closing(sqlite3.connect(path)) as db:
        kinds = dict(db.execute("SELECT table_name, data_type FROM gpkg_contents"))
        styles = db.execute(
            "SELECT f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "styleName, useAsDefault, styleQML FROM layer_styles"
        ).fetchall()
    assert kinds == {"roads": "features", "lines": "features", "layer_styles": "attributes"}
    shown = {"classes": qml_of(CLASSES), "score": score_qml(CLASSES)}
    assert styles == [
        ("", "", layer, "geom", name, name == "classes", text)
        for layer in ("roads", "lines")
        for name, text in shown.items()
    ]


def test_metadata_lie_where_the_standard_says(tmp_path):
    path = tmp_path / "a.gpkg"
    geopackage(path, ["roads", "lines"])
    for layer in ("roads", "lines"):
        embed_metadata(path, layer, f"<qgis>{layer}</qgis>", MOMENT)
    with closing(sqlite3.connect(path)) as db:
        found = db.execute(
            "SELECT table_name, md_standard_uri, metadata, timestamp FROM gpkg_metadata "
            "JOIN gpkg_metadata_reference ON id = md_file_id WHERE reference_scope = 'table'"
        ).fetchall()
        registered = db.execute(
            "SELECT table_name FROM gpkg_extensions WHERE extension_name = 'gpkg_metadata'"
        ).fetchall()
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    uri, stamp = "http://mrcc.com/qgis.dtd", "2026-01-01T00:00:00.000Z"
    assert found == [(n, uri, f"<qgis>{n}</qgis>", stamp) for n in ("roads", "lines")]
    assert registered == [("gpkg_metadata",), ("gpkg_metadata_reference",)]
    assert gpd.read_file(path, layer="lines")["class_name"].tolist() == ["road"]


def test_a_file_that_is_no_geopackage_gets_no_metadata(tmp_path):
    path = tmp_path / "a.gpkg"
    path.write_text("no database" * 100)
    with pytest.raises(OSError, match="not a database"):
        embed_metadata(path, "roads", "<qgis/>", MOMENT)
