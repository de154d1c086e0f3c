"""Pages: everything within, nothing taken for markup."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geocobot.report.page import (
    Section,
    charts,
    code,
    facts,
    figure,
    finding,
    folded,
    paragraph,
    points,
    table,
    write_page,
)
from geocobot.report.pictures import embedded, image, png, swipe

_EMPTY = {"meta", "img", "input", "br"}


class Nesting(HTMLParser):
    """Knows which elements are open, and what text there is."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.anchors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]
        self.anchors += [named["id"]] if named.get("id") else []
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def parse(page: str) -> Nesting:
    """A page whose elements all close in their order."""
    parser = Nesting()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@given(texts, texts, texts, st.lists(texts, min_size=1, max_size=3))
def test_no_text_is_taken_for_markup(title: str, heading: str, text: str, cells: list[str]) -> None:
    body = "".join(
        [
            paragraph(text),
            points([text]),
            facts({title: text}),
            table(cells, [cells]),
            figure("", text),
            folded(title, code(text)),
            finding("stop", text),
        ]
    )
    page = parse(write_page(title, paragraph(text), [Section(heading, body)]))
    assert page.text.count(text) >= 6 or not text
    assert heading in page.text
    assert title in page.text


def test_a_page_needs_no_other_file() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    body = image(embedded(picture), "black") + swipe(
        embedded(picture), embedded(picture), said=("a", "b"), name="c"
    )
    page = write_page("Title", "", [Section("A part", body), Section("Left out", "")])
    found = parse(page)
    assert all(a.startswith(("data:image/", "#")) for a in found.addresses)
    assert "Left out" not in page
    assert found.anchors == ["a-part"]
    assert [a for a in found.addresses if a.startswith("#")] == ["#a-part"]
    assert not re.search(r"https?://(?!www\.w3\.org)", page)


def test_what_is_empty_leaves_nothing() -> None:
    assert facts({}) == table(["a"], []) == points([]) == charts([]) == ""


@pytest.mark.parametrize(
    ("shape", "longest", "expected"),
    [
        ((30, 60), 20, (20, 10)),
        ((30, 60), 100, (60, 30)),
        ((30, 60), None, (60, 30)),
    ],
)
def test_pictures_shrink_and_never_grow(
    shape: tuple[int, int], longest: int | None, expected: tuple[int, int]
) -> None:
    address = embedded(np.full((*shape, 3), 200, np.uint8), longest_px=longest)
    kind, content = address.split(",")
    assert kind == "data:image/jpeg;base64"
    picture = Image.open(BytesIO(base64.b64decode(content)))
    assert picture.size == expected
    assert abs(int(np.asarray(picture)[0, 0, 0]) - 200) <= 2


def test_a_png_stays_as_it_is() -> None:
    assert base64.b64decode(png(b"\x89PNG").partition(",")[2]) == b"\x89PNG"


def test_secrets_are_hidden_in_texts_and_pictures_are_left_alone() -> None:
    address = "https://user:pass@host/a.tif?token=abc&x=1"
    # Twice "=" behind a word that names secrets: what pictures end with by chance.
    picture = png(b"\x91\xec\xb2" * 3 + b"k")
    picture = picture.replace("kezy", "akey", 1)
    assert picture.endswith("==")
    assert "key" in picture
    page = write_page(
        address, paragraph(address), [Section("a", image(picture, address) + code(address))]
    )
    assert picture in page
    text = parse(page).text
    assert "pass" not in text
    assert "abc" not in text
    assert "***" in text
