from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from geocobot.cli.charts import as_table, draw
from geocobot.progress import Course

figures = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)
widths = st.integers(1, 60)


def shown(courses: list[Course], width: int, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    Console(file=file, width=width).print(as_table(courses))
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


@given(figures, widths)
def test_a_curve_fills_its_height_and_no_more_than_its_width(
    values: list[float], width: int
) -> None:
    curve = draw(values, width)
    assert len(curve) == min(len(values), width)
    assert set(curve) <= set("▁▂▃▄▅▆▇█")
    if len(values) <= width and max(values) > min(values):
        assert curve[values.index(max(values))] == "█"
        assert curve[values.index(min(values))] == "▁"


@given(figures, widths)
def test_a_figure_that_grows_has_a_curve_that_never_falls(values: list[float], width: int) -> None:
    curve = draw(sorted(values), width, "01234567")
    assert list(curve) == sorted(curve)


@given(figures, widths, st.floats(-1e3, 1e3))
def test_upside_down_is_upside_down(values: list[float], width: int, offset: float) -> None:
    up = draw(values, width, "01")
    down = draw([-v for v in values], width, "01")
    assert len(up) == len(down)
    if up.count("1") and len(set(values)) == 2 and len(values) <= width:
        assert up == down.translate(str.maketrans("01", "10"))


def test_a_figure_that_never_changes_is_neither_high_nor_low() -> None:
    assert draw([3.0] * 5, 10) == "▅" * 5


def test_more_values_than_room_become_means() -> None:
    assert draw([0, 0, 1, 1, 0, 0], 3) == "▁█▁"
    assert draw([0, 1] * 8, 4) == "▅▅▅▅"


def test_figures_stand_below_each_other_with_their_range() -> None:
    loss, iou = shown([Course("loss", (1.0, 0.5, 0.25)), Course("IoU", (0.1, 0.6))], 80)
    assert loss == "  loss 0.250 0.250 to 1.000 █▃▁"
    assert iou == "  IoU  0.600 0.100 to 0.600 ▁█"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_long_curve_takes_one_line(width: int) -> None:
    (line,) = shown([Course("loss", tuple(range(1000)))], width)
    assert len(line) <= width
    assert line.endswith("█")


def test_a_terminal_without_blocks_gets_letters() -> None:
    (line,) = shown([Course("IoU", (0.0, 0.5, 1.0))], 80, "ascii")
    assert line == "  IoU 1.000 0.000 to 1.000 _+@"
