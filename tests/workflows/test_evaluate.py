"""`geocobot evaluate`: the same figures, whatever the map and the labels are kept in."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.features import rasterize
from shapely import LineString
from sklearn.metrics import average_precision_score, confusion_matrix, jaccard_score
from typer.testing import CliRunner

import geocobot
from geocobot.classes import IGNORE, name_classes
from geocobot.cli.app import app
from geocobot.config import EvaluateOptions
from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.scores import ClassWriter, ScoreWriter
from geocobot.settings import make_options
from geocobot.steps import NODATA, classify_steps
from geocobot.tiling import Strip
from geocobot.yaml_file import read_yaml

WEST, NORTH = 500_000.0, 5_000_000.0
SHAPE = (600, 220)
ERRORS = ("look_here_first", "false_negative", "false_positive", "true_positive")
CLASSES = tuple(
    replace(spec, threshold=threshold)
    for spec, threshold in zip(name_classes(["roof", "road"]), (0.4, 0.6), strict=True)
)
GRID = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, WEST, 0, -1, NORTH), SHAPE)


def at(col, row, width=40, height=30):
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


ROOFS = [at(20 + 70 * k, 20 + 80 * n) for k in range(3) for n in range(7)]
ROADS = [at(0, 60 + 80 * n, 220, 9) for n in range(7)]
TRUTH = rasterize(
    [(shape, 2) for shape in ROOFS] + [(shape, 1) for shape in ROADS],
    SHAPE,
    transform=GRID.transform,
    dtype="uint8",
)
"""Numbers of the labels: their classes are sorted by name, road before roof."""


@pytest.fixture
def labels(labels_factory):
    return labels_factory(ROOFS + ROADS, kind=["roof"] * len(ROOFS) + ["road"] * len(ROADS))


def made_steps(seed=0):
    """Scores (2, H, W) of roofs and roads, wrong here and there, without data in a corner."""
    rng = np.random.default_rng(seed)
    noise = np.kron(rng.normal(0, 40, (2, 60, 22)), np.ones((10, 10)))
    signal = np.stack([np.roll(TRUTH == 2, 2, axis=1), np.roll(TRUTH == 1, 3, axis=0)])
    steps = (60 + 140 * signal + noise).clip(0, 254).astype(np.uint8)
    steps[:, -80:, -50:] = NODATA
    return steps


@pytest.fixture
def scores(tmp_path):
    with ScoreWriter(tmp_path / "scores.tif", GRID, CLASSES) as sink:
        sink.write(Strip(0, made_steps()))
    return tmp_path / "scores.tif"


@pytest.fixture
def class_map(tmp_path):
    with ClassWriter(tmp_path / "classes.tif", GRID, CLASSES) as sink:
        sink.write(0, classify_steps(made_steps(), CLASSES))
    return tmp_path / "classes.tif"


@pytest.fixture
def polygons(scores, tmp_path):
    out = tmp_path / "map.gpkg"
    geocobot.vectorize(scores=scores, out=out, min_area=0.0, simplify=0.0, close_holes=0.0)
    return out


@pytest.fixture
def kinds(scores, class_map, polygons):
    return scores, class_map, polygons


@pytest.fixture
def truth(scene_factory):
    path = scene_factory("truth.tif", image=TRUTH)
    with rasterio.open(path, "r+") as sink:
        sink.update_tags(1, CLASS_1="road", CLASS_2="roof")
    return path


def expected(valid=None):
    """Truth and prediction (N,) of what is judged, in the labels' numbers."""
    prediction = np.array([0, 2, 1])[classify_steps(made_steps(), CLASSES) % IGNORE]
    valid = made_steps()[0] != NODATA if valid is None else valid
    return TRUTH[valid], prediction[valid]


def confusion(result):
    return np.array(result.pixels.scores.confusion)


def test_scores_give_the_figures_of_the_arrays(scores, labels):
    result = geocobot.evaluate(pred=scores, labels=labels, class_field="kind")
    truth, prediction = expected()
    assert np.array_equal(confusion(result), confusion_matrix(truth, prediction))
    ious = jaccard_score(truth, prediction, average=None)[1:]
    assert [c.name for c in result.pixels.scores.classes] == ["road", "roof"]
    assert [c.iou for c in result.pixels.scores.classes] == pytest.approx(ious, abs=1e-6)
    assert [c.threshold for c in result.classes] == [0.6, 0.4]
    assert [curve.name for curve in result.pixels.curves] == ["road", "roof"]
    valid = made_steps()[0] != NODATA
    for curve, plane, number in zip(result.pixels.curves, (1, 0), (1, 2), strict=True):
        average = average_precision_score(truth == number, made_steps()[plane][valid])
        assert curve.average_precision == pytest.approx(average, abs=1e-6)
    assert result.unpredicted_px == (TRUTH[made_steps()[0] == NODATA] > 0).sum() > 0


def test_classes_and_polygons_of_the_same_map_give_the_same(scores, class_map, polygons, labels):
    how = {"labels": labels, "class_field": "kind"}
    results = [geocobot.evaluate(pred=p, **how) for p in (scores, class_map, polygons)]
    assert [r.kind for r in results] == ["scores", "classes", "polygons"]
    first = results[0].pixels
    for other in results[1:]:
        assert other.pixels.scores == first.scores
        assert other.pixels.boundaries == first.boundaries
        assert other.pixels.uncertainty == first.uncertainty
        assert other.pixels.curves == ()


@pytest.mark.parametrize("rows", [1, 37, 599])
def test_no_figure_depends_on_how_many_rows_are_read(scores, polygons, labels, rows, monkeypatch):
    how = {"labels": labels, "class_field": "kind"}
    before = [geocobot.evaluate(pred=p, **how).pixels for p in (scores, polygons)]
    for module in ("io.score_file", "workflows.predicted"):
        monkeypatch.setattr(f"geocobot.{module}.BLOCK_PX", rows)
    assert [geocobot.evaluate(pred=p, **how).pixels for p in (scores, polygons)] == before


def test_labels_of_another_crs_or_a_raster_say_the_same(scores, labels_factory, scene_factory):
    kinds = ["roof"] * len(ROOFS) + ["road"] * len(ROADS)
    frame = labels_factory(ROOFS + ROADS, name="utm.gpkg", kind=kinds)
    degrees = frame.with_name("degrees.geojson")
    gpd.read_file(frame).to_crs(4326).to_file(degrees, engine="pyogrio", COORDINATE_PRECISION=12)
    raster = scene_factory("truth.tif", image=TRUTH)
    with rasterio.open(raster, "r+") as sink:
        sink.update_tags(1, CLASS_1="road", CLASS_2="roof")
    wanted = geocobot.evaluate(pred=scores, labels=frame, class_field="kind")
    for result in (
        geocobot.evaluate(pred=scores, labels=degrees, class_field="kind"),
        geocobot.evaluate(pred=scores, labels=raster),
    ):
        assert result.pixels == wanted.pixels


def test_polygons_are_judged_in_the_pixels_of_the_scene_or_of_the_labels(
    polygons, scores, labels, scene_factory
):
    truth = scene_factory("truth.tif", image=TRUTH)
    with rasterio.open(truth, "r+") as sink:
        sink.update_tags(1, CLASS_1="road", CLASS_2="roof")
    scene = scene_factory("scene.tif", shape_hw=SHAPE)
    by_record = geocobot.evaluate(pred=polygons, labels=labels, class_field="kind")
    assert by_record.scene == scores
    polygons.with_name("map_options.yaml").unlink()
    by_labels = geocobot.evaluate(pred=polygons, labels=truth)
    by_scene = geocobot.evaluate(pred=polygons, labels=labels, class_field="kind", raster=scene)
    assert (by_labels.scene, by_scene.scene) == (truth, scene)
    assert by_labels.pixels.scores == by_scene.pixels.scores
    everywhere = expected(np.ones(SHAPE, bool))
    assert np.array_equal(confusion(by_scene), confusion_matrix(*everywhere))


def test_what_should_have_been_mapped_is_missed_what_has_no_data_is_not(
    scores, labels, scene_factory
):
    image = np.full((3, *SHAPE), 9, np.uint8)
    image[:, :, :30] = 0
    scene = scene_factory(image=image, nodata=0)
    result = geocobot.evaluate(pred=scores, labels=labels, class_field="kind", raster=scene)
    valid = np.ones(SHAPE, bool)
    valid[:, :30] = False
    assert np.array_equal(confusion(result), confusion_matrix(*expected(valid)))


def test_an_area_may_be_drawn_or_a_mask(scores, labels, labels_factory, scene_factory):
    inside = np.zeros(SHAPE, np.uint8)
    inside[100:400, 50:150] = 1
    drawn = labels_factory([at(50, 100, 100, 300)], name="area.gpkg")
    mask = scene_factory("mask.tif", image=inside)
    how = {"pred": scores, "labels": labels, "class_field": "kind"}
    results = [geocobot.evaluate(**how, area=area) for area in (drawn, mask)]
    assert results[0].pixels == results[1].pixels
    wanted = confusion_matrix(*expected((inside > 0) & (made_steps()[0] != NODATA)))
    assert np.array_equal(confusion(results[0]), wanted)
    assert results[0].pixels.uncertainty.blocks > 5


def test_a_labelled_area_and_boundaries_that_are_not_exact_are_left_out(
    scores, labels, labels_factory
):
    drawn = labels_factory([at(50, 100, 100, 300)], name="area.gpkg")
    how = {"pred": scores, "labels": labels, "class_field": "kind"}
    by_area, by_labels = (
        geocobot.evaluate(**how, **{name: drawn}) for name in ("area", "labelled_area")
    )
    assert by_area.pixels == by_labels.pixels
    loose = geocobot.evaluate(**how, ignore_boundary=3)
    whole = geocobot.evaluate(**how)
    assert loose.pixels.scores.judged_px < whole.pixels.scores.judged_px
    assert loose.pixels.scores.mean_iou > whole.pixels.scores.mean_iou


def test_thresholds_change_the_classes_and_not_the_scores(scores, labels):
    how = {"pred": scores, "labels": labels, "class_field": "kind"}
    low, high = (geocobot.evaluate(**how, threshold=t) for t in (0.2, 0.9))
    assert low.pixels.scores.classes[0].recall > high.pixels.scores.classes[0].recall
    assert low.pixels.curves == high.pixels.curves
    mixed = geocobot.evaluate(**how, class_thresholds=["road=0.7"])
    assert [c.threshold for c in mixed.classes] == [0.7, 0.4]


def test_classes_that_are_not_asked_for_are_background(scores, labels, caplog):
    how = {"pred": scores, "labels": labels, "class_field": "kind"}
    result = geocobot.evaluate(**how, classes=["roof"])
    truth, prediction = expected()
    assert np.array_equal(confusion(result), confusion_matrix(truth == 2, prediction == 2))
    assert "scores.tif has road, which labels.gpkg has not: they count as background" in caplog.text


def test_single_classes_need_not_be_called_the_same(scene_factory, labels_factory, caplog):
    caplog.set_level("INFO")
    mask = scene_factory("found.tif", image=(TRUTH == 2).astype(np.uint8))
    truth = labels_factory(ROOFS, name="houses.gpkg")
    result = geocobot.evaluate(pred=mask, labels=truth)
    assert result.pixels.scores.mean_iou == 1.0
    assert "its only class, found, is compared with that of houses.gpkg, houses" in caplog.text


def test_a_map_in_which_nothing_was_found_has_missed_everything(
    labels, labels_factory, scene_factory
):
    empty = labels_factory([], name="none.gpkg", class_name=[])
    scene = scene_factory(shape_hw=SHAPE)
    result = geocobot.evaluate(pred=empty, labels=labels, class_field="kind", raster=scene)
    assert [c.recall for c in result.pixels.scores.classes] == [0.0, 0.0]


def test_polygons_of_another_tool_name_their_classes_in_another_attribute(
    labels, labels_factory, scene_factory, caplog
):
    found = labels_factory(ROOFS, name="found.gpkg", what=["roof"] * len(ROOFS))
    scene = scene_factory(shape_hw=SHAPE)
    how = {"pred": found, "labels": labels, "class_field": "kind", "raster": scene}
    road, roof = geocobot.evaluate(**how, pred_class_field="what").pixels.scores.classes
    assert (road.recall, roof.iou) == (0.0, 1.0)
    assert "found.gpkg has nothing of road, which labels.gpkg has" in caplog.text


def test_the_seed_and_the_blocks_decide_about_intervals(scores, labels):
    how = {"pred": scores, "labels": labels, "class_field": "kind"}
    one, again, other = (geocobot.evaluate(**how, seed=s).pixels.uncertainty for s in (1, 1, 2))
    assert one == again
    assert one != other
    sure = geocobot.evaluate(**how, block_size=30.0).pixels.uncertainty
    assert sure.block_px == (30, 30)
    for interval, score in zip(
        sure.iou, geocobot.evaluate(**how).pixels.scores.classes, strict=True
    ):
        assert interval.low < score.iou < interval.high


def test_the_folder_holds_all_figures_and_the_options_that_gave_them(scores, labels, tmp_path):
    out = tmp_path / "judged"
    how = {"pred": scores, "labels": labels, "class_field": "kind", "out": out}
    result = geocobot.evaluate(**how)
    figures = json.loads((out / "evaluation.json").read_text())
    assert figures["pixels"]["scores"]["mean_iou"] == result.pixels.scores.mean_iou
    assert figures["pixels"]["uncertainty"]["block_px"] == list(result.pixels.uncertainty.block_px)
    assert figures["prediction"] == str(scores)
    saved = make_options(EvaluateOptions, read_yaml(out / "options.yaml"), "yaml")
    assert saved.class_field == "kind"
    with pytest.raises(OutputError, match="judged exists already"):
        geocobot.evaluate(**how)
    geocobot.evaluate(**how, overwrite=True)
    names = ["errors.gpkg", "errors.qgz", "evaluation.json", "options.yaml", "report.html"]
    assert sorted(path.name for path in out.iterdir()) == names


def test_objects_are_counted_and_errors_laid_out(scores, labels, tmp_path):
    out = tmp_path / "judged"
    result = geocobot.evaluate(pred=scores, labels=labels, class_field="kind", out=out)
    roads, roofs = result.objects.objects.classes
    assert (roads.name, roofs.name) == ("road", "roof")
    half = roofs.by_iou[0]
    assert half.found + half.missed + result.objects.objects.truth_left_out >= len(ROOFS) - 3
    figures = json.loads((out / "evaluation.json").read_text())["objects"]["objects"]
    assert figures["classes"][1]["by_iou"][0]["found"] == half.found
    assert figures["classes"][1]["by_iou"][0]["f1"] == pytest.approx(half.f1)
    assert figures["classes"][1]["sizes"][-1]["high_m2"] is None
    assert result.objects.lines is None
    layers = {name: gpd.read_file(out / "errors.gpkg", layer=name) for name in ERRORS}
    missed = TRUTH[:, :] > 0
    steps = made_steps()
    found = classify_steps(steps, CLASSES)
    mapped = np.select([found == 1, found == 2], [2, 1], 0)
    judged = found != IGNORE
    right = ((mapped == TRUTH) & missed & judged).sum()
    assert layers["true_positive"].area_m2.sum() == pytest.approx(right, rel=2e-3)
    wrong = ((mapped != TRUTH) & (mapped > 0) & judged).sum()
    assert layers["false_positive"].area_m2.sum() == pytest.approx(wrong, rel=2e-3)
    left = ((mapped != TRUTH) & missed & judged).sum()
    assert layers["false_negative"].area_m2.sum() == pytest.approx(left, rel=2e-3)
    ranks = layers["look_here_first"]["rank"].tolist()
    assert ranks == list(range(1, len(ranks) + 1))
    assert "Objects" in result.summary()
    assert f"Errors: {out / 'errors.gpkg'}" in result.summary()


def test_objects_are_made_of_the_pixels_that_the_figures_count(scores, labels_factory, tmp_path):
    """Where a class that nobody labelled wins, there is no object of the others."""
    roofs = labels_factory(ROOFS, kind=["roof"] * len(ROOFS))
    out = tmp_path / "judged"
    result = geocobot.evaluate(pred=scores, labels=roofs, class_field="kind", out=out)
    (figures,) = result.pixels.scores.classes
    mapped_m2 = sum(
        pyogrio.read_dataframe(out / "errors.gpkg", layer=layer)["area_m2"].sum()
        for layer in ("true_positive", "false_positive")
    )
    prediction = classify_steps(made_steps(), CLASSES)
    assert figures.predicted_px == (prediction == 1).sum()
    assert mapped_m2 == pytest.approx(figures.predicted_px, rel=2e-3)  # UTM's scale at 15 degrees


@pytest.mark.parametrize("nodata", [None, 0, 255])
def test_what_a_mask_says_nothing_of_is_missed_by_its_polygons(
    scene_factory, labels_factory, tmp_path, nodata
):
    """Background that is declared as nodata leaves no place out."""
    mask = np.where(TRUTH == 2, np.uint8(1), np.uint8(0))
    mask[:300] = 0
    path = scene_factory(image=mask, transform=GRID.transform, nodata=nodata)
    out = tmp_path / "map.gpkg"
    geocobot.vectorize(scores=path, out=out, min_area=0.0, simplify=0.0, close_holes=0.0)
    result = geocobot.evaluate(pred=out, labels=labels_factory(ROOFS))
    (figures,) = result.pixels.scores.classes
    assert figures.recall == pytest.approx((mask > 0).sum() / (TRUTH == 2).sum())
    assert result.pixels.scores.judged_px == mask.size


def test_objects_are_left_alone_where_nobody_wants_them(scores, labels, tmp_path):
    how = {"pred": scores, "labels": labels, "class_field": "kind", "objects": False}
    result = geocobot.evaluate(**how, out=tmp_path / "judged")
    assert result.objects is result.error_map is None
    assert not (tmp_path / "judged" / "errors.gpkg").exists()


def test_objects_of_large_maps_are_compared_where_somebody_asks(
    scores, labels, monkeypatch, caplog
):
    monkeypatch.setattr("geocobot.workflows.evaluate.MOST_OBJECT_PX", 1000)
    how = {"pred": scores, "labels": labels, "class_field": "kind"}
    with caplog.at_level("INFO", "geocobot"):
        assert geocobot.evaluate(**how).objects is None
    assert "its objects are not compared one by one" in caplog.text
    assert geocobot.evaluate(**how, objects=True).objects is not None


def test_touching_objects_of_a_file_stay_two(labels_factory, scene_factory, tmp_path):
    roofs = [at(20, 20), at(60, 20, width=20), at(20, 120)]
    with ClassWriter(tmp_path / "classes.tif", GRID, CLASSES[:1]) as sink:
        sink.write(0, rasterize(roofs, SHAPE, transform=GRID.transform, dtype="uint8"))
    truth = labels_factory(roofs)
    drawn = labels_factory(roofs, name="drawn.gpkg", class_name=["roof"] * 3)
    how = {"labels": truth, "raster": scene_factory(shape_hw=SHAPE)}
    apart = geocobot.evaluate(pred=drawn, **how).objects.objects.classes[0].by_iou[0]
    assert (apart.found, apart.false, apart.missed) == (3, 0, 0)
    merged = geocobot.evaluate(pred=tmp_path / "classes.tif", labels=truth)
    merged = merged.objects.objects.classes[0].by_iou[0]
    assert (merged.found, merged.false, merged.missed) == (2, 0, 1)


AREAS = {
    "corner": at(45, 35, 90, 205),
    "stripe": at(10, 0, 17, 600),
    "two": shapely.union_all([at(0, 0, 30, 100), at(140, 25, 60, 300)]),
}


@pytest.mark.parametrize("name", AREAS)
def test_what_is_cut_by_an_area_counts_alike_in_every_kind_of_map_and_of_labels(
    kinds, labels, truth, labels_factory, name
):
    scores, class_map, polygons = kinds
    area = labels_factory([AREAS[name]], name="area.gpkg")
    drawn = {"labels": labels, "class_field": "kind", "min_area": 0.0}
    wanted = geocobot.evaluate(pred=polygons, area=area, **drawn).objects.objects
    assert wanted.predicted_left_out > 0 < wanted.truth_left_out
    for how in (
        {"pred": scores, "area": area, **drawn},
        {"pred": scores, "labelled_area": area, **drawn},
        {"pred": scores, "area": area, "labels": truth, "min_area": 0.0},
        {"pred": scores, "labelled_area": area, "labels": truth, "min_area": 0.0},
    ):
        assert_alike(geocobot.evaluate(**how).objects.objects, wanted)
    assert_alike(
        geocobot.evaluate(pred=class_map, area=area, **drawn).objects.objects, wanted, scored=False
    )


def assert_alike(found, wanted, *, scored=True):
    """The same counts, and the same precision where there are scores."""
    assert found.predicted_left_out == wanted.predicted_left_out
    assert found.truth_left_out == wanted.truth_left_out
    for one, other in zip(found.classes, wanted.classes, strict=True):
        for here, there in zip(one.by_iou, other.by_iou, strict=True):
            assert (here.found, here.false, here.missed) == (there.found, there.false, there.missed)
            average = there.average_precision if scored else None
            assert here.average_precision == (average and pytest.approx(average, abs=1e-9))


def test_scores_of_a_map_rank_its_polygons(polygons, labels, tmp_path, caplog):
    how = {"labels": labels, "class_field": "kind", "raster": tmp_path / "scores.tif"}
    found = geocobot.evaluate(pred=polygons, **how).objects.objects
    averages = [part.by_iou[0].average_precision for part in found.classes]
    assert None not in averages
    assert 0 < averages[1] <= 1
    frame = pyogrio.read_dataframe(polygons, layer="map")
    mixed, bare, some = (tmp_path / f"{name}.gpkg" for name in ("mixed", "bare", "some"))
    pyogrio.write_dataframe(frame.sample(frac=1, random_state=1), mixed)
    pyogrio.write_dataframe(frame.drop(columns="score"), bare)
    pyogrio.write_dataframe(frame.assign(score=frame["score"].where(frame.index > 0)), some)
    assert geocobot.evaluate(pred=mixed, **how).objects.objects == found
    with caplog.at_level("INFO", "geocobot"):
        for unscored in (bare, some):
            parts = geocobot.evaluate(pred=unscored, **how).objects.objects.classes
            assert [part.by_iou[0].average_precision for part in parts] == [None, None]
    assert f"some.gpkg: 1 of {len(frame)} polygons have no score; none is used." in caplog.text


def test_a_score_that_is_a_word_or_the_class_ranks_nothing(labels_factory, scene_factory):
    truth = labels_factory(ROOFS, name="roof.gpkg")
    how = {"labels": truth, "raster": scene_factory(shape_hw=SHAPE)}
    good = labels_factory(ROOFS, name="good.gpkg", score=["good"] * len(ROOFS))
    one = labels_factory(ROOFS, name="one.gpkg", score=[1] * len(ROOFS))
    for pred, field in ((good, None), (one, "score")):
        (part,) = geocobot.evaluate(
            pred=pred, pred_class_field=field, **how
        ).objects.objects.classes
        assert (part.by_iou[0].f1, part.by_iou[0].average_precision) == (1.0, None)
    (part,) = geocobot.evaluate(pred=one, **how).objects.objects.classes
    assert part.by_iou[0].average_precision == 1.0


def test_specks_of_a_raster_are_no_objects(labels_factory, tmp_path):
    roofs = [at(20, 20), at(100, 20)]
    specks = [at(10 + 8 * k, 200, 2, 2) for k in range(20)]
    mapped = rasterize(roofs + specks, SHAPE, transform=GRID.transform, dtype="uint8")
    with ClassWriter(tmp_path / "classes.tif", GRID, CLASSES[:1]) as sink:
        sink.write(0, mapped)
    how = {"pred": tmp_path / "classes.tif", "labels": labels_factory(roofs)}
    for min_area, false in ((10.0, 0), (0.0, 20)):
        result = geocobot.evaluate(**how, min_area=min_area)
        half = result.objects.objects.classes[0].by_iou[0]
        assert (half.found, half.false, half.missed) == (2, false, 0)


def test_lines_are_compared_where_centerlines_lie_beside_the_map(labels_factory, tmp_path):
    roads = [
        LineString([(WEST, NORTH - 65 - 80 * n), (WEST + 220, NORTH - 65 - 80 * n)])
        for n in range(4)
    ]
    labels = labels_factory(roads, name="roads.gpkg")
    steps = np.full((1, *SHAPE), 10, np.uint8)
    for n in range(3):
        steps[0, 61 + 80 * n : 70 + 80 * n] = 250
    with ScoreWriter(tmp_path / "scores.tif", GRID, CLASSES[:1]) as sink:
        sink.write(Strip(0, steps))
    geocobot.vectorize(
        scores=tmp_path / "scores.tif", out=tmp_path / "map.gpkg", centerlines=True, simplify=0
    )
    result = geocobot.evaluate(
        pred=tmp_path / "map.gpkg",
        labels=labels,
        raster=tmp_path / "scores.tif",
        line_width=9.0,
        out=tmp_path / "judged",
    )
    assert result.objects.objects is None
    (found,) = result.objects.lines.classes
    assert found.completeness == pytest.approx(0.75, abs=0.03)
    assert found.correctness == pytest.approx(1.0, abs=0.01)
    assert "completeness" in result.summary()
    page = result.report.read_text("utf-8")
    assert "completeness" in page
    assert "errors of lines" in page
    right, missed, false = (
        pyogrio.read_dataframe(result.error_map, layer=f"{name}_lines").set_index("what")
        for name in ("true_positive", "false_negative", "false_positive")
    )
    found_m = right["length_m"][right["side"] == "labels"].sum()
    right_m = right["length_m"][right["side"] == "map"].sum()
    missed_m, false_m = missed["length_m"].sum(), false["length_m"].sum()
    assert found_m + missed_m == pytest.approx(found.truth_m, abs=0.05)
    assert found_m / (found_m + missed_m) == pytest.approx(found.completeness, abs=1e-4)
    assert right_m / (right_m + false_m) == pytest.approx(found.correctness, abs=1e-4)
    places = pyogrio.read_dataframe(result.error_map, layer="look_here_first")
    assert places["what"][0].startswith("roads missed: ")
    assert places["area_m2"][0] == pytest.approx(9.0 * places["length_m"][0])
    with zipfile.ZipFile(tmp_path / "judged" / "errors.qgz") as archive:
        project = archive.read("errors.qgs").decode()
    assert project.count("<maplayer") == 10


ROWS = (65, 145)


@pytest.mark.parametrize(
    ("of_polygons", "of_lines"),
    [
        ({"what": ["street", "path"]}, {"what": ["street", "path"]}),
        ({"class_name": ["a", "b"], "what": ["street", "path"]}, {"class_name": ["a", "b"]}),
        ({"class_name": ["a", "b"], "what": [1, 2]}, {"class_name": ["a", "b"], "what": [1, 2]}),
    ],
)
def test_lines_have_the_classes_that_the_polygons_are_asked_for(
    labels_factory, scene_factory, of_polygons, of_lines
):
    roads = [LineString([(WEST, NORTH - r), (WEST + 220, NORTH - r)]) for r in ROWS]
    labels = labels_factory(roads, name="roads.gpkg", kind=of_polygons["what"])
    found = [at(0, r - 4, 220, 9) for r in ROWS]
    how = {
        "pred": labels_factory(found, name="map.fgb", **of_polygons),
        "labels": labels,
        "class_field": "kind",
        "raster": scene_factory(shape_hw=SHAPE),
        "line_width": 9.0,
        "pred_class_field": "what",
    }
    labels_factory(roads, name="map_centerlines.fgb", **of_lines)
    parts = geocobot.evaluate(**how).objects.lines.classes
    assert [(part.completeness, part.correctness) for part in parts] == [(1.0, 1.0)] * 2


def test_lines_of_classes_that_nobody_can_tell_are_told_of_and_not_compared(
    labels_factory, scene_factory, caplog
):
    roads = [LineString([(WEST, NORTH - r), (WEST + 220, NORTH - r)]) for r in ROWS]
    labels = labels_factory(roads, name="roads.gpkg", kind=["street", "path"])
    found = [at(0, r - 4, 220, 9) for r in ROWS]
    names = {"class_name": ["a", "a"], "what": ["street", "path"]}
    how = {"labels": labels, "class_field": "kind", "raster": scene_factory(shape_hw=SHAPE)}
    how |= {"pred": labels_factory(found, name="map.fgb", **names), "line_width": 9.0}
    labels_factory(roads, name="map_centerlines.fgb", class_name=["a", "a"])
    assert geocobot.evaluate(**how, pred_class_field="what").objects.lines is None
    assert "map.fgb: its centerlines do not have what, and the polygons do not tell" in caplog.text


def test_lines_without_any_class_are_of_the_only_one(labels_factory, scene_factory):
    roads = [LineString([(WEST, NORTH - r), (WEST + 220, NORTH - r)]) for r in ROWS]
    labels = labels_factory(roads, name="roads.gpkg")
    labels_factory(roads, name="map_centerlines.fgb", class_name=["road", "road"])
    result = geocobot.evaluate(
        pred=labels_factory([at(0, r - 4, 220, 9) for r in ROWS], name="map.fgb"),
        labels=labels,
        raster=scene_factory(shape_hw=SHAPE),
        line_width=9.0,
    )
    (part,) = result.objects.lines.classes
    assert (part.completeness, part.correctness) == (1.0, 1.0)


def test_points_are_not_compared_with_centerlines(labels_factory, tmp_path):
    trees = [shape.centroid for shape in ROOFS[:6]]
    labels = labels_factory(trees, name="trees.gpkg")
    steps = np.full((1, *SHAPE), 10, np.uint8)
    steps[0, 20:50] = 250
    with ScoreWriter(tmp_path / "scores.tif", GRID, CLASSES[:1]) as sink:
        sink.write(Strip(0, steps))
    geocobot.vectorize(scores=tmp_path / "scores.tif", out=tmp_path / "map.gpkg", centerlines=True)
    result = geocobot.evaluate(
        pred=tmp_path / "map.gpkg",
        labels=labels,
        raster=tmp_path / "scores.tif",
        point_radius=9.0,
        out=tmp_path / "judged",
    )
    assert result.objects.lines is None
    layers = pyogrio.list_layers(result.error_map)[:, 0].tolist()
    assert layers == [*ERRORS, "layer_styles"]


def test_a_run_of_a_training_is_never_replaced(scores, labels, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("kept")
    with pytest.raises(OutputError, match=r"holds files but no evaluation\.json"):
        geocobot.evaluate(pred=scores, labels=labels, class_field="kind", out=run, overwrite=True)
    assert (run / "config.yaml").read_text() == "kept"


def test_the_command_prints_tables_or_json(scores, labels):
    words = ["evaluate", "--pred", str(scores), "--labels", str(labels), "--class-field", "kind"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.stderr
    for head in ("Pixels ", "Mapped as (%)", "Outlines ", "Scores ", "In brackets: 95 % intervals"):
        assert head in shown.stdout
    printed = CliRunner().invoke(app, [*words, "--json"])
    figures = json.loads(printed.stdout)
    assert figures["kind"] == "scores"
    assert len(figures["pixels"]["curves"][0]["thresholds"]) == 254


def test_few_blocks_are_told_of(scores, labels, caplog):
    geocobot.evaluate(pred=scores, labels=labels, class_field="kind", block_size=100.0)
    assert "blocks only, so that the intervals are rough" in caplog.text
    geocobot.evaluate(pred=scores, labels=labels, class_field="kind", block_size=5000.0)
    assert "1 block only, so that nothing tells how sure the figures are" in caplog.text


@pytest.mark.parametrize(
    ("scene", "labels", "how"),
    [
        ("kampala_buildings/scene_a.tif", "kampala_buildings/labels.geojson", {}),
        ("kampala_buildings/scene_b.tif", "kampala_buildings/labels.geojson", {}),
        ("vegas_multiclass/scene_rgb8.tif", "vegas_multiclass/labels.geojson", {"class": "label"}),
    ],
)
def test_real_labels_are_equal_to_themselves(scene, labels, how, real_data: Path):
    """Polygons in degrees, burnt twice on two ways: as a map and as labels."""
    field = how.get("class")
    result = geocobot.evaluate(
        pred=real_data / labels,
        labels=real_data / labels,
        raster=real_data / scene,
        class_field=field,
        pred_class_field=field,
    )
    assert result.pixels.scores.mean_iou > 0.998
    assert result.pixels.boundaries[-1].scores[0].f1 > 0.99
