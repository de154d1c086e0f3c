"""What a process that trains tells the one that has started it: progress and log records."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from geocobot.progress import Course, Progress, SilentTask, Task


class Display(ExitStack):
    """Shows tasks one after the other, the last one until its `with` block ends.

    Args:
        progress: shows them.
    """

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self.task: Task = SilentTask()

    def begin(self, label: str, total: float) -> None:
        """Show a task in place of the one before."""
        self.close()
        self.task = self.enter_context(self._progress.task(label, total))


def show(said: tuple[str, Any], display: Display) -> None:
    """Pass on progress and log records."""
    kind, value = said
    if kind == "begin":
        display.begin(*value)
    elif kind != "record":
        getattr(display.task, kind)(value)
    elif (logger := logging.getLogger(value.name)).isEnabledFor(value.levelno):
        logger.handle(value)


class Teller:
    """Progress whose tasks, one after the other, are shown by another process.

    Args:
        line: to that process.
    """

    def __init__(self, line: Any) -> None:
        self._line = line

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        """Begin a task, which ends when the next one begins or the process is done."""
        self._line.send(("begin", (label, total)))
        yield self

    def advance(self, steps: float = 1) -> None:
        """Count finished steps."""
        self._line.send(("advance", steps))

    def note(self, text: str) -> None:
        """Show a short text beside the bar."""
        self._line.send(("note", text))

    def chart(self, courses: Sequence[Course]) -> None:
        """Show how figures went."""
        self._line.send(("chart", courses))


class LogTeller(logging.Handler):
    """Sends log records to another process.

    Args:
        line: to that process.
    """

    def __init__(self, line: Any) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, its text put together."""
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        with suppress(OSError):
            self._line.send(("record", record))
