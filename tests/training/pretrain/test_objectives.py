"""What pretraining lowers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import avg_pool2d as pool

from geocobot.models.boxes import Boxes
from geocobot.synthetic.world.canvas import Cover
from geocobot.synthetic.world.world import WorldBatch, draw_world
from geocobot.training.pretrain.model import Planes
from geocobot.training.pretrain.objectives import (
    Asked,
    agreement_loss,
    draw_boxes,
    hide,
    mask_loss,
    outlines,
    pixel_loss,
    world_loss,
)

SURE = 30.0


@pytest.fixture(scope="module")
def world() -> WorldBatch:
    return draw_world(torch.Generator().manual_seed(1), 6, 64)


def truth(world: WorldBatch) -> Planes:
    """Answers that are right and sure."""
    one_hot = torch.nn.functional.one_hot(world.cover, len(Cover)).permute(0, 3, 1, 2)
    return Planes(
        cover=(2 * one_hot.float() - 1) * SURE,
        outline=(2 * outlines(world.thing) - 1) * SURE,
        shadow=torch.logit(world.shadow, eps=1e-6),
        height=torch.log1p(world.height_m),
        pixels=torch.zeros_like(world.image),
        tokens=tuple(pool(one_hot.float(), 4).log().clamp(min=-SURE) for _ in range(3)),
    )


def nothing(world: WorldBatch) -> Planes:
    """Answers of somebody who knows nothing."""
    n, _, side, _ = world.image.shape
    plane = torch.zeros(n, side, side)
    cover = torch.zeros(n, len(Cover), side, side)
    tokens = (torch.zeros(n, len(Cover), side // 4, side // 4),) * 3
    return Planes(cover, plane, plane, plane, torch.zeros_like(world.image), tokens)


def test_right_answers_cost_next_to_nothing(world: WorldBatch) -> None:
    errors = world_loss(truth(world), world)
    assert set(errors) == {"cover", "dice", "outline", "shadow", "height", "tokens"}
    for name in ("cover", "dice", "outline", "height"):
        assert float(errors[name]) < 1e-3, name
    # Half shadows and cells of several covers have an entropy of their own.
    for name in ("shadow", "tokens"):
        assert errors[name] < world_loss(nothing(world), world)[name] / 3, name


def test_ignorance_costs_what_its_entropy_is(world: WorldBatch) -> None:
    errors = world_loss(nothing(world), world)
    assert float(errors["cover"]) == pytest.approx(torch.tensor(9.0).log().item(), abs=1e-4)
    assert float(errors["tokens"]) == pytest.approx(2 * torch.tensor(9.0).log().item(), abs=1e-4)
    assert float(errors["outline"]) == pytest.approx(torch.tensor(2.0).log().item(), abs=1e-4)


def test_outlines_are_on_both_sides_of_every_border() -> None:
    thing = torch.tensor([[[1, 1, 0, 0], [1, 1, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0]]])
    assert outlines(thing)[0].tolist() == [
        [0, 1, 1, 0],
        [1, 1, 1, 0],
        [1, 1, 1, 0],
        [0, 1, 1, 0],
    ]


def test_boxes_hold_their_objects(world: WorldBatch) -> None:
    asked = draw_boxes(world, 12, torch.Generator().manual_seed(2))
    boxes, masks = asked.boxes, asked.masks
    assert asked.counts.tolist() == [1.0] * 12
    assert len(boxes) == len(masks) == 12
    assert masks.shape[1:] == world.cover.shape[1:]
    for k in range(len(boxes)):
        numbers = world.thing[boxes.image[k]][masks[k] > 0].unique()
        assert len(numbers) == 1
        assert numbers[0] > 0
        rows, cols = masks[k].nonzero().T
        tight = torch.tensor([cols.min(), rows.min(), cols.max(), rows.max()]).float()
        slack = 0.08 * (tight[2:] - tight[:2]).max() + 1e-3
        assert (boxes.corners[k] - tight).abs().max() <= slack


def test_boxes_are_drawn_by_the_generator_alone(world: WorldBatch) -> None:
    first, second = (draw_boxes(world, 5, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.boxes.corners, second.boxes.corners)


def test_without_objects_nothing_is_learned_from_boxes(world: WorldBatch) -> None:
    empty = replace(world, thing=torch.zeros_like(world.thing))
    asked = draw_boxes(empty, 5, torch.Generator().manual_seed(4))
    assert asked.counts.tolist() == [0.0] * 5
    logits = torch.randn(asked.masks.shape, requires_grad=True)
    error = mask_loss(logits, asked)
    error.backward()
    assert error.item() == 0
    assert not logits.grad.any()  # type: ignore[union-attr]


def test_objects_are_asked_for_before_what_was_not_found(world: WorldBatch) -> None:
    thing = torch.zeros_like(world.thing)
    thing[0, 4:40, 8:20] = 7  # a few of the draws meet it, most do not
    asked = draw_boxes(replace(world, thing=thing), 6, torch.Generator().manual_seed(1))
    found = int(asked.counts.sum())
    assert 0 < found < 6
    assert asked.counts.tolist() == [1.0] * found + [0.0] * (6 - found)
    assert (asked.boxes.image[:found] == 0).all()
    assert (asked.masks[:found].sum((1, 2)) == 36 * 12).all()


def asked_for(masks: torch.Tensor) -> Asked:
    n = len(masks)
    boxes = Boxes(torch.zeros(n, 4), torch.zeros(n, dtype=torch.long), torch.zeros(n).long())
    return Asked(boxes, masks, torch.ones(n))


def test_right_masks_cost_next_to_nothing() -> None:
    masks = (torch.rand(5, 32, 32, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    right, wrong = (2 * masks - 1) * SURE, (1 - 2 * masks) * SURE
    assert float(mask_loss(right, asked_for(masks))) < 1e-2
    assert float(mask_loss(wrong, asked_for(masks))) > 10


def test_what_was_not_found_costs_nothing() -> None:
    masks = (torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    logits = (2 * masks - 1) * SURE
    logits[2] *= -1
    asked = replace(asked_for(masks), counts=torch.tensor([1.0, 1.0, 0.0]))
    assert float(mask_loss(logits, asked)) < 1e-2


def test_every_object_weighs_the_same_in_its_dice() -> None:
    masks = torch.zeros(2, 32, 32)
    masks[0, :4, :4], masks[1, :28, :28] = 1, 1
    asked = asked_for(masks)
    right = (2 * masks - 1) * SURE
    missed_small, missed_large = right.clone(), right.clone()
    missed_small[0], missed_large[1] = -SURE, -SURE
    # The focal part counts pixels; what is left of the small one's is mostly its Dice.
    assert float(mask_loss(missed_small, asked)) > 0.4
    assert float(mask_loss(missed_large, asked)) > 0.4


@pytest.mark.parametrize("cell_px", [8, 16])
def test_hidden_are_whole_squares(cell_px: int) -> None:
    image = torch.zeros(64, 3, 64, 64)
    hidden = hide(image, 0.4, cell_px, torch.Generator().manual_seed(0))
    assert hidden.shape == (64, 1, 64, 64)
    squares = hidden.unfold(2, cell_px, cell_px).unfold(3, cell_px, cell_px).flatten(4).float()
    assert torch.isin(squares.mean(-1), torch.tensor([0.0, 1.0])).all()
    assert float(hidden.float().mean()) == pytest.approx(0.4, abs=0.05)


def test_only_hidden_pixels_count(world: WorldBatch) -> None:
    planes = nothing(world)
    none = torch.zeros(6, 1, 64, 64, dtype=torch.bool)
    assert float(pixel_loss(planes, world.image, none)) == 0
    # Normalized squares have a variance of one, so that gray costs one.
    gray = float(pixel_loss(planes, world.image, ~none))
    assert gray == pytest.approx(1.0, abs=0.1)


def test_pixels_that_are_found_again_cost_nothing(world: WorldBatch) -> None:
    mean = pool(world.image, 16)
    spread = (pool(world.image**2, 16) - mean**2).clamp(min=1e-4).sqrt()
    mean, spread = (v.repeat_interleave(16, 2).repeat_interleave(16, 3) for v in (mean, spread))
    planes = replace(nothing(world), pixels=(world.image - mean) / spread)
    everything = torch.ones(6, 1, 64, 64, dtype=torch.bool)
    assert float(pixel_loss(planes, world.image, everything)) < 1e-6


def test_who_agrees_with_a_sure_teacher_pays_nothing(world: WorldBatch) -> None:
    teacher = truth(world)
    assert float(agreement_loss(teacher, teacher)) < 1e-3
    assert float(agreement_loss(nothing(world), teacher)) > 1


def test_an_unsure_teacher_is_listened_to_less(world: WorldBatch) -> None:
    unsure, student = nothing(world), truth(world)
    assert agreement_loss(student, unsure) < agreement_loss(student, truth(world)) + SURE
    # Every answer of an ignorant teacher weighs one in nine.
    flat = float(agreement_loss(unsure, unsure))
    assert flat == pytest.approx(torch.tensor(9.0).log().item() / 9, abs=1e-4)
