"""Trainings by several processes of this machine."""

from __future__ import annotations

import csv
import importlib
import logging
import multiprocessing
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from geocobot.errors import ConfigError, ResumeError, WorkerError
from geocobot.training.fit import fit
from geocobot.training.job import Job
from geocobot.training.processes import fit_in_processes


@pytest.fixture
def crews(monkeypatch):
    """What is trained, by a name under which the processes find it, too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield importlib.import_module("crews")
    assert multiprocessing.active_children() == []


def rows(result):
    with Path(result.log).open(newline="") as file:
        return list(csv.DictReader(file))


def logged(result, name):
    return [float(row[name]) for row in rows(result) if row[name]]


def together(crews, segmenter, folder, progress=None, module=None, **changed):
    module = module or crews.SquaresModule()
    job = Job(segmenter, module, crews.settings(**changed), folder)
    return fit_in_processes(job, progress, devices=2)


class HeardProgress:
    """Remembers what it is told, and does something at some point of it."""

    def __init__(self, after=2.0, then=None):
        self.done, self.notes, self.labels = 0.0, [], []
        self.after, self.then = after, then

    @contextmanager
    def task(self, label, total):
        self.labels.append((label, total))
        yield self

    def advance(self, steps=1):
        before, self.done = self.done, self.done + steps
        if before < self.after <= self.done:
            self.then()

    def note(self, text):
        self.notes.append(text)

    def chart(self, courses):
        self.courses = {course.name: course.values for course in courses}


def test_two_processes_learn_as_one_does(crews, tmp_path, capfd):
    one, two, told = crews.steady(), crews.steady(), HeardProgress()
    expected = fit(one, crews.SquaresModule(), crews.settings(), tmp_path / "one")
    result = together(crews, two, tmp_path / "two", told)
    for name in ("train_loss", "learning_rate", "val_loss"):
        assert logged(result, name) == pytest.approx(logged(expected, name), rel=1e-5)
    # Counted pixel by pixel: the same but where a score lies on the edge of a bin.
    assert result.iou == pytest.approx(expected.iou, abs=1e-4)
    assert result.thresholds == pytest.approx(expected.thresholds, abs=0.011)
    assert (result.steps, result.epochs, result.stopped_by) == (24, 4, "epochs")
    assert result.kept_epoch == expected.kept_epoch
    for name, weight in one.state_dict().items():
        assert torch.allclose(weight, two.state_dict()[name], atol=1e-5), name
    assert not two.training
    assert told.labels == [("Starting 2 processes", 1.0), ("Training", 1.0)]
    assert told.done == pytest.approx(1.0)
    assert told.notes[-1].startswith("epoch 4 of 4, ")
    assert len(told.courses["IoU"]) == 4
    assert {path.name for path in (tmp_path / "two" / "checkpoints").iterdir()} == {
        "best.ckpt",
        "last.ckpt",
    }
    assert capfd.readouterr() == ("", "")


def test_a_process_that_dies_ends_the_run_which_can_be_resumed(crews, tmp_path):
    with pytest.raises(WorkerError, match=r"ended before its time \(exit code -9\).*--resume"):
        together(crews, crews.FailingSegmenter("die", 15), tmp_path / "cut")
    assert not (tmp_path / "cut" / "checkpoints" / "job.ckpt").exists()
    whole, resumed = crews.steady(), crews.steady()
    expected = fit(whole, crews.SquaresModule(), crews.settings(), tmp_path / "whole")
    result = together(crews, resumed, tmp_path / "cut", resume=True)
    assert logged(result, "train_loss") == pytest.approx(logged(expected, "train_loss"), rel=1e-5)
    assert result.steps == expected.steps
    for name, weight in whole.state_dict().items():
        assert torch.allclose(weight, resumed.state_dict()[name], atol=1e-5), name


@pytest.mark.parametrize("number", [0, 1, None])
def test_an_error_in_a_process_comes_as_it_is(crews, tmp_path, number):
    with pytest.raises(ConfigError, match=r"The test has failed\. It should\. Let it\."):
        together(crews, crews.FailingSegmenter("raise", 7, number), tmp_path)
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_there_has_to_be_something_to_resume(crews, tmp_path):
    with pytest.raises(ResumeError, match="holds no interrupted training"):
        together(crews, crews.steady(), tmp_path, resume=True)


@pytest.mark.slow
def test_what_the_first_process_says_is_heard(crews, tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO, logger="geocobot"):
        together(crews, crews.FailingSegmenter("speak", 2, None), tmp_path, epochs=1)
    assert caplog.messages == ["Heard of process 0."]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_script_that_does_not_ask_who_imports_it_is_told_so(tmp_path):
    script = tmp_path / "unguarded.py"
    text = Path(__file__).with_name("waiting_run.py").read_text()
    folder = str(Path(__file__).parent)
    script.write_text(
        f"import sys\nsys.path.insert(0, {folder!r})\n"
        + text.replace('__name__ == "__main__"', "True").replace('"""A', 'r"""A')
    )
    words = [sys.executable, str(script), str(tmp_path / "run"), "no_sign"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert 'call geocobot.train below if __name__ == "__main__".' in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_an_interrupt_ends_all_processes_and_the_run_can_be_resumed(crews, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    module = crews.SquaresModule()
    with pytest.raises(KeyboardInterrupt):
        together(crews, crews.steady(), tmp_path, HeardProgress(0.6, interrupt), module)
    assert multiprocessing.active_children() == []
    result = together(crews, crews.steady(), tmp_path, resume=True)
    assert (result.epochs, result.steps) == (4, 24)


@pytest.mark.slow
def test_a_process_that_others_wait_for_is_ended_with_them(crews, tmp_path):
    sign = tmp_path / "waits"
    caught = []

    def interrupt_later():
        while not sign.with_name("waits1").exists():
            time.sleep(0.1)
        caught.extend(multiprocessing.active_children())
        caught[0].kill()

    watch = threading.Thread(target=interrupt_later)
    watch.start()
    with pytest.raises(WorkerError, match="has ended before its time"):
        together(crews, crews.FailingSegmenter("wait", 7, 1, str(sign)), tmp_path / "run")
    watch.join()
    assert len(caught) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up there")
def test_processes_end_with_the_one_that_has_started_them(crews, tmp_path):
    sign = tmp_path / "waits"
    script = Path(__file__).with_name("waiting_run.py")
    with subprocess.Popen([sys.executable, str(script), str(tmp_path), str(sign)]) as run:
        signs = [tmp_path / "waits0", tmp_path / "waits1"]
        until = time.monotonic() + 60
        while not all(path.exists() and path.read_text() for path in signs):
            assert time.monotonic() < until
            time.sleep(0.1)
        run.kill()
    left = {int(path.read_text()) for path in signs}
    until = time.monotonic() + 20
    while left := {pid for pid in left if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [0.0, 0.05])
def test_time_ends_all_processes_at_the_same_step(crews, tmp_path, minutes):
    segmenter, module = crews.DriftingSegmenter(f"{tmp_path}/seen"), crews.EndlessModule()
    result = together(crews, segmenter, tmp_path, module=module, epochs=None, max_minutes=minutes)
    assert result.stopped_by == "time"
    assert 1 <= result.steps < 2000
    assert result.seconds < 60 * minutes + 20
    assert len(logged(result, "val_iou")) == 1
    # By one clock, the learning rates were the same, and so are the weights' averages.
    first, other = (torch.load(tmp_path / f"seen{k}", weights_only=True) for k in range(2))
    assert all(torch.equal(weight, other[name]) for name, weight in first.items())


@pytest.mark.slow
def test_parts_that_a_step_does_not_reach_are_no_trouble(crews, tmp_path):
    segmenter = crews.IdleSegmenter()
    spare = segmenter.spare.weight.clone()
    result = together(crews, segmenter, tmp_path)
    assert result.steps == 24
    assert segmenter.shift != 0
    assert torch.allclose(segmenter.spare.weight, spare, rtol=0.01)  # but for its decay


@pytest.mark.slow
def test_patience_ends_all_processes(crews, tmp_path):
    groups = crews.GroupSettings(learning_rate=1e-9)
    result = together(crews, crews.steady(), tmp_path, epochs=50, patience=2, groups=groups)
    assert result.stopped_by == "patience"
    assert result.epochs < 50


@pytest.mark.slow
def test_a_lost_run_says_so(crews, tmp_path):
    groups = crews.GroupSettings(learning_rate=float("inf"))
    with pytest.raises(ConfigError, match=r"lost its way at step .* Lower --learning-rate"):
        together(crews, crews.steady(), tmp_path, groups=groups)
