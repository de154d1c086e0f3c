"""Several scenes mapped into one file: as if they were one scene."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from typer.testing import CliRunner

from geocobot.cli.app import app
from geocobot.config import PredictOptions
from geocobot.errors import CrsError, OverlapError, PixelSizeError, ResumeError
from geocobot.inference.engines import LocalEngine
from geocobot.io.scene import Scene
from geocobot.io.styles import Origin
from geocobot.settings import make_options
from geocobot.workflows.predict import predict
from geocobot.yaml_file import read_yaml

from .untrained import contents, make_model, options_for

HEIGHT, WIDTH = 230, 300
ORIGIN = Affine(1, 0, 500_000, 0, -1, 5_000_000)
CORNERS = ((0, 0, 150, 170), (0, 130, 140, 170), (100, 0, 130, 190), (90, 150, 140, 150))
"""Row, column, height and width of scenes that overlap by 10 to 60 px."""


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture
def land():
    """Smooth noise, a corner of it without data."""
    coarse = np.random.default_rng(3).integers(30, 226, (3, HEIGHT // 10, WIDTH // 10))
    image = np.kron(coarse, np.ones((10, 10))).astype("uint8")
    image[:, -60:, -50:] = 0
    return image


@pytest.fixture
def corners(scene_factory, land):
    """The land in four files."""
    return [
        scene_factory(
            f"corners/{number}.tif",
            image=land[:, row : row + height, col : col + width],
            transform=ORIGIN @ Affine.translation(col, row),
            nodata=0,
        )
        for number, (row, col, height, width) in enumerate(CORNERS)
    ]


@pytest.fixture
def whole(scene_factory, land):
    """The land in one file."""
    return scene_factory("whole.tif", image=land, nodata=0, transform=ORIGIN)


@pytest.fixture
def nameless(monkeypatch):
    """Results that do not say which files they were made of."""
    monkeypatch.setattr("geocobot.workflows.map_scene.origin_of", lambda *_: Origin())


SEVERAL = pytest.param({"devices": 2, "threads": 2}, marks=pytest.mark.slow)


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("how", [{}, {"workers": 2}, SEVERAL])
def test_parts_of_a_scene_give_the_map_of_the_scene(tmp_path, model, whole, corners, how):
    """Polygons cross the files' edges, and where files overlap nothing is there twice."""
    torch.set_num_threads(2)
    predict(options_for(model, [whole], tmp_path / "whole"))
    done = predict(options_for(model, corners, tmp_path / "parts", **how))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    (scene,) = done.scenes
    assert scene.n_rasters == done.n_asked == 4
    assert f"map (4 scenes): {scene.n_polygons} polygons" in done.summary()
    assert scene.n_polygons == len(gpd.read_file(scene.polygons, layer="map")) > 20


def test_the_saved_options_give_the_result_again(tmp_path, model, corners):
    (scene,) = predict(options_for(model, corners, tmp_path)).scenes
    saved = make_options(PredictOptions, read_yaml(scene.config), "yaml")
    assert saved.raster == tuple(map(str, corners))
    before = contents(tmp_path)
    (again,) = predict(replace(saved, resume=True)).scenes
    assert again.is_recalled
    predict(replace(saved, overwrite=True))
    assert contents(tmp_path) == before


def test_the_saved_options_find_bands_by_name_where_their_order_differs(
    tmp_path, model, scene_factory
):
    names = np.array(["red", "green", "blue"])
    rasters = []
    for k, order in enumerate(([0, 1, 2], [2, 1, 0])):
        image = np.stack([np.full((64, 64), value, np.uint8) for value in (10, 120, 240)])[order]
        transform = ORIGIN @ Affine.translation(64 * k, 0)
        rasters.append(scene_factory(f"{k}.tif", image=image, transform=transform))
        with rasterio.open(rasters[-1], "r+") as opened:
            opened.descriptions = tuple(names[order])
    options = options_for(model, rasters, tmp_path, bands=names.tolist())
    (scene,) = predict(options).scenes
    saved = make_options(PredictOptions, read_yaml(scene.config), "yaml")
    (again,) = predict(replace(saved, out=str(tmp_path / "again.gpkg"))).scenes
    assert again.scores.read_bytes() == scene.scores.read_bytes()


def test_does_not_go_on_with_other_files(tmp_path, model, corners, monkeypatch):
    options = options_for(model, corners, tmp_path)
    rows = LocalEngine.rows

    def breaking_off(self, work, numbers, told):
        for count, row in enumerate(rows(self, work, numbers, told)):
            if count == 2:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(LocalEngine, "rows", breaking_off)
    with pytest.raises(KeyboardInterrupt):
        predict(options)
    monkeypatch.setattr(LocalEngine, "rows", rows)
    with pytest.raises(ResumeError, match="was begun with another scene "):
        predict(replace(options, raster=options.raster[::-1], resume=True))
    os.utime(corners[2])
    with pytest.raises(ResumeError, match=r"another scene \S*2\.tif"):
        predict(replace(options, resume=True))


def test_resumed_maps_have_the_same_bytes(tmp_path, model, corners, monkeypatch):
    options = options_for(model, corners, tmp_path)
    predict(replace(options, out=str(tmp_path / "calm/map.gpkg")))
    reads = Scene.read_inside
    asked = []

    def breaking_off(self, window):
        asked.append(window)
        if len(asked) == 25:
            raise KeyboardInterrupt
        return reads(self, window)

    monkeypatch.setattr(Scene, "read_inside", breaking_off)
    with pytest.raises(KeyboardInterrupt):
        predict(options)
    monkeypatch.undo()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    predict(replace(options, resume=True))
    assert contents(tmp_path) == contents(tmp_path / "calm")


@pytest.mark.usefixtures("nameless")
def test_a_part_of_the_whole(tmp_path, model, corners, whole):
    bounds = (500_100.0, 4_999_830.0, 500_260.0, 4_999_960.0)
    predict(options_for(model, [whole], tmp_path / "whole", bbox=bounds))
    predict(options_for(model, corners, tmp_path / "parts", bbox=bounds))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    nowhere = options_for(model, corners, tmp_path / "no", bbox=(0.0, 0.0, 1.0, 1.0))
    with pytest.raises(OverlapError, match="map has nothing within --bbox"):
        predict(nowhere)


def test_pixels_of_another_size_need_to_be_asked_for(tmp_path, model, corners, scene_factory):
    coarse = scene_factory("coarse.tif", res=2.0, origin_xy=(500_280.0, 5_000_000.0))
    options = options_for(model, [*corners, coarse], tmp_path)
    done = predict(options)
    assert [f.raster for f in done.failures] == [str(coarse)]
    assert done.exit_code == 3
    assert "Not mapped: 1 of 5 scenes" in done.summary()
    together = predict(replace(options, resolution=1.0, overwrite=True))
    assert together.exit_code == 0
    with rasterio.open(together.scenes[0].scores) as scores:
        assert scores.bounds.right == 500_280 + 2 * 96
        assert scores.res == (1.0, 1.0)
        assert (scores.read(1, window=((10, 50), (310, 450))) != 255).all()
    alone = options_for(model, [coarse, coarse.with_name("none.tif")], tmp_path / "no")
    with pytest.raises(PixelSizeError, match=r"coarse\.tif has pixels of 2 m"):
        predict(alone)


def test_another_crs_is_refused_before_any_work(tmp_path, model, corners, scene_factory):
    elsewhere = scene_factory("zone34.tif", crs="EPSG:32634")
    with pytest.raises(CrsError, match=r"zone34\.tif is in EPSG:32634, .*in EPSG:32633"):
        predict(options_for(model, [*corners, elsewhere], tmp_path))
    assert not list(tmp_path.glob("map*"))


def test_scenes_far_apart_are_told_of(tmp_path, model, scene_factory, caplog, monkeypatch):
    monkeypatch.setattr("geocobot.workflows.opened._SPARSE_PX", 1e5)
    west = scene_factory("west.tif", shape_hw=(40, 40))
    east = scene_factory("east.tif", shape_hw=(40, 40), origin_xy=(501_000.0, 4_999_000.0))
    done = predict(options_for(model, [west, east], tmp_path))
    assert "cover 0.3 % of the rectangle around them" in caplog.text
    with rasterio.open(done.scenes[0].classes) as classes:
        assert (classes.read(1) != 255).sum() == 2 * 40 * 40


def test_a_real_scene_in_pieces(tmp_path, model, real_data):
    """In degrees, with alpha, and pieces that do not lie on one grid by a third of a pixel."""
    with rasterio.open(real_data / "vegas_roads" / "scene.tif") as source:
        image, grid = source.read(window=((300, 700), (300, 800))), source.transform
        profile = source.profile | {"photometric": "RGB", "alpha": "yes"}
    pieces = []
    for number, col in enumerate((0, 220)):
        path = tmp_path / f"piece{number}.tif"
        place = {"transform": grid @ Affine.translation(300 + col + number / 3, 300)}
        size = {"height": 400, "width": 280}
        with rasterio.open(path, "w", **profile | place | size) as sink:
            sink.write(image[:, :, col : col + 280])
        pieces.append(path)
    ground_m = Scene.open(pieces[0]).grid.ground_pixel_m
    runner = CliRunner()
    done = runner.invoke(
        app,
        f"predict --raster {tmp_path}/piece*.tif --model {model} -o {tmp_path}/map.gpkg "
        "--save-classes --resolution 1 --json",
    )
    assert done.exit_code == 0, done.stderr
    (scene,) = json.loads(done.stdout)["scenes"]
    assert scene["n_rasters"] == 2
    with rasterio.open(scene["classes"]) as classes:
        assert classes.shape == (400, 501)
        valid = classes.read(1) != 255
    assert valid[:, :500].all()
    frame = gpd.read_file(scene["polygons"], layer="map")
    assert frame.geometry.is_valid.all()
    covered = frame.area_m2.sum() / np.prod(ground_m)
    assert covered <= valid.sum() * 1.01
