"""Files that belong together are put in place together, or everything stays as it was."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from geocobot.errors import OutputError
from geocobot.io.output import new_files
from geocobot.io.unfinished import reveal, temporary_beside, write_text

NAMES = ["a.gpkg", "a_scores.tif", "a_options.yaml"]
KEPT = ["a_new.gpkg", "a_scores_new.tif", "a_options_new.yaml"]


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
                kept = KEPT if isinstance(reason, PermissionError) else []
                wanted = dict.fromkeys(old_names, "old") | dict.fromkeys(kept, "new")
                assert contents(folder) == wanted
            else:
                break
    # Two old files and their companions aside, three new ones and a companion in place.
    assert len(moves) == failing == (8 if not links or os.name != "posix" else 6)
    assert contents(folder) == dict.fromkeys([*NAMES, "a_scores.tif.aux.xml"], "new")


@pytest.fixture
def windows(monkeypatch):
    """Moves as Windows does them: no file that is open elsewhere is moved or replaced."""
    is_open = set()

    def instead_of(real):
        def move(self, to):
            if {self.name, Path(to).name} & is_open:
                raise PermissionError(13, "The process cannot access the file", str(to))
            if os.path.exists(to) and real is rename:
                raise FileExistsError(17, "Cannot create a file when that file already exists")
            return real(self, to)

        return move

    rename, replace, plain = Path.rename, Path.replace, os.rename

    def checked(path, to):
        if Path(path).name in is_open:
            raise PermissionError(13, "The process cannot access the file", str(to))
        plain(path, to)

    pauses = []
    monkeypatch.setattr(Path, "replace", instead_of(replace))
    monkeypatch.setattr(Path, "rename", instead_of(rename))
    monkeypatch.setattr(os, "rename", checked)
    monkeypatch.setattr(os, "link", refuse(OSError(1, "Incorrect function")))
    monkeypatch.setattr("geocobot.io.unfinished.WAITS_S", (0.2, 0.5))
    monkeypatch.setattr("time.sleep", pauses.append)
    return is_open, pauses


def test_an_output_that_is_open_in_qgis_is_told_of_before_the_work(tmp_path, windows):
    is_open, _ = windows
    (tmp_path / "a.gpkg").write_text("old")
    is_open.add("a.gpkg")
    with pytest.raises(OutputError, match=r"a\.gpkg cannot be replaced .*Close it in QGIS, or"):
        write_all(tmp_path)
    assert contents(tmp_path) == {"a.gpkg": "old"}


def test_an_output_that_is_opened_meanwhile_costs_no_work(tmp_path, windows, monkeypatch):
    is_open, pauses = windows
    monkeypatch.setattr("geocobot.io.output._check_free", lambda _: None)
    for name in (*NAMES, KEPT[1]):
        (tmp_path / name).write_text("old")
    is_open.add("a_scores.tif")
    with pytest.raises(OutputError, match=r"kept as a_new2\.gpkg, a_scores_new2\.tif"):
        write_all(tmp_path)
    assert pauses == [0.2, 0.5]
    kept = [name.replace("_new", "_new2") for name in KEPT]
    assert contents(tmp_path) == dict.fromkeys([*NAMES, KEPT[1]], "old") | dict.fromkeys(
        kept, "new"
    )


def test_a_file_that_a_virus_scanner_reads_for_a_moment_is_replaced(tmp_path, windows, monkeypatch):
    is_open, pauses = windows
    monkeypatch.setattr("geocobot.io.output._check_free", lambda _: None)
    for name in NAMES:
        (tmp_path / name).write_text("old")
    is_open.add("a_scores.tif")

    def pause(seconds):
        pauses.append(seconds)
        is_open.clear()

    monkeypatch.setattr("time.sleep", pause)
    write_all(tmp_path)
    assert pauses == [0.2]
    assert contents(tmp_path) == dict.fromkeys([*NAMES, "a_scores.tif.aux.xml"], "new")


def test_nothing_is_kept_of_files_that_grow_in_a_folder_of_their_own(tmp_path, windows):
    is_open, _ = windows
    folder = tmp_path / "partial"
    folder.mkdir()

    def write():
        with new_files([tmp_path / "a.gpkg"], folder=folder) as (file,):
            file.write_text("new")
            is_open.add("a.gpkg")

    with pytest.raises(OutputError, match=r"a\.gpkg cannot be written"):
        write()
    assert contents(folder) == {}


def test_parts_of_a_file_share_their_hidden_name_and_its_old_index_goes(tmp_path):
    for suffix in (".shp", ".dbf", ".qix", ".sbn"):
        (tmp_path / f"a{suffix}").write_text("old")
    with new_files([tmp_path / "a.shp", tmp_path / "a.dbf"], overwrite=True) as (shp, dbf):
        assert shp.stem == dbf.stem
        shp.write_text("new")
        dbf.write_text("new")
    assert contents(tmp_path) == {"a.shp": "new", "a.dbf": "new"}


def test_a_result_that_is_a_link_to_another_disk_grows_there(tmp_path):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second disk")
    with tempfile.TemporaryDirectory(dir=elsewhere) as there:
        link, folder = tmp_path / "a.gpkg", tmp_path / "growing"
        link.symlink_to(Path(there, "on it", "a.gpkg"))
        folder.mkdir()
        with new_files([link, tmp_path / "b.tif"], folder=folder) as (first, second):
            assert second.parent == folder
            first.write_text("new")
            second.write_text("new")
        assert link.is_symlink()
        assert link.read_text() == (tmp_path / "b.tif").read_text() == "new"
        assert [path.name for path in Path(there, "on it").iterdir()] == ["a.gpkg"]


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
