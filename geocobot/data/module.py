"""Training patches and validation tiles for Lightning."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from lightning import LightningDataModule
from rasterio.windows import Window
from torch.utils.data import DataLoader, Sampler

from geocobot.bands import BandRange
from geocobot.config.values import SamplingName
from geocobot.data.augmentation import DICE, augment
from geocobot.data.collection import ChainedSampler, MixedSampler, SampleKey, SceneCollection
from geocobot.data.dataset import Sample, SceneDataset
from geocobot.data.loader import make_loader
from geocobot.data.rectangles import area
from geocobot.data.samplers import PatchSampler, TileSampler
from geocobot.data.shares import ShareSampler, UnjudgedSampler
from geocobot.data.split import PATCH_STEP_PX, Split
from geocobot.data.survey import Survey
from geocobot.grid import GeoGrid
from geocobot.io.label_raster import LabelRaster
from geocobot.io.scene import Scene

MIN_STEPS_PER_EPOCH = 20
"""Shorter epochs would spend their time on validation."""

_MIN_ROOM = 0.75  # share of the training area that a crop larger than a patch must leave open


class SceneDataModule(LightningDataModule):
    """Random patches of the training regions, and every validation block once.

    An epoch's patches and their augmentation follow from the seed and the number of the epoch
    alone, which Lightning tells the sampler: not from the number of workers, nor from the epochs
    before, so that a resumed run sees what the uninterrupted one would have seen. After
    `repeat_after` the number counts modulo the length of the pool.

    Args:
        scenes: what to learn from.
        ranges: one per band and data type.
        labels: one per scene.
        splits: one per scene, all of one patch size.
        surveys: one per scene; training patches without labelled pixels are drawn again.
        batch_size: patches per batch.
        workers: processes that cut patches; 0 cuts them in this process.
        pin_memory: whether batches come in memory that CUDA copies from faster.
        seed: decides patches and augmentation, together with the epoch.
        steps_per_epoch: batches per epoch; default as many as show the training area about
            once, and at least `MIN_STEPS_PER_EPOCH`.
        augmented: whether training patches are turned and relit.
        sampling: where training patches lie, see `PatchSampler`.
        crop_px: side of the training patches; default the split's. Smaller ones make more steps
            per minute, larger ones show more context; what does not fit into the training
            regions is made smaller. Validation samples are as large at least, the ground around
            their block seen but not judged.
        separate: whether samples say where the insides of single objects are; the labels tell.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        ranges: Sequence[BandRange],
        labels: Sequence[LabelRaster],
        splits: Sequence[Split],
        surveys: Sequence[Survey],
        *,
        batch_size: int = 4,
        workers: int = 0,
        pin_memory: bool = False,
        seed: int = 0,
        steps_per_epoch: int | None = None,
        augmented: bool = True,
        sampling: SamplingName = "area",
        crop_px: int | None = None,
        separate: bool = False,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.workers = workers
        self.pin_memory = pin_memory
        self.crop_px = _fitting_crop(splits, crop_px)
        self.steps_per_epoch = steps_per_epoch or _steps_for(splits, self.crop_px, batch_size)
        parts = list(zip(scenes, labels, splits, surveys, strict=True))
        regions = [_roomy(split.train, self.crop_px) for split in splits]
        self.collection = SceneCollection(
            [
                SceneDataset(scene, ranges, raster, open_to, separate=separate)
                for (scene, raster, _, _), open_to in zip(parts, regions, strict=True)
            ]
        )
        length = self.steps_per_epoch * batch_size
        patches = [
            (
                k,
                PatchSampler(
                    self.collection.datasets[k],
                    size_px=self.crop_px,
                    length=length,
                    seed=seed,
                    stream=k,
                    survey=survey,
                    sampling=sampling,
                ),
            )
            for k, (_, _, _, survey) in enumerate(parts)
            if regions[k]
        ]
        self._hard_places = {k: s.hard_places for k, s in patches if s.hard_places is not None}
        self.train_sampler = MixedSampler(patches, length=length, seed=seed, augmented=augmented)
        self.val_sampler = self._blocks(splits)
        self._train_area_px = sum(split.train_area_px for split in splits)
        self._number, self._of = 0, 1

    @property
    def views_per_epoch(self) -> float:
        """How often an epoch shows a pixel of the training area on average."""
        return len(self.train_sampler) * self.crop_px**2 / self._train_area_px

    def repeat_after(self, epochs: int) -> None:
        """Show the patches of so many epochs again and again, turned and relit as before.

        For whoever keeps what was computed of them.
        """
        self.train_sampler.pool_epochs = epochs

    @contextmanager
    def shared(self, number: int, of: int) -> Iterator[None]:
        """Inside the `with` block the loaders hand out one of several processes' share.

        Together the processes have, step by step, the patches and the light that one process
        would have, and every validation block once.

        Args:
            number: of this process, from 0.
            of: how many there are; the batch is a multiple of it.
        """
        before = self._number, self._of
        self._number, self._of = number, of
        try:
            yield
        finally:
            self._number, self._of = before

    def train_dataloader(self) -> DataLoader[Sample]:
        """Batches of random patches as they are; the loader's sampler has `set_epoch`."""
        if self._of == 1:
            return self._loader(self.train_sampler)
        return self._loader(
            ShareSampler(
                self.train_sampler,
                number=self._number,
                of=self._of,
                at_a_time=self.batch_size // self._of,
            )
        )

    def val_dataloader(self) -> DataLoader[Sample]:
        """Batches of validation blocks, always in the same order."""
        if self._of == 1:
            return self._loader(self.val_sampler)
        if self._number >= len(self.val_sampler):
            return self._loader(UnjudgedSampler(self.val_sampler))
        return self._loader(ShareSampler(self.val_sampler, number=self._number, of=self._of))

    def on_after_batch_transfer(self, batch: Sample, dataloader_idx: int) -> Sample:  # noqa: ARG002 # Lightning's
        """Augment a batch of training patches on the device; leave others as they are."""
        return augment(batch) if DICE in batch else batch

    @property
    def wants_errors(self) -> bool:
        """Whether `note_errors` makes a difference."""
        return bool(self._hard_places)

    def note_errors(self, batch: Sample, errors: Sequence[float]) -> None:
        """Remember how badly the patches of a batch were mapped; the next epoch draws by it.

        Args:
            batch: of the training loader.
            errors: one per patch, at least 0.
        """
        shown = zip(batch["scene"].tolist(), batch["window"].tolist(), errors, strict=True)
        for scene, window, error in shown:
            self._hard_places[scene].note(Window(*window), error)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What a resumed run has to know: the errors so far."""
        return {str(k): torch.from_numpy(p.errors.copy()) for k, p in self._hard_places.items()}

    def load_state_dict(self, state_dict: dict[str, torch.Tensor]) -> None:
        """Go on with the errors of the interrupted run."""
        for k, places in self._hard_places.items():
            places.errors[:] = state_dict[str(k)].numpy()

    def _blocks(self, splits: Sequence[Split]) -> ChainedSampler:
        """Every validation block, with what the model is used to see around it."""
        samplers, blocks = [], []
        for k, split in enumerate(splits):
            side = max(split.patch_px, self.crop_px)
            dataset = self.collection.datasets[k]
            for block in split.val:
                seen = _around(block, side, dataset.grid)
                samplers.append((k, TileSampler(dataset, size_px=side, region=seen)))
                blocks.append(block)
        return ChainedSampler(samplers, judged=blocks)

    def _loader(self, sampler: Sampler[SampleKey]) -> DataLoader[Sample]:
        """A loader over all scenes."""
        return make_loader(
            self.collection,
            sampler,
            batch_size=self.batch_size // self._of,
            workers=self.workers,
            pin_memory=self.pin_memory,
        )


def _steps_for(splits: Sequence[Split], crop_px: int, batch_size: int) -> int:
    """Batches that hold about as many pixels as are open to training."""
    patches = sum(split.train_area_px for split in splits) / crop_px**2
    return max(MIN_STEPS_PER_EPOCH, math.ceil(patches / batch_size))


def _fitting_crop(splits: Sequence[Split], wanted_px: int | None) -> int:
    """The largest crop, up to the wanted one, that most of the training area has room for."""
    patch_px = min(s.patch_px for s in splits)
    if wanted_px is None or wanted_px <= patch_px:
        return wanted_px or patch_px
    total = sum(s.train_area_px for s in splits)
    for crop_px in range(wanted_px, patch_px, -PATCH_STEP_PX):
        if sum(area(_roomy(s.train, crop_px)) for s in splits) >= _MIN_ROOM * total:
            return crop_px
    return patch_px


def _roomy(regions: Sequence[Window], crop_px: int) -> tuple[Window, ...]:
    """The regions that a crop fits into."""
    return tuple(r for r in regions if min(r.width, r.height) >= crop_px)


def _around(block: Window, side_px: int, grid: GeoGrid) -> Window:
    """A square around a block, on the grid as far as the grid is wide enough."""
    col = block.col_off + (block.width - side_px) // 2
    row = block.row_off + (block.height - side_px) // 2
    col = max(0, min(col, grid.width - side_px))
    row = max(0, min(row, grid.height - side_px))
    return Window(col, row, side_px, side_px)
