"""Work under way: bars in a terminal, lines elsewhere, events for programs."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from rich.console import Console, RenderableType
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

from geocobot.cli.charts import as_table
from geocobot.progress import Course, Task
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


class _Bars(RichProgress):
    """Bars, and below them the curves of those tasks that have some."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is drawn, top to bottom."""
        yield from super().get_renderables()
        for task in self.tasks:
            if task.visible and task.fields["courses"]:
                yield as_table(task.fields["courses"])


class _Bar:
    """A task drawn as a bar."""

    def __init__(self, bars: _Bars, task_id: TaskID) -> None:
        self._bars = bars
        self._id = task_id

    def advance(self, steps: float = 1) -> None:
        """Count finished steps."""
        self._bars.advance(self._id, steps)

    def note(self, text: str) -> None:
        """Show a short text beside the bar."""
        self._bars.update(self._id, note=text)

    def chart(self, courses: Sequence[Course]) -> None:
        """Draw curves below the bar."""
        self._bars.update(self._id, courses=courses)


class BarProgress:
    """Draws tasks as bars; a task inside another disappears when it ends.

    Args:
        console: where to draw; notices printed there appear above the bars.
    """

    def __init__(self, console: Console) -> None:
        self._bars = _Bars(
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
        task_id = self._bars.add_task(label, total=total, note="", courses=())
        try:
            yield _Bar(self._bars, task_id)
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._bars.stop()
            # What `stop` has drawn stays on the screen; it must not come back with the next task.
            self._bars.remove_task(task_id)


class _Told(ABC):
    """A task that is told of now and then.

    Args:
        label: of the task.
        total: steps.
        say: writes a line.
        clock: seconds; only differences count.
    """

    interval_s: ClassVar[float]

    def __init__(
        self, label: str, total: float, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._label = label
        self._total = total
        self._say = say
        self._clock = clock
        self._done = 0.0
        self._note = ""
        self._courses: Sequence[Course] = ()
        self._start_s = self._last_s = clock()
        self.begin()

    def advance(self, steps: float = 1) -> None:
        """Count finished steps, and tell of them if the last time is long ago."""
        self._done += steps
        now_s = self._clock()
        if now_s - self._last_s >= self.interval_s:
            self._last_s = now_s
            self.tell()

    def note(self, text: str) -> None:
        """Keep a short text for the next time."""
        self._note = text

    def chart(self, courses: Sequence[Course]) -> None:
        """Keep figures for the next time."""
        self._courses = courses

    @abstractmethod
    def begin(self) -> None:
        """Say that the task begins."""

    @abstractmethod
    def tell(self) -> None:
        """Say how far it is."""

    @abstractmethod
    def end(self) -> None:
        """Say that it has ended."""

    @property
    def _text(self) -> str:
        """The note and the newest figures."""
        return ", ".join(filter(None, [self._note, *map(str, self._courses)]))

    @property
    def _spent_s(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._start_s

    @property
    def _rate(self) -> float:
        """Steps per second so far, 0 where nothing is known."""
        spent_s = self._spent_s
        return self._done / spent_s if spent_s else 0.0

    @property
    def _left_s(self) -> float | None:
        """Seconds still to go, None where nothing is known."""
        rate = self._rate
        return max(self._total - self._done, 0) / rate if rate else None


class _Line(_Told):
    """Told in lines for people."""

    interval_s = LINE_INTERVAL_S

    def begin(self) -> None:
        """Say nothing yet."""

    def tell(self) -> None:
        """Share done, rate, time left and note in one line."""
        share = self._done / self._total if self._total else 1.0
        parts = [f"{self._label}: {share:.0%}", describe_rate(self._rate, self._total)]
        parts += [f"{describe_duration(self._left_s or 0.0)} left", self._text]
        self._say(", ".join(filter(None, parts)))

    def end(self) -> None:
        """Write the last line."""
        took = describe_duration(self._spent_s)
        self._say(", ".join(filter(None, [f"{self._label}: done in {took}", self._text])))


class _Events(_Told):
    """Told in JSON objects for programs: all numbers so far, null for what is not known yet.

    Figures come once there are some.
    """

    interval_s = EVENT_INTERVAL_S

    def begin(self) -> None:
        """Write the first event."""
        self._write("begin")

    def tell(self) -> None:
        """Write how far it is."""
        self._write("progress")

    def end(self) -> None:
        """Write the last event."""
        self._write("end")

    def _write(self, event: str) -> None:
        told = {
            "event": event,
            "task": self._label,
            "done": self._done,
            "total": self._total,
            "seconds": round(self._spent_s, 3),
            "per_second": self._rate or None,
            "seconds_left": self._left_s,
            "note": self._text,
        }
        if self._courses:
            told["figures"] = {course.name: course.values[-1] for course in self._courses}
        self._say(json.dumps(told, ensure_ascii=False))


class LineProgress:
    """Writes a line per task every 15 seconds and at its end: for logs and pipes.

    Args:
        console: where to write.
        clock: seconds; only differences count.
    """

    _kind: ClassVar[type[_Told]] = _Line

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        """Write about a task of `total` steps until the `with` block ends."""
        told = self._kind(label, total, self._write, self._clock)
        yield told
        told.end()

    def _write(self, text: str) -> None:
        self._console.print(without_secrets(text), markup=False, soft_wrap=True)


class EventProgress(LineProgress):
    """Writes a JSON object per line when a task begins, every second, and when it ends."""

    _kind = _Events
