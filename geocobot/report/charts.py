"""Charts as SVG, drawn without any library so that a page stays small and needs no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by those who see few colors (Okabe and Ito, 2008)."""

_WIDTH, _HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 42
_LINE_PX = 18
_MOST_TICKS = 6
_MOST_POINTS = 400


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        name: for the legend.
        x: (N,) places; values that are no numbers leave a gap.
        y: (N,) values.
        color: None for the next of `COLORS`.
        dashed: whether it is a help to the eye rather than data.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A point of a chart that stands out.

    Attributes:
        x: its place.
        y: its value.
        name: what stands beside it.
    """

    x: float
    y: float
    name: str


@dataclass(frozen=True)
class _Axis:
    """Values and where they are drawn."""

    low: float
    high: float
    first_px: float
    last_px: float

    def at(self, value: float) -> float:
        """Place of a value, in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return self.first_px + share * (self.last_px - self.first_px)


def line_chart(
    series: Sequence[Series],
    *,
    x_title: str,
    y_title: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    marks: Sequence[Mark] = (),
    whole_x: bool = False,
) -> str:
    """Draw lines.

    Args:
        series: what to draw, those without any number left out.
        x_title: what lies to the right.
        y_title: what lies upwards.
        x_range: first and last place; default that of the data.
        y_range: lowest and highest value; default that of the data.
        marks: points that stand out.
        whole_x: whether places are whole numbers.

    Returns:
        SVG; empty where there is nothing to draw.
    """
    colored = [(s, s.color or COLORS[i % len(COLORS)]) for i, s in enumerate(series)]
    drawn = [(s, color) for s, color in colored if _finite(s)]
    if not drawn:
        return ""
    points = [point for s, _ in drawn for point in _finite(s)]
    x_low, x_high = x_range or _span([x for x, _ in points])
    y_low, y_high = y_range or _span([y for _, y in points])
    height = _HEIGHT + _LINE_PX * len(drawn) * (len(drawn) > 1)
    across = _Axis(x_low, x_high, _LEFT, _WIDTH - _RIGHT)
    upwards = _Axis(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
    title = f"{y_title} by {x_title}: {', '.join(s.name for s, _ in drawn)}"
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" font-family="sans-serif" '
        f'font-size="12" fill="#33404c"><title>{escape(title)}</title>'
    )
    return "".join(
        [
            start,
            *_grid(across, upwards, x_title, y_title, least_x=1.0 if whole_x else 0.0),
            *(_line(s, color, across, upwards) for s, color in drawn),
            *(_mark(mark, across, upwards) for mark in marks),
            *(_legend(drawn) if len(drawn) > 1 else ()),
            "</svg>",
        ]
    )


def _finite(series: Series) -> list[tuple[float, float]]:
    """The points that have numbers."""
    pairs = zip(series.x, series.y, strict=True)
    return [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


def _stretches(series: Series) -> list[list[tuple[float, float]]]:
    """The points that have numbers, parted where one has none."""
    pairs = zip(series.x, series.y, strict=True)
    known = groupby(pairs, key=lambda point: all(map(math.isfinite, point)))
    return [list(points) for is_known, points in known if is_known]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value, never the same."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(axis: _Axis, least: float = 0.0) -> list[float]:
    """Round values along an axis, few enough to be read and no closer than `least`."""
    raw = max((axis.high - axis.low) / _MOST_TICKS, least)
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(axis.low / step - 1e-9)
    last = math.floor(axis.high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _grid(
    across: _Axis, upwards: _Axis, x_title: str, y_title: str, *, least_x: float
) -> list[str]:
    """Lines, numbers and titles of both axes."""
    left, right, low, high = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM, _TOP
    parts = []
    for value in _ticks(upwards):
        y = upwards.at(value)
        parts.append(
            f'<path d="M{left},{y:.1f}H{right}" stroke="#e3e8ec"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in _ticks(across, least_x):
        x = across.at(value)
        parts.append(
            f'<path d="M{x:.1f},{low}V{low + 4}" stroke="#9aa7b2"/>'
            f'<text x="{x:.1f}" y="{low + 17}" text-anchor="middle">{value:g}</text>'
        )
    centered = 'text-anchor="middle"'
    below = f'<text x="{(left + right) / 2}" y="{low + 35}" {centered}>{escape(x_title)}</text>'
    turned = f"translate(12,{(low + high) / 2}) rotate(-90)"
    beside = f'<text transform="{turned}" {centered}>{escape(y_title)}</text>'
    frame = f'<path d="M{left},{high}V{low}H{right}" fill="none" stroke="#9aa7b2"/>'
    return [*parts, frame, below, beside]


def _line(series: Series, color: str, across: _Axis, upwards: _Axis) -> str:
    """A line, of many points as many as can be seen."""
    step = max(1, len(_finite(series)) // _MOST_POINTS)
    dash = ' stroke-dasharray="5 4"' if series.dashed else ""
    parts = []
    for points in _stretches(series):
        shown = points[::step] + ([points[-1]] if (len(points) - 1) % step else [])
        if len(shown) == 1:
            x, y = across.at(shown[0][0]), upwards.at(shown[0][1])
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>')
            continue
        path = " ".join(f"{across.at(x):.1f},{upwards.at(y):.1f}" for x, y in shown)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.8"{dash}/>'
        )
    return "".join(parts)


def _mark(mark: Mark, across: _Axis, upwards: _Axis) -> str:
    """A point with its name, which stays within the chart."""
    x, y = across.at(mark.x), upwards.at(mark.y)
    to_left = x > (_LEFT + _WIDTH - _RIGHT) / 2
    anchor, shift = ("end", -8) if to_left else ("start", 8)
    below = 16 if y < _TOP + 2 * _LINE_PX else -6
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#fff" stroke="#1d2730" stroke-width="2"/>'
        f'<text x="{x + shift:.1f}" y="{y + below:.1f}" text-anchor="{anchor}">'
        f"{escape(mark.name)}</text>"
    )


def _legend(drawn: Sequence[tuple[Series, str]]) -> list[str]:
    """Which line is which, below the chart."""
    parts = []
    for row, (series, color) in enumerate(drawn):
        y = _HEIGHT + _LINE_PX * row + 6
        dash = ' stroke-dasharray="5 4"' if series.dashed else ""
        parts.append(
            f'<path d="M{_LEFT},{y}h22" stroke="{color}" stroke-width="2"{dash}/>'
            f'<text x="{_LEFT + 28}" y="{y + 4}">{escape(series.name)}</text>'
        )
    return parts
