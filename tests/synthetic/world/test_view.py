"""Coordinates, noise and the numbers that belong to places."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.synthetic.world.dice import Dice
from geocobot.synthetic.world.view import Cells, View, box_distance


def look(n: int = 4, side_px: int = 64, seed: int = 0, pixel_m: float = 0.5) -> View:
    dice = Dice(torch.Generator().manual_seed(seed), n, torch.device("cpu"))
    return View.of(torch.full((n, 1, 1), pixel_m), side_px, dice)


def test_coordinates_are_metres_from_the_middle_east_and_north() -> None:
    view = look(n=1, side_px=4, pixel_m=2.0)
    assert view.x_m[0, 0].tolist() == [-3, -1, 1, 3]
    assert view.y_m[0, :, 0].tolist() == [3, 1, -1, -3]
    assert view.half_m.item() == 4


def test_turned_keeps_lengths_and_turns_to_the_left() -> None:
    view = look(n=1, side_px=8)
    along, across = view.turned(torch.full((1, 1, 1), torch.pi / 2))
    assert torch.allclose(along, view.y_m, atol=1e-5)
    assert torch.allclose(across, -view.x_m, atol=1e-5)


@pytest.mark.parametrize("side_px", [64, 128])
def test_noise_is_noise(side_px: int) -> None:
    noise = look(n=64, side_px=side_px).noise(4)
    assert noise.shape == (64, 4, side_px, side_px)
    assert abs(float(noise.mean())) < 0.1
    assert 0.8 < float(noise.pow(2).mean().sqrt()) < 1.2


def test_noise_is_alike_everywhere() -> None:
    across = [
        (noise[..., 1:] - noise[..., :-1]).abs().mean((0, 1, 2))
        for noise in (look(n=8, seed=seed).noise(2) for seed in range(48))
    ]
    steps = torch.stack(across).mean(0)
    assert steps.max() < 1.4 * steps.min()


@given(st.integers(0, 2**31), st.floats(1.5, 12.0), st.floats(1.5, 12.0))
@settings(max_examples=20, deadline=None)
def test_all_pixels_of_a_cell_agree(seed: int, size_u: float, size_v: float) -> None:
    view = look(n=2, side_px=32, seed=seed)
    sizes = torch.full((2, 1, 1), size_u), torch.full((2, 1, 1), size_v)
    cells = Cells.of(view, (view.x_m, view.y_m), sizes, layer=3)
    for sample in range(2):
        for key in cells.key[sample].unique():
            here = cells.key[sample] == key
            assert len(cells.number(0)[sample][here].unique()) == 1
    # The middle of a cell is never further than half of it.
    assert cells.p_m.abs().max() <= size_u / 2 + 1e-4
    assert cells.q_m.abs().max() <= size_v / 2 + 1e-4


def test_cells_of_other_layers_samples_and_channels_differ() -> None:
    view = look(n=2)
    sizes = torch.full((2, 1, 1), 2.0), torch.full((2, 1, 1), 2.0)
    first, second = (Cells.of(view, (view.x_m, view.y_m), sizes, layer=k) for k in (1, 2))
    numbers = [first.number(0)[0], first.number(0)[1], second.number(0)[0], first.number(1)[0]]
    for i, one in enumerate(numbers):
        for other in numbers[i + 1 :]:
            correlation = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]
            assert abs(float(correlation)) < 0.2


def test_has_is_true_in_that_share_of_the_cells() -> None:
    view = look(n=8)
    sizes = torch.full((8, 1, 1), 0.5), torch.full((8, 1, 1), 0.5)
    cells = Cells.of(view, (view.x_m, view.y_m), sizes, layer=1)
    assert float(cells.has(0, 0.3).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert 2 <= float(cells.number(1, 2, 5).min()) < 2.1
    assert 4.9 < float(cells.number(1, 2, 5).max()) <= 5


def test_cover_is_half_at_the_outline() -> None:
    view = look(n=1, side_px=2, pixel_m=2.0)
    distance = torch.tensor([[[0.0, 1.0], [-1.0, 0.5]]])
    assert view.cover(distance).tolist() == [[[0.5, 0.0], [1.0, 0.25]]]


def test_box_distance_is_negative_inside() -> None:
    p, q = torch.tensor([0.0, 3.0, 0.0]), torch.tensor([0.0, 0.0, 1.5])
    half = torch.tensor(2.0), torch.tensor(1.0)
    assert box_distance(p, q, *half).tolist() == [-1.0, 1.0, 0.5]


@pytest.mark.parametrize("side_m", [1.0, 0.37])
def test_no_two_cells_share_a_key(side_m: float) -> None:
    view = look(n=8, side_px=64, pixel_m=side_m)
    size = torch.full((8, 1, 1), side_m)
    cells = Cells.of(view, (view.x_m, view.y_m), (size, size), layer=3)
    assert len(cells.key.unique()) == cells.key.numel()
    assert cells.key.min() >= 0


def test_neighbors_and_mirror_images_have_nothing_in_common() -> None:
    view = look(n=4, side_px=64, pixel_m=1.0)
    size = torch.ones(4, 1, 1)
    numbers = Cells.of(view, (view.x_m, view.y_m), (size, size), layer=1).number(0)
    for other in (numbers.roll(1, 1), numbers.roll(1, 2), numbers.flip(1), numbers.flip(2)):
        correlation = torch.corrcoef(torch.stack([numbers.flatten(), other.flatten()]))[0, 1]
        assert abs(float(correlation)) < 0.03


@given(st.integers(0, 2**31), st.floats(6.0, 20.0), st.floats(6.0, 20.0), st.floats(0.2, 1.0))
@settings(max_examples=20, deadline=None)
def test_divided_cells_are_smaller_rectangles_that_fill_the_same_ground(
    seed: int, size_u: float, size_v: float, share: float
) -> None:
    view = look(n=1, side_px=64, seed=seed)
    size = torch.tensor(size_u).view(1, 1, 1), torch.tensor(size_v).view(1, 1, 1)
    whole = Cells.of(view, (view.x_m, view.y_m), size, layer=3)
    cells, sizes = whole, size
    for generation in range(3):
        cells, sizes = cells.divided(sizes, torch.tensor(share).view(1, 1, 1), generation)
    assert cells.p_m.abs().le(sizes[0] / 2 + 1e-4).all()
    assert cells.q_m.abs().le(sizes[1] / 2 + 1e-4).all()
    middle_x, middle_y = view.x_m - cells.p_m, view.y_m - cells.q_m
    for key in cells.key.unique():
        here = cells.key == key
        assert len(whole.key[here].unique()) == 1
        assert len(sizes[0][here].unique()) == len(sizes[1][here].unique()) == 1
        # One rectangle, not several that share a key.
        assert middle_x[here].max() - middle_x[here].min() < 1e-3
        assert middle_y[here].max() - middle_y[here].min() < 1e-3
    if share == 1.0:
        assert len(cells.key.unique()) > 4 * len(whole.key.unique())


def test_parts_of_a_cell_have_numbers_of_their_own() -> None:
    view = look(n=2, side_px=64)
    size = torch.full((2, 1, 1), 0.5)
    cells = Cells.of(view, (view.x_m, view.y_m), (size, size), layer=63)
    parts = [cells.parts(torch.full_like(view.x_m, k)) for k in (0, 1, 255)]
    keys = torch.stack([cells.key, *(p.key for p in parts)])
    assert len(keys.unique()) == keys.numel()
    assert keys.min() >= 0
    first, second = (p.number(0).flatten() for p in parts[:2])
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.05
