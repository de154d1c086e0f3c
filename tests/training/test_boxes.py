import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from geocobot.classes import IGNORE
from geocobot.training.boxes import find_objects, fresh_dice, move_sides, steady_dice

HEIGHT, WIDTH = 48, 64


def parse(*pictures):
    """Labels (B, H, W) from rows of digits, "?" for ignored pixels."""
    rows = [[list(row.replace("?", "9")) for row in p.split()] for p in pictures]
    label = torch.from_numpy(np.array(rows).astype(np.int64))
    return torch.where(label == 9, IGNORE, label)


TWO_IMAGES = parse(
    """
    1100000022
    1100000022
    0000022000
    0000022000
    ??111??000
    ??111??000
    """,
    """
    0000000000
    0333300000
    0333300000
    0000000001
    0000000001
    0000000001
    """,
)


def test_every_component_of_a_class_is_an_object():
    found = find_objects(TWO_IMAGES)
    # The last one of the second image has three pixels: too few.
    assert found.boxes.corners.tolist() == [
        [0, 0, 1, 1],
        [8, 0, 9, 1],
        [5, 2, 6, 3],
        [2, 4, 4, 5],
        [1, 1, 4, 2],
    ]
    assert found.boxes.image.tolist() == [0, 0, 0, 0, 1]
    assert found.boxes.plane.tolist() == [0, 1, 1, 0, 2]


def test_the_mask_of_an_object_leaves_out_its_neighbors_and_what_nobody_labelled():
    found = find_objects(TWO_IMAGES)
    wanted = parse(
        """
        0000000000
        0000000000
        0000000000
        0000000000
        ??111??000
        ??111??000
        """
    )[0]
    assert torch.equal(found.label_of(3, TWO_IMAGES), wanted)
    others = [found.label_of(i, TWO_IMAGES) for i in (0, 1, 2)]
    assert [int((other == 1).sum()) for other in others] == [4, 4, 4]
    assert all(int((other == IGNORE).sum()) == 8 for other in others)


def test_labels_without_objects_have_no_boxes():
    found = find_objects(parse("0000 ????", "0000 0110"))
    assert len(found) == 0
    assert found.boxes.corners.shape == (0, 4)
    assert found[fresh_dice(found).long()[:, 0]].boxes.plane.shape == (0,)


@given(
    arrays.arrays(
        np.uint8, st.tuples(st.just(2), st.just(9), st.just(11)), elements=st.integers(0, 2)
    )
)
def test_masks_part_the_labelled_pixels(classes):
    label = torch.from_numpy(classes.astype(np.int64))
    found = find_objects(label)
    painted = torch.zeros_like(label)
    for i in range(len(found)):
        mask = found.label_of(i, label) == 1
        image, plane = int(found.boxes.image[i]), int(found.boxes.plane[i])
        assert not painted[image][mask].any()
        painted[image][mask] = plane + 1
        rows, cols = torch.nonzero(mask).T
        box = [int(v) for v in (cols.min(), rows.min(), cols.max(), rows.max())]
        assert found.boxes.corners[i].tolist() == box
    assert torch.equal(painted, label.where(painted > 0, 0))
    assert len(find_objects(label.where(painted == 0, 0))) == 0


def test_so_many_of_each_image_are_drawn_by_the_global_generator():
    torch.manual_seed(0)
    found = find_objects(TWO_IMAGES)
    drawn = [found.drawn(2) for _ in range(30)]
    assert {tuple(d.boxes.image.tolist()) for d in drawn} == {(0, 0, 1)}
    assert {n for d in drawn for n in d.component[:2].tolist()} == set(found.component[:4].tolist())
    torch.manual_seed(0)
    assert torch.equal(found.drawn(2).component, drawn[0].component)
    assert sorted(found.drawn(9).component.tolist()) == sorted(found.component.tolist())


@st.composite
def boxes(draw):
    """Corners (N, 4) inside of an image."""
    cols = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, WIDTH - 1)).map(sorted)
    rows = st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, HEIGHT - 1)).map(sorted)
    one = st.tuples(cols, rows).map(lambda b: [b[0][0], b[1][0], b[0][1], b[1][1]])
    return torch.tensor(draw(st.lists(one, min_size=1, max_size=5)), dtype=torch.float32)


@given(boxes(), st.floats(0, 100), st.integers(0, 1000))
def test_a_moved_box_stays_in_the_image_is_never_empty_and_holds_its_middle(corners, most, seed):
    generator = torch.Generator().manual_seed(seed)
    dice = 2 * torch.rand(corners.shape, generator=generator) - 1
    moved = move_sides(corners, dice, most, (HEIGHT, WIDTH))
    middle = (corners[:, :2] + corners[:, 2:]) / 2
    assert (moved[:, :2] <= middle).all()
    assert (moved[:, 2:] >= middle).all()
    assert (moved >= 0).all()
    assert (moved <= torch.tensor([WIDTH - 1, HEIGHT - 1] * 2)).all()
    assert ((moved - corners).abs() <= most + 1e-4).all()


def test_all_four_sides_move_both_ways_as_far_as_said():
    corners = torch.tensor([[400.0, 400, 600, 600]]).expand(4000, 4)
    dice = 2 * torch.rand(corners.shape, generator=torch.Generator().manual_seed(0)) - 1
    moved = move_sides(corners, dice, 50.0, (1024, 1024))
    shift = moved - corners
    for side in shift.T:
        assert -50 <= side.min() < -49
        assert 49 < side.max() <= 50
        assert abs(float(side.mean())) < 1.5
        # Uniform: its standard deviation is 100 / sqrt(12).
        assert abs(float(side.std()) - 28.87) < 1
    correlation = torch.corrcoef(shift.T) - torch.eye(4)
    assert correlation.abs().max() < 0.06


def test_dice_go_outward_above_zero_and_inward_below():
    corners = torch.tensor([[20.0, 20, 30, 40]])
    out = move_sides(corners, torch.ones(1, 4), 6.0, (HEIGHT, WIDTH))
    assert out.tolist() == [[14, 14, 36, 46]]
    inside = move_sides(corners, -torch.ones(1, 4), 6.0, (HEIGHT, WIDTH))
    assert inside.tolist() == [[25, 26, 25, 34]]
    still = move_sides(corners, torch.zeros(1, 4), 6.0, (HEIGHT, WIDTH))
    assert torch.equal(still, corners)


def test_fresh_dice_are_fresh_and_steady_ones_follow_from_the_labels_of_an_image():
    found = find_objects(TWO_IMAGES)
    assert not torch.equal(fresh_dice(found), fresh_dice(found))
    steady = steady_dice(found, TWO_IMAGES)
    again = steady_dice(find_objects(TWO_IMAGES.flip(0)), TWO_IMAGES.flip(0))
    assert torch.equal(torch.cat([again[1:], again[:1]]), steady)
    # The first object of one image does not move as that of another does.
    assert not torch.equal(steady[0], steady[4])
    assert -1 <= steady.min() < 0 < steady.max() <= 1
    shifted = TWO_IMAGES.roll(1, dims=2)
    assert not torch.equal(steady_dice(find_objects(shifted), shifted), steady)


def test_steady_dice_leave_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    steady_dice(find_objects(TWO_IMAGES), TWO_IMAGES)
    assert torch.equal(torch.rand(3), expected)
