"""Objects that touch, kept apart from training to polygons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch

import geocobot
from geocobot.config import PredictOptions, TrainOptions
from geocobot.data.collection import MixedSampler
from geocobot.errors import BandError, ConfigError, ModelFileError, ResumeError
from geocobot.models.modelfile import load_model, read_card
from geocobot.scaling import Scaling, at_threshold
from geocobot.settings import make_options
from geocobot.workflows.predict import predict
from geocobot.workflows.train import train
from geocobot.yaml_file import read_yaml

from .stand_in import StandIn, make_card, make_map
from .untrained import make_model, options_for

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_PX, HOUSE_PX = 256, 20
ROWS, HOUSES_IN_ROW = 6, 11


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


def terraces() -> list[shapely.Polygon]:
    """Rows of houses, wall to wall."""
    return [
        shapely.box(WEST + x, NORTH - y - HOUSE_PX, WEST + x + HOUSE_PX, NORTH - y)
        for y in range(10, 10 + 40 * ROWS, 40)
        for x in range(16, 16 + HOUSE_PX * HOUSES_IN_ROW, HOUSE_PX)
    ]


@pytest.fixture
def scene(scene_factory: Callable[..., Path]) -> Path:
    """Bright roofs of the same color, a ridge along the middle of each."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 50, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    for house in terraces():
        west, _, _, north = house.bounds
        row, col = int(NORTH - north), int(west - WEST)
        ramp = 1 - np.abs(np.arange(HOUSE_PX) - HOUSE_PX / 2 + 0.5) / (HOUSE_PX / 2)
        image[:, row : row + HOUSE_PX, col : col + HOUSE_PX] += (90 + 100 * ramp).astype("uint8")
    return scene_factory(image=image)


@pytest.fixture
def options(scene: Path, labels_factory: Callable[..., Path], tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        raster=(str(scene),),
        labels=(str(labels_factory(terraces(), name="houses.gpkg")),),
        out=str(tmp_path / "run"),
        separate=True,
        patch_size=64,
        batch_size=2,
        epochs=3,
        workers=0,
        device="cpu",
        precision="float32",
    )


def test_raster_labels_tell_no_objects_apart(
    options: TrainOptions, scene_factory: Callable[..., Path]
) -> None:
    classes = np.zeros((SIDE_PX, SIDE_PX), "uint8")
    classes[40:90, 40:90] = 1
    raster = scene_factory("classes.tif", image=classes)
    with pytest.raises(ConfigError, match=r"--separate is asked for.*raster.*classes\.tif"):
        train(replace(options, labels=(str(raster),)))
    assert not Path(str(options.out)).exists()


def test_lines_are_no_objects(options: TrainOptions, labels_factory: Callable[..., Path]) -> None:
    line = shapely.LineString([(WEST, NORTH - 30), (WEST + SIDE_PX, NORTH - 30)])
    labels = labels_factory([line], name="roads.gpkg")
    with pytest.raises(ConfigError, match=r"--separate is asked for.*lines.*roads\.gpkg"):
        train(replace(options, labels=(str(labels),), line_width=6.0))


def test_boxes_tell_objects_apart_already(options: TrainOptions) -> None:
    with pytest.raises(ConfigError, match=r"--separate is asked for with --prompt boxes"):
        train(replace(options, prompt="boxes"))


class Separating(StandIn):
    """Says as well what is inside: what is very bright or very dark."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        planes = super().__call__(image)
        return torch.cat([planes, planes.amax(dim=1, keepdim=True) + 0.8], dim=1)


@pytest.fixture
def blotches(scene_factory: Callable[..., Path]) -> Path:
    """Smooth noise, a corner of it without data."""
    coarse = np.random.default_rng(3).integers(30, 226, (3, 33, 25))
    image = np.kron(coarse, np.ones((10, 10))).astype("uint8")
    image[:, -100:, -120:] = 0
    return scene_factory("blotches.tif", image=image, nodata=0)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_scores_carry_the_plane_to_other_polygons(
    blotches: Path, tmp_path: Path, dtype: str
) -> None:
    cleaning = {"min_area": 0.0, "simplify": 0.5, "scores_dtype": dtype}
    usual = make_map(blotches, tmp_path / "usual" / "map.gpkg", **cleaning)
    mapped = make_map(
        blotches, tmp_path / "map" / "map.gpkg", Separating(), separate=True, **cleaning
    )
    assert mapped.n_polygons > 1.1 * usual.n_polygons
    assert mapped.classes.read_bytes() == usual.classes.read_bytes()
    with rasterio.open(mapped.scores) as raster:
        assert raster.descriptions == ("bright", "dark", "inside of an object")
        assert raster.tags(3)["PLANE"] == "interior"
        with rasterio.open(usual.scores) as without:
            np.testing.assert_array_equal(raster.read([1, 2]), without.read())
    how = {"min_area": 0.0, "simplify": 0.5}
    again = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "again" / "map.gpkg", **how)
    assert again.polygons.read_bytes() == mapped.polygons.read_bytes()
    assert read_yaml(again.config)["separate"] is True
    off = geocobot.vectorize(
        scores=mapped.scores, out=tmp_path / "off" / "map.gpkg", separate=False, **how
    )
    assert off.polygons.read_bytes() == usual.polygons.read_bytes()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_scaled_scores_cut_objects_where_they_were(
    blotches: Path, tmp_path: Path, dtype: str
) -> None:
    how: dict[str, Any] = {"min_area": 0.0, "simplify": 0.5, "scores_dtype": dtype}
    out = tmp_path / "plain" / "map.gpkg"
    plain = make_map(blotches, out, Separating(), separate=True, **how)
    card = make_card()
    moved = [
        at_threshold(spec, scaling)
        for spec, scaling in zip(card.classes, [Scaling(2.5, 0.7), Scaling(0.7, -0.4)], strict=True)
    ]
    scaled = replace(
        card, classes=tuple(c for c, _ in moved), scaling=tuple(scaling for _, scaling in moved)
    )
    out = tmp_path / "scaled" / "map.gpkg"
    mapped = make_map(blotches, out, Separating(), separate=True, card=scaled, **how)
    before, after = (gpd.read_file(m.polygons, layer="map") for m in (plain, mapped))
    assert before.geometry.geom_equals(after.geometry).all()
    assert (before["score"] != after["score"]).mean() > 0.9
    how.pop("scores_dtype")
    again = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "again" / "map.gpkg", **how)
    assert again.polygons.read_bytes() == mapped.polygons.read_bytes()


@pytest.mark.parametrize("after", [1, 5, 9])
def test_an_interrupted_map_goes_on(blotches: Path, tmp_path: Path, after: int) -> None:
    whole = make_map(blotches, tmp_path / "whole" / "map.gpkg", Separating(), separate=True)
    out = tmp_path / "out" / "map.gpkg"
    with pytest.raises(KeyboardInterrupt):
        make_map(blotches, out, Separating(stop_after=after), separate=True)
    if after > 3:
        with pytest.raises(ResumeError, match=r"option separate \(was True, is False\)"):
            make_map(blotches, out, Separating(), separate=False, resume=True)
    resumed = make_map(blotches, out, Separating(), separate=True, resume=True)
    for name in ("polygons", "scores", "classes"):
        assert getattr(resumed, name).read_bytes() == getattr(whole, name).read_bytes()


def test_pixels_of_another_size_carry_the_plane(blotches: Path, tmp_path: Path) -> None:
    mapped = make_map(blotches, tmp_path / "map.gpkg", Separating(), separate=True, resolution=1.3)
    again = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "again" / "map.gpkg")
    assert again.polygons.read_bytes() == mapped.polygons.read_bytes()


def test_nothing_is_cut_apart_that_nobody_has_learned(blotches: Path, tmp_path: Path) -> None:
    mapped = make_map(blotches, tmp_path / "map.gpkg")
    again = geocobot.vectorize(scores=mapped.scores, out=tmp_path / "again" / "map.gpkg")
    assert read_yaml(again.config)["separate"] is False
    with pytest.raises(BandError, match=r"map_scores\.tif has no band that tells objects apart"):
        geocobot.vectorize(scores=mapped.scores, out=tmp_path / "x.gpkg", separate=True)
    model = make_model(tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match="has not learned to tell objects apart"):
        predict(options_for(model, blotches, tmp_path / "out", separate=True))
    assert not (tmp_path / "x.gpkg").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_from_labels_to_houses(options: TrainOptions, scene: Path, tmp_path: Path) -> None:
    """A terrace is many houses, with the plane, and one without."""
    run = train(options)
    card = read_card(run.model)
    assert card.segmenter.head.separate
    assert len(card.classes) == len(run.scores.classes) == 1
    assert load_model(run.model)[0].separates
    asked = make_options(
        PredictOptions,
        {
            "raster": [str(scene)],
            "model": str(run.model),
            "out": str(tmp_path / "map.gpkg"),
            "save_scores": True,
            "device": "cpu",
            "simplify": 0.0,
            "threads": 1,
        },
        "test",
    )
    (mapped,) = predict(asked).scenes
    assert read_yaml(mapped.config)["separate"] is True
    whole = replace(asked, out=str(tmp_path / "off" / "map.gpkg"), separate=False)
    (joined,) = predict(whole).scenes
    assert n_found(mapped.polygons) > 0.8 * len(terraces())
    assert n_found(joined.polygons) < 0.3 * len(terraces())
    two = replace(asked, out=str(tmp_path / "two" / "map.gpkg"), devices=2)
    (by_two,) = predict(two).scenes
    assert by_two.polygons.read_bytes() == mapped.polygons.read_bytes()
    assert by_two.scores.read_bytes() == mapped.scores.read_bytes()


def n_found(path: Path) -> int:
    """Houses of which a polygon covers half, of both together."""
    found = np.asarray(gpd.read_file(path, layer="map").geometry)
    houses = np.asarray(terraces())
    i, j = shapely.STRtree(found).query(houses, predicate="intersects")
    common = shapely.area(shapely.intersection(houses[i], found[j]))
    united = shapely.area(houses[i]) + shapely.area(found[j]) - common
    return int((common / united >= 0.5).sum())


@pytest.mark.slow
def test_an_interrupted_training_goes_on(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = train(replace(options, epochs=2))
    begin = MixedSampler.set_epoch

    def stop_at_second(sampler: MixedSampler, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt
        begin(sampler, epoch)

    interrupted = replace(options, epochs=2, out=str(tmp_path / "again"))
    with monkeypatch.context() as patched:
        patched.setattr(MixedSampler, "set_epoch", stop_at_second)
        with pytest.raises(KeyboardInterrupt):
            train(interrupted)
    resumed = train(replace(interrupted, resume=True))
    assert resumed.model.read_bytes() == whole.model.read_bytes()
