import pytest
import torch
from torch import nn

from geocobot.adapters.part import AdapterPart
from geocobot.training.module import SegmentationTask, parameter_groups
from geocobot.training.schedule import RunClock

from .squares import TinySegmenter


def test_only_matrices_decay():
    model = nn.ModuleDict(
        {
            "linear": nn.Linear(3, 3),
            "kernel": nn.Conv2d(1, 1, 3, bias=False),
            "norm": nn.LayerNorm(3),
            "token": nn.Embedding(2, 3),
        }
    )
    model.coefficients = nn.Parameter(torch.ones(4, 2))
    decayed, kept = parameter_groups(model, 0.1)
    assert decayed["weight_decay"] == 0.1
    assert {id(p) for p in decayed["params"]} == {
        id(model["linear"].weight),
        id(model["kernel"].weight),
    }
    assert kept["weight_decay"] == 0.0
    assert len(kept["params"]) == 5


def test_frozen_weights_are_in_no_group():
    model = TinySegmenter()
    grouped = [p for group in parameter_groups(model, 0.1) for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters() if p.requires_grad}


def test_hyperparameters_are_primitives():
    task = SegmentationTask(
        TinySegmenter(),
        RunClock(total_steps=1),
        n_classes=1,
        learning_rate=1e-3,
        weight_decay=0.1,
        warmup=0.1,
        dice_weight=1.0,
    )
    assert dict(task.hparams) == {
        "n_classes": 1,
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "warmup": 0.1,
        "dice_weight": 1.0,
    }


def test_validation_tunes_every_class():
    task = SegmentationTask(
        TinySegmenter(n_classes=2),
        RunClock(total_steps=1),
        n_classes=2,
        learning_rate=1e-3,
        weight_decay=0.0,
        warmup=0.0,
        dice_weight=1.0,
    )
    logged = {}
    task.log = lambda name, value, **_: logged.update({name: value})
    batch = {
        "image": torch.rand(2, 3, 8, 8),
        "label": torch.randint(0, 2, (2, 8, 8)),
        "valid": torch.ones(2, 8, 8, dtype=torch.bool),
    }
    task.on_validation_epoch_start()
    task.validation_step(batch, 0)
    task.on_validation_epoch_end()
    assert task.tuning.iou[1] is None
    assert logged["val_iou"] == pytest.approx(task.tuning.iou[0])
    assert set(logged) == {"val_loss", "val_iou", "val_iou_1", "kept_epoch"}


def test_matrices_of_an_adapter_do_not_decay():
    class Down(AdapterPart):
        def __init__(self):
            super().__init__()
            self.down = nn.Linear(3, 2)

    model = nn.Sequential(nn.Linear(3, 3), Down())
    decayed, _ = parameter_groups(model, 0.1)
    assert [id(p) for p in decayed["params"]] == [id(model[0].weight)]
