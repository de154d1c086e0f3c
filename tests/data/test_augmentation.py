from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kornia.geometry.transform import get_affine_matrix2d, warp_affine
from torch.nn.functional import max_pool2d

from geocobot.bands import NO_DATA_FILL
from geocobot.classes import IGNORE
from geocobot.data import changes
from geocobot.data.augmentation import DICE, add_haze, augment, relight, sense, warp
from geocobot.data.changes import Change, Haze, Light, Sensor, Warp
from geocobot.data.dataset import INTERIOR

turns = st.integers(0, 7)
warps = st.builds(Warp, turns, st.floats(-np.pi, np.pi), st.floats(0.5, 2.0))
SHARES = ("_WARPED_SHARE", "_RELIT_SHARE", "_HAZY_SHARE", "_NOISY_SHARE", "_BLIND_SHARE")


def batch_of(seeds, side=8, bands=3):
    """Every pixel of image and label tells where it came from; a corner has no data."""
    number = torch.arange(side * side).reshape(side, side)
    valid = torch.ones(side, side, dtype=torch.bool)
    valid[:2, :3] = False
    image = torch.where(valid, number / side**2, NO_DATA_FILL).repeat(bands, 1, 1)
    n = len(seeds)
    return {
        "image": image.repeat(n, 1, 1, 1),
        "valid": valid.repeat(n, 1, 1),
        "label": torch.where(valid, number, IGNORE).repeat(n, 1, 1),
        "window": torch.tensor([1, 2, side, side]).repeat(n, 1),
        DICE: torch.tensor([[3, seed] for seed in seeds]),
    }


@pytest.fixture
def only(monkeypatch):
    """Augmentation with some of its shares at 0 or 1."""

    def choose(**shares: float) -> None:
        for name in SHARES:
            monkeypatch.setattr(changes, name, shares.get(name.split("_")[1].lower(), 0.0))

    return choose


@pytest.mark.parametrize("relit", [0.0, 1.0])
def test_image_label_and_valid_stay_aligned_to_the_pixel(only, relit):
    only(relit=relit)
    after = augment(batch_of(range(64)))
    assert torch.equal(after["label"] == IGNORE, ~after["valid"])
    assert torch.equal(after["window"], batch_of(range(64))["window"])
    assert DICE not in after
    for image, label, valid in zip(after["image"], after["label"], after["valid"], strict=True):
        assert (image[:, ~valid] == NO_DATA_FILL).all()
        assert int(valid.sum()) == 8 * 8 - 6
        light = image[:, valid][:, torch.argsort(label[valid])]
        # No light swaps dark and bright, so sorted by label every band rises until it saturates.
        assert (light.diff() >= -1e-6).all()
        assert (light[:, 1:] > light[:, :1]).all()
        if not relit:
            assert torch.allclose(image[0][valid], label[valid] / 64, atol=1e-5)


def test_all_turns_occur(only):
    only()
    labels = augment(batch_of(range(100)))["label"]
    square = batch_of([0])["label"][0]
    known = {
        tuple(torch.rot90(flipped, k).flatten().tolist())
        for flipped in (square, square.flip(-1))
        for k in range(4)
    }
    assert {tuple(label.flatten().tolist()) for label in labels} == known


@pytest.mark.parametrize("turn", range(8))
def test_a_turn_is_a_flip_and_then_quarter_turns(turn):
    batch = batch_of([0])
    flipped = batch["label"].flip(-1) if turn & 4 else batch["label"]
    expected = torch.rot90(flipped, turn & 3, dims=(-2, -1))
    assert torch.equal(warp(batch, [Warp(turn)])["label"], expected)


def test_a_sample_follows_from_its_own_dice(only):
    together = augment(batch_of(range(12)))
    alone = [augment(batch_of([seed])) for seed in range(12)]
    for name in ("image", "label", "valid"):
        assert torch.equal(together[name], torch.cat([one[name] for one in alone]))
    assert not torch.equal(together["image"][3], together["image"][4])
    only(noisy=1.0)
    torch.manual_seed(1)
    first = augment(batch_of([5]))["image"]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(augment(batch_of([5]))["image"], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_shares_of_what_is_changed():
    changes = [Change.draw(np.random.default_rng((3, seed)), 3) for seed in range(2000)]

    def share(changed):
        return sum(map(changed, changes)) / len(changes)

    assert share(lambda c: replace(c.warp, turn=0) != Warp()) == pytest.approx(0.75, abs=0.03)
    assert share(lambda c: c.light != Light()) == pytest.approx(0.5, abs=0.04)
    assert share(lambda c: c.haze != Haze()) == pytest.approx(0.1, abs=0.03)
    assert share(lambda c: c.sensor.noise > 0) == pytest.approx(0.15, abs=0.03)
    assert share(lambda c: c.sensor.blind is not None) == pytest.approx(0.03, abs=0.015)
    assert {c.sensor.blind for c in changes} == {None, 0, 1, 2}


def test_no_warp_leaves_the_sample():
    batch = batch_of([0, 1])
    after = warp(batch, [Warp(), Warp()])
    assert torch.allclose(after["image"], batch["image"], atol=1e-6)
    for name in ("label", "valid", "window"):
        assert torch.equal(after[name], batch[name])


def test_zoom_makes_things_larger():
    label = torch.zeros(1, 16, 16, dtype=torch.int64)
    label[:, 4:12, 4:12] = 1
    square = {"image": label.float()[None], "label": label, "valid": label >= 0}
    assert int(warp(square, [Warp(zoom=1.5)])["label"].sum()) == 12**2
    small = warp(square, [Warp(zoom=0.5)])["label"][0]
    assert int(small.sum()) > 4**2  # mirrored in around it
    assert small[6:10, 6:10].all()
    assert not small[5, 6:10].any()


@given(st.lists(warps, min_size=1, max_size=3))
def test_what_has_no_data_never_seeps_into_what_has(how):
    valid = torch.ones(len(how), 12, 12, dtype=torch.bool)
    valid[:, :4, :5] = False
    image = torch.where(valid, 1.0, NO_DATA_FILL)[:, None]
    after = warp({"image": image, "valid": valid, "label": torch.where(valid, 1, IGNORE)}, how)
    seen = after["image"][:, 0]
    assert torch.allclose(seen[after["valid"]], torch.tensor(1.0), atol=2e-3)
    assert (seen[~after["valid"]] == NO_DATA_FILL).all()
    assert (after["label"][after["valid"]] == 1).all()
    assert (after["label"][~after["valid"]] == IGNORE).all()


# Zoomed out, a corner between two pixels is seen by the interpolation alone.
@given(st.builds(Warp, turns, st.floats(-np.pi, np.pi), st.floats(1.0, 2.0)))
def test_image_and_label_are_warped_alike(how):
    label = torch.zeros(1, 32, 32, dtype=torch.int64)
    label[:, :, 12:] = 1
    label[:, 20:, :] = 2
    image = label.float()[None]
    after = warp({"image": image, "label": label, "valid": label >= 0}, [how])
    assert after["valid"].all()
    # Interpolation blends the pixels about each border, two of them when zoomed in by two.
    seen = after["label"].float()
    edges = max_pool2d(seen[None], 3, 1, 1)[0] != -max_pool2d(-seen[None], 3, 1, 1)[0]
    away = max_pool2d(edges.float(), 7, 1, 3)[0] == 0
    assert torch.allclose(after["image"][0, 0][away], seen[0][away], atol=1e-4)


@given(warps)
def test_insides_are_warped_as_labels_are(how):
    batch = batch_of([1], side=32)
    batch["label"] = torch.where(batch["valid"], (batch["label"] // 5) % 3, IGNORE)
    batch[INTERIOR] = batch["label"] == 1
    warped = warp(batch, [how])
    assert warped[INTERIOR].dtype == torch.bool
    known = warped["label"] != IGNORE
    assert torch.equal(warped[INTERIOR][known], (warped["label"] == 1)[known])


@given(st.lists(warps, min_size=1, max_size=3))
def test_the_geometry_is_that_of_kornia(how):
    n, side = len(how), 16
    image = torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(n, side, side, dtype=torch.bool)
    ours = warp({"image": image, "valid": valid}, how)["image"]
    turned = [image[k].flip(-1) if w.turn & 4 else image[k] for k, w in enumerate(how)]
    angles = torch.tensor([-math.degrees(w.angle_rad) - 90.0 * (w.turn & 3) for w in how])
    zooms = torch.tensor([[w.zoom, w.zoom] for w in how])
    center = torch.full((n, 2), (side - 1) / 2)
    matrices = get_affine_matrix2d(torch.zeros(n, 2), center, zooms, angles)
    theirs = warp_affine(
        torch.stack(turned),
        matrices[:, :2],
        (side, side),
        padding_mode="reflection",
        align_corners=False,
    )
    assert torch.allclose(ours, theirs, atol=1e-4)


def lit(light: Light, *pixels: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Pixels of as many bands in another light."""
    image = torch.tensor(pixels).T[None, :, None]
    return [tuple(p) for p in relight(image, [light])[0, :, 0].T.tolist()]


def test_no_other_light_leaves_the_image():
    assert lit(Light(), (-0.5, 0.25, 1.5))[0] == pytest.approx((-0.5, 0.25, 1.5))


def test_the_range_and_the_fill_are_kept(only):
    only(relit=1.0, hazy=1.0, noisy=1.0)
    batch = batch_of(range(40))
    batch["image"] = torch.where(batch["valid"][:, None], 4 * batch["image"] - 1.5, NO_DATA_FILL)
    after = augment(batch)
    assert after["image"].min() == -0.5
    assert after["image"].max() == 1.5
    assert (after["image"].movedim(1, -1)[~after["valid"]] == NO_DATA_FILL).all()


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


def test_every_sample_has_its_own_light():
    image = torch.full((2, 1, 1, 1), 0.5)
    after = relight(image, [Light(brightness=0.2), Light(brightness=-0.1)])
    assert after.flatten().tolist() == pytest.approx([0.7, 0.4])


def test_lights_differ_and_stay_in_their_ranges(only):
    only(relit=1.0)
    lights = [Light.draw(np.random.default_rng(s), bands=8) for s in range(200)]
    assert len(set(lights)) == 200
    assert all(len(light.balance) == 8 for light in lights)
    assert min(light.contrast for light in lights) > 0.6
    assert max(light.contrast for light in lights) < 1.4
    assert min(light.saturation for light in lights) >= 0.3


def test_haze_is_thicker_towards_one_side():
    image = torch.zeros(2, 3, 9, 9)
    clear, hazy = add_haze(image, [Haze(), Haze(0.2, slope_xy=(0.1, -0.05), brightness=0.9)])
    assert (clear == 0).all()
    assert hazy[0, 4, 4] == pytest.approx(0.2 * 0.9)
    assert hazy[0, 4, 8] == pytest.approx(0.3 * 0.9)  # east
    assert hazy[0, 8, 4] == pytest.approx(0.15 * 0.9)  # south
    assert torch.equal(hazy[0], hazy[2])


def test_noise_has_its_standard_deviation_and_a_blind_band_is_gray():
    image = torch.zeros(3, 3, 64, 64)
    plain, noisy, blind = sense(image, [Sensor(), Sensor(0.05, seed=3), Sensor(blind=1)])
    assert (plain == 0).all()
    assert float(noisy.std()) == pytest.approx(0.05, rel=0.05)
    assert abs(float(noisy.mean())) < 0.005
    assert (blind[1] == NO_DATA_FILL).all()
    assert (blind[[0, 2]] == 0).all()
    assert (image == 0).all()


def test_the_only_band_never_goes_blind(only):
    only(blind=1.0)
    assert all(Sensor.draw(np.random.default_rng(s), 1).blind is None for s in range(20))
    assert all(Sensor.draw(np.random.default_rng(s), 2).blind is not None for s in range(20))
