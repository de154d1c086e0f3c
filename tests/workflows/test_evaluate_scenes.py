"""`geocobot evaluate` with several maps and scenes."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.features import rasterize
from rasterio.windows import Window
from typer.testing import CliRunner

import geocobot
from geocobot.classes import name_classes
from geocobot.cli.app import app
from geocobot.errors import ConfigError, GridMismatchError, OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.scores import ScoreWriter
from geocobot.tiling import Strip
from geocobot.yaml_file import read_yaml

WEST, NORTH = 500_000.0, 5_000_000.0
SHAPE = (240, 200)
CLASSES = tuple(replace(spec, threshold=0.4) for spec in name_classes(["roof"]))
GRID = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, WEST, 0, -1, NORTH), SHAPE)
EAST = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, WEST + 1000, 0, -1, NORTH), SHAPE)


def at(col, row, width=30, height=20):
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


ROOFS = [at(15 + 60 * k, 15 + 60 * n) for k in range(3) for n in range(4)]
EAST_ROOFS = [at(1015 + 60 * k, 15 + 60 * n) for k in range(3) for n in range(3)]


def steps_of(grid, shapes, *, shift=2, seed=0):
    """Scores (1, H, W) of shapes, a little beside them and noisy."""
    burnt = rasterize(shapes, grid.shape, transform=grid.transform, dtype="uint8")
    noise = np.random.default_rng(seed).normal(0, 20, grid.shape)
    found = 60 + 140 * np.roll(burnt, shift, axis=1) + noise
    return found.clip(0, 254).astype(np.uint8)[None]


def write_scores(path, grid, steps):
    path.parent.mkdir(exist_ok=True)
    with ScoreWriter(path, grid, CLASSES) as sink:
        sink.write(Strip(0, steps))
    return path


@pytest.fixture
def labels(labels_factory):
    return labels_factory(ROOFS + EAST_ROOFS, name="truth.gpkg")


@pytest.fixture
def scores(tmp_path):
    """Two scenes a kilometre apart, the second one mapped worse."""
    return [
        write_scores(tmp_path / "west_pred_scores.tif", GRID, steps_of(GRID, ROOFS)),
        write_scores(
            tmp_path / "east_pred_scores.tif", EAST, steps_of(EAST, EAST_ROOFS, shift=12, seed=1)
        ),
    ]


@pytest.fixture
def rasters(scene_factory):
    return [
        scene_factory("west.tif", shape_hw=SHAPE),
        scene_factory("east.tif", shape_hw=SHAPE, origin_xy=(WEST + 1000, NORTH)),
    ]


@pytest.fixture
def polygons(scores, tmp_path):
    """The same as polygons, in a folder."""
    found = []
    for path in scores:
        out = tmp_path / "maps" / path.name.replace("_scores.tif", ".gpkg")
        geocobot.vectorize(scores=path, out=out, min_area=0.0, simplify=0.0, close_holes=0.0)
        found.append(out)
    return found


def confusion(result):
    return np.array(result.pixels.scores.confusion)


def test_the_figures_of_scenes_add_up_and_stand_beside_each_other(scores, labels, tmp_path):
    out = tmp_path / "judged"
    together = geocobot.evaluate(pred=scores, labels=labels, out=out)
    apart = [geocobot.evaluate(pred=path, labels=labels) for path in scores]
    assert np.array_equal(confusion(together), sum(confusion(one) for one in apart))
    assert [s.scores for s in together.scenes] == [one.pixels.scores for one in apart]
    sure = [one.pixels.uncertainty for one in apart]
    assert [s.uncertainty for s in together.scenes] == sure
    assert together.pixels.uncertainty.blocks == sum(s.blocks for s in sure)
    halves = [one.objects.objects.classes[0].by_iou[0] for one in (together, *apart)]
    assert halves[0].found == halves[1].found + halves[2].found
    assert halves[0].missed == halves[1].missed + halves[2].missed
    assert (together.prediction, together.scene, together.shape) == (None, None, None)
    text = together.summary()
    assert "pixels judged in 2 scenes" in text
    rows = [line.split()[0] for line in text.partition("worst first")[2].splitlines()[1:3]]
    assert rows == ["east_pred_scores", "west_pred_scores"]
    figures = json.loads((out / "evaluation.json").read_text())
    assert [s["name"] for s in figures["scenes"]] == ["west_pred_scores", "east_pred_scores"]
    page = (out / "report.html").read_text("utf-8")
    assert "Worst in east_pred_scores (IoU" in page
    assert page.index("<h3>east_pred_scores") < page.index("<h3>west_pred_scores")


@pytest.mark.parametrize("cut", [1, 77, 120, 239])
def test_a_scene_cut_in_two_files_has_its_pixel_figures(cut, labels, tmp_path):
    steps = steps_of(GRID, ROOFS)
    below = GeoGrid(GRID.crs, GRID.transform @ Affine.translation(0, cut), (SHAPE[0] - cut, 200))
    above = replace(GRID, shape=(cut, 200))
    whole = write_scores(tmp_path / "whole.tif", GRID, steps)
    parts = [
        write_scores(tmp_path / "above.tif", above, steps[:, :cut]),
        write_scores(tmp_path / "below.tif", below, steps[:, cut:]),
    ]
    one, two = (geocobot.evaluate(pred=pred, labels=labels) for pred in (whole, parts))
    assert two.pixels.scores == one.pixels.scores
    assert two.pixels.curves == one.pixels.curves
    assert two.pixels.calibration == one.pixels.calibration
    if cut in {1, 120}:  # no roof is cut there
        half, wanted = (r.objects.objects.classes[0].by_iou[0] for r in (two, one))
        assert (half.found, half.missed) == (wanted.found, wanted.missed)


def test_scenes_of_other_crs_and_pixels_count_by_pixels_and_meet_in_one_error_map(
    scores, labels, tmp_path
):
    coarse = GeoGrid(CRS.from_epsg(32634), Affine(2, 0, WEST, 0, -2, NORTH), (120, 100))
    away = [shapely.affinity.translate(roof, 0, 0) for roof in ROOFS[:6]]
    third = write_scores(tmp_path / "third.tif", coarse, steps_of(coarse, away, seed=3))
    there = gpd.GeoSeries(away, crs=32634).to_crs(32633)
    truth = gpd.GeoDataFrame(geometry=[*gpd.read_file(labels).geometry, *there], crs=32633)
    truth.to_file(tmp_path / "all.gpkg", engine="pyogrio")
    out = tmp_path / "judged"
    result = geocobot.evaluate(pred=[*scores, third], labels=tmp_path / "all.gpkg", out=out)
    assert result.pixels.scores.judged_px == 2 * 240 * 200 + 120 * 100
    assert result.scenes[2].pixel_m == pytest.approx((2, 2), rel=1e-3)
    assert "1 x 1 to 2 x 2 m each" in result.summary()
    for layer in ("look_here_first", "false_negative", "false_positive", "true_positive"):
        frame = gpd.read_file(result.error_map, layer=layer)
        assert frame.crs.to_epsg() == 4326
        assert set(frame["scene"]) <= {"west_pred_scores", "east_pred_scores", "third"}
    places = gpd.read_file(result.error_map, layer="look_here_first")
    assert places["rank"].tolist() == list(range(1, len(places) + 1))
    right = gpd.read_file(result.error_map, layer="true_positive")
    assert right[right["scene"] == "third"]["area_m2"].sum() == pytest.approx(
        result.scenes[2].scores.confusion[1][1] * 4, rel=1e-2
    )
    assert "Pixels are those of each scene" in (out / "report.html").read_text("utf-8")


@pytest.mark.parametrize("turned", [False, True])
def test_rasters_belong_to_the_maps_that_are_called_after_them(
    polygons, rasters, labels, turned, caplog
):
    order = slice(None, None, -1 if turned else 1)
    result = geocobot.evaluate(pred=polygons, labels=labels, raster=rasters[order])
    assert [scene.scene for scene in result.scenes] == rasters
    assert "in which they are named" not in caplog.text


def test_else_their_order_tells(scores, rasters, labels, caplog, tmp_path):
    caplog.set_level("INFO", "geocobot")
    named = [path.rename(tmp_path / f"{k}.tif") for k, path in enumerate(scores)]
    result = geocobot.evaluate(pred=named, labels=labels, raster=rasters)
    assert [scene.scene for scene in result.scenes] == rasters
    assert "belong together in the order in which they are named" in caplog.text


def test_a_folder_of_maps_is_judged_in_the_scenes_that_their_options_name(
    polygons, scores, labels, tmp_path
):
    lines = gpd.GeoDataFrame(geometry=[shapely.LineString([(0, 0), (9, 9)])], crs=32633)
    lines.to_file(polygons[0].with_name("west_pred_centerlines.gpkg"), engine="pyogrio")
    result = geocobot.evaluate(pred=tmp_path / "maps", labels=labels)
    assert [s.prediction for s in result.scenes] == polygons[::-1]
    assert [s.scene for s in result.scenes] == scores[::-1]
    assert result.kind == "polygons"


def test_one_map_may_show_several_scenes(polygons, rasters, labels, tmp_path):
    frames = [gpd.read_file(path, layer=path.stem) for path in polygons]
    city = tmp_path / "city.gpkg"
    shapes = [shape for frame in frames for shape in frame.geometry]
    named = {
        "class_name": ["roof"] * len(shapes),
        "score": [score for frame in frames for score in frame["score"]],
    }
    gpd.GeoDataFrame(named, geometry=shapes, crs=32633).to_file(city, engine="pyogrio")
    wanted = geocobot.evaluate(pred=polygons, labels=labels, raster=rasters)
    by_name = geocobot.evaluate(pred=city, labels=labels, raster=rasters)
    assert by_name.pixels == wanted.pixels
    assert by_name.prediction == city
    assert by_name.objects == wanted.objects
    record = city.with_name("city_options.yaml")
    record.write_text(json.dumps({"raster": [str(path) for path in rasters]}))
    assert geocobot.evaluate(pred=city, labels=labels).pixels == wanted.pixels
    rasters[1].unlink()
    with pytest.raises(ConfigError, match="has polygons, and nothing tells in which pixels"):
        geocobot.evaluate(pred=city, labels=labels)


def test_a_raster_of_many_scenes_is_judged_in_each(scene_factory, labels, tmp_path):
    left = scene_factory("left.tif", shape_hw=(240, 90))
    image = np.full((3, 300, 130), 9, np.uint8)
    image[:, :, 100:] = 0
    right = scene_factory("right.tif", image=image, nodata=0, origin_xy=(WEST + 100, NORTH + 20))
    steps = steps_of(GRID, ROOFS)
    path = write_scores(tmp_path / "both_scores.tif", GRID, steps)
    parts = [
        write_scores(tmp_path / f"{c}.tif", GRID.crop(Window(c, 0, n, 240)), steps[:, :, c : c + n])
        for c, n in ((0, 90), (100, 100))
    ]
    wanted = geocobot.evaluate(pred=parts, labels=labels)
    result = geocobot.evaluate(
        pred=path, labels=labels, raster=[left, right], out=tmp_path / "judged"
    )
    assert [scene.name for scene in result.scenes] == ["left", "right"]
    assert [scene.scores for scene in result.scenes] == [s.scores for s in wanted.scenes]
    assert result.pixels.curves == wanted.pixels.curves
    assert result.pixels.boundaries == wanted.pixels.boundaries
    assert result.objects == wanted.objects
    assert result.prediction == path


def test_a_raster_does_not_show_what_lies_elsewhere(scene_factory, labels, tmp_path):
    path = write_scores(tmp_path / "scores.tif", GRID, steps_of(GRID, ROOFS))
    here = scene_factory("here.tif", shape_hw=SHAPE)
    away = scene_factory("away.tif", shape_hw=SHAPE, origin_xy=(WEST + 9000, NORTH))
    other = scene_factory("other.tif", shape_hw=SHAPE, crs="EPSG:32634")
    with pytest.raises(GridMismatchError, match=r"away\.tif lies elsewhere, and .* in EPSG:32633"):
        geocobot.evaluate(pred=path, labels=labels, raster=[here, away])
    with pytest.raises(GridMismatchError, match=r"other\.tif has EPSG:32634, and .* EPSG:32633"):
        geocobot.evaluate(pred=path, labels=labels, raster=[here, other])


def test_roads_of_scenes_add_up(labels_factory, tmp_path):
    found, drawn = [], []
    for k, grid in enumerate((GRID, EAST)):
        west = WEST + 1000 * k
        rows = (65, 145)
        drawn += [shapely.LineString([(west, NORTH - r), (west + 200, NORTH - r)]) for r in rows]
        steps = np.full((1, *SHAPE), 10, np.uint8)
        for row in rows[: 2 - k]:  # the second scene lacks a road
            steps[0, row - 4 : row + 5] = 250
        path = write_scores(tmp_path / f"{k}.tif", grid, steps)
        found.append(tmp_path / "roads" / f"{k}.gpkg")
        geocobot.vectorize(scores=path, out=found[-1], centerlines=True, simplify=0)
    how = {"labels": labels_factory(drawn, name="roads.gpkg"), "line_width": 9.0}
    result = geocobot.evaluate(pred=found, out=tmp_path / "judged", **how)
    apart = [geocobot.evaluate(pred=path, **how).objects.lines.classes[0] for path in found]
    (joint,) = result.objects.lines.classes
    assert result.objects.objects is None
    assert joint.truth_m == pytest.approx(800, abs=1)
    assert joint.completeness == pytest.approx(0.75, abs=0.03)
    assert joint.apls.value == pytest.approx(sum(c.apls.value for c in apart) / 2)
    missed = pyogrio.read_dataframe(result.error_map, layer="false_negative_lines")
    assert missed["length_m"].sum() == pytest.approx(joint.truth_m - joint.found_m, abs=0.1)
    assert set(missed.loc[missed["length_m"] > 100, "scene"]) == {"1"}
    places = pyogrio.read_dataframe(result.error_map, layer="look_here_first")
    assert places["scene"][0] == "1"
    assert result.report.read_text(encoding="utf-8").count("errors of lines on its right") == 2


def test_scenes_that_overlap_are_told_of_with_figures(labels, tmp_path, caplog):
    beside = GeoGrid(GRID.crs, GRID.transform @ Affine.translation(150, 0), SHAPE)
    pred = [
        write_scores(tmp_path / f"{name}.tif", grid, steps_of(grid, ROOFS))
        for name, grid in (("a", GRID), ("b", beside))
    ]
    result = geocobot.evaluate(pred=pred, labels=labels)
    assert "a and b overlap by up to 1.2 ha (25 % of the smaller one)" in caplog.text
    assert result.pixels.scores.judged_px == 2 * 240 * 200


def test_a_scene_without_a_label_is_background_and_told_of(scores, labels_factory, caplog):
    west = labels_factory(ROOFS, name="west.gpkg")
    result = geocobot.evaluate(pred=scores, labels=west)
    assert result.scenes[1].labelled_px == 0
    assert result.pixels.scores.classes[0].predicted_px > 0
    assert (
        "west.gpkg has nothing on east_pred_scores: all that is mapped there counts as false"
        in caplog.text
    )


def test_a_scene_in_which_nothing_is_judged_is_told_of(scores, labels, labels_factory, caplog):
    known = labels_factory([at(0, 0, 200, 240)], name="known.gpkg")
    result = geocobot.evaluate(pred=scores, labels=labels, labelled_area=known)
    assert "east_pred_scores: nothing is judged there" in caplog.text
    assert result.scenes[1].scores.mean_iou is None
    alone = geocobot.evaluate(pred=scores[0], labels=labels, labelled_area=known)
    assert result.pixels.scores == alone.pixels.scores
    rows = result.summary().partition("worst first")[2].splitlines()[1:3]
    assert rows[1].split()[:2] == ["east_pred_scores", "-"]


def test_a_scene_outside_of_the_area_is_left_out(scores, labels, labels_factory, caplog):
    area = labels_factory([at(1000, 0, 100, 240)], name="area.gpkg")
    result = geocobot.evaluate(pred=scores, labels=labels, area=area)
    assert [scene.name for scene in result.scenes] == ["east_pred_scores"]
    assert "area.gpkg has nothing on west_pred_scores, which is not judged" in caplog.text
    nowhere = labels_factory([at(9000, 0)], name="nowhere.gpkg")
    with pytest.raises(OverlapError, match="has nothing on west_pred_scores and east_pred_scores"):
        geocobot.evaluate(pred=scores, labels=labels, area=nowhere)


def test_a_map_that_found_nothing_of_a_class_has_missed_it(labels_factory, rasters, caplog):
    west = labels_factory(ROOFS, name="west_pred.gpkg", class_name=["roof"] * len(ROOFS))
    east = labels_factory(EAST_ROOFS, name="east_pred.gpkg", class_name=["road"] * len(EAST_ROOFS))
    truth = labels_factory(ROOFS + EAST_ROOFS, name="roof.gpkg")
    result = geocobot.evaluate(pred=[west, east], labels=truth, raster=rasters)
    assert [scene.scores.mean_iou for scene in result.scenes] == [1.0, 0.0]
    assert "east_pred.gpkg has nothing of roof, which roof.gpkg has" in caplog.text


def test_different_thresholds_are_told_of_and_kept(scores, labels, tmp_path, caplog):
    other = tmp_path / "other.tif"
    with ScoreWriter(other, EAST, [replace(CLASSES[0], threshold=0.6)]) as sink:
        sink.write(Strip(0, steps_of(EAST, EAST_ROOFS)))
    result = geocobot.evaluate(pred=[scores[0], other], labels=labels)
    assert [scene.classes[0].threshold for scene in result.scenes] == [0.4, 0.6]
    assert "have different thresholds; each is judged with its own" in caplog.text


def test_the_report_shows_the_worst_scenes_and_lists_all(labels_factory, tmp_path):
    grids = [
        GeoGrid(GRID.crs, GRID.transform @ Affine.translation(300 * k, 0), (80, 80))
        for k in range(8)
    ]
    roofs = [at(300 * k + 20, 20) for k in range(8)]
    pred = [
        write_scores(tmp_path / f"s{k}.tif", grid, steps_of(grid, roofs, shift=k))
        for k, grid in enumerate(grids)
    ]
    truth = labels_factory(roofs)
    result = geocobot.evaluate(pred=pred, labels=truth, out=tmp_path / "judged")
    page = result.report.read_text("utf-8")
    shown = [part.partition(":")[0] for part in page.split("<h3>")[1:]]
    assert shown[:6] == ["s7", "s6", "s5", "s4", "s3", "s2"]
    assert "The 6 worst of 8 scenes." in page
    assert "Map 8" in page


def test_the_project_shows_errors_over_all_scenes(polygons, rasters, labels, tmp_path):
    out = tmp_path / "judged"
    geocobot.evaluate(pred=polygons, labels=labels, raster=rasters, out=out)
    with zipfile.ZipFile(out / "errors.qgz") as archive:
        text = archive.read("errors.qgs").decode()
    assert "../west.tif" in text
    assert "../east.tif" in text
    assert read_yaml(out / "options.yaml")["pred"] == [str(path) for path in polygons]


def test_the_command_takes_several(scores, labels, rasters):
    words = ["evaluate", "--labels", str(labels)]
    words += [word for path in scores for word in ("--pred", str(path))]
    words += [word for path in rasters for word in ("--raster", str(path))]
    shown = CliRunner().invoke(app, [*words, "--json"])
    assert shown.exit_code == 0, shown.stderr
    assert len(json.loads(shown.stdout)["scenes"]) == 2


def test_real_scenes_of_one_place_are_judged_together(real_data: Path):
    folder = real_data / "kampala_buildings"
    truth = folder / "labels.geojson"
    result = geocobot.evaluate(
        pred=truth, labels=truth, raster=[folder / "scene_a.tif", folder / "scene_b.tif"]
    )
    assert [scene.name for scene in result.scenes] == ["scene_a", "scene_b"]
    assert min(scene.scores.mean_iou for scene in result.scenes) > 0.998
    assert result.pixels.uncertainty.scenes == 2
