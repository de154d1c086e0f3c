"""Charts: points where their numbers say, nothing of nothing."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.report.charts import Mark, Series, line_chart

_SVG = "{http://www.w3.org/2000/svg}"
numbers = st.floats(-1e6, 1e6).map(lambda v: round(v, 3))


def lines_of(svg: str) -> list[np.ndarray]:
    """The points of each line, in pixels."""
    found = ET.fromstring(svg).iter(f"{_SVG}polyline")
    return [
        np.array([[float(n) for n in p.split(",")] for p in e.attrib["points"].split()])
        for e in found
    ]


def ticks_of(svg: str, anchor: str) -> list[float]:
    """The numbers along an axis."""
    found = ET.fromstring(svg).iter(f"{_SVG}text")
    said = [e.text or "" for e in found if e.get("text-anchor") == anchor]
    return [float(text) for text in said if re.fullmatch(r"-?[\d.e+-]+", text)]


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30))
def test_lines_keep_their_proportions_and_stay_within_the_picture(points) -> None:
    x, y = zip(*points, strict=True)
    (line,) = lines_of(line_chart([Series("a", x, y)], x_title="x", y_title="y"))
    assert len(line) == len(points)
    assert (line >= 0).all()
    assert (line <= [440, 280]).all()
    for values, drawn, sign in ((x, line[:, 0], 1), (y, line[:, 1], -1)):
        low, high = min(values), max(values)
        if high > low:
            shares = (np.array(values) - low) / (high - low)
            span = np.ptp(drawn)
            expected = (drawn.min() if sign > 0 else drawn.max()) + sign * shares * span
            np.testing.assert_allclose(drawn, expected, atol=0.11)


@given(numbers, st.floats(1e-3, 1e6))
def test_ticks_are_few_and_within_the_range(low: float, span: float) -> None:
    high = low + span
    svg = line_chart(
        [Series("a", (0, 1), (low, high))], x_title="x", y_title="y", y_range=(low, high)
    )
    ticks = ticks_of(svg, "end")
    assert len(ticks) <= 7
    # Six digits are shown.
    room = 1e-5 * max(abs(low), abs(high), span)
    assert all(low - room <= tick <= high + room for tick in ticks)


def test_epochs_are_counted_whole() -> None:
    svg = line_chart([Series("a", (1, 2), (0.1, 0.2))], x_title="epoch", y_title="y", whole_x=True)
    assert ticks_of(svg, "middle") == [1, 2]


def test_nothing_is_drawn_of_nothing() -> None:
    empty = Series("a", (), ())
    unknown = Series("b", (0.0, 1.0), (math.nan, math.nan))
    assert line_chart([], x_title="x", y_title="y") == ""
    assert line_chart([empty, unknown], x_title="x", y_title="y") == ""


def test_a_single_point_and_a_mark_are_seen() -> None:
    svg = line_chart(
        [Series("a", (1,), (2,))], x_title="x", y_title="y", marks=[Mark(1, 2, "here <&>")]
    )
    root = ET.fromstring(svg)
    assert len(list(root.iter(f"{_SVG}circle"))) == 2
    assert any(e.text == "here <&>" for e in root.iter(f"{_SVG}text"))


def test_many_points_are_thinned_and_the_last_one_stays() -> None:
    x = np.arange(10_001) / 10_000
    (line,) = lines_of(line_chart([Series("a", x, x)], x_title="x", y_title="y"))
    assert 300 < len(line) < 900
    assert line[-1].tolist() == [426.0, 14.0]


@pytest.mark.parametrize(("n", "legends"), [(1, 0), (3, 3)])
def test_several_lines_have_a_legend_and_colors_of_their_own(n: int, legends: int) -> None:
    series = [Series(f"line {i}", (0, 1), (0, i)) for i in range(n)]
    root = ET.fromstring(line_chart(series, x_title="x", y_title="y"))
    said = [e.text for e in root.iter(f"{_SVG}text") if (e.text or "").startswith("line ")]
    assert len(said) == legends
    assert len({e.get("stroke") for e in root.iter(f"{_SVG}polyline")}) == n


def test_what_is_no_number_leaves_a_gap():
    x = tuple(float(k) for k in range(9))
    y = (0.0, 1.0, math.nan, 3.0, math.nan, 5.0, 6.0, 7.0, math.inf)
    root = ET.fromstring(line_chart([Series("a", x, y)], x_title="x", y_title="y"))
    lines = [e.get("points", "").split() for e in root.iter(f"{_SVG}polyline")]
    assert [len(points) for points in lines] == [2, 3]
    assert len(list(root.iter(f"{_SVG}circle"))) == 1
