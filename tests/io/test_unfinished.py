"""Files that belong together are put in place together, or everything stays as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from geocobot.errors import OutputError
from geocobot.io.output import new_files
from geocobot.io.unfinished import reveal, temporary_beside, write_text

NAMES = ["a.gpkg", "a_scores.tif", "a_options.yaml"]


def write_all(folder):
    """Write three files, one of them with statistics beside it, over whatever is there."""
    with new_files([folder / name for name in NAMES], overwrite=True) as unfinished:
        for temporary in unfinished:
            temporary.write_text("new")
        unfinished[1].with_name(unfinished[1].name + ".aux.xml").write_text("new")


def contents(folder):
    return {p.name: p.read_text() for p in folder.iterdir()}


def refuse(error):
    """A function that only raises."""

    def refused(*_, **__):
        raise error

    return refused


def failing_moves(monkeypatch, failing, reason, moment):
    """Let one move of many fail, but none that undoes others; count the moves."""
    moves = []

    def instead_of(real):
        def move(self, to):
            moves.append(to)
            is_failing = len(moves) == failing + 1
            if is_failing and moment == "before":
                raise reason
            result = real(self, to)
            if is_failing:
                raise reason
            return result

        return move

    monkeypatch.setattr(Path, "rename", instead_of(Path.rename))
    monkeypatch.setattr(Path, "replace", instead_of(Path.replace))
    return moves


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("reason", [PermissionError(13, "locked"), KeyboardInterrupt("stop")])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whatever_move_fails_everything_is_as_before(tmp_path, monkeypatch, links, reason, moment):
    if not links:  # as on FAT and many a network drive
        monkeypatch.setattr(os, "link", refuse(PermissionError(1, "Operation not permitted")))
    old_names = ["a.gpkg", "a.gpkg-wal", "a_scores.tif", "a_scores.tif.aux.xml"]
    moves = None
    for failing in range(20):
        folder = tmp_path / str(failing)
        folder.mkdir()
        for name in old_names:
            (folder / name).write_text("old")
        with monkeypatch.context() as patched:
            moves = failing_moves(patched, failing, reason, moment)
            try:
                write_all(folder)
            except (OutputError, KeyboardInterrupt):
                assert contents(folder) == dict.fromkeys(old_names, "old")
            else:
                break
    # Two old files and their companions aside, three new ones and a companion in place.
    assert len(moves) == failing == (8 if not links or os.name != "posix" else 6)
    assert contents(folder) == dict.fromkeys([*NAMES, "a_scores.tif.aux.xml"], "new")


def test_an_old_file_that_cannot_come_back_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.gpkg").write_text("old")
    real = Path.replace

    def replace(self, to):
        if to.name == "a_scores.tif" or (to.name == "a.gpkg" and real_is_old(self)):
            raise PermissionError(13, "Permission denied")
        return real(self, to)

    def real_is_old(path):
        return path.read_text() == "old"

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OutputError, match=r"a\.gpkg could not be put back.*\.part\.gpkg") as info:
        write_all(tmp_path)
    (kept,) = tmp_path.iterdir()
    assert kept.read_text() == "old"
    assert kept.name in str(info.value)


@pytest.mark.parametrize(
    "name", ["roads.gpkg", "a.b;c!d?.tif", "屋根" * 40 + ".fgb", "x" * 250 + ".yaml", ".x.tif"]
)
def test_hidden_names_are_short_and_plain_and_can_be_revealed(tmp_path, name):
    path = tmp_path / name
    hidden = temporary_beside(path)
    assert hidden.parent == path.parent
    assert hidden.suffix == path.suffix
    assert hidden.name.isprintable()
    assert hidden.name.isascii()
    assert len(hidden.name) < 70
    assert not set(hidden.name) & set(";!?#%")
    message = f"'{hidden}' is full, {hidden.name}-journal, too"
    assert reveal(message, path) == f"'{path}' is full, {name}-journal, too"


def test_a_text_that_cannot_be_written_names_the_finished_file(tmp_path):
    with pytest.raises(OutputError, match=r"^a\.qml cannot be written .No such file"):
        write_text(tmp_path / "none" / ".a.1a2b3c4d.part.qml", "", "a.qml")
