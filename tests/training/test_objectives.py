import pytest
import torch
from torch import nn

from geocobot.adapters.config import AdapterConfig
from geocobot.classes import IGNORE
from geocobot.data.dataset import INTERIOR
from geocobot.models.architecture import HeadConfig, SegmenterConfig
from geocobot.models.boxes import BoxPromptedHead
from geocobot.models.encoder import Features
from geocobot.models.segmenter import Segmenter
from geocobot.training.boxes import find_objects
from geocobot.training.fit import FitSettings, fit
from geocobot.training.groups import GroupSettings
from geocobot.training.losses import SegmentationLoss
from geocobot.training.objectives import (
    BoxesFromLabels,
    BoxMasks,
    ClassPlanes,
    ObjectPlanes,
    make_objective,
)

from .squares import SquaresModule, TinySegmenter
from .test_fit import PowerCutError, rows, same_weights

CRITERION = SegmentationLoss()
SIDE = 32


class CountingEncoder(nn.Module):
    """One layer in place of a transformer; knows how often it ran."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 32, 16, stride=16)
        self.runs = 0

    def forward(self, image):
        self.runs += 1
        return Features((), self.embed(image))


def boxed_segmenter(n_classes=1, seed=0):
    """As small as a segmenter with box prompts can be, trained whole."""
    head = HeadConfig(
        n_classes, image_stem=True, width=32, depth=1, heads=2, mlp_width=32, prompt="boxes"
    )
    config = SegmenterConfig("mini", None, AdapterConfig("none"), head, encoder_trained=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Segmenter(CountingEncoder(), BoxPromptedHead(head), config)


def batch_of(label):
    generator = torch.Generator().manual_seed(1)
    return {
        "image": torch.rand(len(label), 3, SIDE, SIDE, generator=generator),
        "label": label,
        "valid": label != IGNORE,
    }


@pytest.fixture
def batch():
    """Two patches: three objects of two classes, and one of the first class."""
    label = torch.zeros(2, SIDE, SIDE, dtype=torch.int64)
    label[0, 2:9, 2:9] = 1
    label[0, 20:28, 3:7] = 1
    label[0, 12:18, 15:30] = 2
    label[1, 5:12, 8:20] = 1
    label[1, :, 30:] = IGNORE
    return batch_of(label)


def test_the_segmenter_decides_what_is_asked():
    assert isinstance(make_objective(TinySegmenter(), CRITERION, 3.0), ClassPlanes)
    boxed = make_objective(boxed_segmenter(), CRITERION, 3.0)
    assert isinstance(boxed, BoxMasks)
    assert boxed.jitter_px == 3.0


def test_planes_are_the_largest_masks_of_their_class_and_silent_elsewhere(batch):
    segmenter = boxed_segmenter(n_classes=3).eval()
    with torch.no_grad():
        planes = BoxesFromLabels(segmenter, 0.0)(batch["image"], batch["label"])
        masks = segmenter(batch["image"], find_objects(batch["label"]).boxes)
    assert planes.shape == (2, 3, SIDE, SIDE)
    # In reading order: a square, the bar of the second class, the lower square.
    torch.testing.assert_close(planes[0, 0], torch.maximum(masks[0], masks[2]))
    torch.testing.assert_close(planes[0, 1], masks[1])
    torch.testing.assert_close(planes[1, 0], masks[3])
    silent = torch.stack([planes[0, 2], planes[1, 1], planes[1, 2]])
    assert silent.sigmoid().max() < 1e-6


def test_the_loss_is_the_mean_of_what_each_mask_is_worth_by_itself(batch):
    segmenter = boxed_segmenter(n_classes=2).eval()
    objects = find_objects(batch["label"])
    masks = segmenter(batch["image"], objects.boxes)
    losses = [
        CRITERION(
            masks[i : i + 1, None],
            objects.label_of(i, batch["label"])[None],
            batch["valid"][image : image + 1],
        )
        for i, image in enumerate((0, 0, 0, 1))
    ]
    objective = BoxMasks(segmenter, CRITERION, jitter_px=0.0)
    torch.testing.assert_close(objective.loss(batch), torch.stack(losses).mean())
    torch.testing.assert_close(objective.judge(batch).loss, torch.stack(losses).mean())


def test_training_jitters_anew_and_judging_stays_the_same(batch):
    objective = BoxMasks(boxed_segmenter(n_classes=2).eval(), CRITERION, jitter_px=4.0)
    with torch.no_grad():
        torch.manual_seed(0)
        losses = [float(objective.loss(batch)) for _ in range(3)]
        torch.manual_seed(0)
        assert float(objective.loss(batch)) == losses[0]
        assert len(set(losses)) == 3
        judged = [objective.judge(batch) for _ in range(2)]
        assert torch.equal(judged[0].logits, judged[1].logits)
        still = BoxMasks(objective.segmenter, CRITERION, jitter_px=0.0).judge(batch)
        assert not torch.equal(judged[0].logits, still.logits)
        alone = {name: part[1:] for name, part in batch.items()}
        torch.testing.assert_close(objective.judge(alone).logits[0], judged[0].logits[1])


def test_many_objects_are_judged_in_parts_with_one_run_of_the_encoder():
    label = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
    for row in range(1, 30, 4):
        for col in range(1, 30, 4):
            label[0, row : row + 2, col : col + 2] = 1
    batch, segmenter = batch_of(label), boxed_segmenter().eval()
    asked = []
    segmenter.head.register_forward_hook(lambda _, inputs, __: asked.append(len(inputs[2])))
    with torch.no_grad():
        objective = BoxMasks(segmenter, CRITERION, jitter_px=0.0)
        judged = objective.judge(batch)
        assert segmenter.encoder.runs == 1
        assert sum(asked) == 64
        assert max(asked) == 16
        objective.loss(batch)
    assert asked[-1] == 16
    torch.testing.assert_close(
        judged.logits[0, 0], segmenter(batch["image"], find_objects(label).boxes).amax(dim=0)
    )


def test_without_objects_there_is_nothing_to_learn_and_nothing_to_run():
    label = torch.zeros(2, SIDE, SIDE, dtype=torch.int64)
    segmenter = boxed_segmenter()
    objective = BoxMasks(segmenter, CRITERION, jitter_px=1.0)
    loss = objective.loss(batch_of(label))
    loss.backward()
    assert loss == 0
    gradients = [p.grad for p in segmenter.parameters() if p.grad is not None]
    assert gradients
    assert not any(g.any() for g in gradients)
    judged = objective.judge(batch_of(label))
    assert judged.loss == 0
    assert judged.logits.sigmoid().max() < 1e-6
    assert segmenter.encoder.runs == 0


def test_a_segmenter_that_does_not_say_its_classes_is_refused():
    whole = boxed_segmenter()
    with pytest.raises(ValueError, match="does not say its classes"):
        BoxesFromLabels(Segmenter(whole.encoder, whole.head), 0.0)


class StoppingEncoder(CountingEncoder):
    """Raises when it has trained for so many steps."""

    def forward(self, image):
        if self.training and self.runs == 9:
            raise PowerCutError
        self.runs += self.training
        return Features((), self.embed(image))


def settings(**changed):
    groups = GroupSettings(learning_rate=1e-2)
    return FitSettings(n_classes=1, epochs=4, seed=3, groups=groups, box_jitter_px=2.0, **changed)


def test_a_training_with_boxes_learns_and_resumes_as_if_nothing_had_happened(tmp_path):
    whole, cut, resumed = boxed_segmenter(), boxed_segmenter(), boxed_segmenter(seed=99)
    expected = fit(whole, SquaresModule(), settings(), tmp_path / "whole")
    assert expected.mean_iou > 0.5
    stopping = StoppingEncoder()
    stopping.load_state_dict(cut.encoder.state_dict())
    cut.encoder = stopping
    with pytest.raises(PowerCutError):
        fit(cut, SquaresModule(), settings(), tmp_path / "cut")
    result = fit(resumed, SquaresModule(), settings(resume=True), tmp_path / "cut")
    assert rows(result.log) == rows(expected.log)
    assert same_weights(whole, resumed)


class OwnPlanes(nn.Module):
    """Its logits are its weights, whatever the image."""

    def __init__(self, n_planes):
        super().__init__()
        self.planes = nn.Parameter(torch.zeros(2, n_planes, SIDE, SIDE))

    def forward(self, image):
        return self.planes


def test_the_plane_of_insides_is_learned_beside_the_classes(batch):
    batch[INTERIOR] = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    batch[INTERIOR][0, 4:7, 4:7] = True
    batch[INTERIOR][1, 7:9, 10:32] = True  # in part where nothing is known
    segmenter = OwnPlanes(3)
    objective = ObjectPlanes(segmenter, CRITERION)
    optimizer = torch.optim.Adam(segmenter.parameters(), lr=0.5)
    judged = objective.judge(batch)
    assert judged.logits.shape == (2, 2, SIDE, SIDE)
    alone = ClassPlanes(lambda image: segmenter(image)[:, :2], CRITERION).loss(batch)
    assert alone < judged.loss < 2 * alone
    for _ in range(40):
        optimizer.zero_grad()
        objective.loss(batch).backward()
        optimizer.step()
    planes = segmenter.planes.detach()
    known = batch["label"] != IGNORE
    assert torch.equal((planes[:, 2] > 0)[known], batch[INTERIOR][known])
    assert torch.equal((planes[:, 0] > 0)[known], (batch["label"] == 1)[known])
    assert (planes[1, :, :, 30:] == 0).all()


def test_the_segmenter_decides_whether_insides_are_learned():
    head = HeadConfig(2, separate=True)
    config = SegmenterConfig("mini", None, AdapterConfig("none"), head, encoder_trained=True)
    objective = make_objective(Segmenter(nn.Identity(), nn.Identity(), config), CRITERION, 3.0)
    assert isinstance(objective, ObjectPlanes)
    without = Segmenter(nn.Identity(), nn.Identity())
    assert not isinstance(make_objective(without, CRITERION, 3.0), ObjectPlanes)
