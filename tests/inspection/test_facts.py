"""Facts about scenes and labels, and the sketch of both."""

from __future__ import annotations

import logging
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely

from geocobot.data.survey import survey_scene
from geocobot.inspection.findings import Finding, Findings
from geocobot.inspection.html import Page, page_of
from geocobot.inspection.labels import FeatureFacts, Range, class_facts
from geocobot.inspection.scenes import SceneFacts
from geocobot.inspection.sketch import Layer, draw, label_layers, scene_layer
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.io.widths import Widths

WEST, NORTH = 500_000.0, 5_000_000.0


def at(col, row, width=10, height=10):
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


def test_facts_about_a_scene(scene_factory):
    image = np.full((3, 64, 96), 9, np.uint8)
    image[:, :16] = 0
    image[:, 32:] = 255
    scene = Scene.open(scene_factory(image=image, nodata=255, descriptions=("red", "green", "b3")))
    labels = read_labels_of(scene, at(10, 20))
    facts = SceneFacts.of(scene, survey_scene(scene, labels), is_learned=True)
    assert (facts.name, facts.crs, facts.nodata) == ("scene", "EPSG:32633", 255)
    assert (facts.width_px, facts.height_px) == (96, 64)
    assert facts.bands == ("red", "green", "b3")
    assert facts.valid_share == 0.5
    assert facts.black_share == 0.25
    assert facts.area_km2 == pytest.approx(96 * 64 / 1e6, rel=1e-3)
    assert facts.rows()["with data"] == "50.0%, of all 25.0% black"
    assert "with data" not in SceneFacts.of(scene, None, is_learned=True).rows()


def read_labels_of(scene, *shapes):
    """Labels on a scene, without a file."""
    import geopandas as gpd

    from geocobot.classes import name_classes
    from geocobot.io.labels import FeatureLabels

    frame = gpd.GeoDataFrame(
        {
            "class_number": np.ones(len(shapes), np.uint8),
            "file": np.zeros(len(shapes), np.int64),
            "reach_m": np.zeros(len(shapes)),
        },
        geometry=list(shapes),
        crs="EPSG:32633",
    )
    labels = FeatureLabels(name_classes(["roof"]), frame, ("a.shp",), ("a.shp",))
    return labels.on(scene.grid, scene.name)


def test_facts_about_features(scene_factory, labels_factory):
    scene = Scene.open(scene_factory())
    ring = at(10, 10)
    turned = shapely.Polygon(list(ring.exterior.coords)[2:-1] + list(ring.exterior.coords)[:2])
    shapes = [
        ring,
        turned,
        at(30, 10, 20, 20),
        at(500, 10),
        shapely.LineString([(WEST + 5, NORTH - 40), (WEST + 65, NORTH - 40)]),
        shapely.LineString([(WEST + 5, NORTH - 50), (WEST + 25, NORTH - 50)]),
        shapely.Point(WEST + 80, NORTH - 50),
    ]
    labels = read_labels(
        [labels_factory(shapes, width=[None] * 4 + [2.0, 5.0, None])],
        LabelChoice(widths=Widths(width_field="width", point_radius_m=2.0)),
    )
    facts = FeatureFacts.of(labels, [scene])
    assert facts.kinds == {"lines": 2, "points": 1, "polygons": 4}
    assert (facts.outside, facts.duplicates) == (1, 1)
    assert (facts.widths_m.least, facts.widths_m.most) == (2.0, 5.0)
    # UTM stretches by 0.9996 in the middle of a zone, the ellipsoid does not.
    assert facts.lengths_m.most == pytest.approx(60 / 0.9996, rel=1e-4)
    assert facts.areas_m2.least == pytest.approx(100 / 0.9996**2, rel=1e-4)
    assert facts.areas_m2.most == pytest.approx(400 / 0.9996**2, rel=1e-4)
    assert facts.rows()["on no scene"] == "1"


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4326"])
def test_areas_are_those_on_the_ground_in_any_crs(scene_factory, labels_factory, crs):
    import geopandas as gpd

    moved = gpd.GeoSeries([at(10, 10)], crs="EPSG:32633").to_crs(crs)
    facts = FeatureFacts.of(
        read_labels([labels_factory(moved, crs=crs)]), [Scene.open(scene_factory())]
    )
    assert facts.areas_m2.median == pytest.approx(100 / 0.9996**2, rel=1e-3)
    assert facts.crs == crs
    assert facts.outside == 0


def test_facts_about_classes(scene_factory, labels_factory):
    scenes = [
        Scene.open(scene_factory()),
        Scene.open(scene_factory("other.tif", origin_xy=(WEST + 96, NORTH))),
    ]
    path = labels_factory([at(0, 0), at(20, 0), at(110, 0, 20, 20)], kind=["a", "b", "b"])
    labels = read_labels([path], LabelChoice(class_field="kind"))
    rasters = labels.on_each(scenes)
    surveys = [survey_scene(s, r) for s, r in zip(scenes, rasters, strict=True)]
    background, a, b = class_facts(labels, [s.grid for s in scenes], surveys)
    assert (background.name, background.features) == ("background", None)
    assert (a.name, a.features, a.pixels) == ("a", 1, 100)
    assert (b.name, b.features, b.pixels) == ("b", 2, 500)
    assert background.pixels == 2 * 64 * 96 - 600
    assert sum(c.share for c in (background, a, b)) == pytest.approx(1)
    assert b.area_m2 == pytest.approx(500 / 0.9996**2, rel=1e-3)
    assert a.in_words() == "1 features, 100 px, 100 m2, 0.81% of what is labelled"


def test_a_range_of_equal_figures_is_one_figure():
    assert Range.of(np.array([8.0, 8.0])).in_words("m") == "8 m"
    assert Range.of(np.array([1.0, 2.0, 9.0])).in_words("m") == "1 to 9 m, half below 2"
    assert Range.of(np.array([])) is None


def test_the_sketch_has_north_up_and_true_proportions(scene_factory, labels_factory):
    scene = Scene.open(scene_factory(origin_xy=(WEST, 7_000_000.0)))  # 63 degrees north
    north_west = shapely.box(WEST, 7_000_000 - 16, WEST + 24, 7_000_000)
    labels = read_labels([labels_factory([north_west])])
    svg = ET.fromstring(draw([scene_layer([scene.grid]), *label_layers(labels)]))
    width, height = (float(svg.attrib[name]) - 24 for name in ("width", "height"))
    assert width / height == pytest.approx(96 / 64, rel=0.02)
    scene_path, label_path = (
        np.array(
            [[float(v) for v in p.split(",")] for p in g.find("{*}path").attrib["d"][1:].split()]
        )
        for g in svg.findall("{*}g")
    )
    assert label_path.min(axis=0) == pytest.approx(scene_path.min(axis=0), abs=3)
    extent = np.ptp(label_path, axis=0) / np.ptp(scene_path, axis=0)
    assert extent == pytest.approx([0.25, 0.25], abs=0.02)


def test_the_sketch_draws_all_kinds_and_many_features(labels_factory):
    shapes = [shapely.Point(WEST + k, NORTH) for k in range(4000)]
    shapes.append(shapely.LineString([(WEST, NORTH), (WEST + 50, NORTH + 9)]))
    labels = read_labels(
        [labels_factory(shapes)], LabelChoice(widths=Widths(point_radius_m=1.0, line_width_m=2.0))
    )
    (layer,) = label_layers(labels)
    assert len(layer.shapes) == 3000
    assert draw([layer]).count("<circle") >= 2999
    assert draw([]) == draw([Layer("none", [shapely.Polygon()], "")]) == ""


def test_findings_come_once_and_the_gravest_first():
    findings = Findings()
    for level, text in (("note", "a"), ("stop", "b"), ("warning", "c"), ("note", "a")):
        findings.say(level, text)
    assert [f.text for f in findings.ordered()] == ["b", "c", "a"]


def test_notices_become_findings_and_the_logger_is_as_before(caplog):
    log, findings = logging.getLogger("geocobot"), Findings()
    before = log.handlers, log.propagate, log.level
    with findings.listening(logging.INFO):
        logging.getLogger("geocobot.io").warning("thin %d", 3)
        logging.getLogger("geocobot.io").info("read")
        logging.getLogger("geocobot.io").debug("opened")
        logging.getLogger("rasterio").warning("of others")
    assert findings.ordered() == (Finding("warning", "thin 3"), Finding("note", "read"))
    assert (log.handlers, log.propagate, log.level) == before
    assert caplog.messages == ["of others"]


def test_the_page_escapes_what_files_are_called():
    page = Page(
        title="<b>",
        findings=[Finding("stop", "a & b <script>")],
        tables={"<t>": {"<k>": "<v>"}},
        classes=(),
        layers=(),
        picture=b"png",
        command="geocobot train --raster '<x>'",
    )
    text = page_of(page)
    assert "<script>" not in text
    for escaped in ("a &amp; b &lt;script&gt;", "&lt;t&gt;", "&lt;k&gt;", "&lt;v&gt;", "&lt;x&gt;"):
        assert escaped in text
    assert "base64,cG5n" in text
