"""Work under way: bars in a terminal, lines elsewhere, events for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.text import Text

from geocobot.progress import Task
from geocobot.secrecy import without_secrets

LINE_INTERVAL_S = 15.0
EVENT_INTERVAL_S = 1.0


def describe_rate(steps_per_s: float | None, total: float) -> str:
    """Write a rate so that its number is easy to read: 2.5/s, 3.1 M/s, or 4.0 s each.

    Work that is counted as one whole has none.
    """
    if not steps_per_s or total <= 1:
        return ""
    if steps_per_s < 1:
        return f"{1 / steps_per_s:.1f} s each"
    if steps_per_s >= 1e6:
        return f"{steps_per_s / 1e6:.1f} M/s"
    if steps_per_s >= 1e4:
        return f"{steps_per_s / 1e3:.1f} k/s"
    return f"{steps_per_s:.1f}/s"


def describe_duration(seconds: float) -> str:
    """Write a duration as m:ss, or as h:mm:ss from one hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: RichTask) -> Text:
        """Show the rate of one task."""
        rate = describe_rate(task.finished_speed or task.speed, task.total or 0)
        return Text(rate, style="progress.data.speed")


class _Bar:
    """A task drawn as a bar."""

    def __init__(self, bars: RichProgress, task_id: TaskID) -> None:
        self._bars = bars
        self._id = task_id

    def advance(self, steps: float = 1) -> None:
        """Count finished steps."""
        self._bars.advance(self._id, steps)

    def note(self, text: str) -> None:
        """Show a short text beside the bar."""
        self._bars.update(self._id, note=text)


class BarProgress:
    """Draws tasks as bars; a task inside another disappears when it ends.

    Args:
        console: where to draw; notices printed there appear above the bars.
    """

    def __init__(self, console: Console) -> None:
        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            # Standard output belongs to the result and has been redirected already.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._depth = 0

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        """Draw a task of `total` steps until the `with` block ends."""
        if self._depth == 0:
            self._bars.start()
        self._depth += 1
        task_id = self._bars.add_task(label, total=total, note="")
        try:
            yield _Bar(self._bars, task_id)
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._bars.stop()
            # What `stop` has drawn stays on the screen; it must not come back with the next task.
            self._bars.remove_task(task_id)


class _Line:
    """A task told in lines."""

    def __init__(
        self, label: str, total: float, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._label = label
        self._total = total
        self._say = say
        self._clock = clock
        self._done = 0.0
        self._note = ""
        self._start_s = self._last_s = clock()

    def advance(self, steps: float = 1) -> None:
        """Count finished steps, and write a line if the last one is long ago."""
        self._done += steps
        now_s = self._clock()
        if now_s - self._last_s >= LINE_INTERVAL_S:
            self._last_s = now_s
            self._say(self._state(now_s - self._start_s))

    def note(self, text: str) -> None:
        """Keep a short text for the next line."""
        self._note = text

    def end(self) -> None:
        """Write the last line."""
        took = describe_duration(self._clock() - self._start_s)
        self._say(", ".join(filter(None, [f"{self._label}: done in {took}", self._note])))

    def _state(self, spent_s: float) -> str:
        """Share done, rate, time left and note in one line."""
        share = self._done / self._total if self._total else 1.0
        rate = self._done / spent_s
        left_s = max(self._total - self._done, 0) / rate if rate else 0.0
        parts = [f"{self._label}: {share:.0%}", describe_rate(rate, self._total)]
        parts += [f"{describe_duration(left_s)} left", self._note]
        return ", ".join(filter(None, parts))


class LineProgress:
    """Writes a line per task every 15 seconds and at its end: for logs and pipes.

    Args:
        console: where to write.
        clock: seconds; only differences count.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        """Write lines about a task of `total` steps until the `with` block ends."""
        line = _Line(label, total, self._write, self._clock)
        yield line
        line.end()

    def _write(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


class _Events:
    """A task told in events."""

    def __init__(
        self, label: str, total: float, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._label = label
        self._total = total
        self._say = say
        self._clock = clock
        self._done = 0.0
        self._note = ""
        self._start_s = self._last_s = clock()
        self.tell("begin")

    def advance(self, steps: float = 1) -> None:
        """Count finished steps, and tell of them if the last event is a second ago."""
        self._done += steps
        if self._clock() - self._last_s >= EVENT_INTERVAL_S:
            self.tell("progress")

    def note(self, text: str) -> None:
        """Keep a short text for the next event."""
        self._note = text

    def tell(self, event: str) -> None:
        """Write one event: all numbers so far, and null for what is not known yet."""
        self._last_s = self._clock()
        spent_s = self._last_s - self._start_s
        rate = self._done / spent_s if spent_s and self._done else None
        told = {
            "event": event,
            "task": self._label,
            "done": self._done,
            "total": self._total,
            "seconds": round(spent_s, 3),
            "per_second": rate,
            "seconds_left": rate and max(self._total - self._done, 0) / rate,
            "note": self._note,
        }
        self._say(json.dumps(told, ensure_ascii=False))


class EventProgress:
    """Writes a JSON object per line when a task begins, every second, and when it ends.

    Args:
        console: where to write.
        clock: seconds; only differences count.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        """Tell of a task of `total` steps until the `with` block ends."""
        events = _Events(label, total, self._write, self._clock)
        yield events
        events.tell("end")

    def _write(self, text: str) -> None:
        self._console.print(without_secrets(text), markup=False, soft_wrap=True)
