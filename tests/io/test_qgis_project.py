"""QGIS projects: their structure always, what QGIS makes of them where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.errors import OutputError
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.qgis.project import Project
from geocobot.io.styles.raster import class_raster_style, scene_style
from geocobot.io.styles.vector import centerline_style, polygon_styles

CLASSES = name_classes(["road", "roof"])
UTM = CRS.from_epsg(32633)
MOMENT = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
BOUNDS = (500_000.0, 5_000_000.0, 500_200.0, 5_000_100.0)


def layers(folder, scene="scene.tif"):
    return [
        ProjectLayer(
            "roads",
            str(folder / "roads.gpkg"),
            UTM,
            polygon_styles(CLASSES),
            "roads",
            is_vector=True,
        ),
        ProjectLayer(
            "classes",
            str(folder / "classes.tif"),
            UTM,
            {"default": class_raster_style(CLASSES)},
            visible=False,
        ),
        ProjectLayer("scene", scene, UTM, {"default": scene_style((1, 2, 3), None)}),
    ]


def root_of(path) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        assert name == f"{path.stem}.qgs"
        return ET.fromstring(archive.read(name))


def written(folder, *args, **kwargs) -> ET.Element:
    path = folder / "roads.qgz"
    Project("roads", layers(folder, *args, **kwargs), UTM, BOUNDS).write(path, path, MOMENT)
    return root_of(path)


def test_layers_come_in_their_order_with_the_hidden_ones_hidden(tmp_path):
    root = written(tmp_path)
    tree = root.findall("layer-tree-group/layer-tree-layer")
    shown = [(node.get("name"), node.get("checked")) for node in tree]
    assert shown == [
        ("roads", "Qt::Checked"),
        ("classes", "Qt::Unchecked"),
        ("scene", "Qt::Checked"),
    ]
    ids = [node.get("id") for node in tree]
    assert [la.findtext("id") for la in root.iter("maplayer")] == ids
    assert [la.get("id") for la in root.find("layerorder")] == ids
    # QGIS gives others to layers whose ids are shorter, and loses them.
    assert all(len(identity) > 10 for identity in ids)
    assert len(set(ids)) == 3


def test_a_layer_carries_its_styles_the_first_one_in_force(tmp_path):
    layer = written(tmp_path).find("projectlayers/maplayer")
    manager = layer.find("map-layer-style-manager")
    assert manager.get("current") == "classes"
    assert [s.get("name") for s in manager] == ["classes", "score"]
    assert layer.find("renderer-v2").get("type") == "categorizedSymbol"
    assert manager.find("map-layer-style/qgis/renderer-v2").get("type") == "graduatedSymbol"


def test_the_map_is_that_of_the_result_with_a_margin(tmp_path):
    root = written(tmp_path)
    extent = {e.tag: float(e.text) for e in root.find("mapcanvas/extent")}
    assert extent == {"xmin": 499_990, "ymin": 4_999_995, "xmax": 500_210, "ymax": 5_000_105}
    assert root.findtext("projectCrs/spatialrefsys/authid") == "EPSG:32633"
    assert root.findtext("properties/SpatialRefSys/ProjectionsEnabled") == "1"


def test_a_crs_without_a_code_is_given_by_its_definition(tmp_path):
    albers = CRS("+proj=aea +lat_1=30 +lat_2=50 +lat_0=40 +lon_0=-100 +datum=WGS84")
    path = tmp_path / "a.qgz"
    Project("a", layers(tmp_path), albers, BOUNDS).write(path, path, MOMENT)
    system = root_of(path).find("projectCrs/spatialrefsys")
    assert system.findtext("authid") == ""
    assert CRS(system.findtext("wkt")) == albers


def test_paths_are_relative_so_that_the_folder_can_be_moved(tmp_path):
    (tmp_path / "out").mkdir()
    scene = tmp_path / "scenes" / "a.tif"
    sources = [e.text for e in written(tmp_path / "out", str(scene)).iter("datasource")]
    assert sources == ["./roads.gpkg|layername=roads", "./classes.tif", "../scenes/a.tif"]


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("https://example.org/a.tif", "/vsicurl/https://example.org/a.tif"),
        ("/vsizip/all.zip/a.tif", "/vsizip/all.zip/a.tif"),
        ("s3://bucket/a.tif", "s3://bucket/a.tif"),
    ],
)
def test_what_is_no_file_keeps_its_name(tmp_path, given, source):
    assert [e.text for e in written(tmp_path, given).iter("datasource")][-1] == source


def test_another_drive_is_named_in_full(tmp_path, monkeypatch):
    def other_drive(*_):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", other_drive)
    sources = [e.text for e in written(tmp_path).iter("datasource")]
    assert sources[1] == (tmp_path / "classes.tif").as_posix()


def test_an_address_with_a_token_is_left_out_and_told_of(tmp_path, caplog):
    root = written(tmp_path, "https://example.org/a.tif?token=abc")
    assert [la.findtext("layername") for la in root.iter("maplayer")] == ["roads", "classes"]
    assert "roads.qgz leaves out the layers" in caplog.text
    assert "abc" not in ET.tostring(root, encoding="unicode") + caplog.text


def test_the_same_project_has_the_same_bytes(tmp_path):
    written(tmp_path)
    first = (tmp_path / "roads.qgz").read_bytes()
    written(tmp_path)
    assert (tmp_path / "roads.qgz").read_bytes() == first


def test_a_clock_that_stopped_in_1970_is_told_as_early_as_an_archive_can(tmp_path):
    path = tmp_path / "a.qgz"
    moment = datetime.fromtimestamp(0, UTC)
    Project("a", layers(tmp_path), UTM, BOUNDS).write(path, path, moment)
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_a_full_disk_is_told_of(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OutputError, match=r"roads\.qgz cannot be written \(No space left"):
        written(tmp_path)


SCRIPT = Path(__file__).parents[2] / "benchmarks" / "qgis_project.py"
QGIS_PYTHON = "/usr/bin/python3"


def has_qgis() -> bool:
    """Whether the system's Python knows QGIS."""
    if not os.path.exists(QGIS_PYTHON) or not SCRIPT.exists():
        return False
    command = [QGIS_PYTHON, "-c", "import qgis.core"]
    return subprocess.run(command, env=_plain(), capture_output=True, check=False).returncode == 0


def _plain() -> dict[str, str]:
    """The environment without what belongs to this Python."""
    mine = {"PYTHONPATH", "PYTHONHOME", "PROJ_LIB", "GDAL_DATA", "PROJ_DATA"}
    return {k: v for k, v in os.environ.items() if k not in mine} | {"QT_QPA_PLATFORM": "offscreen"}


@pytest.fixture(scope="module")
def open_in_qgis():
    """Open a project in QGIS; what it makes of it, and the picture (H, W, 3)."""
    if not has_qgis():
        pytest.skip("needs QGIS and its Python (apt install qgis python3-qgis)")

    def run(path, *flags):
        from PIL import Image

        png = path.with_suffix(".png")
        command = [QGIS_PYTHON, str(SCRIPT), str(path), "--png", str(png), "--size", "200", *flags]
        done = subprocess.run(command, env=_plain(), capture_output=True, text=True, check=False)
        facts = json.loads(done.stdout)
        assert done.returncode == 0, facts
        return facts, np.asarray(Image.open(png).convert("RGB")).astype(int)

    return run


@pytest.mark.parametrize("name", ["roads.gpkg", "roads.fgb", "roads.geojson", "roads.shp"])
def test_qgis_opens_a_project_without_a_warning_wherever_it_is_moved(
    tmp_path, scene_factory, open_in_qgis, name
):
    import geopandas as gpd
    import shapely

    from geocobot.io.polygons import PolygonWriter
    from geocobot.io.scene import Scene
    from geocobot.io.styles import Origin

    (tmp_path / "made").mkdir()
    image = np.full((3, 100, 200), 250, np.uint8)
    scene = Scene.open(shutil.copy(scene_factory(image=image), tmp_path / "made" / "scene.tif"))
    west, south, east, north = scene.grid.bounds
    frame = gpd.GeoDataFrame(
        {"object_id": [1], "class_id": [1], "class_name": ["road"], "score": [0.95]}
        | {"score_p10": [0.9], "area_m2": [1.0], "perimeter_m": [2.0], "width_m": [0.5]},
        geometry=[shapely.box(west, south, (west + east) / 2, north)],
        crs=scene.grid.crs,
    )
    origin = Origin("runs/model.safetensors", ("scene.tif",), "CC0")
    path = tmp_path / "made" / name
    with PolygonWriter(path, scene.grid.crs, CLASSES, "roads", origin=origin) as writer:
        writer.append(frame)
    below = ProjectLayer(
        "scene", scene.path, scene.grid.crs, {"default": scene_style((1, 2, 3), None)}
    )
    project = Project("roads", [writer.project_layer(), below], scene.grid.crs, scene.grid.bounds)
    file = path.with_suffix(".qgz")
    project.write(file, file, MOMENT)
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    (tmp_path / "made").rename(moved)
    facts, picture = open_in_qgis(moved / file.name)
    assert facts["said"] == []
    assert [la["name"] for la in facts["layers"]] == ["roads", "scene"]
    assert facts["layers"][0]["features"] == 1
    assert facts["layers"][0]["styles"] == ["classes", "score"]
    assert facts["layers"][0]["licenses"] == ["CC0"]
    assert "Scenes: scene.tif" in facts["layers"][0]["history"]
    assert facts["layers"][0]["aliases"]["area_m2"] == "Area (m²)"
    assert CRS(facts["crs"]) == scene.grid.crs
    # The road's orange in the west, the bright scene in the east.
    assert picture[100, 60, 0] - picture[100, 60, 2] > 60
    assert picture[100, 150].min() > 240
    _, graded = open_in_qgis(moved / file.name, "--style", "score")
    assert abs(graded[100, 60] - picture[100, 60]).max() > 20


def test_centerlines_are_as_wide_as_they_say(tmp_path, open_in_qgis):
    import geopandas as gpd
    import shapely

    lines = gpd.GeoDataFrame(
        {"class_name": ["road", "road"], "width_m": [40.0, 4.0]},
        geometry=[shapely.LineString([(5e5, y), (5e5 + 200, y)]) for y in (5e6 + 30, 5e6 + 75)],
        crs=UTM,
    )
    lines.to_file(tmp_path / "lines.gpkg", layer="lines")
    layer = ProjectLayer(
        "lines",
        str(tmp_path / "lines.gpkg"),
        UTM,
        {"default": centerline_style(CLASSES)},
        "lines",
        is_vector=True,
    )
    path = tmp_path / "lines.qgz"
    Project("lines", [layer], UTM, (5e5, 5e6, 5e5 + 200, 5e6 + 200)).write(path, path, MOMENT)
    facts, picture = open_in_qgis(path)
    assert facts["layers"][0]["renderer"] == "categorizedSymbol"
    # 220 m are 200 px: bands of 36 and of 4 px in the middle column.
    colored = (picture[:, 100].max(axis=1) - picture[:, 100].min(axis=1)) > 40
    assert colored.sum() == pytest.approx(40, abs=6)
