from __future__ import annotations

import numpy as np
import pytest
import torch

from geocobot.classes import IGNORE
from geocobot.data.transforms import NO_DATA_FILL, augment, dihedral, relight


@pytest.fixture
def sample() -> dict[str, torch.Tensor]:
    """Every pixel of image and label tells where it came from; a corner has no data."""
    number = torch.arange(64).reshape(8, 8)
    valid = torch.ones(8, 8, dtype=torch.bool)
    valid[:2, :3] = False
    image = torch.where(valid, number / 64, NO_DATA_FILL).repeat(3, 1, 1)
    return {
        "image": image,
        "valid": valid,
        "label": torch.where(valid, number, IGNORE),
        "window": torch.tensor([1, 2, 8, 8]),
    }


def test_the_eight_turns_are_all_different_and_move_pixels_only():
    square = torch.arange(9).reshape(3, 3)
    turned = {tuple(dihedral(square, turn).flatten().tolist()) for turn in range(8)}
    assert len(turned) == 8
    assert all(sorted(t) == list(range(9)) for t in turned)


@pytest.mark.parametrize("seed", range(24))
def test_image_label_and_valid_stay_aligned_to_the_pixel(sample, seed):
    after = augment(sample, np.random.default_rng(seed))
    assert torch.equal(after["label"] == IGNORE, ~after["valid"])
    assert (after["image"][:, ~after["valid"]] == NO_DATA_FILL).all()
    order = torch.argsort(after["label"][after["valid"]])
    light = after["image"][:, after["valid"]][:, order]
    # The light is one line for all pixels, so sorted by label it rises evenly.
    steps = light.diff() / sample["label"][sample["valid"]].sort().values.diff()
    assert torch.allclose(steps, steps[0, 0].expand_as(steps), atol=1e-5)
    assert torch.equal(after["window"], sample["window"])


def test_augmentation_follows_from_the_generator_alone(sample):
    first, again, other = (augment(sample, np.random.default_rng(s)) for s in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], other["image"])


def test_all_turns_occur(sample):
    seen = {
        tuple(augment(sample, np.random.default_rng(s))["label"].flatten().tolist())
        for s in range(100)
    }
    assert len(seen) == 8


def test_relight_keeps_the_range_and_the_fill():
    image = torch.tensor([[[-0.5, 0.5, 1.5]]])
    valid = torch.tensor([[True, False, True]])
    lit = relight(image, valid, contrast=1.15, brightness=0.1)
    assert torch.equal(lit, torch.tensor([[[-0.5, 0.5, 1.5]]]))
    assert relight(image, valid, contrast=0.9, brightness=0.1)[0, 0, 2] == pytest.approx(1.5)
    assert relight(image, valid, contrast=0.9, brightness=0.0)[0, 0, 2] == pytest.approx(1.4)
