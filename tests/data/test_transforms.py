from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.classes import IGNORE
from geocobot.data import transforms
from geocobot.data.transforms import NO_DATA_FILL, Light, Warp, augment, dihedral, relight, warp

warps = st.builds(Warp, st.floats(-np.pi, np.pi), st.floats(0.5, 2.0))


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


@pytest.fixture
def unwarped(monkeypatch):
    """Augmentation that moves whole pixels only."""
    monkeypatch.setattr(transforms, "_WARPED_SHARE", 0.0)


@pytest.mark.usefixtures("unwarped")
@pytest.mark.parametrize("seed", range(24))
def test_image_label_and_valid_stay_aligned_to_the_pixel(sample, seed):
    after = augment(sample, np.random.default_rng(seed))
    assert torch.equal(after["label"] == IGNORE, ~after["valid"])
    assert (after["image"][:, ~after["valid"]] == NO_DATA_FILL).all()
    order = torch.argsort(after["label"][after["valid"]])
    light = after["image"][:, after["valid"]][:, order]
    # No light swaps dark and bright, so sorted by label every band rises until it saturates.
    assert (light.diff() >= 0).all()
    assert (light[:, 1:] > light[:, :1]).all()
    assert torch.equal(after["window"], sample["window"])


def test_augmentation_follows_from_the_generator_alone(sample):
    first, again, other = (augment(sample, np.random.default_rng(s)) for s in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], other["image"])


@pytest.mark.usefixtures("unwarped")
def test_all_turns_occur(sample):
    seen = {
        tuple(augment(sample, np.random.default_rng(s))["label"].flatten().tolist())
        for s in range(100)
    }
    assert len(seen) == 8


def test_some_samples_are_warped_or_relit_and_some_are_neither(sample):
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[3:5, 3:5] = True
    turned = {tuple(dihedral(sample["image"][0], turn)[inside].tolist()) for turn in range(8)}
    after = [augment(sample, np.random.default_rng(s))["image"] for s in range(200)]
    untouched = sum(tuple(image[0][inside].tolist()) in turned for image in after)
    gray = sum(bool((image[0] == image[1]).all()) for image in after)
    assert 0.06 < untouched / 200 < 0.2  # a quarter of a half
    assert 0.4 < gray / 200 < 0.6


def test_no_warp_leaves_the_sample(sample):
    after = warp(sample, Warp())
    assert torch.allclose(after["image"], sample["image"], atol=1e-6)
    assert torch.equal(after["label"], sample["label"])
    assert torch.equal(after["valid"], sample["valid"])
    assert torch.equal(after["window"], sample["window"])


def test_a_quarter_of_a_circle_is_a_quarter_turn(sample):
    after = warp(sample, Warp(angle_rad=np.pi / 2))
    turns = [torch.rot90(sample["label"], k) for k in (1, 3)]
    assert any(torch.equal(after["label"], turned) for turned in turns)


def test_zoom_makes_things_larger():
    label = torch.zeros(16, 16, dtype=torch.int64)
    label[4:12, 4:12] = 1
    square = {"image": label.float()[None], "label": label, "valid": label >= 0}
    assert int(warp(square, Warp(zoom=1.5))["label"].sum()) == 12**2
    assert int(warp(square, Warp(zoom=0.5))["label"].sum()) > 4**2  # mirrored in around it
    assert warp(square, Warp(zoom=0.5))["label"][6:10, 6:10].all()
    assert not warp(square, Warp(zoom=0.5))["label"][5, 6:10].any()


@given(warps)
def test_what_has_no_data_never_seeps_into_what_has(how):
    valid = torch.ones(12, 12, dtype=torch.bool)
    valid[:4, :5] = False
    image = torch.where(valid, 1.0, NO_DATA_FILL)[None]
    after = warp({"image": image, "valid": valid, "label": torch.where(valid, 1, IGNORE)}, how)
    assert torch.allclose(after["image"][:, after["valid"]], torch.tensor(1.0), atol=2e-3)
    assert (after["image"][:, ~after["valid"]] == NO_DATA_FILL).all()
    assert (after["label"][after["valid"]] == 1).all()
    assert (after["label"][~after["valid"]] == IGNORE).all()


# Zoomed out, a corner between two pixels is seen by the interpolation alone.
@given(st.builds(Warp, st.floats(-np.pi, np.pi), st.floats(1.0, 2.0)))
def test_image_and_label_are_warped_alike(how):
    label = torch.zeros(32, 32, dtype=torch.int64)
    label[:, 12:] = 1
    label[20:, :] = 2
    image = label.float()[None]
    after = warp({"image": image, "label": label, "valid": label >= 0}, how)
    assert after["valid"].all()
    # Interpolation blends the pixels about each border, two of them when zoomed in by two.
    edges = torch.nn.functional.max_pool2d(after["label"].float()[None], 3, 1, 1)[0]
    edges = edges != -torch.nn.functional.max_pool2d(-after["label"].float()[None], 3, 1, 1)[0]
    away = torch.nn.functional.max_pool2d(edges.float()[None], 7, 1, 3)[0] == 0
    assert torch.allclose(after["image"][0][away], after["label"].float()[away], atol=1e-4)


def lit(light: Light, *pixels: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Valid pixels of as many bands in another light."""
    image = torch.tensor(pixels).T[:, None]
    valid = torch.ones(1, len(pixels), dtype=torch.bool)
    return [tuple(p) for p in relight(image, valid, light)[:, 0].T.tolist()]


def test_no_other_light_leaves_the_image():
    assert lit(Light(), (-0.5, 0.25, 1.5))[0] == pytest.approx((-0.5, 0.25, 1.5))


def test_relight_keeps_the_range_and_the_fill():
    image = torch.tensor([[[-0.5, 0.5, 1.5]]])
    valid = torch.tensor([[True, False, True]])
    bright = relight(image, valid, Light(contrast=1.3, brightness=0.2, gamma=1.4))
    assert bright[0, 0, 1] == NO_DATA_FILL
    assert bright.min() >= -0.5
    assert bright[0, 0, 2] == 1.5


def test_contrast_turns_about_mid_gray():
    assert lit(Light(contrast=0.5, brightness=0.1), (0.5,), (0.9,)) == [
        pytest.approx((0.6,)),
        pytest.approx((0.8,)),
    ]


def test_gamma_keeps_black_and_white():
    assert lit(Light(gamma=2.0), (0.0,), (0.5,), (1.0,), (-0.5,)) == [
        pytest.approx((v,)) for v in (0.0, 0.25, 1.0, -0.25)
    ]


def test_saturation_moves_bands_towards_their_mean():
    assert lit(Light(saturation=0.5), (0.2, 0.4, 0.6))[0] == pytest.approx((0.3, 0.4, 0.5))


def test_balance_is_one_number_per_band():
    assert lit(Light(balance=(0.1, 0.0, -0.1)), (0.5, 0.5, 0.5))[0] == pytest.approx(
        (0.6, 0.5, 0.4)
    )


def test_lights_differ_and_stay_in_their_ranges():
    lights = [Light.draw(np.random.default_rng(s), bands=8) for s in range(200)]
    assert len(set(lights)) == 200
    assert all(len(light.balance) == 8 for light in lights)
    assert min(light.contrast for light in lights) > 0.6
    assert max(light.contrast for light in lights) < 1.4
    assert min(light.saturation for light in lights) >= 0.3
