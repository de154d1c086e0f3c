"""Specks, against a slow and plain way to remove them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.blocks import recut
from geocobot.tracing.holes import HoleFilling
from geocobot.tracing.specks import MAX_SPECK_ROWS, SpeckRemoval

from .rasters import CLASSES, class_rasters, cut, grid_of, parse, trace

PIXEL_M2 = 0.125 / 0.9996**2


def around(labels: np.ndarray, row: int, col: int) -> Iterator[tuple[int, int]]:
    for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        if 0 <= row + down < labels.shape[0] and 0 <= col + right < labels.shape[1]:
            yield row + down, col + right


def patches(labels: np.ndarray) -> tuple[np.ndarray, list[list[tuple[int, int]]]]:
    """The number of each pixel's patch, and the pixels of each patch."""
    patch = np.full(labels.shape, -1)
    members: list[list[tuple[int, int]]] = []
    for start in np.ndindex(*labels.shape):
        if patch[start] >= 0:
            continue
        patch[start], stack = len(members), [start]
        members.append([])
        while stack:
            place = stack.pop()
            members[-1].append(place)
            for at in around(labels, *place):
                if patch[at] < 0 and labels[at] == labels[start]:
                    patch[at] = patch[start]
                    stack.append(at)
    return patch, members


def remove(labels: np.ndarray, max_px: int) -> np.ndarray:
    """Pixel by pixel; specks have less than so many pixels."""
    patch, members = patches(labels)
    is_small = [len(m) < max_px and labels[m[0]] != 255 for m in members]
    cleaned = labels.copy()
    for pixels in (m for m, small in zip(members, is_small, strict=True) if small):
        beside = [at for place in pixels for at in around(labels, *place)]
        taken = [at for at in beside if not is_small[patch[at]] and labels[at] != 255]
        border = Counter(int(labels[at]) for at in taken)
        longest = max(border.values(), default=0)
        new = min((c for c, n in border.items() if n == longest), default=0)
        for at in pixels:
            cleaned[at] = new
    return cleaned


def cleaned(labels: np.ndarray, max_px: int, heights=(100,), rows: int = 100) -> np.ndarray:
    grid = grid_of(labels)
    specks = SpeckRemoval(grid, (max_px - 0.5) * PIXEL_M2)
    blocks = recut(cut(labels, heights), grid, CLASSES, rows, HoleFilling(grid, 0), specks=specks)
    return np.concatenate([block.classes for block in blocks])


@settings(max_examples=200, deadline=None)
@given(
    class_rasters(16),
    st.integers(1, 9),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_specks_are_those_of_the_whole_scene_whatever_comes_at_a_time(labels, n, heights, rows):
    expected = remove(labels, n)
    found = cleaned(labels, n, heights, rows)
    np.testing.assert_array_equal(found, np.where(expected == 255, 0, expected))


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ("22222\n22122\n22222", "22222\n22222\n22222"),
        ("22222\n22.22\n22222", "22222\n22222\n22222"),
        (".....\n..1..\n.....", ".....\n.....\n....."),
        ("11112\n111.2\n11112", "11112\n11112\n11112"),
    ],
    ids=["class in class", "hole", "alone", "longest border"],
)
def test_a_speck_takes_the_class_around_it(picture, expected):
    labels = parse(picture).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(
        cleaned(labels, 5), parse(expected).repeat(2, axis=0).repeat(2, axis=1)
    )


def test_a_patch_that_is_too_high_is_no_speck():
    labels = np.full((3 * MAX_SPECK_ROWS, 5), 2, dtype=np.uint8)
    labels[10 : 10 + MAX_SPECK_ROWS, 2] = 1
    labels[200 : 201 + MAX_SPECK_ROWS, 3] = 1
    found = cleaned(labels, 10_000, heights=(7,), rows=64)
    assert (found[: 20 + MAX_SPECK_ROWS] == 2).all()
    np.testing.assert_array_equal(found[180:], labels[180:])


def test_polygons_without_specks():
    labels = np.full((30, 30), 1, dtype=np.uint8)
    labels[::7, ::5] = 2
    labels[15, 10:20] = 0
    assert len(trace(labels)) > 30
    frame = trace(labels, despeckle_m2=0.3, block_rows=4)
    assert frame["class_id"].tolist() == [1]
    assert len(frame.geometry.iloc[0].interiors) == 1
