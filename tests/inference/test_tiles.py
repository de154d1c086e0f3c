"""Tiles: every window from TorchGeo's sampler, every pixel as the scene has it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rasterio.windows import Window

from geocobot.bands import BandRange
from geocobot.data.dataset import SceneDataset
from geocobot.data.samplers import TileSampler
from geocobot.errors import ModelFileError
from geocobot.inference.tiles import load_tiles, plan_tiles, predict_tiles
from geocobot.io.scene import Scene
from geocobot.models.precision import Compute

RANGES = tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3))
CPU = Compute(torch.device("cpu"))


def first_band(image):
    """A stand-in model of two classes: band 1 and its opposite."""
    return torch.cat([image[:, :1], -image[:, :1]], dim=1)


def open_dataset(path):
    return SceneDataset(Scene.open(path), RANGES)


def run(dataset, predictor=first_band, *, size_px, overlap_px, **how):
    tile_plan = plan_tiles(dataset, size_px=size_px, overlap_px=overlap_px)
    loader = load_tiles(dataset, tile_plan, **how)
    return list(predict_tiles(predictor, loader, CPU, n_classes=2)), tile_plan


def load(path):
    """Tiles of 64 px of a scene."""
    dataset = open_dataset(path)
    return load_tiles(dataset, plan_tiles(dataset, size_px=64, overlap_px=0))


def test_tiles_carry_the_scene_pixel_by_pixel(scene_factory):
    dataset = open_dataset(scene_factory(shape_hw=(150, 90)))
    tiles, plan = run(dataset, size_px=64, overlap_px=16, batch_size=4)
    image = dataset.scene.read(dataset.grid.window).image[0] / np.float32(255)
    assert [t.window for t in tiles] == list(plan.windows)
    for tile in tiles:
        inside = dataset.grid.clip(tile.window)
        expected = image[inside.toslices()]
        part = tile.logits[:, : inside.height, : inside.width]
        np.testing.assert_allclose(part[0], expected, atol=1e-6)
        np.testing.assert_allclose(part[1], -expected, atol=1e-6)
        assert tile.logits.dtype == np.float32
        assert tile.valid[: inside.height, : inside.width].all()
        assert tile.valid.sum() == inside.height * inside.width


def test_every_window_came_out_of_the_sampler(scene_factory, monkeypatch):
    seen = []
    original = TileSampler.__iter__

    def spy(self):
        for slices in original(self):
            seen.append(
                self.grid.window_for(
                    (slices[0].start, slices[1].start, slices[0].stop, slices[1].stop)
                )
            )
            yield slices

    monkeypatch.setattr(TileSampler, "__iter__", spy)
    tiles, _ = run(open_dataset(scene_factory(shape_hw=(100, 200))), size_px=64, overlap_px=0)
    assert {tuple(t.window.flatten()) for t in tiles} <= {tuple(w.flatten()) for w in seen}
    assert len(tiles) == 8


def test_a_scene_smaller_than_a_tile_is_one_padded_tile(scene_factory):
    (tile,), plan = run(open_dataset(scene_factory(shape_hw=(20, 30))), size_px=64, overlap_px=16)
    assert plan.windows == (Window(0, 0, 64, 64),)
    assert tile.valid.sum() == 20 * 30


def test_tiles_without_data_never_reach_the_model(scene_factory):
    image = np.zeros((3, 64, 256), np.uint8)
    image[:, :, 130:] = 9
    dataset = open_dataset(scene_factory(image=image, nodata=0))
    shown = []

    def spy(batch):
        shown.append(len(batch))
        return first_band(batch)

    tiles, _ = run(dataset, spy, size_px=64, overlap_px=0, batch_size=2)
    assert shown == [2]
    assert [bool(t.valid.any()) for t in tiles] == [False, False, True, True]
    assert not tiles[0].logits.any()
    assert tiles[0].logits.shape == (2, 64, 64)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(scene_factory, workers):
    dataset = open_dataset(scene_factory(shape_hw=(150, 150)))
    alone, _ = run(dataset, size_px=64, overlap_px=16, batch_size=2)
    helped, _ = run(dataset, size_px=64, overlap_px=16, batch_size=2, workers=workers)
    for one, other in zip(alone, helped, strict=True):
        assert one.window == other.window
        assert one.logits.tobytes() == other.logits.tobytes()
        assert one.valid.tobytes() == other.valid.tobytes()


def test_a_module_is_set_to_evaluation(scene_factory):
    class Model(torch.nn.Module):
        def forward(self, image):
            assert not self.training
            assert torch.is_inference_mode_enabled()
            return first_band(image)

    model = Model().train()
    run(open_dataset(scene_factory()), model, size_px=64, overlap_px=0)
    assert not model.training


def test_inference_mode_ends_with_each_tile(scene_factory):
    loader = load(scene_factory())
    tiles = predict_tiles(first_band, loader, CPU, n_classes=2)
    next(tiles)
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_as_exact_as_asked_and_logits_float32_always(scene_factory, precision):
    seen = []
    layer = torch.nn.Conv2d(3, 2, 1)

    def model(image):
        seen.append(layer(image).dtype)
        return layer(image)

    loader = load(scene_factory())
    compute = Compute(torch.device("cpu"), precision)
    (*tiles,) = predict_tiles(model, loader, compute, n_classes=2)
    assert set(seen) == {getattr(torch, precision)}
    assert {tile.logits.dtype.name for tile in tiles} == {"float32"}
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_model_is_named(scene_factory, value):
    loader = load(scene_factory())
    tiles = predict_tiles(lambda x: first_band(x) * value, loader, CPU, n_classes=2)
    with pytest.raises(ModelFileError, match="not finite at row 0, column 0"):
        next(tiles)


def test_a_batch_stays_in_its_row(scene_factory):
    dataset = open_dataset(scene_factory(shape_hw=(150, 300)))
    plan = plan_tiles(dataset, size_px=64, overlap_px=16)
    layout = list(plan.rows())
    assert [len(row.windows) for row in layout] == [6, 6, 6]
    batches = list(load_tiles(dataset, plan, batch_size=4))
    assert [len(batch["image"]) for batch in batches] == [4, 2] * 3
    some = list(load_tiles(dataset, plan, rows=[2], batch_size=4))
    for one, other in zip(batches[4:], some, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["window"], other["window"])
