"""Curves in a terminal: one line high, as wide as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from geocobot.progress import Course

_BLOCKS = "▁▂▃▄▅▆▇█"
# For terminals whose encoding or font lacks the blocks.
_LETTERS = "_.-=+*#@"
_LEAST_WIDTH, _MOST_WIDTH = 8, 60


class Sparkline:
    """A curve of one line of characters.

    Args:
        values: at equal distances, oldest first, at least one.
    """

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as there is room, within reason."""
        most = min(len(self.values), _MOST_WIDTH, options.max_width)
        return Measurement(min(_LEAST_WIDTH, most), most)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        plain = options.ascii_only or options.legacy_windows
        marks = _LETTERS if plain else _BLOCKS
        yield Segment(draw(self.values, min(_MOST_WIDTH, options.max_width), marks))


def draw(values: Sequence[float], width: int, marks: str = _BLOCKS) -> str:
    """Values as characters, from their least to their largest.

    Args:
        values: at equal distances, at least one.
        width: characters at most; where there are more values, each stands for the mean of some.
        marks: the characters, lowest first.
    """
    means = _means(values, width)
    low, span = min(means), max(means) - min(means)
    levels = len(marks)
    # A figure that never changes lies in the middle: it is neither low nor high.
    heights = [(v - low) / span if span > 0 else 0.5 for v in means]
    return "".join(marks[min(levels - 1, int(height * levels))] for height in heights)


def _means(values: Sequence[float], n: int) -> list[float]:
    """At most n means of values that follow each other, of each as many as of any other or so."""
    if len(values) <= n:
        return list(values)
    edges = [round(k * len(values) / n) for k in range(n + 1)]
    return [sum(values[begin:end]) / (end - begin) for begin, end in pairwise(edges)]


def as_table(courses: Sequence[Course]) -> Table:
    """Figures below each other: name, newest value, least and largest value, curve."""
    table = Table.grid(padding=(0, 1), pad_edge=False)
    for _ in ("name", "newest", "range"):
        table.add_column(no_wrap=True, overflow="crop")
    table.add_column()  # gives way where there is little room
    for course in courses:
        low, high = min(course.values), max(course.values)
        table.add_row(
            Text(f"  {course.name}"),
            Text(f"{course.values[-1]:.3f}", style="bold"),
            Text(f"{low:.3f} to {high:.3f}", style="dim"),
            Sparkline(course.values),
        )
    return table
