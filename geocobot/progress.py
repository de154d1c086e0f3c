"""How long work tells how far it is, without knowing of a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One stretch of work under way."""

    def advance(self, steps: float = 1) -> None:
        """Count finished steps."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar, such as the loss."""


class Progress(Protocol):
    """Makes tasks; the command line draws them as bars."""

    def task(self, label: str, total: float) -> AbstractContextManager[Task]:
        """Start a task of `total` steps; it ends with the `with` block."""


class _SilentTask:
    """Counts nothing."""

    def advance(self, steps: float = 1) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


class SilentProgress:
    """Shows nothing: the default of the Python API."""

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        """Hand out a task that shows nothing."""
        yield _SilentTask()
