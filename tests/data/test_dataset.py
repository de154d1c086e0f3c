from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from rasterio.windows import Window
from torchgeo.datasets import GeoDataset

from geocobot.classes import IGNORE
from geocobot.data.dataset import SceneDataset
from geocobot.data.samplers import TileSampler, slices_of
from geocobot.errors import GridMismatchError
from geocobot.io.scene import Scene

from .conftest import blobs, burnt, ranges_of


@pytest.fixture
def dataset(scene_factory) -> SceneDataset:
    mask = np.ones((96, 80), dtype=bool)
    mask[10:20, 30:40] = False
    scene = Scene.open(scene_factory(shape_hw=(96, 80), mask=mask))
    return SceneDataset(scene, ranges_of(scene), burnt(blobs((96, 80), n_classes=3), scene.grid))


def test_a_sample_is_the_window_normalized(dataset):
    window = Window(16, 0, 64, 48)
    sample = dataset[slices_of(dataset.grid, window)]
    patch = dataset.scene.read(window)
    assert sample["image"].dtype == torch.float32
    expected = (patch.image.astype(np.float32) - 1) / 199
    valid = sample["valid"].numpy()
    assert np.allclose(sample["image"].numpy()[:, valid], expected[:, valid])
    assert (sample["image"].numpy()[:, ~valid] == 0.5).all()
    assert sample["window"].tolist() == [16, 0, 64, 48]
    assert sample["window"].dtype == sample["label"].dtype == torch.int64
    cut = blobs((96, 80), n_classes=3)[0:48, 16:80]
    assert np.array_equal(sample["label"].numpy(), np.where(valid, cut, IGNORE))
    assert (~valid).sum() == 100


def test_a_window_over_the_edge_is_padded_and_not_valid(dataset):
    sample = dataset[slices_of(dataset.grid, Window(60, 80, 64, 64))]
    assert sample["image"].shape == (3, 64, 64)
    assert sample["valid"][:16, :20].all()
    assert sample["valid"].sum() == 16 * 20
    assert (sample["label"][~sample["valid"]] == IGNORE).all()


def test_without_labels_there_is_no_label(dataset):
    plain = SceneDataset(dataset.scene, dataset.ranges)
    assert set(plain[slices_of(plain.grid, Window(0, 0, 8, 8))]) == {"image", "valid", "window"}


def test_slices_between_pixels_are_refused(dataset):
    x, y = slices_of(dataset.grid, Window(0, 0, 8, 8))
    with pytest.raises(GridMismatchError, match="Windows are whole pixels"):
        dataset[slice(x.start + 0.3, x.stop + 0.3), y]


def test_a_window_off_the_scene_is_no_index(dataset):
    with pytest.raises(IndexError, match="does not touch scene"):
        dataset[slices_of(dataset.grid, Window(80, 0, 8, 8))]


def test_it_is_a_torchgeo_dataset_in_the_crs_of_the_scene(dataset):
    assert isinstance(dataset, GeoDataset)
    assert dataset.crs == dataset.scene.grid.crs
    assert dataset.res == dataset.grid.res_xy
    x, y, _ = dataset.bounds
    assert (x.start, y.start, x.stop, y.stop) == dataset.grid.bounds


def test_regions_become_rows_of_the_index(dataset):
    regions = [Window(0, 0, 40, 40), Window(40, 40, 64, 64)]
    rows = SceneDataset(dataset.scene, dataset.ranges, regions=regions).index
    found = [dataset.grid.window_for(shape.bounds) for shape in rows.geometry]
    assert found == regions


def test_it_pickles_for_workers(dataset):
    copy = pickle.loads(pickle.dumps(dataset))
    for slices in TileSampler(dataset, size_px=64):
        before, after = dataset[slices], copy[slices]
        assert all(torch.equal(before[name], after[name]) for name in before)
