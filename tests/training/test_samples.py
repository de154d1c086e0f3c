from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.errors import OutputError
from geocobot.training.fit import fit
from geocobot.training.samples import (
    MOST_SHEETS,
    SAMPLES_NAME,
    Sampling,
    sheet_name,
    sheet_stride,
)

from .squares import SquaresModule, TinySegmenter
from .test_fit import PowerCutError, StoppingSegmenter, same_weights, settings


class Notes:
    """Remembers what it is to draw; the file holds the labels alone."""

    def __init__(self):
        self.calls = []

    def __call__(self, samples, thresholds, path):
        self.calls.append((samples, thresholds, path.name))
        path.write_bytes(pickle.dumps([sample.truth for sample in samples]))


def drawn(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / SAMPLES_NAME).iterdir())


@given(st.integers(0, 10**6))
def test_pictures_are_never_more_than_so_many(epoch: int) -> None:
    stride = sheet_stride(epoch)
    assert len(range(0, epoch + 1, stride)) <= MOST_SHEETS
    assert stride == 1 or len(range(0, epoch + 1, stride // 2)) > MOST_SHEETS
    assert sheet_stride(epoch + 1) in {stride, 2 * stride}


def test_every_epoch_of_a_short_run_is_drawn(tmp_path):
    notes = Notes()
    fit(TinySegmenter(), SquaresModule(), settings(samples=Sampling(3, notes)), tmp_path)
    assert drawn(tmp_path) == [f"epoch_000{n}.png" for n in range(1, 6)]
    truths = [[sample.truth for sample in samples] for samples, _, _ in notes.calls]
    assert all(np.array_equal(truths[0], other) for other in truths[1:])


def test_patches_with_most_labels_are_drawn_with_what_is_made_of_them(tmp_path):
    notes, module = Notes(), SquaresModule()
    segmenter = TinySegmenter()
    result = fit(segmenter, module, settings(epochs=3, samples=Sampling(5, notes)), tmp_path)
    patches = [p for batch in module.val_dataloader() for p in batch["label"].numpy()]
    most = sorted((int((p == 1).sum()) for p in patches), reverse=True)[:5]
    samples, thresholds, _ = notes.calls[-1]
    assert sorted((int((s.truth == 1).sum()) for s in samples), reverse=True) == most
    assert result.kept_epoch == 3
    assert tuple(thresholds) == result.thresholds
    for sample in samples:
        (found,) = [p for p in patches if np.array_equal(p, sample.truth)]
        assert sample.valid.shape == found.shape
        assert not sample.valid[0].any()
        assert sample.logits.shape == (1, *found.shape)
        hit = sample.logits[0] > np.log(thresholds[0] / (1 - thresholds[0]))
        assert (hit & (found == 1)).sum() > 0.5 * (found == 1).sum()


def test_a_long_run_thins_its_pictures_out(tmp_path):
    notes, few = Notes(), SquaresModule(steps=1)
    fit(TinySegmenter(), few, settings(epochs=30, samples=Sampling(1, notes)), tmp_path)
    assert drawn(tmp_path) == [sheet_name(e) for e in range(0, 30, 2)]
    assert len(notes.calls) == 24 + 3


def test_a_resumed_run_leaves_the_same_pictures(tmp_path):
    fit(TinySegmenter(), SquaresModule(), settings(samples=Sampling(2, Notes())), tmp_path / "a")
    with pytest.raises(PowerCutError):
        fit(
            StoppingSegmenter(15),
            SquaresModule(),
            settings(samples=Sampling(2, Notes())),
            tmp_path / "b",
        )
    left = tmp_path / "b" / SAMPLES_NAME / sheet_name(9)
    left.write_bytes(b"of an epoch that comes again")
    again = settings(samples=Sampling(2, Notes()), resume=True)
    fit(TinySegmenter(), SquaresModule(), again, tmp_path / "b")
    assert drawn(tmp_path / "a") == drawn(tmp_path / "b")
    for name in drawn(tmp_path / "a"):
        a, b = ((tmp_path / run / SAMPLES_NAME / name).read_bytes() for run in "ab")
        assert a == b


def test_pictures_change_nothing_about_the_training(tmp_path):
    with_, without = TinySegmenter(), TinySegmenter()
    fit(with_, SquaresModule(), settings(samples=Sampling(2, Notes())), tmp_path / "a")
    fit(without, SquaresModule(), settings(), tmp_path / "b")
    assert same_weights(with_, without)
    assert not (tmp_path / "b" / SAMPLES_NAME).exists()


def test_a_picture_that_cannot_be_written_does_not_end_the_training(tmp_path, caplog):
    def draw(samples, thresholds, path):
        raise OutputError(path, "cannot be written", "It needs room", "Free some")

    result = fit(TinySegmenter(), SquaresModule(), settings(samples=Sampling(2, draw)), tmp_path)
    assert result.epochs == 5
    (warning,) = [m for m in caplog.messages if "pictures" in m]
    assert "epoch_0001.png cannot be written" in warning
    assert warning.endswith("Training goes on without pictures of its epochs.")


def test_a_folder_that_cannot_be_made_does_not_end_it_either(tmp_path, caplog):
    (tmp_path / SAMPLES_NAME).write_text("in the way")
    fit(TinySegmenter(), SquaresModule(), settings(samples=Sampling(2, Notes())), tmp_path)
    assert "samples cannot be written to" in caplog.text
