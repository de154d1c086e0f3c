from __future__ import annotations

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
