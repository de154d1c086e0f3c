from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from geocobot.config.values import BaseName
from geocobot.models.bases import BASES
from geocobot.workflows.catalog import list_models


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path))
    return tmp_path


def test_every_base_of_the_command_line_is_listed() -> None:
    names = {entry.name for entry in list_models().bases}
    assert {*names, "auto"} == set(BaseName.__args__)  # type: ignore[attr-defined]


def test_weights_in_the_cache_are_seen(cache: Path) -> None:
    source = BASES["vit_b"].weights
    assert source is not None
    (cache / source.file_name).write_bytes(b"weights")
    assert {e.name for e in list_models().bases if e.cached} == {"vit_b"}


def tiny_row() -> str:
    return next(r for r in list_models().summary().splitlines() if r.startswith("tiny"))


def test_weights_that_come_with_the_package_are_listed_with_their_size(bundled_tiny: Path) -> None:
    tiny = list_models().bases[0]
    assert (tiny.bundled, tiny.cached, tiny.weights_url) == (True, False, None)
    assert tiny.weights_bytes == bundled_tiny.stat().st_size
    size = f"{tiny.weights_bytes / 1e6:,.0f} MB"
    assert re.search(rf" {size} +in the package +CPU$", tiny_row())
    bundled_tiny.unlink()
    assert "lost: install again" in tiny_row()


def test_a_base_without_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(BASES["tiny"], bundled=None)
    monkeypatch.setitem(BASES, "tiny", spec)  # type: ignore[arg-type] # a dict underneath
    assert "none: trained with the head" in tiny_row()
    assert not list_models().bases[0].bundled


def test_the_table_is_aligned_and_names_the_cache(cache: Path) -> None:
    head, *rows, blank, folder = list_models().summary().splitlines()
    assert blank == ""
    assert cache.name in folder
    start = head.index("weights")
    assert all(row[start - 1] == " " and row[start] != " " for row in rows)


def test_a_cache_that_may_not_be_entered_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", forbidden)
    assert not any(entry.cached for entry in list_models().bases)
