"""`geocobot vectorize`: the polygons of a map, from its scores."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from contextlib import closing
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from pyproj import CRS
from rasterio.features import rasterize
from typer.testing import CliRunner

import geocobot
from geocobot.classes import name_classes
from geocobot.cli.app import app
from geocobot.config import VectorizeOptions
from geocobot.errors import ConfigError, OutputError
from geocobot.grid import GeoGrid
from geocobot.io.scores import ScoreWriter
from geocobot.settings import make_options
from geocobot.tiling import Strip
from geocobot.tracing.attributes import COLUMNS
from geocobot.workflows.vectorize import vectorize
from geocobot.yaml_file import read_yaml

from .stand_in import make_map


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


@pytest.fixture
def scene(scene_factory):
    coarse = np.random.default_rng(3).integers(30, 226, (3, 70, 30))
    image = np.kron(coarse, np.ones((10, 10))).astype("uint8")
    image[:, -100:, -120:] = 0
    return scene_factory(image=image, nodata=0)


CLEANING = {"min_area": 30.0, "simplify": 1.0, "close_holes": 200.0}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", ["map.gpkg", "map.geojson"])
def test_the_scores_of_a_map_give_its_polygons(scene, tmp_path, dtype, name):
    mapped = make_map(scene, tmp_path / "map" / name, scores_dtype=dtype, **CLEANING)
    out = tmp_path / "again" / name
    again = geocobot.vectorize(scores=mapped.scores, out=out, **CLEANING)
    assert out.read_bytes() == mapped.polygons.read_bytes()
    assert again.totals == mapped.totals
    assert again.n_polygons > 20


def test_another_cleaning_needs_no_model(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map" / "map.gpkg", threshold=0.7, **CLEANING)
    other = make_map(scene, tmp_path / "other" / "map.gpkg", threshold=0.4, min_area=0.0)
    out = tmp_path / "out" / "map.gpkg"
    geocobot.vectorize(scores=mapped.scores, out=out, threshold=0.4, min_area=0.0)
    assert out.read_bytes() == other.polygons.read_bytes()


def test_the_saved_options_give_the_result_again(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg", **CLEANING)
    first = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "a.gpkg", min_area=99)
    saved = make_options(VectorizeOptions, read_yaml(first.config), "yaml")
    before = first.polygons.read_bytes()
    with pytest.raises(OutputError, match=r"a\.gpkg exists already"):
        vectorize(saved)
    assert first.polygons.read_bytes() == before


def test_the_default_name_is_the_raster_s(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mapped = make_map(scene, tmp_path / "map.gpkg")
    done = geocobot.vectorize(scores=mapped.scores)
    assert done.polygons == Path("map_scores.gpkg")
    assert done.config == Path("map_scores_options.yaml")
    assert f"map_scores.tif: {done.n_polygons} polygons in " in done.summary()


def test_at_the_command_line_with_scores_of_another_tool(tmp_path):
    y, x = np.mgrid[:80, :120]
    shares = np.exp(-((x - 60) ** 2 + (y - 40) ** 2) / 800).astype(np.float32)
    place = {"crs": "EPSG:32631", "transform": Affine(2, 0, 5e5, 0, -2, 5e6), "dtype": "float32"}
    raster = tmp_path / "heat.tif"
    with rasterio.open(raster, "w", driver="GTiff", count=1, height=80, width=120, **place) as sink:
        sink.write(shares, 1)
        sink.set_band_description(1, "heat")
    out = tmp_path / "heat.fgb"
    runner = CliRunner()
    done = runner.invoke(app, f"vectorize {raster} -o {out} --threshold 0.8 --json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["polygons"] == str(out)
    frame = gpd.read_file(out)
    assert frame["class_name"].tolist() == ["heat"]
    assert frame["area_m2"].sum() == pytest.approx(4 * (shares > 0.8).sum(), rel=0.02)
    assert out.with_suffix(".qml").exists()
    wrong = runner.invoke(app, f"vectorize {raster} -o {tmp_path}/no.gpkg --threshold 1.8")
    assert wrong.exit_code == 2
    assert "--threshold is 1.8. It has to lie from 0 to 1" in " ".join(wrong.stderr.split())
    assert not (tmp_path / "no.gpkg").exists()


def test_the_raster_is_never_written_over(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    with pytest.raises(OutputError, match="is one of the inputs"):
        geocobot.vectorize(scores=mapped.polygons, out=mapped.polygons, overwrite=True)
    with pytest.raises(ConfigError, match="does not say scores"):
        make_options(VectorizeOptions, {}, "test")


def test_nothing_found_is_said_aloud(scene, tmp_path, caplog):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    done = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "o.gpkg", threshold=1.0)
    assert done.n_polygons == 0
    assert "no polygon. No pixel is of a class or scored above its threshold" in caplog.text


def test_the_classes_of_a_map_give_its_polygons(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg", save_classes=True, **CLEANING)
    done = geocobot.vectorize(scores=mapped.classes, out=tmp_path / "again.gpkg", **CLEANING)
    assert done.totals == mapped.totals
    again = gpd.read_file(done.polygons, layer="again")
    before = gpd.read_file(mapped.polygons, layer="map")
    scores = ["score", "score_p10"]
    assert again[scores].isna().all(axis=None)
    assert_geodataframe_equal(again.drop(columns=scores), before.drop(columns=scores))


def test_thresholds_are_for_scores(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg", save_classes=True)
    for name, value in product(("threshold", "high_threshold"), (0.0, 0.5)):
        with pytest.raises(ConfigError, match=r"threshold is given, and .* holds class"):
            geocobot.vectorize(scores=mapped.classes, out=tmp_path / "no.gpkg", **{name: value})
    assert not (tmp_path / "no.gpkg").exists()


def test_classes_have_thresholds_of_their_own(scene, tmp_path):
    how = CLEANING | {"threshold": 0.6, "class_thresholds": ["dark=0.8"]}
    mapped = make_map(scene, tmp_path / "map" / "map.gpkg", **how)
    out = tmp_path / "again" / "map.gpkg"
    geocobot.vectorize(scores=mapped.scores, out=out, **how)
    assert out.read_bytes() == mapped.polygons.read_bytes()
    same = {
        t: geocobot.vectorize(scores=mapped.scores, out=tmp_path / f"{t}.fgb", threshold=t)
        for t in (0.6, 0.8)
    }
    areas = {name: t.area_m2 for name, t in zip(("bright", "dark"), mapped.totals, strict=True)}
    assert [t.name for t in mapped.totals] == ["bright", "dark"]
    assert areas["dark"] < same[0.6].totals[1].area_m2
    assert areas["bright"] >= same[0.6].totals[0].area_m2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["dusk=0.5"], "names dusk. The classes are bright, dark, each once"),
        (["dark=0.5", "dark=0.6"], "names dark twice"),
        (["dark"], "names dark. The classes are"),
        (["dark="], "gives dark the threshold nothing"),
        (["dark=1.5"], r"gives dark the threshold 1\.5. Thresholds are numbers from 0 to 1"),
        (["dark=nan"], "gives dark the threshold nan"),
    ],
)
def test_thresholds_that_are_none_are_refused(scene, tmp_path, given, message):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    with pytest.raises(ConfigError, match=message):
        geocobot.vectorize(scores=mapped.scores, out=tmp_path / "no.gpkg", class_thresholds=given)
    assert not (tmp_path / "no.gpkg").exists()


def test_hysteresis_of_map_and_vectorize_agree(scene, tmp_path):
    how = CLEANING | {"threshold": 0.4, "high_threshold": 0.6}
    mapped = make_map(scene, tmp_path / "map" / "map.gpkg", **how)
    out = tmp_path / "again" / "map.gpkg"
    geocobot.vectorize(scores=mapped.scores, out=out, **how)
    assert out.read_bytes() == mapped.polygons.read_bytes()
    low = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "low.gpkg", threshold=0.4)
    assert 0 < mapped.n_polygons < low.n_polygons


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".geojson", ".parquet"])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_a_raster_without_data_gives_a_valid_empty_layer(tmp_path, suffix, kind):
    raster, out = tmp_path / "nothing.tif", tmp_path / f"out{suffix}"
    place = {"crs": "EPSG:32631", "transform": Affine(2, 0, 5e5, 0, -2, 5e6), "dtype": kind}
    with rasterio.open(
        raster, "w", driver="GTiff", count=1, height=30, width=40, nodata=7, **place
    ) as sink:
        sink.write(np.full((30, 40), 7, dtype=kind), 1)
    done = geocobot.vectorize(scores=raster, out=out)
    assert done.n_polygons == 0
    if suffix == ".parquet":
        frame = gpd.read_parquet(out)
    else:
        frame = gpd.read_file(out, **({"layer": "out"} if suffix == ".gpkg" else {}))
    assert len(frame) == 0
    assert suffix == ".geojson" or list(frame.columns) == [*COLUMNS, "geometry"]


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """Scores of turned houses (class 1) and round tanks (class 2)."""
    grid = Affine(0.3, 0, 400_000, 0, -0.3, 5_000_000)
    shapes = []
    for n in range(12):
        x, y = 40 + 60 * (n % 4), 40 + 60 * (n // 4)
        house = shapely.affinity.rotate(shapely.box(x - 18, y - 12, x + 18, y + 12), 9 * n)
        shapes.append((house if n % 3 else shapely.Point(x, y).buffer(15), 1 + (n % 3 == 0)))
    classes = rasterize(shapes, (200, 270), dtype="uint8")
    path = tmp_path_factory.mktemp("houses") / "town.tif"
    profile = {"driver": "GTiff", "width": 270, "height": 200, "count": 2, "dtype": "float32"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=grid) as file:
        for band, name in enumerate(("house", "tank"), start=1):
            file.write(np.where(classes == band, np.float32(0.9), np.float32(0.1)), band)
            file.set_band_description(band, name)
    return path


def test_squared_houses_have_few_corners_and_tell_what_it_cost(houses, tmp_path, caplog):
    with caplog.at_level("INFO", "geocobot.workflows"):
        found = geocobot.vectorize(
            scores=houses, out=tmp_path / "a.gpkg", regularize=True, regularize_classes=["house"]
        )
    house, tank = found.totals
    assert house.squaring is not None
    assert (house.squaring.squared, house.squaring.left) == (8, 0)
    assert 0.9 < house.squaring.least_iou <= house.squaring.mean_iou < 1
    assert tank.squaring is None
    line = (
        f"squared   house: 8 of 8 outlines, IoU with what they were {house.squaring.mean_iou:.3f}"
    )
    assert line in found.summary()
    assert line in caplog.text
    drawn = gpd.read_file(found.polygons, layer="a")
    corners = drawn[drawn["class_name"] == "house"].geometry.count_coordinates()
    assert corners.tolist() == [5] * 8
    assert read_yaml(found.config)["regularize_classes"] == ["house"]


def test_all_classes_are_squared_unless_named_and_round_ones_stay(houses, tmp_path):
    found = geocobot.vectorize(scores=houses, out=tmp_path / "a.gpkg", regularize=True)
    house, tank = found.totals
    assert house.squaring is not None
    assert tank.squaring is not None
    assert (house.squaring.squared, tank.squaring.squared, tank.squaring.left) == (8, 0, 4)


def test_smoothing_rounds_what_is_not_squared(houses, tmp_path):
    plain, smooth, both = (
        gpd.read_file(geocobot.vectorize(scores=houses, out=tmp_path / name, **options).polygons)
        for name, options in {
            "plain.fgb": {},
            "smooth.fgb": {"smooth": 2.0},
            "both.fgb": {"smooth": 2.0, "regularize": True, "regularize_classes": "house"},
        }.items()
    )
    for frame in (smooth, both):
        tanks, before = (f[f["class_name"] == "tank"].geometry for f in (frame, plain))
        assert (tanks.count_coordinates().to_numpy() > before.count_coordinates().max()).all()
        assert tanks.area.sum() == pytest.approx(before.area.sum(), rel=0.02)
    assert (both[both["class_name"] == "house"].count_coordinates() == 5).all()
    assert (smooth[smooth["class_name"] == "house"].count_coordinates() > 10).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regularize_classes": ["house"]}, "names house, and nothing is squared.*--regularize"),
        (
            {"regularize": True, "regularize_classes": ["house", "barn"]},
            "names barn. The classes are house, tank",
        ),
        ({"smooth": -1.0}, "smooth"),
    ],
)
def test_what_cannot_be_squared_is_refused(houses, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        geocobot.vectorize(scores=houses, out=tmp_path / "a.gpkg", **options)
    assert not list(tmp_path.iterdir())


def test_a_map_is_squared_and_rounded_as_its_scores_are(scene, tmp_path):
    options = CLEANING | {"regularize": True, "smooth": 1.5}
    mapped = make_map(scene, tmp_path / "map" / "map.gpkg", **options)
    out = tmp_path / "again" / "map.gpkg"
    again = geocobot.vectorize(scores=mapped.scores, out=out, **options)
    assert out.read_bytes() == mapped.polygons.read_bytes()
    assert again.totals == mapped.totals
    assert again.totals[0].squaring is not None
    assert f"squared   {again.totals[0].name}: " in mapped.summary()


def project_of(path):
    with zipfile.ZipFile(path) as archive:
        return ET.fromstring(archive.read(f"{path.stem}.qgs"))


def titles(root):
    return [la.findtext("layername") for la in root.iter("maplayer")]


def test_a_qgis_project_shows_results_over_their_scene(scene, tmp_path):
    folder = tmp_path / "map"
    folder.mkdir()
    scene = shutil.copy(scene, folder / "scene.tif")
    mapped = make_map(scene, folder / "map.gpkg", qgis_project=True, **CLEANING)
    assert f"project   {mapped.project}" in mapped.summary()
    root = project_of(mapped.project)
    assert titles(root) == ["map", "map_classes", "Scores of bright", "Scores of dark", "scene"]
    extent = {e.tag: float(e.text) for e in root.find("mapcanvas/extent")}
    west, south, east, north = gpd.read_file(mapped.polygons, layer="map").total_bounds
    assert extent["xmin"] < west < east < extent["xmax"]
    assert (extent["xmax"] - extent["xmin"]) / (east - west) == pytest.approx(1.1)
    assert extent["ymin"] < south < north < extent["ymax"]


def test_the_scene_of_a_raster_of_scores_is_found_beside_it(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    out = tmp_path / "out" / "roads.fgb"
    done = geocobot.vectorize(scores=mapped.scores, out=out, qgis_project=True)
    assert done.project == out.with_suffix(".qgz")
    assert f"project   {done.project}" in done.summary()
    root = project_of(done.project)
    assert titles(root) == ["roads", "Scores of bright", "Scores of dark", "scene"]
    assert root.find("projectlayers")[-1].findtext("datasource") == "../scene.tif"
    assert [n.get("checked") for n in root.iter("layer-tree-layer")][1] == "Qt::Unchecked"
    Path(scene).write_text("no raster any more")
    again = geocobot.vectorize(scores=mapped.scores, out=out, qgis_project=True, overwrite=True)
    root = project_of(again.project)
    assert titles(root)[-1] == "Scores of dark"
    assert [n.get("checked") for n in root.iter("layer-tree-layer")][1] == "Qt::Checked"


def test_without_being_asked_one_layer_needs_no_project(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    done = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "o.gpkg")
    assert done.project is mapped.project is None
    assert not list(tmp_path.glob("*.qgz"))


def test_two_layers_get_a_project_unless_refused(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    lines = geocobot.vectorize(
        scores=mapped.scores, out=tmp_path / "o.gpkg", centerlines=True, bridge_gaps=5.0
    )
    assert lines.project == tmp_path / "o.qgz"
    assert titles(project_of(lines.project))[:2] == ["o_centerlines", "o"]
    styles = gpd.read_file(lines.polygons, layer="layer_styles")
    assert set(styles["f_table_name"]) == {"o", "o_centerlines"}
    refused = geocobot.vectorize(
        scores=mapped.scores, out=tmp_path / "p.gpkg", centerlines=True, qgis_project=False
    )
    assert refused.project is None
    assert not (tmp_path / "p.qgz").exists()


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".geojson", ".parquet", ".shp"])
def test_classes_give_the_centerlines_of_their_scores(scene, tmp_path, suffix):
    mapped = make_map(scene, tmp_path / "map.gpkg", save_classes=True)
    found = []
    for raster, name in ((mapped.scores, "scores"), (mapped.classes, "classes")):
        done = geocobot.vectorize(
            scores=raster, out=tmp_path / f"{name}{suffix}", centerlines=True, min_area=0
        )
        found.append([(t.lines, round(t.length_m, 3)) for t in done.totals])
        if suffix != ".gpkg":
            assert done.centerlines == tmp_path / f"{name}_centerlines{suffix}"
            assert done.centerlines.with_suffix(".qml").exists()
    assert found[0] == found[1]
    assert sum(lines for lines, _ in found[0]) > 5
    layer = {"layer": "classes_centerlines"} if suffix == ".gpkg" else {}
    read = gpd.read_parquet if suffix == ".parquet" else gpd.read_file
    frame = read(done.centerlines, **layer)
    assert frame["score"].isna().all()
    assert (frame["width_m"] > 0).all()


def test_the_license_is_handed_on_from_the_scores_unless_another_is_given(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg", license="CC BY 4.0")
    for given, expected in ((None, "CC BY 4.0"), ("ODbL", "ODbL")):
        out = tmp_path / f"{expected}.gpkg"
        geocobot.vectorize(scores=mapped.scores, out=out, license=given)
        with closing(sqlite3.connect(out)) as db:
            (text,) = db.execute("SELECT metadata FROM gpkg_metadata").fetchone()
        root = ET.fromstring(text)
        assert root.findtext("license") == expected
        assert f"Scenes: {Path(scene).name}" in [h.text for h in root.iter("history")]


@pytest.mark.parametrize("name", ["o.gpkg", "o.fgb", "o.geojson", "o.shp", "o.parquet"])
def test_nodata_everywhere_gives_an_empty_layer_with_all_columns(tmp_path, name):
    raster = tmp_path / "scores.tif"
    grid = GeoGrid(CRS("EPSG:32631"), Affine(2, 0, 5e5, 0, -2, 5e6), (80, 120))
    with ScoreWriter(raster, grid, name_classes(["road"])) as writer:
        nothing = np.zeros((1, 80, 120), np.float32)
        writer.write(Strip.of(0, nothing, np.zeros((80, 120), bool)))
    done = geocobot.vectorize(scores=raster, out=tmp_path / name, qgis_project=True)
    assert done.n_polygons == 0
    layer = {"layer": "o"} if name.endswith("gpkg") else {}
    read = gpd.read_parquet if name.endswith("parquet") else gpd.read_file
    frame = read(done.polygons, **layer)
    assert len(frame) == 0
    if not name.endswith("geojson"):  # which has no place for columns without features
        columns = set(frame.rename(columns={"perim_m": "perimeter_m"}).columns)
        assert {"class_id", "class_name", "score", "area_m2", "perimeter_m"} <= columns
        assert CRS(frame.crs) == grid.crs
    extent = {e.tag: float(e.text) for e in project_of(done.project).find("mapcanvas/extent")}
    assert extent["xmin"] < grid.bounds[0] < grid.bounds[2] < extent["xmax"]
