from __future__ import annotations

import contextlib
import gc
import multiprocessing
import pickle
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchgeo.samplers
from lightning import LightningModule, Trainer
from rasterio.windows import Window

from geocobot.classes import IGNORE
from geocobot.data.augmentation import DICE
from geocobot.data.collection import ChainedSampler, MixedSampler, SampleKey
from geocobot.data.dataset import SceneDataset
from geocobot.data.loader import make_loader
from geocobot.data.module import SceneDataModule
from geocobot.data.rectangles import area, contains
from geocobot.data.samplers import PatchSampler, TileSampler, windows_of
from geocobot.data.split import Split
from geocobot.data.survey import survey_scene
from geocobot.io.scene import Scene
from geocobot.windows import grown, intersect

from .conftest import blobs, burnt, ranges_of


@pytest.fixture
def make_module(scene_factory) -> Callable[..., SceneDataModule]:
    """A module over two scenes in different CRS; the second one is larger."""
    shapes = ((256, 256), (320, 512))
    paths = [
        scene_factory("a.tif", shape_hw=shapes[0], seed=1),
        scene_factory("b.tif", shape_hw=shapes[1], seed=2, crs="EPSG:3857", origin_xy=(2e6, 6e6)),
    ]
    scenes = [Scene.open(path) for path in paths]
    labels = [
        burnt(blobs(scene.grid.shape, n_classes=2, seed=k), scene.grid)
        for k, scene in enumerate(scenes)
    ]
    surveys = [survey_scene(s, r) for s, r in zip(scenes, labels, strict=True)]
    splits = (
        Split(
            train=(Window(96, 0, 160, 256), Window(0, 160, 256, 96)),
            val=(Window(0, 0, 64, 64), Window(0, 64, 64, 64)),
            patch_px=64,
            gap_px=32,
        ),
        Split(
            train=(Window(0, 0, 416, 320), Window(0, 224, 512, 96)),
            val=(Window(448, 0, 64, 64), Window(448, 64, 64, 64), Window(448, 128, 64, 64)),
            patch_px=64,
            gap_px=32,
        ),
    )

    def make(**options: object) -> SceneDataModule:
        options = {"steps_per_epoch": 4, "batch_size": 3} | options
        return SceneDataModule(scenes, ranges_of(scenes[0]), labels, splits, surveys, **options)

    make.splits = splits
    return make


def epoch_of(module: SceneDataModule, epoch: int) -> list[dict[str, torch.Tensor]]:
    module.train_sampler.set_epoch(epoch)
    return shown(module, module.train_dataloader())


def shown(module: SceneDataModule, batches) -> list[dict[str, torch.Tensor]]:
    """Batches as a training step gets them."""
    return [module.on_after_batch_transfer(batch, 0) for batch in batches]


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a[name], b[name]) for a, b in zip(first, second, strict=True) for name in a
    )


def test_batches_have_the_agreed_form(make_module):
    module = make_module()
    (batch, *others) = epoch_of(module, 0)
    assert len(others) == 3
    assert batch["image"].shape == (3, 3, 64, 64)
    assert batch["label"].shape == batch["valid"].shape == (3, 64, 64)
    assert batch["window"].shape == (3, 4)
    assert batch["scene"].shape == (3,)
    assert batch["valid"].all()
    assert set(batch["label"].unique().tolist()) <= {0, 1, 2}


def test_training_patches_stay_out_of_the_gap_and_validation_in_its_blocks(make_module):
    module = make_module(steps_per_epoch=40)
    for batch in epoch_of(module, 0):
        for scene, (col, row, width, height) in zip(
            batch["scene"].tolist(), batch["window"].tolist(), strict=True
        ):
            split = make_module.splits[scene]
            window = Window(col, row, width, height)
            assert any(contains(r, window) for r in split.train)
            assert all(intersect(window, grown(b, split.gap_px)) is None for b in split.val)
    seen = [
        (scene, tuple(window))
        for batch in module.val_dataloader()
        for scene, window in zip(batch["scene"].tolist(), batch["window"].tolist(), strict=True)
    ]
    assert seen == [
        (k, (b.col_off, b.row_off, b.width, b.height))
        for k, split in enumerate(make_module.splits)
        for b in split.val
    ]


def test_an_epoch_follows_from_seed_and_number_alone(make_module):
    fresh, used = make_module(seed=4), make_module(seed=4)
    for epoch in range(3):
        epoch_of(used, epoch)
    torch.manual_seed(99)
    assert same(epoch_of(fresh, 3), epoch_of(used, 3))
    assert not same(epoch_of(fresh, 3), epoch_of(fresh, 4))
    assert not same(epoch_of(fresh, 3), epoch_of(make_module(seed=5), 3))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pool_comes_again_byte_by_byte(make_module, workers):
    # Large enough for torch to cut it among its threads, which workers have fewer of.
    module = make_module(workers=workers, crop_px=128, steps_per_epoch=2)
    module.repeat_after(2)
    loader = module.train_dataloader()
    drawn = []
    for epoch in range(5):
        module.train_sampler.set_epoch(epoch)
        drawn.append([batch["image"].numpy().tobytes() for batch in shown(module, loader)])
    assert drawn[0] == drawn[2] == drawn[4]
    assert drawn[1] == drawn[3]
    assert not set(drawn[0]) & set(drawn[1])
    plain = make_module(crop_px=128, steps_per_epoch=2)
    for epoch in range(2):
        images = [batch["image"].numpy().tobytes() for batch in epoch_of(plain, epoch)]
        assert images == drawn[epoch]


def test_workers_do_not_change_the_samples(make_module):
    alone, helped = make_module(), make_module(workers=2)
    loader = helped.train_dataloader()
    for epoch in range(2):
        helped.train_sampler.set_epoch(epoch)
        assert same(shown(helped, loader), epoch_of(alone, epoch))
    assert same(list(helped.val_dataloader()), list(alone.val_dataloader()))


def test_augmentation_can_be_left_off(make_module):
    plain = epoch_of(make_module(augmented=False), 0)
    turned = epoch_of(make_module(), 0)
    for a, b in zip(plain, turned, strict=True):
        assert torch.equal(a["window"], b["window"])
        assert not torch.equal(a["image"], b["image"])
    module = make_module(augmented=False)
    key = next(iter(module.train_sampler))
    assert torch.equal(
        plain[0]["image"][0], module.collection.datasets[key.scene][key.slices]["image"]
    )


def n_places(sampler):
    """Positions at which a patch lies within a region, each counted once."""
    places = np.zeros(sampler.grid.shape, dtype=bool)
    for r in sampler.regions:
        below, right = (length - sampler.size_px + 1 for length in (r.height, r.width))
        places[r.row_off : r.row_off + below, r.col_off : r.col_off + right] = True
    return int(places.sum())


def test_places_in_several_regions_weigh_once(make_module):
    module = make_module()
    samplers = [sampler for _, sampler in module.train_sampler.samplers]
    assert any(len(sampler.regions) > 1 for sampler in samplers)
    assert [sampler.positions for sampler in samplers] == [n_places(s) for s in samplers]


def test_scenes_are_drawn_by_where_patches_can_lie(make_module):
    module = make_module(steps_per_epoch=1000)
    scenes = np.array([key.scene for key in module.train_sampler])
    positions = [n_places(sampler) for _, sampler in module.train_sampler.samplers]
    expected = positions[1] / sum(positions)
    assert abs((scenes == 1).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / 3000)


def test_every_window_came_out_of_a_torchgeo_sampler(make_module, monkeypatch):
    """Record what TorchGeo's samplers yield; the loaders deliver that and nothing else."""
    recorded: list[tuple[type, object]] = []

    def recording(kind: type) -> None:
        original = kind.__iter__

        def record(self):
            assert isinstance(self, torchgeo.samplers.GeoSampler)
            for slices in original(self):
                recorded.append((kind, windows_of([slices], self.grid)[0]))
                yield slices

        monkeypatch.setattr(kind, "__iter__", record)

    recording(PatchSampler)
    recording(TileSampler)
    module = make_module()
    dataset = module.collection.datasets[1]
    tiles = make_loader(
        SceneDataset(dataset.scene, dataset.ranges),
        TileSampler(dataset, size_px=128, stride_px=96),
        batch_size=2,
        workers=0,
    )
    for kind, batches in (
        (PatchSampler, module.train_dataloader()),
        (TileSampler, module.val_dataloader()),
        (TileSampler, tiles),
    ):
        delivered = [tuple(w) for batch in batches for w in batch["window"].tolist()]
        expected = [(w.col_off, w.row_off, w.width, w.height) for _, w in recorded]
        assert delivered
        assert delivered == expected
        assert {k for k, _ in recorded} == {kind}
        recorded.clear()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux does")
@pytest.mark.parametrize("workers", [0, 1])
def test_ten_thousand_patches_leak_neither_files_nor_memory(make_module, workers):
    module = make_module(steps_per_epoch=100, batch_size=10, crop_px=32, workers=workers)
    loader = module.train_dataloader()

    def open_files() -> dict[str, int]:
        """Open descriptors of this process and its workers by the file they lead to."""
        processes = ["self", *(str(p.pid) for p in multiprocessing.active_children())]
        found: Counter[str] = Counter()
        for process in processes:
            for entry in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found[str(entry.readlink())] += 1
        return found

    def show(epochs: range) -> int:
        """Patches of so many epochs; bytes that Python holds afterwards."""
        for epoch in epochs:
            module.train_sampler.set_epoch(epoch)
            for batch in loader:
                module.on_after_batch_transfer(batch, 0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = show(range(2))
        files = open_files()
        after = show(range(2, 10))
    finally:
        tracemalloc.stop()
    assert after - before < 500_000
    scenes = {name: n for name, n in open_files().items() if name.endswith(".tif")}
    assert scenes == {name: n for name, n in files.items() if name.endswith(".tif")}
    # One handle per process that reads: this one has surveyed, the workers cut patches.
    assert set(scenes.values()) == {1 + workers}
    assert sum(open_files().values()) <= sum(files.values()) + 2


def test_an_epoch_shows_the_training_area_about_once(make_module):
    module = make_module(steps_per_epoch=None, batch_size=1)
    area = sum(split.train_area_px for split in make_module.splits)
    assert area <= len(module.train_sampler) * 64**2 < area + 64**2


def test_views_count_how_often_an_epoch_shows_a_training_pixel(make_module):
    module = make_module(crop_px=32)
    shown = sum(batch["image"][:, 0].numel() for batch in epoch_of(module, 0))
    trained = sum(area(split.train) for split in make_module.splits)
    assert module.views_per_epoch == pytest.approx(shown / trained)


def test_crops_may_be_smaller_than_patches(scene_factory):
    scene = Scene.open(scene_factory("c.tif", shape_hw=(256, 256)))
    labels = burnt(blobs(scene.grid.shape), scene.grid)
    split = Split(
        (Window(0, 0, 256, 64), Window(128, 0, 128, 256)), (Window(0, 128, 64, 64),), 64, 32
    )
    module = SceneDataModule(
        [scene], ranges_of(scene), [labels], [split], [survey_scene(scene, labels)], crop_px=32
    )
    assert next(iter(module.train_dataloader()))["image"].shape[-2:] == (32, 32)
    assert next(iter(module.val_dataloader()))["image"].shape[-2:] == (64, 64)


def test_crops_may_be_larger_where_most_of_the_ground_has_room(make_module):
    assert make_module(crop_px=96).crop_px == 96
    assert make_module(crop_px=192).crop_px == 128
    for batch in epoch_of(make_module(crop_px=96), 0):
        assert batch["image"].shape[-2:] == (96, 96)
        for scene, window in zip(batch["scene"].tolist(), batch["window"].tolist(), strict=True):
            assert any(contains(r, Window(*window)) for r in make_module.splits[scene].train)


def test_validation_shows_as_much_and_judges_its_block_alone(make_module):
    module = make_module(crop_px=96)
    blocks = [(k, b) for k, split in enumerate(make_module.splits) for b in split.val]
    samples = [module.collection[key] for key in module.val_sampler]
    for (scene, block), sample in zip(blocks, samples, strict=True):
        dataset = module.collection.datasets[scene]
        col, row, width, height = sample["window"].tolist()
        assert (width, height) == (96, 96)
        assert contains(dataset.grid.window, Window(col, row, width, height))
        judged = torch.zeros(96, 96, dtype=torch.bool)
        judged[block.row_off - row :, block.col_off - col :][:64, :64] = True
        assert torch.equal(sample["label"] != IGNORE, judged)
        alone = module.collection.datasets[scene].labels.read(block).classes
        assert np.array_equal(sample["label"][judged].numpy(), alone.ravel())


class _Recorder(LightningModule):
    """Notes which windows it is shown and how, and learns one number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.shown: list[list[int]] = []
        self.images: list[torch.Tensor] = []

    def training_step(self, batch, _):
        self.shown += batch["window"].tolist()
        self.images.append(batch["image"])
        return self.weight * 1.0

    def validation_step(self, batch, _):
        assert DICE not in batch
        assert (batch["label"] != IGNORE).all()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("pool_epochs", [None, 3])
def test_lightning_moves_the_epoch_on_and_resumes_with_the_same_patches(
    make_module, tmp_path, pool_epochs
):
    def fit(epochs: int, resumed: str | None = None) -> tuple[_Recorder, Trainer]:
        module = make_module()
        if pool_epochs is not None:
            module.repeat_after(pool_epochs)
        recorder = _Recorder()
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(recorder, datamodule=module, ckpt_path=resumed)
        return recorder, trainer

    recorded, _ = fit(4)
    for image, batch in zip(recorded.images, epoch_of(make_module(), 0), strict=False):
        assert torch.equal(image, batch["image"])
    whole = recorded.shown
    assert whole[:12] != whole[12:24]
    assert (whole[:12] == whole[36:]) == (pool_epochs == 3)
    _, stopped = fit(2)
    stopped.save_checkpoint(tmp_path / "two.ckpt")
    rest, _ = fit(4, str(tmp_path / "two.ckpt"))
    assert rest.shown == whole[24:]
    assert all(map(torch.equal, rest.images, recorded.images[8:]))


def test_a_sampler_shorter_than_the_epoch_is_refused(make_module):
    sampler = PatchSampler(make_module().collection.datasets[0], size_px=64, length=3)
    with pytest.raises(ValueError, match="shorter than the epoch of 4 patches"):
        MixedSampler([(0, sampler)], length=4, seed=0)


def test_chained_tiles_come_one_region_after_the_other(make_module):
    datasets = make_module().collection.datasets
    parts = [(k, TileSampler(d, size_px=256)) for k, d in enumerate(datasets)]
    chained = ChainedSampler(parts)
    assert [key.scene for key in chained] == [0] + [1] * 4
    assert len(chained) == 5


def test_keys_and_scenes_pickle_for_workers(make_module):
    collection = pickle.loads(pickle.dumps(make_module().collection))
    key = next(iter(make_module().train_sampler))
    assert isinstance(pickle.loads(pickle.dumps(key)), SampleKey)
    assert collection[key]["scene"] == key.scene


def by_window(samples) -> list[tuple[int, ...]]:
    """Scene, window and dice of every sample, one after the other."""
    return [
        (int(scene), *window.tolist(), *dice.tolist())
        for batch in samples
        for scene, window, dice in zip(batch["scene"], batch["window"], batch[DICE], strict=True)
    ]


@pytest.mark.parametrize("sampling", ["area", "classes"])
def test_processes_share_the_patches_of_one(make_module, sampling):
    module = make_module(batch_size=6, seed=7, sampling=sampling)
    module.train_sampler.set_epoch(2)
    expected = by_window(module.train_dataloader())
    shares = []
    for number in range(3):
        with module.shared(number, 3):
            loader = module.train_dataloader()
            loader.sampler.set_epoch(2)
            shares.append(by_window(loader))
    assert {len(share) for share in shares} == {4 * 2}
    steps = [share[2 * k : 2 * k + 2] for k in range(4) for share in shares]
    assert [patch for step in steps for patch in step] == expected
    assert by_window(module.train_dataloader()) == expected  # whole again


@pytest.mark.parametrize("of", [2, 3, 7])
def test_processes_share_the_validation_blocks(make_module, of):
    module = make_module(batch_size=of)
    judged = Counter()
    for number in range(of):
        with module.shared(number, of):
            batches = list(module.val_dataloader())
            assert len(module.val_dataloader()) == len(batches) >= 1
        for batch in batches:
            for scene, window, label in zip(
                batch["scene"], batch["window"], batch["label"], strict=True
            ):
                if (label != IGNORE).any():
                    judged[int(scene), *window.tolist()] += 1
    assert len(judged) == 5
    assert set(judged.values()) == {1}
