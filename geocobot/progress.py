"""How long work tells how far it is, without knowing of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Course:
    """How a figure went while work is under way.

    Attributes:
        name: of the figure, such as loss.
        values: at equal distances, oldest first, at least one; the last one is the newest.
    """

    name: str
    values: tuple[float, ...]

    def __str__(self) -> str:
        """The newest value with its name."""
        return f"{self.name} {self.values[-1]:.3f}"


class Task(Protocol):
    """One stretch of work under way."""

    def advance(self, steps: float = 1) -> None:
        """Count finished steps."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar, such as the file under way."""

    def chart(self, courses: Sequence[Course]) -> None:
        """Show how figures went: their newest values, and curves where there is room."""


class Progress(Protocol):
    """Makes tasks; the command line draws them as bars."""

    def task(self, label: str, total: float) -> AbstractContextManager[Task]:
        """Start a task of `total` steps; it ends with the `with` block."""


class SilentTask:
    """Counts and shows nothing."""

    def advance(self, steps: float = 1) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def chart(self, courses: Sequence[Course]) -> None:
        """Do nothing."""


class SilentProgress:
    """Shows nothing: the default of the Python API."""

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        """Hand out a task that shows nothing."""
        yield SilentTask()
