"""Classes: numbers, colors, and one class per pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geocobot.classes import (
    BACKGROUND,
    IGNORE,
    MAX_CLASSES,
    ClassSpec,
    classify,
    name_classes,
    parse_classes,
)
from geocobot.errors import ConfigError


class TestClassSpec:
    @pytest.mark.parametrize("number", [-1, 0, 255])
    def test_number(self, number):
        with pytest.raises(ValueError, match=rf"class number {number} is not in 1\.\.254"):
            ClassSpec(number, "road", "#ff0000")

    @pytest.mark.parametrize(
        "color", ["red", "#ff00", "#FF0000", "ff0000", "#ff00000", "#ff0000\n"]
    )
    def test_color(self, color):
        with pytest.raises(ValueError, match="is not of the form #rrggbb"):
            ClassSpec(1, "road", color)

    @pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
    def test_threshold(self, threshold):
        with pytest.raises(ValueError, match=r"class threshold .* is not in 0\.\.1"):
            ClassSpec(1, "road", "#ff0000", threshold)

    def test_rgb(self):
        assert ClassSpec(1, "road", "#ff8001").rgb == (255, 128, 1)


class TestNameClasses:
    def test_numbers_from_one_in_order(self):
        classes = name_classes(["road", "house"])
        assert [(c.number, c.name, c.threshold) for c in classes] == [
            (1, "road", 0.5),
            (2, "house", 0.5),
        ]

    def test_neighbors_differ_in_color(self):
        colors = [c.color for c in name_classes([str(i) for i in range(MAX_CLASSES)])]
        assert len(colors) == MAX_CLASSES
        assert all(len(set(colors[i : i + 8])) == 8 for i in range(MAX_CLASSES - 8))

    def test_too_many(self):
        with pytest.raises(ValueError, match="class number 255"):
            name_classes([str(i) for i in range(MAX_CLASSES + 1)])

    def test_none(self):
        assert name_classes([]) == ()

    def test_own_colors_stand_and_the_others_keep_theirs(self):
        plain = name_classes(["road", "house"])
        own = name_classes(["road", "house"], {"house": "#123456"})
        assert [c.color for c in own] == [plain[0].color, "#123456"]


class TestParseClasses:
    def test_names_and_colors_in_order(self):
        assert parse_classes(["b=#E31a1C", " a ", "x=y", "#1"]) == {
            "b": "#e31a1c",
            "a": None,
            "x=y": None,
            "#1": None,
        }

    @pytest.mark.parametrize(
        ("texts", "said"),
        [
            (["a", "b", "a=#000000"], "names a twice"),
            (["a", " "], "has no name in ' '"),
            (["=#000000"], "has no name in '=#000000'"),
            (["a=#12345"], "gives a the color #12345"),
            (["a=#blue"], "gives a the color #blue"),
        ],
    )
    def test_what_is_no_list_of_classes(self, texts, said):
        with pytest.raises(ConfigError, match=rf"^--classes {said}\."):
            parse_classes(texts)


_UNIT = st.floats(0, 1, width=32)


@st.composite
def score_stacks(draw):
    """Scores (K, 3, 4), validity and K classes with thresholds."""
    n = draw(st.integers(1, 4))
    classes = tuple(
        ClassSpec(number, f"class {number}", "#000000", draw(_UNIT))
        for number in draw(st.lists(st.integers(1, 254), min_size=n, max_size=n, unique=True))
    )
    scores = draw(arrays(np.float32, (n, 3, 4), elements=_UNIT))
    return scores, draw(arrays(np.bool_, (3, 4))), classes


class TestClassify:
    @settings(deadline=None)
    @given(score_stacks())
    def test_the_largest_margin_wins(self, stack):
        scores, valid, classes = stack
        labels = classify(scores, valid, classes)
        assert labels.dtype == np.uint8
        for row, col in np.ndindex(3, 4):
            margins = [scores[k, row, col] - np.float32(c.threshold) for k, c in enumerate(classes)]
            best = int(np.argmax(margins))
            expected = classes[best].number if margins[best] > 0 else BACKGROUND
            assert labels[row, col] == (expected if valid[row, col] else IGNORE)

    def test_at_the_threshold_is_background(self):
        classes = name_classes(["road"])
        scores = np.array([[[0.5, 0.51]]], "float32")
        assert classify(scores, np.ones((1, 2), bool), classes).tolist() == [[0, 1]]

    def test_a_lower_threshold_can_win_over_a_higher_score(self):
        classes = (ClassSpec(1, "a", "#000000", 0.8), ClassSpec(2, "b", "#000000", 0.2))
        scores = np.array([[[0.9]], [[0.6]]], "float32")
        assert classify(scores, np.ones((1, 1), bool), classes).item() == 2
