import csv
import logging
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from geocobot.errors import ConfigError, OutputError, ResumeError
from geocobot.models.precision import Compute
from geocobot.training.fit import FitSettings, fit
from geocobot.training.groups import GroupSettings
from geocobot.training.trainer import has_checkpoint, remove_checkpoints

from .squares import SquaresModule, TinySegmenter


class PowerCutError(Exception):
    """Stands for a power cut in the same process."""


class StoppingSegmenter(TinySegmenter):
    """Raises when it has trained for so many steps."""

    def __init__(self, last, error=PowerCutError):
        super().__init__()
        self.left = last
        self.error = error

    def forward(self, image):
        if self.training:
            if self.left == 0:
                raise self.error
            self.left -= 1
        return super().forward(image)


class HeardProgress:
    """Remembers what it is told."""

    def __init__(self):
        self.label = None
        self.total = 0.0
        self.done = 0.0
        self.notes = []
        self.charts = []

    @contextmanager
    def task(self, label, total):
        self.label, self.total = label, total
        yield self

    def advance(self, steps=1):
        self.done += steps

    def note(self, text):
        self.notes.append(text)

    def chart(self, courses):
        self.charts.append({course.name: course.values for course in courses})


@pytest.fixture
def squares():
    return SquaresModule()


@pytest.fixture
def segmenter():
    return TinySegmenter()


def settings(*, rate=1e-2, **changed):
    groups = GroupSettings(learning_rate=rate)
    return FitSettings(**({"n_classes": 1, "epochs": 5, "seed": 3, "groups": groups} | changed))


def rows(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def same_weights(a, b):
    return all(torch.equal(v, b.state_dict()[n]) for n, v in a.state_dict().items())


def test_it_learns_and_reports(tmp_path, segmenter, squares):
    frozen = segmenter.stem.weight.clone()
    progress = HeardProgress()
    result = fit(segmenter, squares, settings(epochs=12), tmp_path, progress)
    assert result.mean_iou > 0.6
    assert result.iou == pytest.approx((result.mean_iou,))
    assert 0 < result.thresholds[0] < 1
    assert (result.epochs, result.steps, result.stopped_by) == (12, 72, "epochs")
    assert 1 <= result.kept_epoch <= 12
    assert torch.equal(segmenter.stem.weight, frozen)
    assert not segmenter.training
    assert progress.label == "Training"
    assert progress.done == pytest.approx(progress.total)
    assert progress.notes[-1].startswith("epoch 12 of 12, ")
    assert progress.notes[-1].endswith(" patches/s")
    last, logged = progress.charts[-1], rows(result.log)
    assert last["IoU"] == pytest.approx([float(r["val_iou"]) for r in logged if r["val_iou"]])
    losses = [float(r["train_loss"]) for r in logged if r["train_loss"]]
    assert last["loss"][:-1] == pytest.approx(losses, abs=1e-6)
    assert set(progress.charts[0]) == {"loss"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_steps_and_validation_are_as_exact_as_asked(tmp_path, squares, precision):
    seen = set()

    class Watched(TinySegmenter):
        def forward(self, image):
            features = self.stem(image)
            seen.add((self.training, features.dtype))
            return super().forward(image)

    segmenter = Watched()
    compute = Compute(torch.device("cpu"), precision)
    fit(segmenter, squares, settings(epochs=1, compute=compute), tmp_path)
    assert seen == {(mode, getattr(torch, precision)) for mode in (True, False)}
    assert {p.dtype for p in segmenter.parameters()} == {torch.float32}


def test_logs_hold_every_step_and_every_epoch(tmp_path, segmenter, squares):
    result = fit(segmenter, squares, settings(epochs=2), tmp_path)
    logged = rows(result.log)
    losses = [r for r in logged if r["train_loss"]]
    assert [int(r["step"]) for r in losses] == list(range(12))
    assert all(0 < float(r["learning_rate"]) <= 1e-2 for r in losses)
    assert [int(r["epoch"]) for r in logged if r["val_iou"]] == [0, 1]
    assert list((tmp_path / "logs" / "tensorboard").glob("events.out.tfevents.*"))
    remove_checkpoints(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"logs"}


def test_the_latest_of_the_kept_epochs_is_kept(tmp_path, segmenter, squares):
    result = fit(segmenter, squares, settings(epochs=8), tmp_path)
    logged = [r for r in rows(result.log) if r["val_iou"]]
    ious = [float(r["val_iou"]) for r in logged]
    assert result.mean_iou == pytest.approx(ious[result.kept_epoch - 1], abs=1e-6)
    assert result.kept_epoch == 1 + max(int(float(r["kept_epoch"])) for r in logged)
    assert result.kept_epoch >= 1 + ious.index(max(ious))


class SpoiltSegmenter(TinySegmenter):
    """Learns for some steps, then knows nothing any more."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def forward(self, image):
        if self.training:
            self.left -= 1
        return super().forward(image) if self.left > 0 else super().forward(image) * 0 - 1


def test_an_epoch_that_is_clearly_worse_is_not_kept(tmp_path, squares):
    result = fit(SpoiltSegmenter(40), squares, settings(epochs=10), tmp_path)
    assert result.kept_epoch <= 6
    assert result.mean_iou > 0.3


def test_the_average_of_the_steps_is_kept_not_the_last_step(tmp_path, segmenter, squares):
    fit(segmenter, squares, settings(epochs=2), tmp_path)
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    for name, parameter in segmenter.named_parameters():
        if parameter.requires_grad:
            assert torch.equal(parameter, best["average"][name])
            assert not torch.equal(parameter, best["state_dict"][f"segmenter.{name}"])


def test_same_seed_same_run(tmp_path, squares):
    ours, again, other = TinySegmenter(), TinySegmenter(), TinySegmenter()
    a = fit(ours, squares, settings(epochs=2), tmp_path / "a")
    b = fit(again, SquaresModule(), settings(epochs=2), tmp_path / "b")
    c = fit(other, SquaresModule(), settings(epochs=2, seed=4), tmp_path / "c")
    assert rows(a.log) == rows(b.log)
    assert same_weights(ours, again)
    assert rows(a.log) != rows(c.log)


@pytest.mark.parametrize("steps", [6, 9, 17])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, squares, steps):
    whole, resumed = TinySegmenter(), TinySegmenter(seed=99)
    # The frozen part is not in the checkpoints; it comes with the base.
    resumed.stem.load_state_dict(whole.stem.state_dict())
    expected = fit(whole, squares, settings(), tmp_path / "whole")
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(steps), SquaresModule(), settings(), tmp_path / "cut")
    result = fit(resumed, SquaresModule(), settings(resume=True), tmp_path / "cut")
    assert rows(result.log) == rows(expected.log)
    assert same_weights(whole, resumed)
    assert result.steps == expected.steps
    assert result.thresholds == expected.thresholds
    assert result.kept_epoch == expected.kept_epoch


def test_a_resumed_run_shows_what_was_before_it(tmp_path, squares):
    whole, cut, resumed = HeardProgress(), HeardProgress(), HeardProgress()
    fit(TinySegmenter(), squares, settings(), tmp_path / "whole", whole)
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(15), SquaresModule(), settings(), tmp_path / "cut", cut)
    assert len(cut.charts[-1]["IoU"]) == 2
    fit(TinySegmenter(), SquaresModule(), settings(resume=True), tmp_path / "cut", resumed)
    assert len(resumed.charts[0]["IoU"]) == 2
    for name, values in whole.charts[-1].items():
        assert resumed.charts[-1][name] == pytest.approx(values, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [7, 20])
def test_a_killed_run_resumes_as_if_nothing_had_been(tmp_path, squares, steps):
    whole, resumed = TinySegmenter(), TinySegmenter()
    expected = fit(whole, squares, settings(), tmp_path / "whole")
    script = Path(__file__).with_name("killed_run.py")
    killed = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cut"), str(steps)], check=False
    )
    assert killed.returncode == -9
    result = fit(resumed, SquaresModule(), settings(resume=True), tmp_path / "cut")
    assert rows(result.log) == rows(expected.log)
    assert same_weights(whole, resumed)


def test_a_full_disk_leaves_the_checkpoint_of_the_epoch_before(tmp_path, squares, monkeypatch):
    whole, resumed = TinySegmenter(), TinySegmenter()
    expected = fit(whole, squares, settings(), tmp_path / "whole")
    save, calls = torch.save, []

    def running_full(content, file):
        calls.append(file)
        if len(calls) > 3:  # the best and the last of the first epoch, the best of the second
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        save(content, file)

    with monkeypatch.context() as disk:
        disk.setattr(torch, "save", running_full)
        with pytest.raises(OutputError, match=r"last\.ckpt cannot be written \(No space.*--resume"):
            fit(TinySegmenter(), SquaresModule(), settings(), tmp_path / "cut")
    names = sorted(path.name for path in (tmp_path / "cut" / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]
    result = fit(resumed, SquaresModule(), settings(resume=True), tmp_path / "cut")
    assert rows(result.log) == rows(expected.log)
    assert same_weights(whole, resumed)


def test_a_checkpoint_that_is_broken_is_told_of(tmp_path, squares):
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(8), squares, settings(), tmp_path)
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(ResumeError, match=r"last\.ckpt cannot be read \(.*Start anew with"):
        fit(TinySegmenter(), SquaresModule(), settings(resume=True), tmp_path)


def test_checkpoints_leave_out_what_is_frozen(tmp_path, squares):
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(8), squares, settings(), tmp_path)
    for name in ("best", "last"):
        saved = torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True)
        names = set(saved["state_dict"])
        assert "segmenter.body.weight" in names
        assert not any(n.startswith("segmenter.stem") for n in names)


def test_time_ends_a_run_and_its_best_state_stands(tmp_path, segmenter, squares):
    result = fit(segmenter, squares, settings(epochs=None, max_minutes=0.02), tmp_path)
    assert result.stopped_by == "time"
    assert result.steps > 0
    rates = [float(r["learning_rate"]) for r in rows(result.log) if r["learning_rate"]]
    assert rates[-1] < 0.2 * max(rates)
    assert result.mean_iou > 0


def test_no_time_at_all_still_gives_a_state(tmp_path, segmenter, squares):
    result = fit(segmenter, squares, settings(max_minutes=0.0), tmp_path)
    assert result.stopped_by == "time"
    assert result.steps == 1
    assert len([r for r in rows(result.log) if r["val_iou"]]) == 1


def test_patience_ends_a_run(tmp_path, segmenter, squares):
    result = fit(
        segmenter,
        squares,
        settings(epochs=50, patience=2, rate=1e-9),
        tmp_path,
    )
    assert result.stopped_by == "patience"
    assert result.epochs < 50


@pytest.mark.parametrize(("then", "epochs"), [(2, 3), (8, 9)])
def test_a_resumed_run_has_the_patience_that_it_is_asked_for(tmp_path, squares, then, epochs):
    """Stopped by a power cut in its fourth epoch, when two had been no better than the first."""
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(20), squares, settings(epochs=50, patience=4, rate=1e-9), tmp_path)
    resumed = fit(
        TinySegmenter(),
        SquaresModule(),
        settings(epochs=50, patience=then, rate=1e-9, resume=True),
        tmp_path,
    )
    assert (resumed.stopped_by, resumed.epochs) == ("patience", epochs)


def test_a_run_whose_patience_had_ended_is_not_trained_again(tmp_path, squares):
    given = {"epochs": 50, "patience": 2, "rate": 1e-9}
    expected = fit(TinySegmenter(), squares, settings(**given), tmp_path)
    again = fit(TinySegmenter(), SquaresModule(), settings(**given, resume=True), tmp_path)
    assert (again.steps, again.stopped_by) == (expected.steps, "patience")


def test_by_default_a_run_goes_through_its_whole_schedule(tmp_path, segmenter, squares):
    result = fit(segmenter, squares, settings(epochs=9, rate=1e-9), tmp_path)
    assert (result.stopped_by, result.epochs) == ("epochs", 9)


def test_nothing_to_resume(tmp_path, segmenter, squares):
    with pytest.raises(ResumeError, match="holds no interrupted training"):
        fit(segmenter, squares, settings(resume=True), tmp_path)


def test_what_was_trained_to_its_end_is_not_trained_again(tmp_path, squares):
    first, again = TinySegmenter(), TinySegmenter()
    expected = fit(first, squares, settings(), tmp_path)
    assert has_checkpoint(tmp_path)
    result = fit(again, SquaresModule(), settings(resume=True), tmp_path)
    assert same_weights(first, again)
    assert (result.steps, result.kept_epoch) == (expected.steps, expected.kept_epoch)
    assert result.thresholds == expected.thresholds


def test_a_finished_run_has_nothing_to_resume(tmp_path, segmenter, squares):
    fit(segmenter, squares, settings(epochs=1), tmp_path)
    remove_checkpoints(tmp_path)
    with pytest.raises(ResumeError, match="or it is finished"):
        fit(segmenter, squares, settings(resume=True), tmp_path)


def test_a_run_needs_an_end():
    with pytest.raises(ValueError, match="needs epochs or max_minutes"):
        FitSettings(n_classes=1, epochs=None)


def test_a_lost_run_says_so(tmp_path, segmenter, squares):
    with pytest.raises(ConfigError, match=r"lost its way at step .* Lower --learning-rate"):
        fit(segmenter, squares, settings(rate=float("inf")), tmp_path)


def test_ctrl_c_stays_what_it_is(tmp_path, squares):
    with pytest.raises(KeyboardInterrupt):
        fit(StoppingSegmenter(8, KeyboardInterrupt), squares, settings(), tmp_path)
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_nothing_is_said_to_the_terminal(tmp_path, segmenter, squares, capfd):
    fit(segmenter, squares, settings(epochs=1), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_resuming_is_said_aloud(tmp_path, squares, caplog):
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(8), squares, settings(), tmp_path)
    with caplog.at_level(logging.INFO, logger="geocobot"):
        fit(TinySegmenter(), SquaresModule(), settings(resume=True), tmp_path)
    assert "Resuming after epoch 1, step 6." in caplog.text
