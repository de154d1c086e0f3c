"""A segmentation problem so small that a run takes a second."""

from contextlib import contextmanager

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from geocobot.classes import IGNORE
from geocobot.data.shares import ShareSampler

SIDE = 16


class DrawnPatches(Dataset):
    """Bright squares on dark ground; sample (epoch, i) is always the same."""

    def __getitem__(self, key):
        rng = np.random.default_rng(key)
        image = rng.normal(0.3, 0.2, (3, SIDE, SIDE)).astype(np.float32)
        label = np.zeros((SIDE, SIDE), np.int64)
        row, col = rng.integers(0, SIDE - 6, 2)
        label[row : row + 6, col : col + 6] = 1
        image[:, label == 1] += 0.4
        valid = np.ones((SIDE, SIDE), bool)
        valid[0] = False
        label[~valid] = IGNORE
        return {
            "image": torch.from_numpy(image),
            "label": torch.from_numpy(label),
            "valid": torch.from_numpy(valid),
        }


class EpochSampler(Sampler):
    """Keys that change with the epoch, as the product's samplers do."""

    def __init__(self, length, *, fixed=False):
        self.length = length
        self.fixed = fixed
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = 0 if self.fixed else epoch

    def __iter__(self):
        yield from ((7 if self.fixed else 1, self.epoch, i) for i in range(self.length))

    def __len__(self):
        return self.length


class SquaresModule(LightningDataModule):
    """Six steps of four patches per epoch, two validation batches."""

    def __init__(self, steps=6):
        super().__init__()
        self.steps = steps

        self.number, self.of = 0, 1

    @contextmanager
    def shared(self, number, of):
        self.number, self.of = number, of
        yield
        self.number, self.of = 0, 1

    def train_dataloader(self):
        return self.loader(EpochSampler(4 * self.steps), at_a_time=4 // self.of)

    def val_dataloader(self):
        return self.loader(EpochSampler(8, fixed=True), at_a_time=1)

    def loader(self, sampler, at_a_time):
        own = ShareSampler(sampler, number=self.number, of=self.of, at_a_time=at_a_time)
        return DataLoader(DrawnPatches(), batch_size=4 // self.of, sampler=own)


class TinySegmenter(nn.Module):
    """A frozen stem, a trained layer with dropout and a head."""

    starts_at_random = True

    def __init__(self, n_classes=1, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.stem = nn.Conv2d(3, 8, 3, padding=1).requires_grad_(False)
            self.body = nn.Conv2d(8, 8, 3, padding=1)
            self.norm = nn.GroupNorm(2, 8)
            self.drop = nn.Dropout(0.2)
            self.head = nn.Conv2d(8, n_classes, 1)

    def forward(self, image):
        features = self.drop(self.norm(self.body(self.stem(image).relu())).relu())
        return self.head(features)
