"""Crops of real pixels."""

from __future__ import annotations

import pytest
import torch

from geocobot.training.pretrain.images import ImageBank


def ramp(height: int, width: int) -> torch.Tensor:
    return (torch.arange(height * width).view(1, height, width) % 256).expand(3, -1, -1).byte()


def test_crops_have_the_wanted_side_and_range() -> None:
    bank = ImageBank([ramp(200, 300), ramp(90, 500)])
    crops = bank.draw(torch.Generator().manual_seed(0), 10, 64, torch.device("cpu"))
    assert crops.shape == (10, 3, 64, 64)
    assert crops.dtype == torch.float32
    assert crops.min() >= 0
    assert crops.max() <= 1


def test_a_window_smaller_than_the_crop_is_enlarged() -> None:
    bank = ImageBank([torch.full((3, 40, 50), 51, dtype=torch.uint8)])
    crops = bank.draw(torch.Generator().manual_seed(0), 2, 128, torch.device("cpu"))
    assert torch.allclose(crops, torch.full_like(crops, 0.2), atol=1e-5)


def test_the_same_generator_draws_the_same_crops() -> None:
    bank = ImageBank([ramp(200, 300)])
    first, second = (
        bank.draw(torch.Generator().manual_seed(3), 4, 64, torch.device("cpu")) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_crops_are_turned_all_ways() -> None:
    # Brighter to the right: after quarter turns and flips to any side.
    window = torch.linspace(0, 255, 256).view(1, 1, -1).expand(3, 256, -1).byte()
    crops = ImageBank([window]).draw(torch.Generator().manual_seed(0), 64, 64, torch.device("cpu"))
    across = crops[:, 0, :, -1].mean(1) - crops[:, 0, :, 0].mean(1)
    down = crops[:, 0, -1].mean(1) - crops[:, 0, 0].mean(1)
    for slope in (across, down):
        assert (slope > 0.05).any()
        assert (slope < -0.05).any()


def test_an_empty_bank_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw from"):
        ImageBank([])
