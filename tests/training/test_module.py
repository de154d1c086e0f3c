import pytest
import torch

from geocobot.training.groups import GroupSettings
from geocobot.training.losses import SegmentationLoss
from geocobot.training.module import SegmentationTask
from geocobot.training.schedule import RunClock

from .squares import TinySegmenter


def test_hyperparameters_are_primitives():
    task = SegmentationTask(
        TinySegmenter(),
        RunClock(total_steps=1),
        n_classes=1,
        groups=GroupSettings(learning_rate=1e-3),
        warmup=0.1,
        loss=SegmentationLoss(),
    )
    assert dict(task.hparams) == {
        "n_classes": 1,
        "warmup": 0.1,
        "box_jitter_px": 0.0,
        "tile_px": None,
    }


def test_validation_tunes_every_class():
    loss = SegmentationLoss("lovasz", (2.0, 1.0))
    task = SegmentationTask(
        TinySegmenter(n_classes=2).eval(),
        RunClock(total_steps=1),
        n_classes=2,
        groups=GroupSettings(learning_rate=1e-3),
        warmup=0.0,
        loss=loss,
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
    with torch.no_grad():
        expected = loss(task.segmenter(batch["image"]), batch["label"], batch["valid"])
    assert logged["val_loss"].item() == pytest.approx(expected.item(), rel=1e-3)
    assert set(logged) == {"val_loss", "val_iou", "val_iou_1", "kept_epoch"}
