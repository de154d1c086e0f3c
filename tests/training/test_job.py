"""What other processes need to train along."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningDataModule

from geocobot.errors import MissingFileError, OutputError
from geocobot.training.fit import FitSettings
from geocobot.training.job import Job, kept_in_file
from geocobot.training.trainer import has_checkpoint


def test_a_job_comes_as_it_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    crews = importlib.import_module("crews")
    segmenter = crews.steady()
    job = Job(segmenter, crews.SquaresModule(steps=3), crews.settings(epochs=7), tmp_path)
    with kept_in_file(job) as path:
        read = Job.read(path)
        assert not has_checkpoint(tmp_path)
    assert not path.exists()
    for name, weight in segmenter.state_dict().items():
        assert weight.equal(read.segmenter.state_dict()[name])
    assert read.segmenter.stem.weight.requires_grad is False
    assert len(read.datamodule.train_dataloader()) == 3
    assert (read.settings.epochs, read.folder) == (7, tmp_path)


def test_a_disk_that_is_full_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(_job: Job, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise RuntimeError("[enforce fail at inline_container.cc:659] . unexpected pos\nmore")

    monkeypatch.setattr(torch, "save", save)
    module = torch.nn.Linear(1, 1)
    job = Job(module, LightningDataModule(), FitSettings(n_classes=1), tmp_path)
    with (
        pytest.raises(OutputError, match=r"job\.ckpt cannot be written .*unexpected pos\)\. The"),
        kept_in_file(job),
    ):
        pass
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_node_that_does_not_see_it_says_so(tmp_path: Path) -> None:
    expected = r"job\.ckpt is not seen by one of the nodes .* Choose --out on a disk that all of"
    with pytest.raises(MissingFileError, match=expected):
        Job.read(tmp_path / "checkpoints" / "job.ckpt")
