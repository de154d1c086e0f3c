"""Training on features that are kept."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from geocobot.models.cached_encoder import reusing_features
from geocobot.models.encoder import Features
from geocobot.models.feature_cache import FeatureCache
from geocobot.models.segmenter import Segmenter
from geocobot.training.fit import FitSettings, fit
from geocobot.training.groups import GroupSettings

from .squares import EpochSampler, SquaresModule

STEPS = 6
PATCHES = 4 * STEPS
VALIDATION = 8
POOL = 2


class FrozenEncoder(nn.Module):
    """Makes features of the image, and counts the samples it gets."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.requires_grad_(requires_grad=False)
        self.encoded = 0

    def forward(self, x):
        self.encoded += len(x)
        return Features((), self.stem(x).relu())


class Head(nn.Module):
    """A trained layer with dropout; raises when it has trained for so many steps."""

    needs_levels = False

    def __init__(self, last=None):
        super().__init__()
        torch.manual_seed(1)
        self.left = last
        self.body = nn.Conv2d(8, 8, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, features, image):
        if self.training and self.left is not None:
            if self.left == 0:
                raise PowerCutError
            self.left -= 1
        return self.out(self.drop(self.body(features.neck).relu()))


class PowerCutError(Exception):
    """Stands for a power cut in the same process."""


class PoolSampler(EpochSampler):
    """The patches of two epochs, again and again."""

    def set_epoch(self, epoch):
        super().set_epoch(epoch % POOL)


class PoolModule(SquaresModule):
    """Draws from a pool."""

    def train_dataloader(self):
        loader = super().train_dataloader()
        return type(loader)(loader.dataset, batch_size=4, sampler=PoolSampler(PATCHES))


def run(tmp_path, *, cache=None, name="run", resume=False, last=None):
    """Train for five epochs; the segmenter, and what the log says."""
    segmenter = Segmenter(FrozenEncoder(), Head(last))
    groups = GroupSettings(learning_rate=1e-2)
    settings = FitSettings(n_classes=1, epochs=5, seed=3, groups=groups, resume=resume)
    if cache is None:
        result = fit(segmenter, PoolModule(), settings, tmp_path / name)
    else:
        store = FeatureCache(tmp_path / cache, 10**7)
        with reusing_features(segmenter, store):
            result = fit(segmenter, PoolModule(), settings, tmp_path / name)
    with Path(result.log).open(newline="") as file:
        return segmenter, list(csv.DictReader(file))


def losses(rows):
    return torch.tensor([float(row["train_loss"]) for row in rows if row["train_loss"]])


def test_the_encoder_sees_every_patch_once_and_the_losses_are_the_same(tmp_path):
    plain, expected = run(tmp_path, name="plain")
    segmenter, rows = run(tmp_path, cache="features")
    assert plain.encoder.encoded == 5 * (PATCHES + VALIDATION)
    assert segmenter.encoder.encoded == POOL * PATCHES + VALIDATION
    torch.testing.assert_close(losses(rows), losses(expected), rtol=0, atol=1e-3)
    ious = [[float(row["val_iou"]) for row in r if row["val_iou"]] for r in (rows, expected)]
    assert ious[0] == pytest.approx(ious[1], abs=0.01)


def test_a_second_run_encodes_nothing_and_ends_in_the_same_weights(tmp_path):
    first, rows = run(tmp_path, cache="features", name="first")
    second, again = run(tmp_path, cache="features", name="second")
    assert second.encoder.encoded == 0
    assert again == rows
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.parametrize("last", [9, 15])
def test_a_resumed_run_equals_an_uninterrupted_one_and_encodes_no_patch_again(tmp_path, last):
    whole, expected = run(tmp_path, cache="features of the whole", name="whole")
    with pytest.raises(PowerCutError):
        run(tmp_path, cache="features", name="cut", last=last)
    resumed, rows = run(tmp_path, cache="features", name="cut", resume=True)
    assert rows == expected
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    begun = min(last + 1, POOL * STEPS) * 4
    assert resumed.encoder.encoded == POOL * PATCHES - begun


def test_checkpoints_hold_the_head_alone_and_fit_runs_without_a_cache(tmp_path):
    with pytest.raises(PowerCutError):
        run(tmp_path, cache="features", name="cut", last=9)
    saved = torch.load(tmp_path / "cut" / "checkpoints" / "last.ckpt", weights_only=True)
    assert {name.split(".")[1] for name in saved["state_dict"]} == {"head"}
    _, rows = run(tmp_path, name="cut", resume=True)
    _, expected = run(tmp_path, cache="features", name="whole")
    torch.testing.assert_close(losses(rows), losses(expected), rtol=0, atol=1e-3)
