"""What is compared as an object or as a line: nothing is lost without a word."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.features import rasterize
from shapely import LineString
from shapely.affinity import translate

import geocobot
from geocobot.classes import name_classes
from geocobot.errors import ConfigError, CrsError, FieldError
from geocobot.grid import GeoGrid
from geocobot.io.scores import ScoreWriter
from geocobot.tiling import Strip

WEST, NORTH = 500_000.0, 5_000_000.0
SHAPE = (200, 200)
CLASSES = tuple(replace(spec, threshold=0.4) for spec in name_classes(["road"]))


def at(col, row, width=10, height=10):
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


HOUSES = [at(10 + 30 * k, 10 + 30 * n) for k in range(6) for n in range(6)]
TRANSFORM = Affine(1, 0, WEST, 0, -1, NORTH)
STRAY = LineString([(WEST + 100_000, NORTH), (WEST + 100_010, NORTH)])
FENCE = LineString([(WEST + 5, NORTH - 5), (WEST + 8, NORTH - 5)])


def burnt(shapes):
    return rasterize(shapes, SHAPE, transform=TRANSFORM, dtype="uint8")


def half_of(result):
    """Found, false, missed at an overlap of a half."""
    half = result.objects.objects.classes[0].by_iou[0]
    return half.found, half.false, half.missed


@pytest.fixture
def houses(scene_factory):
    return scene_factory("houses.tif", image=burnt(HOUSES))


@pytest.mark.parametrize(
    ("crs", "res", "origin"),
    [("EPSG:3857", 10.0, (1_000_000.0, 8_399_737.0)), ("EPSG:4326", 1e-4, (15.0, 60.0))],
)
def test_objects_along_the_edges_of_a_wide_scene_are_whole(scene_factory, crs, res, origin):
    image = np.zeros((40, 6000), np.uint8)
    columns = range(100, 5900, 200)
    for col in columns:
        image[:4, col : col + 6] = image[36:, col : col + 6] = 1
    how = {"image": image, "crs": crs, "res": res, "origin_xy": origin}
    pred, labels = (scene_factory(f"{name}.tif", **how) for name in ("map", "truth"))
    result = geocobot.evaluate(pred=pred, labels=labels)
    objects = result.objects.objects
    assert half_of(result) == (2 * len(columns), 0, 0)
    assert (objects.truth_left_out, objects.predicted_left_out) == (0, 0)
    drawn_m2 = result.pixels.scores.classes[0].truth_px * np.prod(result.pixel_m)
    assert sum(size.truth_m2 for size in objects.classes[0].sizes) == pytest.approx(
        drawn_m2, rel=1e-3
    )


@pytest.mark.parametrize("boundary_px", [1, 3])
def test_outlines_that_are_not_exact_take_no_object_away(houses, labels_factory, boundary_px):
    truth = labels_factory(HOUSES, name="truth.gpkg")
    drawn = labels_factory(HOUSES, name="drawn.gpkg", class_name=["house"] * len(HOUSES))
    for how in ({"pred": houses}, {"pred": drawn, "raster": houses}):
        result = geocobot.evaluate(labels=truth, ignore_boundary=boundary_px, **how)
        assert half_of(result) == (36, 0, 0)
        assert result.objects.objects.truth_left_out == 0
        assert result.objects.objects.classes[0].panoptic.pq == pytest.approx(1.0)


def test_specks_are_objects_of_neither_raster(scene_factory):
    image = burnt([*HOUSES, *(at(2 + 6 * k, 2, 2, 2) for k in range(20))])
    pred, labels = (scene_factory(f"{name}.tif", image=image) for name in ("map", "truth"))
    for min_area, found in ((10.0, 36), (0.0, 56)):
        result = geocobot.evaluate(pred=pred, labels=labels, min_area=min_area)
        assert half_of(result) == (found, 0, 0)


def test_a_line_far_away_takes_no_objects_away(houses, labels_factory, caplog):
    labels = labels_factory([*HOUSES, STRAY])
    assert half_of(geocobot.evaluate(pred=houses, labels=labels, line_width=4)) == (36, 0, 0)
    assert "beside polygons" not in caplog.text


def test_a_line_among_polygons_is_told_of(houses, labels_factory, caplog):
    labels = labels_factory([*HOUSES, FENCE])
    assert geocobot.evaluate(pred=houses, labels=labels, line_width=4).objects.objects is None
    assert (
        "labels.gpkg has lines or points beside polygons of class labels, whose objects are not "
        "compared for that reason." in caplog.text
    )


def test_what_is_compared_is_the_same_in_all_scenes(houses, scene_factory, labels_factory, caplog):
    """A line on the second scene alone takes the objects of both, and says so once."""
    far = 5000
    east = scene_factory(
        "east.tif", image=burnt(HOUSES), transform=TRANSFORM @ Affine.translation(far, 0)
    )
    shapes = [*HOUSES, *(translate(house, far) for house in HOUSES)]
    for line, found in ((STRAY, 72), (translate(FENCE, far), 0)):
        labels = labels_factory([*shapes, line], name=f"truth_{found}.gpkg")
        result = geocobot.evaluate(pred=[houses, east], labels=labels, line_width=4)
        if found:
            assert half_of(result) == (found, 0, 0)
        else:
            assert result.objects.objects is None
    assert caplog.text.count("lines or points beside polygons") == 1


def test_scores_that_tell_objects_apart_are_judged_as_polygons(
    scene_factory, labels_factory, caplog
):
    walls, inner = np.zeros((2, 80, 80), np.uint8)
    walls[20:40, 10:50] = 240
    inner[23:37, 13:27] = inner[23:37, 33:47] = 250
    scores = scene_factory("scores.tif", image=np.stack([walls, inner]), nodata=255)
    with rasterio.open(scores, "r+") as sink:
        sink.update_tags(1, CLASS="1", COLOR="#ff0000", THRESHOLD="0.5")
        sink.update_tags(2, PLANE="interior")
        sink.descriptions, sink.scales = ("house", "interior"), (1 / 254, 1 / 254)
    labels = labels_factory([at(10, 20, 20, 20), at(30, 20, 20, 20)])
    said = "scores.tif: objects that touch count as one here"
    geocobot.evaluate(pred=scores, labels=labels, objects=False)
    assert said not in caplog.text
    assert half_of(geocobot.evaluate(pred=scores, labels=labels)) == (1, 0, 1)
    assert said in caplog.text


@pytest.fixture
def road(tmp_path):
    """Scores with one road, and the polygons and lines of a map made of them."""

    def make(name: str, found: bool = True, centerlines: bool = True, east: int = 0) -> Path:
        steps = np.full((1, *SHAPE), 10, np.uint8)
        if found:
            steps[0, 95:105] = 250
        grid = GeoGrid(CRS.from_epsg(32633), TRANSFORM @ Affine.translation(east, 0), SHAPE)
        scores = tmp_path / f"{Path(name).stem}_scores.tif"
        with ScoreWriter(scores, grid, CLASSES) as sink:
            sink.write(Strip(0, steps))
        geocobot.vectorize(scores=scores, out=tmp_path / name, centerlines=centerlines, simplify=0)
        return tmp_path / name

    return make


def road_at(east=0):
    return LineString([(WEST + east, NORTH - 100), (WEST + east + 200, NORTH - 100)])


def test_lines_of_a_renamed_geopackage_are_found(road, labels_factory, tmp_path):
    first = road("first.gpkg")
    renamed = Path(shutil.copy(first, tmp_path / "renamed.gpkg"))
    (part,) = geocobot.evaluate(
        pred=renamed,
        pred_layer="first",
        labels=labels_factory([road_at()], name="road.gpkg"),
        raster=tmp_path / "first_scores.tif",
        line_width=10,
    ).objects.lines.classes
    assert part.completeness == pytest.approx(1.0, abs=0.05)


def test_lines_without_a_crs_are_refused(road, labels_factory, tmp_path):
    path = road("map.shp")
    (tmp_path / "map_centerlines.prj").unlink()
    with pytest.raises(CrsError, match=r"map_centerlines\.shp has no CRS\. .* the centerlines\. "):
        geocobot.evaluate(
            pred=path,
            labels=labels_factory([road_at()], name="road.gpkg"),
            raster=tmp_path / "map_scores.tif",
            line_width=10,
        )


@pytest.mark.parametrize("has_lines", [True, False])
def test_a_map_without_lines_among_others_is_told_of(road, labels_factory, caplog, has_lines):
    maps = [road("a.gpkg"), road("b.gpkg", centerlines=has_lines, east=1000)]
    labels = labels_factory([road_at(), road_at(1000)], name="road.gpkg")
    (part,) = geocobot.evaluate(pred=maps, labels=labels, line_width=10).objects.lines.classes
    assert part.truth_m == pytest.approx(400 if has_lines else 200, rel=1e-3)
    said = "No centerlines of b_scores are compared: roads there are in no figure"
    assert (said in caplog.text) is not has_lines


def test_nodata_of_a_scene_that_is_not_named_is_refused(houses, labels_factory):
    labels = labels_factory(HOUSES)
    with pytest.raises(ConfigError, match=r"--nodata is given without --raster, and .*houses\.tif"):
        geocobot.evaluate(pred=houses, labels=labels, nodata=0.0)
    assert geocobot.evaluate(pred=houses, labels=labels, nodata=0.0, raster=houses).objects


def test_a_background_that_is_declared_as_nodata_is_judged(scene_factory):
    """A mask that has missed half of what is there."""
    truth = burnt(HOUSES)
    found = np.where(np.arange(200)[:, None] < 100, truth, np.uint8(0))
    labels = scene_factory("truth.tif", image=truth)
    plain, nodata = (
        geocobot.evaluate(
            pred=scene_factory(f"map_{value}.tif", image=found, nodata=value), labels=labels
        ).pixels.scores
        for value in (None, 0)
    )
    assert nodata.confusion == plain.confusion
    assert nodata.classes[0].recall == 0.5


def test_an_empty_class_of_a_map_names_the_option_of_the_map(houses, labels_factory):
    pred = labels_factory(HOUSES, name="map.gpkg", class_name=[""] * len(HOUSES))
    with pytest.raises(FieldError, match=r"Choose another --pred-class-field, or fill it in QGIS"):
        geocobot.evaluate(pred=pred, labels=labels_factory(HOUSES), raster=houses)
