"""The endless world as a whole."""

from __future__ import annotations

import pytest
import torch

from geocobot.synthetic.world.canvas import Cover
from geocobot.synthetic.world.world import PIXEL_M, WorldBatch, draw_world


@pytest.fixture(scope="module")
def world() -> WorldBatch:
    return draw_world(torch.Generator().manual_seed(3), 48, 64)


def test_the_same_seed_draws_the_same_world() -> None:
    first, second = (draw_world(torch.Generator().manual_seed(7), 3, 64) for _ in range(2))
    for name, value in vars(first).items():
        assert torch.equal(value, getattr(second, name)), name


def test_another_seed_draws_another_world() -> None:
    first, second = (draw_world(torch.Generator().manual_seed(s), 3, 64) for s in (1, 2))
    assert (first.image - second.image).abs().mean() > 0.1


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draw_world(torch.Generator().manual_seed(1), 2, 64)
    assert torch.equal(torch.get_rng_state(), before)


def test_pictures_look_like_normalized_scenes(world: WorldBatch) -> None:
    assert world.image.shape == (48, 3, 64, 64)
    assert world.image.dtype == torch.float32
    assert world.image.isfinite().all()
    assert world.image.min() >= -0.5
    assert world.image.max() <= 1.5
    means, spreads = world.image.mean((1, 2, 3)), world.image.std((1, 2, 3))
    assert 0.2 < float(means.mean()) < 0.7
    assert float(spreads.median()) > 0.1


def test_every_cover_is_there(world: WorldBatch) -> None:
    shares = torch.bincount(world.cover.flatten(), minlength=len(Cover)) / world.cover.numel()
    assert len(shares) == len(Cover)
    assert (shares > 0.002).all(), shares
    assert shares.max() < 0.5, shares


def test_pictures_are_taken_from_low_and_from_high(world: WorldBatch) -> None:
    assert world.pixel_m.min() >= PIXEL_M[0]
    assert world.pixel_m.max() <= PIXEL_M[1]
    assert (world.pixel_m < 0.3).any()
    assert (world.pixel_m > 2.0).any()


def test_an_object_is_of_one_kind(world: WorldBatch) -> None:
    for thing, cover in zip(world.thing, world.cover, strict=True):
        for number in thing.unique()[1:]:
            assert len(cover[thing == number].unique()) == 1


def test_what_is_counted_as_objects(world: WorldBatch) -> None:
    objects = torch.tensor([Cover.CROP, Cover.TREE, Cover.BUILDING, Cover.CAR])
    is_object = torch.isin(world.cover, objects)
    assert torch.equal(is_object, world.thing > 0)


def test_heights_are_those_of_what_stands_up(world: WorldBatch) -> None:
    high = world.height_m > 0
    standing = torch.tensor([Cover.TREE, Cover.BUILDING, Cover.CAR])
    assert torch.isin(world.cover[high], standing).all()
    assert (world.height_m >= 0).all()
    assert world.height_m[world.cover == Cover.BUILDING].min() > 1


def test_shadows_are_dark() -> None:
    world = draw_world(torch.Generator().manual_seed(11), 48, 64)
    gray = world.image.mean(1)
    ground = (world.cover != Cover.BUILDING) & (world.cover != Cover.TREE)
    dark, lit = ground & (world.shadow > 0.9), ground & (world.shadow == 0)
    # Within a picture; across pictures the stretch differs.
    darker = [
        gray[k][dark[k]].mean() < gray[k][lit[k]].mean()
        for k in range(len(gray))
        if dark[k].sum() > 50 and lit[k].sum() > 50
    ]
    assert len(darker) > 10
    assert sum(darker) / len(darker) > 0.8


def test_cars_are_seen_from_low_only() -> None:
    world = draw_world(torch.Generator().manual_seed(2), 96, 64)
    seen = (world.cover == Cover.CAR).any(2).any(1)
    assert seen.any()
    assert world.pixel_m[seen].max() < 1.2


def test_nothing_is_built_in_the_water() -> None:
    # A house in a lake was in the first sketch: water has to be laid out before the streets.
    world = draw_world(torch.Generator().manual_seed(4), 96, 64)
    for cover in world.cover:
        water = cover == Cover.WATER
        if water.sum() < 200:
            continue
        inside = -torch.nn.functional.max_pool2d(-water.float()[None, None], 9, 1, 4)[0, 0]
        assert not (inside.bool() & (cover == Cover.BUILDING)).any()


@pytest.mark.parametrize("side_px", [64, 128, 200])
def test_any_side(side_px: int) -> None:
    world = draw_world(torch.Generator().manual_seed(1), 2, side_px)
    assert world.image.shape == (2, 3, side_px, side_px)
    assert world.cover.shape == world.thing.shape == world.shadow.shape == (2, side_px, side_px)
