from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from geocobot.cli.progress import (
    LINE_INTERVAL_S,
    BarProgress,
    EventProgress,
    LineProgress,
    describe_duration,
    describe_rate,
)
from geocobot.progress import Course


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=160, color_system=None)


def last_drawn(to: Console) -> str:
    """The last line of bars; after it comes only the cursor's return."""
    return written(to).rpartition("\n")[0].splitlines()[-1]


def written(to: Console) -> str:
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


@pytest.mark.parametrize(
    ("steps_per_s", "text"),
    [
        (None, ""),
        (0.0, ""),
        (0.25, "4.0 s each"),
        (2.5, "2.5/s"),
        (20_000, "20.0 k/s"),
        (3.1e6, "3.1 M/s"),
    ],
)
def test_rates_are_easy_to_read(steps_per_s: float | None, text: str) -> None:
    assert describe_rate(steps_per_s, total=100) == text


def test_a_whole_has_no_rate() -> None:
    assert describe_rate(0.01, total=1.0) == ""


@given(st.integers(0, 10**6))
def test_durations_count_the_seconds(seconds: int) -> None:
    parts = [int(part) for part in describe_duration(seconds).split(":")]
    assert sum(part * 60**power for power, part in enumerate(reversed(parts))) == seconds


def test_lines_come_now_and_then() -> None:
    to, clock = console(terminal=False), Clock()
    with LineProgress(to, clock).task("Training", 10) as task:
        task.note("loss 0.5")
        for _ in range(4):
            clock.now_s += LINE_INTERVAL_S / 2
            task.advance()
    assert written(to).splitlines() == [
        "Training: 20%, 7.5 s each, 1:00 left, loss 0.5",
        "Training: 40%, 7.5 s each, 0:45 left, loss 0.5",
        "Training: done in 0:30, loss 0.5",
    ]


def test_lines_end_with_the_newest_figures() -> None:
    to, clock = console(terminal=False), Clock()
    with LineProgress(to, clock).task("Training", 1.0) as task:
        task.note("epoch 2")
        task.chart([Course("loss", (0.7, 0.41)), Course("IoU", (0.5,))])
        clock.now_s = LINE_INTERVAL_S
        task.advance(0.5)
    assert written(to).splitlines() == [
        "Training: 50%, 0:15 left, epoch 2, loss 0.410, IoU 0.500",
        "Training: done in 0:15, epoch 2, loss 0.410, IoU 0.500",
    ]


def test_a_task_that_fails_is_not_called_done() -> None:
    to = console(terminal=False)
    with pytest.raises(ValueError, match="broken"), LineProgress(to, Clock()).task("Work", 1):
        raise ValueError("broken")
    assert written(to) == ""


def test_a_task_without_steps_has_a_line() -> None:
    to, clock = console(terminal=False), Clock()
    with LineProgress(to, clock).task("Nothing", 0) as task:
        clock.now_s = LINE_INTERVAL_S
        task.advance(0)
    assert written(to).startswith("Nothing: 100%, 0:00 left\n")


def test_bars_show_label_share_and_note() -> None:
    to = console(terminal=True)
    with BarProgress(to).task("Training", 4) as task:
        task.advance(3)
        task.note("loss [0.5]")
    last = last_drawn(to)
    assert "Training" in last
    assert "75%" in last
    assert "loss [0.5]" in last


def test_curves_stand_below_their_bar_until_its_end() -> None:
    to = console(terminal=True)
    progress = BarProgress(to)
    with progress.task("Training", 1) as task:
        task.note("epoch 3")
        task.chart([Course("loss", (0.9, 0.1)), Course("IoU", (0.5,))])
    bar, loss, iou = written(to).rpartition("\n")[0].splitlines()[-3:]
    assert "Training" in bar
    assert bar.rstrip().endswith("epoch 3")
    assert loss.split() == ["loss", "0.100", "0.100", "to", "0.900", "█▁"]
    assert iou.split() == ["IoU", "0.500", "0.500", "to", "0.500", "▅"]
    before = len(written(to))
    with progress.task("Mapping", 1) as task:
        task.advance()
    assert "loss" not in written(to)[before:]


def test_a_task_inside_another_disappears() -> None:
    to = console(terminal=True)
    progress = BarProgress(to)
    with progress.task("Outer", 2) as outer:
        with progress.task("Inner", 1) as inner:
            inner.advance()
        outer.advance(2)
    last = last_drawn(to)
    assert "Outer" in last
    assert "100%" in last
    assert "Inner" not in last


def test_a_later_task_does_not_draw_the_earlier_again() -> None:
    to = console(terminal=True)
    progress = BarProgress(to)
    with progress.task("First", 1) as task:
        task.advance()
    before = len(written(to))
    with progress.task("Second", 1) as task:
        task.advance()
    assert "First" not in written(to)[before:]


def test_programs_read_events() -> None:
    clock, to = Clock(), console(terminal=False)
    with EventProgress(to, clock).task("Mapping [a]", 10) as task:
        for second in range(5):
            clock.now_s = second * 0.5
            task.note(f"{second} km2")
            task.advance(2)
    begin, *events = map(json.loads, written(to).splitlines())
    assert begin == {
        "event": "begin",
        "task": "Mapping [a]",
        "done": 0,
        "total": 10,
        "seconds": 0,
        "per_second": None,
        "seconds_left": None,
        "note": "",
    }
    assert [(e["event"], e["done"], e["seconds"]) for e in events] == [
        ("progress", 6, 1),
        ("progress", 10, 2),
        ("end", 10, 2),
    ]
    assert events[0]["per_second"] == 6
    assert events[0]["seconds_left"] == pytest.approx(4 / 6)
    assert events[0]["note"] == "2 km2"


def test_programs_read_figures_once_there_are_some() -> None:
    clock, to = Clock(), console(terminal=False)
    with EventProgress(to, clock).task("Training", 1) as task:
        task.note("epoch 1")
        clock.now_s = 1
        task.advance(0.5)
        task.chart([Course("loss", (0.7, 0.41)), Course("IoU", (0.25,))])
    begin, first, end = map(json.loads, written(to).splitlines())
    assert "figures" not in begin.keys() | first.keys()
    assert end["figures"] == {"loss": 0.41, "IoU": 0.25}
    assert end["note"] == "epoch 1, loss 0.410, IoU 0.250"
