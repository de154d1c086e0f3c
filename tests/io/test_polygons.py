from __future__ import annotations

import importlib.util
import json
import logging
import sqlite3
from contextlib import closing
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyogrio.errors import DataSourceError
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.errors import OutputError, UnreadableFileError
from geocobot.io import polygons, vector_formats
from geocobot.io.polygons import PolygonWriter, read_areas
from geocobot.io.styles import geopackage_layer
from geocobot.io.vector_formats import VECTOR_FORMATS, check_format, parts_of, style_beside

CLASSES = name_classes(["road", "roof"])
UTM = CRS.from_epsg(32633)
COLUMNS = [
    "object_id",
    "class_id",
    "class_name",
    "score",
    "score_p10",
    "area_m2",
    "perimeter_m",
    "width_m",
    "geometry",
]
needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="GeoParquet needs pyarrow"
)
FORMATS = [".gpkg", ".fgb", ".geojson", ".shp", pytest.param(".parquet", marks=needs_pyarrow)]


def names_of(path) -> set[str]:
    """Every file that belongs to a result."""
    beside = [style_beside(path)] if style_beside(path) else []
    return {p.name for p in (path, *parts_of(path), *beside)}


def frame_of(n: int, first: int = 0, crs: CRS = UTM) -> gpd.GeoDataFrame:
    at = np.arange(first, first + n)
    number = at % 2 + 1
    return gpd.GeoDataFrame(
        {
            "object_id": at + 1,
            "class_id": number,
            "class_name": pd.array([CLASSES[i - 1].name for i in number], dtype="str"),
            "score": at / 1000,
            "score_p10": at / 2000,
            "area_m2": at + 0.5,
            "perimeter_m": at + 0.25,
            "width_m": at + 0.125,
        },
        geometry=shapely.box(500_000 + 10 * at, 5_000_000, 500_005 + 10 * at, 5_000_005),
        crs=crs,
    )


def read(path, layer: str = "result") -> gpd.GeoDataFrame:
    if path.suffix == ".parquet":
        return gpd.read_parquet(path)
    if path.suffix == ".shp":
        return gpd.read_file(path).rename(columns={"perim_m": "perimeter_m"})
    return gpd.read_file(path, layer=layer)


@pytest.mark.parametrize("suffix", FORMATS)
def test_chunks_come_back_as_one_layer(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(polygons, "BATCH_ROWS", 25)
    path = tmp_path / f"result{suffix}"
    with PolygonWriter(path, UTM, CLASSES, "result") as writer:
        for first in range(0, 100, 10):
            writer.append(frame_of(10, first))
        assert not path.exists()
    assert writer.count == 100
    found = read(path).to_crs(UTM).sort_values("score", ignore_index=True)
    assert list(found.columns) == COLUMNS
    expected = frame_of(100)
    pd.testing.assert_frame_equal(
        pd.DataFrame(found.drop(columns="geometry")),
        pd.DataFrame(expected.drop(columns="geometry")),
        check_dtype=False,
    )
    # GeoJSON holds degrees to nine decimals: a tenth of a millimetre.
    assert found.geometry.hausdorff_distance(expected.geometry).max() < 2e-4
    assert {p.name for p in tmp_path.iterdir()} == names_of(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_polygons_make_an_empty_layer_with_all_columns(tmp_path, suffix):
    path = tmp_path / f"result{suffix}"
    with PolygonWriter(path, UTM, CLASSES, "result"):
        pass
    assert len(read(path)) == 0
    if suffix == ".geojson":
        # GeoJSON has no place for columns without features.
        assert json.loads(path.read_text())["features"] == []
    elif suffix == ".parquet":
        assert list(read(path).columns) == COLUMNS
    else:
        info = pyogrio.read_info(path, layer="result")
        short = {"perimeter_m": "perim_m"} if suffix == ".shp" else {}
        assert info["fields"].tolist() == [short.get(name, name) for name in COLUMNS[:-1]]
        assert info["dtypes"].tolist() == ["int64", "int64", "object", *["float64"] * 5]
        assert info["geometry_type"] == "Polygon"
        assert CRS(info["crs"]) == UTM


@pytest.mark.parametrize("suffix", VECTOR_FORMATS)
def test_areas_of_no_polygons_have_their_columns(tmp_path, suffix):
    path = tmp_path / f"result{suffix}"
    with PolygonWriter(path, UTM, CLASSES, "result"):
        pass
    areas = read_areas(path)
    assert areas.columns.tolist() == ["class_id", "area_m2"]
    assert areas.empty


def test_geopackage_is_what_qgis_opens_without_a_question(tmp_path):
    path = tmp_path / "result.gpkg"
    with PolygonWriter(path, UTM, CLASSES, "result") as writer:
        writer.append(frame_of(3))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (10300,)
        contents = db.execute("SELECT table_name, data_type, description FROM gpkg_contents")
        layers = {name: (kind, text) for name, kind, text in contents}
        indexed = db.execute("SELECT count(*) FROM rtree_result_geom").fetchone()
        styles = db.execute("SELECT f_table_name, styleName, useAsDefault FROM layer_styles")
        styles = styles.fetchall()
    assert layers["result"][0] == "features"
    assert "road, roof" in layers["result"][1]
    assert [n for n, (kind, _) in layers.items() if kind == "features"] == ["result"]
    assert indexed == (3,)
    assert styles == [("result", "classes", 1), ("result", "score", 0)]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("gpkg_2024")
@example("sqlite_2024")
@example("rtree_result_geom")
@example("LAYER_STYLES")
@example("-2024")
@example(".hidden")
@example("2024-06-01")
@example('it\'s "here"; a.b|c [1]')
@example("Gebäude 屋根 " * 20)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80))
def test_a_layer_can_have_the_name_of_any_scene(tmp_path, name):
    path = tmp_path / "result.gpkg"
    with PolygonWriter(path, UTM, CLASSES, name, overwrite=True) as writer:
        writer.append(frame_of(3))
    layer = geopackage_layer(name)
    assert layer.endswith(name.replace("|", "_"))
    assert read(path, layer)["class_id"].tolist() == [1, 2, 1]
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT table_name FROM gpkg_contents ORDER BY data_type").fetchall()
        styled = db.execute("SELECT DISTINCT f_table_name FROM layer_styles").fetchall()
    assert tables == [("layer_styles",), (layer,)]
    assert styled == [(layer,)]


@pytest.mark.parametrize("name", ["roads", "Gebäude.2024", "2024-06-01", "a b"])
def test_a_layer_keeps_its_name_where_it_can(name):
    assert geopackage_layer(name) == name


@pytest.mark.parametrize(
    "name", ["gpkg_x", 'it\'s "here"', "a;b", "a!b", "a?b", "x" * 240, "屋" * 80]
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_can_have_any_name(tmp_path, name, suffix):
    path = tmp_path / f"{name}{suffix}"
    with PolygonWriter(path, UTM, CLASSES, name) as writer:
        writer.append(frame_of(3))
    assert {p.name for p in tmp_path.iterdir()} == names_of(path)
    # pyogrio would take parts of the name for parts of a URL.
    for part in parts_of(path):
        part.rename(tmp_path / f"plain{part.suffix}")
    plain = path.rename(tmp_path / f"plain{suffix}")
    layer = geopackage_layer(name) if suffix == ".gpkg" else None
    assert len(read(plain, layer)) == 3


@pytest.mark.parametrize("suffix", [".fgb", ".geojson", ".shp"])
def test_other_formats_have_their_style_beside_them(tmp_path, suffix):
    path = tmp_path / f"result{suffix}"
    with PolygonWriter(path, UTM, CLASSES, "result") as writer:
        writer.append(frame_of(3))
    assert style_beside(path) == tmp_path / "result.qml"
    alias = "perim_m" if suffix == ".shp" else "perimeter_m"
    root = ET.parse(tmp_path / "result.qml").getroot()
    assert root.find(f"aliases/alias[@field='{alias}']").get("name") == "Perimeter (m)"
    assert 'value="roof"' in (tmp_path / "result.qml").read_text(encoding="utf-8")
    elsewhere = tmp_path / "named.qml"
    with PolygonWriter(tmp_path / f"b{suffix}", UTM, CLASSES, "b", style_path=elsewhere):
        pass
    assert elsewhere.exists()
    assert not (tmp_path / "b.qml").exists()


def test_geojson_is_written_in_degrees_and_says_so(tmp_path, caplog):
    path = tmp_path / "result.geojson"
    with (
        caplog.at_level(logging.INFO, "geocobot.io"),
        PolygonWriter(path, UTM, CLASSES, "result") as writer,
    ):
        writer.append(frame_of(2))
    assert "result.geojson is written in WGS 84 degrees (EPSG:4326)" in caplog.text
    content = json.loads(path.read_text())
    assert "crs" not in content
    ring = np.array(content["features"][0]["geometry"]["coordinates"][0])
    np.testing.assert_allclose(ring[:, 0], 15, atol=1e-3)
    np.testing.assert_allclose(ring[:, 1], 45.15, atol=1e-2)


def test_a_shapefile_says_what_it_cannot_do_and_names_its_encoding(tmp_path, caplog):
    classes = name_classes(["Gebäude 屋根", "b"])
    path = tmp_path / "result.shp"
    frame = frame_of(3)
    frame["class_name"] = "Gebäude 屋根"
    with PolygonWriter(path, UTM, classes, "result") as writer:
        writer.append(frame)
    assert "10 characters (perimeter_m becomes perim_m), 2 GB at most" in caplog.text
    assert (tmp_path / "result.cpg").read_text() == "UTF-8"
    found = gpd.read_file(path)
    assert found["class_name"].tolist() == ["Gebäude 屋根"] * 3
    assert max(map(len, found.columns)) <= 10
    assert found.crs == UTM


def test_a_shapefile_that_grows_too_large_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    def too_large(*_, **__):
        raise OSError("Maximum file size of 2 GB reached")

    def fill_it():
        with PolygonWriter(tmp_path / "result.shp", UTM, CLASSES, "result") as writer:
            monkeypatch.setattr(pyogrio, "write_dataframe", too_large)
            writer.append(frame_of(1))

    with pytest.raises(OutputError, match=r"result\.shp cannot be written \(Maximum file size"):
        fill_it()
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_a_shapefile_that_exists_is_not_replaced_unasked(tmp_path):
    (tmp_path / "result.dbf").write_text("mine")
    with (
        pytest.raises(OutputError, match=r"result\.dbf exists already"),
        PolygonWriter(tmp_path / "result.shp", UTM, CLASSES, "result"),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["result.dbf"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_polygons_cover_is_known_at_the_end(tmp_path, suffix):
    with PolygonWriter(tmp_path / f"result{suffix}", UTM, CLASSES, "result") as writer:
        assert writer.bounds is None
        writer.append(frame_of(0))
        assert writer.bounds is None
        writer.append(frame_of(3))
        writer.append(frame_of(2, first=7))
    assert writer.bounds == (500_000, 5_000_000, 500_085, 5_000_005)


def test_a_crs_without_a_code_is_kept(tmp_path):
    albers = CRS.from_proj4("+proj=aea +lat_1=30 +lat_2=50 +lat_0=40 +lon_0=-100 +datum=WGS84")
    path = tmp_path / "result.gpkg"
    with PolygonWriter(path, albers, CLASSES, "result") as writer:
        writer.append(frame_of(1, crs=albers))
    found = CRS(read(path).crs)
    assert found.coordinate_operation.method_name == "Albers Equal Area"
    assert found.to_epsg() is None


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_error_leaves_nothing_behind(tmp_path, suffix):
    def interrupted():
        with PolygonWriter(tmp_path / f"result{suffix}", UTM, CLASSES, "result") as writer:
            writer.append(frame_of(3))
            raise KeyboardInterrupt("stopped")

    with pytest.raises(KeyboardInterrupt, match="stopped"):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_replaced_only_when_asked(tmp_path):
    path = tmp_path / "result.gpkg"
    path.write_text("mine")
    with (
        pytest.raises(OutputError, match=r"result\.gpkg exists already"),
        PolygonWriter(path, UTM, CLASSES, "result"),
    ):
        pass
    assert path.read_text() == "mine"
    with PolygonWriter(path, UTM, CLASSES, "result", overwrite=True) as writer:
        writer.append(frame_of(2))
    assert len(read(path)) == 2


def test_an_existing_style_is_not_replaced_unasked(tmp_path):
    (tmp_path / "result.qml").write_text("mine")
    with (
        pytest.raises(OutputError, match=r"result\.qml exists already"),
        PolygonWriter(tmp_path / "result.fgb", UTM, CLASSES, "result"),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["result.qml"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.kml", r"a\.kml has the extension '\.kml'.*\.gpkg, \.fgb, \.parquet, \.geojson, \.shp"),
        ("a", r"a has no extension.*\.gpkg"),
    ],
)
def test_unknown_formats_are_refused_with_the_known_ones(name, message):
    with pytest.raises(OutputError, match=message):
        check_format(name)
    with pytest.raises(OutputError, match=message):
        PolygonWriter(name, UTM, CLASSES, "a")


def test_geoparquet_without_pyarrow_is_refused(monkeypatch):
    monkeypatch.setattr(vector_formats, "find_spec", lambda _: None)
    with pytest.raises(OutputError, match=r'pip install "geocobot\[parquet\]"'):
        check_format("a.parquet")


def test_a_shapefile_in_capitals_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"ends in \.SHP.*Call it ROADS\.shp"):
        check_format(tmp_path / "ROADS.SHP")


@pytest.mark.parametrize("ending", [".GPKG", ".FGB", ".GeoJSON", ".Parquet", ".shp"])
def test_capitals_choose_a_format_as_well(ending):
    check_format(f"ROADS{ending}")


def test_a_failing_disk_is_said_in_the_users_words(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device")

    def fill_it():
        with PolygonWriter(tmp_path / "result.gpkg", UTM, CLASSES, "result") as writer:
            monkeypatch.setattr(pyogrio, "write_dataframe", full)
            writer.append(frame_of(1))

    with pytest.raises(OutputError, match=r"result\.gpkg cannot be written \(No space left"):
        fill_it()
    assert list(tmp_path.iterdir()) == []


def test_messages_name_the_finished_file(tmp_path, monkeypatch, caplog):
    hidden = [tmp_path / f".result.1a2b3c4d.part{s}" for s in (".geojson", ".qml")]

    def full(_, path, **__):
        raise DataSourceError(f"Failed to write features to dataset {path}")

    def fill_it():
        path = tmp_path / "result.geojson"
        with PolygonWriter(path, UTM, CLASSES, "result", unfinished=hidden) as writer:
            writer.append(frame_of(1))

    with caplog.at_level(logging.INFO, "geocobot.io"):
        fill_it()
    assert "result.geojson is written in WGS 84" in caplog.text
    assert sorted(tmp_path.iterdir()) == hidden
    monkeypatch.setattr(pyogrio, "write_arrow", full)
    with pytest.raises(OutputError, match=r"result\.geojson cannot be written") as info:
        fill_it()
    assert "part" not in caplog.text + str(info.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_disk_that_is_full_at_any_byte_is_an_error_and_no_file(tmp_path, fill_the_disk, suffix):
    found = fill_the_disk(tmp_path, f"result{suffix}")
    assert found["broken"] == found["left behind"] == []
    assert found["whole"]
    assert len(found["refused"]) > 40


@pytest.mark.parametrize("suffix", FORMATS)
def test_areas_of_a_file_that_is_broken(tmp_path, suffix):
    path = tmp_path / f"result{suffix}"
    path.write_bytes(b"no polygons any more")
    with pytest.raises(UnreadableFileError, match=rf"result\{suffix} cannot be read"):
        polygons.read_areas(path)
