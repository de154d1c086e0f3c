"""Integer windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from geocobot.windows import around, grown, intersect

# Close together and small, so that many of them overlap.
_OFFSETS, _SIDES = st.integers(-9, 9), st.integers(1, 12)
WINDOWS = st.builds(Window, _OFFSETS, _OFFSETS, _SIDES, _SIDES)


class TestIntersect:
    @given(WINDOWS, WINDOWS)
    def test_is_symmetric_and_inside_both(self, a, b):
        common = intersect(a, b)
        assert common == intersect(b, a)
        columns = set(range(a.col_off, a.col_off + a.width)) & set(
            range(b.col_off, b.col_off + b.width)
        )
        rows = set(range(a.row_off, a.row_off + a.height)) & set(
            range(b.row_off, b.row_off + b.height)
        )
        if common is None:
            assert not columns or not rows
        else:
            assert common.width == len(columns)
            assert common.height == len(rows)
            assert (common.col_off, common.row_off) == (min(columns), min(rows))

    def test_touching_is_not_overlapping(self):
        assert intersect(Window(0, 0, 5, 5), Window(5, 0, 5, 5)) is None


def test_grown_adds_the_margin_on_every_side():
    assert grown(Window(5, 7, 2, 3), 4) == Window(1, 3, 10, 11)


@given(st.lists(WINDOWS, min_size=1, max_size=5))
def test_around_covers_all_and_no_more(windows):
    whole = around(windows)
    assert all(intersect(whole, w) == w for w in windows)
    assert (whole.col_off, whole.row_off) == (
        min(w.col_off for w in windows),
        min(w.row_off for w in windows),
    )
    assert any(w.col_off + w.width == whole.col_off + whole.width for w in windows)
    assert any(w.row_off + w.height == whole.row_off + whole.height for w in windows)
