"""Prediction from scene to files, with a stand-in model that thresholds band 1."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import rasterio.features
import shapely
import torch
from affine import Affine

from geocobot.adapters.config import AdapterConfig
from geocobot.bands import BandRange
from geocobot.classes import name_classes
from geocobot.config import PredictOptions
from geocobot.errors import (
    BandError,
    ConfigError,
    DeviceError,
    LayerError,
    MissingFileError,
    ModelFileError,
    OutputError,
    OverlapError,
    PixelSizeError,
    ResumeError,
    UnreadableFileError,
)
from geocobot.inference.engines import LocalEngine
from geocobot.io.fitting import open_scene_for
from geocobot.models.architecture import HeadConfig, SegmenterConfig
from geocobot.models.card import ModelCard
from geocobot.models.modelfile import save_model
from geocobot.models.precision import Compute
from geocobot.models.segmenter import build_segmenter
from geocobot.settings import make_options
from geocobot.workflows.map_job import MapJob
from geocobot.workflows.map_scene import map_scene
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.predict import predict
from geocobot.workflows.targets import choose_targets
from geocobot.yaml_file import read_yaml

CPU = Compute(torch.device("cpu"))
RAW = {
    "min_area": 0.0,
    "simplify": 0.0,
    "close_holes": 0.0,
    "save_scores": True,
    "save_classes": True,
}
STEEP = 1e4


def read(path):
    """The polygons of a result; a GeoPackage holds its style in a second table."""
    if path.suffix == ".parquet":
        return gpd.read_parquet(path)
    return gpd.read_file(path, layer=path.stem if path.suffix == ".gpkg" else None)


def bright(image):
    """Everything above the middle of band 1's range, with certainty."""
    return (image[:, :1] - 0.5) * STEEP


def blobs(height, width, seed=0):
    """Three bands of smooth noise, 1 to 254, as full of holes and islands as a map can be."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((3, height // 6 + 2, width // 6 + 2))
    smooth = np.kron(coarse, np.ones((6, 6)))[:, :height, :width]
    fine = rng.random((3, height, width)) * 0.15
    return (1 + 253 * np.clip(smooth * 0.9 + fine - 0.02, 0, 1)).astype(np.uint8)


def make_card(patch_px, ground_pixel_m=(1.0, 1.0), dtype="uint8", high=255.0, names=("bright",)):
    return ModelCard(
        segmenter=SegmenterConfig(
            base="tiny",
            base_sha256=None,
            adapter=AdapterConfig(method="none"),
            head=HeadConfig(len(names)),
            encoder_trained=True,
        ),
        classes=name_classes(names),
        ranges=tuple(BandRange(i, f"band {i}", dtype, 0.0, high) for i in (1, 2, 3)),
        ground_pixel_m=ground_pixel_m,
        patch_px=patch_px,
    )


def run(raster, out, card, predictor=bright, **options):
    """Map a scene with a stand-in, as `predict` does with a model."""
    values = RAW | {"raster": [str(raster)], "model": "none", "out": str(out)} | options
    chosen = make_options(PredictOptions, values, "test")
    scene = open_scene_for(raster, card.ranges, card.ground_pixel_m)
    (targets,) = choose_targets(
        chosen.raster, chosen.out, save_scores=chosen.save_scores, save_classes=chosen.save_classes
    )
    run = MappingRun.claim(targets, resume=chosen.resume, overwrite=chosen.overwrite)
    job = MapJob.of(scene, targets, chosen, CPU)
    return map_scene(job, LocalEngine(predictor, CPU), card, run, compute=CPU)


def assert_same_polygons(ours, expected):
    """Both hold the same shapes, whatever vertex they start with and pass in a straight line."""
    ours, expected = (np.array(g, dtype=object) for g in (ours, expected))
    assert len(ours) == len(expected)
    ours, expected = (g[_order(g)] for g in (ours, expected))
    assert shapely.equals(ours, expected).all()
    np.testing.assert_allclose(shapely.area(ours), shapely.area(expected), rtol=1e-9)


def _order(polygons):
    """Sorted by bounds and area, which name a shape on a pixel grid, rounded against noise."""
    west, south, east, north = shapely.total_bounds(polygons)
    scale = max(east - west, north - south)
    keys = np.column_stack([shapely.bounds(polygons) / scale, shapely.area(polygons) / scale**2])
    return np.lexsort(np.round(keys, 9).T)


def shapes_of(path, high=255.0):
    """What rasterio makes of the whole raster at once."""
    with rasterio.open(path) as source:
        above = source.read(1) > high / 2
        above &= source.dataset_mask() > 0
        shapes = rasterio.features.shapes(
            above.astype(np.uint8), mask=above, connectivity=4, transform=source.transform
        )
        return [shapely.geometry.shape(geometry) for geometry, _ in shapes]


@pytest.fixture(scope="module")
def card():
    return make_card(256)


@pytest.mark.parametrize("tile_px", [256, 320, 512])
def test_no_seams(scene_factory, tmp_path, card, tile_px):
    raster = scene_factory(image=blobs(700, 900))
    result = run(raster, tmp_path / "out.gpkg", replace(card, patch_px=tile_px))
    frame = read(result.polygons)
    assert_same_polygons(frame.geometry, shapes_of(raster))
    assert frame.crs.to_epsg() == 32633
    assert result.totals[0].polygons == len(frame) > 500
    assert result.totals[0].area_m2 == pytest.approx(frame["area_m2"].sum())


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_no_seams_at_the_ends_of_the_overlap(scene_factory, tmp_path, card, overlap):
    raster = scene_factory(image=blobs(300, 500, seed=1))
    result = run(raster, tmp_path / "o.gpkg", replace(card, patch_px=128), overlap=overlap)
    assert_same_polygons(read(result.polygons).geometry, shapes_of(raster))


def test_a_real_scene_with_alpha_in_degrees(real_data, tmp_path, card):
    raster = real_data / "vegas_roads" / "scene.tif"
    pixel_m = (0.242, 0.300)
    fitted = make_card(512, ground_pixel_m=pixel_m, high=400.0)
    result = run(raster, tmp_path / "vegas.gpkg", fitted)
    frame = read(result.polygons)
    assert_same_polygons(frame.geometry, shapes_of(raster, high=400.0))
    n_pixels = (rasterio.open(result.classes).read(1) == 1).sum()
    assert frame["area_m2"].sum() == pytest.approx(n_pixels * np.prod(pixel_m), rel=0.01)


def test_workers_change_no_byte(scene_factory, tmp_path, card):
    raster = scene_factory(image=blobs(400, 300), nodata=0)
    small = replace(card, patch_px=128)

    def soft(image):
        return torch.sin(image[:, :1] * 40) + image[:, 1:2]

    alone = run(raster, tmp_path / "alone.gpkg", small, soft, workers=0)
    helped = run(raster, tmp_path / "helped.gpkg", small, soft, workers=2)
    assert alone.scores.read_bytes() == helped.scores.read_bytes()
    assert alone.classes.read_bytes() == helped.classes.read_bytes()
    first, second = read(alone.polygons), read(helped.polygons)
    assert first.geometry.to_wkb().tolist() == second.geometry.to_wkb().tolist()
    assert first.drop(columns="geometry").equals(second.drop(columns="geometry"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_scene_that_breaks_off_is_named_and_leaves_nothing(
    scene_factory, tmp_path, card, workers
):
    raster = scene_factory(image=blobs(400, 300))
    whole = raster.read_bytes()
    raster.write_bytes(whole[: len(whole) // 2])
    small = replace(card, patch_px=128)
    with pytest.raises(UnreadableFileError, match=r"scene\.tif cannot be read at rows.*copy or"):
        run(raster, tmp_path / "out" / "o.gpkg", small, workers=workers)
    assert names_in(tmp_path / "out") == []


def test_nodata_stays_nodata(scene_factory, tmp_path, card):
    image = blobs(300, 300)
    image[0, 40:180, 30:200] = 254
    image[:, 50:170, 60:150] = 0
    result = run(
        scene_factory(image=image, nodata=0), tmp_path / "o.gpkg", replace(card, patch_px=128)
    )
    hole = np.zeros((300, 300), bool)
    hole[50:170, 60:150] = True
    with rasterio.open(result.scores) as scores, rasterio.open(result.classes) as classes:
        np.testing.assert_array_equal(scores.read(1) == 255, hole)
        np.testing.assert_array_equal(classes.read(1) == 255, hole)
        np.testing.assert_array_equal(classes.read(1) == 1, (image[0] > 127.5) & ~hole)
        assert classes.colormap(1)[1] == (230, 159, 0, 255)
    box = shapely.box(500_060, 5_000_000 - 170, 500_150, 5_000_000 - 50)
    assert read(result.polygons).intersection(box).area.max() == 0


def test_a_scene_smaller_than_a_tile(scene_factory, tmp_path, card):
    raster = scene_factory(image=blobs(50, 70))
    result = run(raster, tmp_path / "o.gpkg", card)
    assert result.tiles == 1
    assert_same_polygons(read(result.polygons).geometry, shapes_of(raster))
    with rasterio.open(result.scores) as scores:
        assert scores.shape == (50, 70)


def test_several_classes_never_overlap(scene_factory, tmp_path):
    three = make_card(128, names=("red", "green", "blue"))
    raster = scene_factory(image=blobs(200, 260))
    result = run(raster, tmp_path / "o.gpkg", three, lambda x: (x - 0.5) * 20)
    frame = read(result.polygons)
    assert set(frame["class_name"]) == {"red", "green", "blue"}
    assert frame.geometry.union_all().area == pytest.approx(frame.area.sum())
    with rasterio.open(result.scores) as scores:
        assert scores.descriptions == ("red", "green", "blue")


@pytest.mark.parametrize("size_m", [1.0, 1.6])
def test_scores_with_all_digits_change_no_polygon(
    scene_factory, tmp_path, model_file, size_m, monkeypatch
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    raster = scene_factory(image=blobs(300, 200), res=size_m)
    options = {"threshold": 0.5, "save_scores": True, "resolution": 1.0, "simplify": 0.0}
    found = {}
    for dtype in ("uint8", "float32"):
        out = tmp_path / dtype / "map.gpkg"
        done = predict(options_for(model_file, raster, out=str(out), scores_dtype=dtype, **options))
        found[dtype] = out.read_bytes()
        with rasterio.open(done.scenes[0].scores) as dataset:
            assert dataset.dtypes == (dtype,)
            found[f"{dtype} scores"] = dataset.read(1)
    assert found["uint8"] == found["float32"]
    off = np.abs(found["uint8 scores"] / 254 - found["float32 scores"])
    assert off.max() <= (0.5 / 254 if size_m == 1.0 else 1 / 254) + 1e-6
    assert len(np.unique(found["float32 scores"])) > 254


def test_digits_of_scores_that_nobody_saves_are_refused(scene_factory, model_file):
    with pytest.raises(ConfigError, match=r"--scores-dtype is float32, and no scores are saved"):
        predict(options_for(model_file, scene_factory(), scores_dtype="float32"))


def test_nothing_found_is_said_aloud(scene_factory, tmp_path, card, caplog):
    raster = scene_factory(image=np.full((3, 60, 60), 9, np.uint8))
    with caplog.at_level(logging.WARNING, "geocobot.workflows"):
        result = run(raster, tmp_path / "o.gpkg", card)
    assert "no polygon" in caplog.text
    assert result.totals[0].polygons == 0
    frame = read(result.polygons)
    assert frame.empty
    assert "class_id" in frame.columns


def test_the_threshold_can_be_overridden(scene_factory, tmp_path, card):
    raster = scene_factory(image=blobs(100, 100))

    def gentle(image):
        return torch.logit(image[:, :1].clamp(0.001, 0.999))

    few = run(raster, tmp_path / "few.gpkg", card, gentle, threshold=0.8)
    with rasterio.open(raster) as source, rasterio.open(few.classes) as classes:
        np.testing.assert_array_equal(classes.read(1) == 1, source.read(1) / 255 > 0.8)


def names_in(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("reason", [KeyboardInterrupt("enough"), RuntimeError("broken")])
@pytest.mark.parametrize("batches", [0, 5])
def test_an_interrupted_run_leaves_what_was_there_and_its_finished_rows(
    scene_factory, tmp_path, card, reason, batches
):
    raster = scene_factory(image=blobs(400, 300))
    folder = tmp_path / "results"
    folder.mkdir()
    kept = folder / "o.gpkg"
    kept.write_text("the result of yesterday")
    calls = 0

    def stopping(image):
        nonlocal calls
        calls += 1
        if calls > batches:
            raise reason
        return bright(image)

    with pytest.raises(type(reason), match=str(reason)):
        run(raster, kept, replace(card, patch_px=128), stopping, overwrite=True, batch_size=2)
    # Two finished tile rows, or none.
    assert names_in(folder) == ["o.gpkg", *(["o.gpkg.partial"] if batches else [])]
    assert kept.read_text() == "the result of yesterday"


def test_old_results_are_replaced_when_asked(scene_factory, tmp_path, card):
    raster = scene_factory(image=blobs(100, 100))
    run(raster, tmp_path / "o.gpkg", card)
    again = run(raster, tmp_path / "o.gpkg", card, lambda x: -bright(x), overwrite=True)
    assert len(read(again.polygons)) == again.n_polygons
    assert names_in(tmp_path) == [
        "o.gpkg",
        "o_classes.qml",
        "o_classes.tif",
        "o_options.yaml",
        "o_scores.tif",
        "scene.tif",
    ]


def test_the_saved_options_give_the_result_again(scene_factory, tmp_path, card):
    raster = scene_factory(image=blobs(100, 100))
    first = run(raster, tmp_path / "o.gpkg", card, threshold=0.3, workers=0)
    saved = make_options(PredictOptions, read_yaml(first.config), str(first.config))
    assert saved.raster == (str(raster),)
    assert saved.out == str(first.polygons)
    assert saved.threshold == 0.3
    assert saved.bands == (1, 2, 3)
    assert (saved.device, saved.precision) == ("cpu", "float32")


@pytest.mark.parametrize("name", ["o.fgb", "o.geojson", "o.parquet", "o.shp"])
def test_the_extension_chooses_the_format(scene_factory, tmp_path, card, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="GeoParquet needs the extra geocobot[parquet]")
    raster = scene_factory(image=blobs(100, 100))
    result = run(raster, tmp_path / name, card)
    assert len(read(result.polygons)) == result.n_polygons > 0


def test_the_summary_says_what_where_and_how_much(scene_factory, tmp_path, card):
    result = run(scene_factory(image=blobs(100, 100)), tmp_path / "o.gpkg", card)
    text = result.summary()
    assert text.startswith(f"scene.tif: {result.n_polygons} polygons in ")
    for path in (result.polygons, result.scores, result.classes, result.config):
        assert str(path) in text


class TestTargets:
    def choose(self, rasters, out, **kwargs):
        return choose_targets(rasters, out, save_scores=True, save_classes=False, **kwargs)

    def test_default_is_named_after_the_scene(self):
        (target,) = self.choose(["data/big.tif"], None)
        assert [str(p) for p in target.paths()] == [
            "big_pred.gpkg",
            "big_pred_scores.tif",
            "big_pred_options.yaml",
        ]

    def test_a_file_names_the_rest(self):
        (target,) = self.choose(["big.tif"], "out/roads.fgb")
        assert [str(p) for p in target.paths()] == [
            str(Path("out/roads.fgb")),
            str(Path("out/roads.qml")),
            str(Path("out/roads_scores.tif")),
            str(Path("out/roads_options.yaml")),
        ]

    def test_a_folder_takes_one_file_per_scene(self, tmp_path):
        for out in (str(tmp_path), "new/", "new"):
            targets = self.choose(["x/a.tif", "y/b.tif"], out)
            assert [t.polygons for t in targets] == [
                Path(out) / "a_pred.gpkg",
                Path(out) / "b_pred.gpkg",
            ]

    def test_a_file_takes_several_scenes_together(self):
        (target,) = self.choose(["x/a.tif", "y/a.tif"], "both.gpkg")
        assert [str(p) for p in target.paths()] == [
            "both.gpkg",
            "both_scores.tif",
            "both_options.yaml",
        ]

    def test_scenes_of_the_same_name_are_refused(self):
        with pytest.raises(OutputError, match="results of 2 rasters named a"):
            self.choose(["x/a.tif", "y/a.tif"], "out/")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A model of the smallest base that nobody has trained."""
    segmenter = build_segmenter("tiny", 1)
    untrained = replace(make_card(64), segmenter=segmenter.config)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, segmenter, untrained)
    return path


def options_for(model, *rasters, **values):
    return make_options(
        PredictOptions, {"raster": [str(r) for r in rasters], "model": str(model)} | values, "test"
    )


def test_a_model_file_maps_several_scenes(scene_factory, tmp_path, model_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rasters = [scene_factory("a.tif", shape_hw=(64, 80)), scene_factory("b.tif", seed=1)]
    result = predict(options_for(model_file, *rasters, out="out/", save_scores=True, threshold=0.0))
    assert [s.polygons for s in result.scenes] == [Path("out/a_pred.gpkg"), Path("out/b_pred.gpkg")]
    assert names_in(tmp_path / "out") == [
        "a_pred.gpkg",
        "a_pred_options.yaml",
        "a_pred_report.html",
        "a_pred_scores.tif",
        "b_pred.gpkg",
        "b_pred_options.yaml",
        "b_pred_report.html",
        "b_pred_scores.tif",
    ]
    assert result.scenes[0].totals[0].area_m2 == pytest.approx(64 * 80, rel=0.01)
    assert "2 scenes in" in result.summary()


def test_stac_items_are_mapped_by_name(scene_factory, tmp_path, model_file):
    features = []
    for name in ("S2A_1", "S2B_2"):
        scene_factory(f"{name}/TCI.tif", shape_hw=(64, 80))
        item = pystac.Item(name, None, None, datetime(2025, 6, 1, tzinfo=UTC), {})
        for key, role in (("visual", "visual"), ("blue", "data")):
            kind = pystac.MediaType.COG
            item.add_asset(key, pystac.Asset(f"{name}/TCI.tif", media_type=kind, roles=[role]))
        features.append(item.to_dict())
    items = tmp_path / "items.geojson"
    items.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    out = str(tmp_path / "out/")
    with pytest.raises(LayerError, match="item S2A_1 has 2 assets that may be meant"):
        predict(options_for(model_file, items, out=out))
    result = predict(options_for(model_file, items, out=out, asset="visual"))
    assert [s.raster for s in result.scenes] == [
        str(tmp_path / n / "TCI.tif") for n in ("S2A_1", "S2B_2")
    ]
    assert names_in(tmp_path / "out")[::3] == ["S2A_1_pred.gpkg", "S2B_2_pred.gpkg"]
    items.write_text(json.dumps(features[0]))
    with pytest.raises(OutputError, match=r"items\.geojson is one of the inputs"):
        predict(options_for(model_file, items, out=str(items), asset="visual", overwrite=True))


def test_scenes_that_cannot_be_mapped_do_not_stop_the_others(
    scene_factory, tmp_path, model_file, caplog
):
    good = scene_factory("good.tif", shape_hw=(128, 128))
    deep = scene_factory("deep.tif", dtype="uint16")
    cut = scene_factory("cut.tif", shape_hw=(300, 300), seed=3, compress="deflate")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    out = tmp_path / "out"
    result = predict(options_for(model_file, good, deep, cut, out=str(out)))
    assert [scene.raster for scene in result.scenes] == [str(good)]
    assert [failure.raster for failure in result.failures] == [str(deep), str(cut)]
    assert result.exit_code == 3
    names = ["good_pred.gpkg", "good_pred_options.yaml", "good_pred_report.html"]
    assert names_in(out) == names
    said = result.summary()
    assert "Not mapped: 2 of 3 scenes" in said
    assert "deep.tif holds uint16 values" in said
    assert "cut.tif cannot be read at rows" in said
    assert "deep.tif holds uint16" in caplog.text  # told at once as well


def test_an_area_is_all_that_is_mapped(scene_factory, tmp_path, model_file):
    raster = scene_factory("scene.tif", shape_hw=(300, 300))
    inside = shapely.box(500_064, 4_999_800, 500_200, 4_999_930)
    area = tmp_path / "area.geojson"
    gpd.GeoDataFrame(geometry=[inside.buffer(-10), inside], crs=32633).to_crs(4326).to_file(area)
    options = options_for(
        model_file,
        raster,
        out=str(tmp_path / "o.gpkg"),
        area=[str(area)],
        save_classes=True,
        threshold=0.0,
        min_area=0.0,
    )
    (scene,) = predict(options).scenes
    with rasterio.open(scene.classes) as classes:
        assert classes.bounds == pytest.approx(inside.bounds, abs=1.01)
        assert (classes.read(1) != 255).sum() == pytest.approx(inside.area, rel=0.01)
    frame = read(scene.polygons)
    assert shapely.within(frame.geometry, inside.buffer(1.01)).all()
    with pytest.raises(OverlapError, match=r"scene\.tif has nothing within --bbox"):
        predict(replace(options, bbox=(0.0, 0.0, 1.0, 1.0), area=None, overwrite=True))


def test_of_many_scenes_the_finished_ones_are_not_mapped_again(
    scene_factory, tmp_path, model_file, monkeypatch
):
    rasters = [
        scene_factory(f"{name}.tif", shape_hw=(200, 130), seed=k) for k, name in enumerate("abc")
    ]
    out = str(tmp_path / "out")
    here = sys.modules[predict.__module__]
    mapped = []

    def stopping(job, *arguments, **keywords):
        if len(mapped) == 1:
            raise KeyboardInterrupt
        mapped.append(job.scene.name)
        return map_scene(job, *arguments, **keywords)

    options = options_for(model_file, *rasters, out=out, threshold=0.0, min_area=0.0)
    monkeypatch.setattr(here, "map_scene", stopping)
    with pytest.raises(KeyboardInterrupt):
        predict(options)
    monkeypatch.undo()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    result = predict(replace(options, resume=True, workers=1))
    assert [scene.is_recalled for scene in result.scenes] == [True, False, False]
    first = result.scenes[0]
    assert first.n_polygons == len(read(first.polygons)) > 0
    assert "a.tif: " in first.summary()
    assert "(finished before)" in first.summary()
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert before.items() <= after.items()
    again = predict(replace(options, resume=True))
    assert all(scene.is_recalled for scene in again.scenes)
    with pytest.raises(ResumeError, match=r"a_pred\.gpkg is finished.*another threshold\. .*-f"):
        predict(replace(options, resume=True, threshold=0.9))
    # Another scene under the old name, and older than the map.
    rasters[0].write_bytes(rasters[1].read_bytes())
    os.utime(rasters[0], ns=(0, 0))
    with pytest.raises(ResumeError, match=r"a_pred\.gpkg is .*another scene or model\."):
        predict(replace(options, resume=True))
    first = predict(replace(options, resume=True, overwrite=True))
    assert [scene.is_recalled for scene in first.scenes] == [False, True, True]
    # Made anew and interrupted: what is there is not what was asked for last.
    (tmp_path / "out" / "b_pred.gpkg.partial").mkdir()
    with pytest.raises(OutputError, match=r"b_pred\.gpkg exists already"):
        predict(replace(options, resume=True))


def test_a_scene_that_is_too_wide_does_not_stop_the_others(scene_factory, tmp_path, model_file):
    rasters = [
        scene_factory(f"{name}.tif", shape_hw=(64, width), tiled=True, blockxsize=64, blockysize=64)
        for name, width in (("a", 70), ("wide", 9000), ("c", 80))
    ]
    options = options_for(model_file, *rasters, out=str(tmp_path / "out"), bbox=None)
    options = replace(options, batch_size=1, threads=1, max_memory=0.33)
    result = predict(options)
    assert [Path(scene.raster).name for scene in result.scenes] == ["a.tif", "c.tif"]
    (failure,) = result.failures
    assert failure.raster.endswith("wide.tif")
    assert "wide.tif is 9000 px wide. A map of it" in failure.reason
    assert not (tmp_path / "out" / "wide_pred.gpkg.partial").exists()


def test_where_no_scene_can_be_mapped_the_first_one_says_why(scene_factory, tmp_path, model_file):
    rasters = [scene_factory(name, dtype="uint16") for name in ("a.tif", "b.tif")]
    with pytest.raises(BandError, match=r"a\.tif holds uint16 values"):
        predict(options_for(model_file, *rasters, out=str(tmp_path / "out")))
    assert names_in(tmp_path) == ["a.tif", "b.tif"]


def test_existing_output_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "o.gpkg").touch()
    with pytest.raises(OutputError, match="exists already"):
        predict(options_for("missing", "missing.tif", out=str(tmp_path / "o.gpkg")))


def test_an_input_is_never_written_over(scene_factory, tmp_path, model_file):
    raster = scene_factory("o_scores.tif")
    options = options_for(
        model_file, raster, out=str(tmp_path / "o.gpkg"), save_scores=True, overwrite=True
    )
    with pytest.raises(OutputError, match="is one of the inputs"):
        predict(options)


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(OutputError, match=r"\.docx"):
        predict(options_for("missing", "missing.tif", out=str(tmp_path / "o.docx")))


def test_other_pixel_sizes_are_refused(scene_factory, tmp_path, model_file):
    raster = scene_factory(res=1.2)
    with pytest.raises(PixelSizeError, match="--resolution 1 to have it resampled"):
        predict(options_for(model_file, raster, out=str(tmp_path / "o.gpkg")))
    scene_factory("near.tif", res=1.08)
    predict(options_for(model_file, tmp_path / "near.tif", out=str(tmp_path / "near.gpkg")))


def test_too_few_bands_are_refused(scene_factory, tmp_path, model_file):
    raster = scene_factory(bands=1)
    with pytest.raises(BandError, match=r"The model reads band 1, band 2, band 3"):
        predict(options_for(model_file, raster, out=str(tmp_path / "o.gpkg")))


def test_a_missing_scene_and_a_missing_model_are_named(scene_factory, tmp_path, model_file):
    out = str(tmp_path / "o.gpkg")
    with pytest.raises(MissingFileError, match=r"nowhere\.tif"):
        predict(options_for(model_file, tmp_path / "nowhere.tif", out=out))
    with pytest.raises(MissingFileError, match=r"nothing\.safetensors"):
        predict(options_for(tmp_path / "nothing.safetensors", scene_factory(), out=out))


def test_a_truncated_model_is_named(scene_factory, tmp_path, model_file):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(model_file.read_bytes()[:5000])
    with pytest.raises(ModelFileError, match="may be truncated"):
        predict(options_for(broken, scene_factory(), out=str(tmp_path / "o.gpkg")))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(scene_factory, tmp_path, model_file):
    with pytest.raises(DeviceError, match="finds no GPU"):
        predict(
            options_for(model_file, scene_factory(), out=str(tmp_path / "o.gpkg"), device="cuda")
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("overlap", -0.1),
        ("threshold", 1.5),
        ("batch_size", 0),
        ("workers", -1),
        ("overlap", float("nan")),
    ],
)
def test_impossible_numbers_are_refused(scene_factory, model_file, name, value):
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"{flag} is .* It has to (be at least|lie from)"):
        predict(options_for(model_file, scene_factory(), **{name: value}))


@pytest.mark.parametrize("value", [0.6, 1.5, 33])
def test_overlaps_of_more_than_half_a_tile_are_refused(scene_factory, model_file, value):
    with pytest.raises(ConfigError, match=f"--overlap is {value}.*here 1 to 32, half of"):
        predict(options_for(model_file, scene_factory(), overlap=value))


def test_pixels_of_overlap_are_a_share_of_the_tile(scene_factory, tmp_path, card):
    raster = scene_factory(image=blobs(200, 150))
    maps = [
        run(raster, tmp_path / f"{overlap}.gpkg", replace(card, patch_px=64), overlap=overlap)
        for overlap in (0.25, 16)
    ]
    assert maps[0].tiles == maps[1].tiles
    assert maps[0].scores.read_bytes() == maps[1].scores.read_bytes()


@pytest.mark.parametrize("name", ["min_area", "simplify", "close_holes", "smooth"])
def test_negative_measures_are_refused(scene_factory, tmp_path, model_file, name):
    with pytest.raises(ConfigError, match="at least 0"):
        predict(
            options_for(model_file, scene_factory(), **{name: -1.0}, out=str(tmp_path / "o.gpkg"))
        )
    assert names_in(tmp_path) == ["scene.tif"]


def test_classes_to_square_that_the_model_does_not_know_are_refused(
    scene_factory, tmp_path, model_file
):
    out = {"out": str(tmp_path / "o.gpkg"), "regularize": True, "regularize_classes": ("barn",)}
    with pytest.raises(ConfigError, match="--regularize-classes names barn"):
        predict(options_for(model_file, scene_factory(), **out))
    assert names_in(tmp_path) == ["scene.tif"]


def test_the_pixel_size_is_the_ground_s_in_web_mercator(scene_factory, tmp_path, card):
    sixty_north = Affine(2, 0, 1e6, 0, -2, 8_399_738)
    raster = scene_factory(image=blobs(100, 100), crs="EPSG:3857", transform=sixty_north)
    result = run(raster, tmp_path / "o.gpkg", card)
    with rasterio.open(result.classes) as classes:
        n_pixels = (classes.read(1) == 1).sum()
    assert result.totals[0].area_m2 == pytest.approx(n_pixels, rel=0.01)


def test_a_configuration_of_the_same_name_is_kept(scene_factory, tmp_path, card):
    raster = scene_factory(image=blobs(100, 100))
    (tmp_path / "roads.yaml").write_text("# written by hand", encoding="utf-8")
    run(raster, tmp_path / "roads.gpkg", card, overwrite=True)
    assert (tmp_path / "roads.yaml").read_text(encoding="utf-8") == "# written by hand"
