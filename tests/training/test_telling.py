"""What processes tell is shown as if it came from here."""

from __future__ import annotations

import io
import logging
import re
from multiprocessing import Pipe

import pytest
from rich.console import Console

from geocobot.cli.progress import LineProgress
from geocobot.progress import Course
from geocobot.training.telling import Display, LogTeller, Teller, show


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(said: io.StringIO) -> LineProgress:
    seconds = iter(range(0, 1000, 20))  # a line at every advance
    return LineProgress(Console(file=said, width=200), lambda: float(next(seconds)))


def test_tasks_are_shown_one_after_the_other(progress: LineProgress, said: io.StringIO) -> None:
    theirs, ours = Pipe()
    teller = Teller(theirs)
    with teller.task("First fit", 1.0) as task:
        task.advance(0.5)
    with teller.task("Training", 2.0) as task:
        task.note("epoch 3")
        task.chart([Course("loss", (0.9, 0.25))])
        task.advance(1)
    with Display(progress) as display:
        display.begin("Starting 2 processes", 1.0)
        while ours.poll():
            show(ours.recv(), display)
    lines = said.getvalue().splitlines()
    assert [re.split(",| in ", line)[0] for line in lines] == [
        "Starting 2 processes: done",
        "First fit: 50%",
        "First fit: done",
        "Training: 50%",
        "Training: done",
    ]
    assert lines[-1].endswith("epoch 3, loss 0.250")


def test_what_failed_is_not_done(progress: LineProgress, said: io.StringIO) -> None:
    def fail() -> None:
        with Display(progress) as display:
            display.begin("First fit", 1.0)
            display.begin("Training", 1.0)
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail()
    assert [line.partition(":")[0] for line in said.getvalue().splitlines()] == ["First fit"]


def test_nothing_is_shown_before_a_task_begins(progress: LineProgress, said: io.StringIO) -> None:
    with Display(progress) as display:
        display.task.advance(1)
    assert not said.getvalue()


def test_records_are_logged_here_where_they_are_wanted(
    progress: LineProgress, caplog: pytest.LogCaptureFixture
) -> None:
    theirs, ours = Pipe()
    teller = LogTeller(theirs)
    for level in (logging.INFO, logging.WARNING):
        teller.emit(logging.LogRecord("geocobot.x", level, "", 0, "%d left", (level,), None))
    with caplog.at_level("WARNING", "geocobot"), Display(progress) as display:
        while ours.poll():
            show(ours.recv(), display)
    assert caplog.messages == ["30 left"]


def test_a_record_for_a_process_that_is_gone_is_no_error() -> None:
    theirs, ours = Pipe()
    ours.close()
    LogTeller(theirs).emit(logging.LogRecord("geocobot", logging.INFO, "", 0, "lost", (), None))
