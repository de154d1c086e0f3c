"""Output appears whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from geocobot.errors import OutputError, UnreadableFileError
from geocobot.io.output import (
    check_output,
    check_output_folder,
    new_file,
    new_files,
    new_folder,
    put_folder,
)
from geocobot.io.scene import Scene
from geocobot.io.vectors import VectorSource, read_vector


def files_in(folder):
    return sorted(p.name for p in folder.iterdir())


class TestNewFile:
    def test_appears_at_the_end(self, tmp_path):
        path = tmp_path / "deep" / "er" / "map.gpkg"
        with new_file(path) as temporary:
            assert temporary.parent == path.parent
            assert temporary.suffix == ".gpkg"
            assert temporary.name.startswith(".")
            temporary.write_text("done")
            assert not path.exists()
        assert path.read_text() == "done"
        assert files_in(path.parent) == ["map.gpkg"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
    def test_nothing_is_left_of_a_failure(self, tmp_path, error):
        path = tmp_path / "map.gpkg"
        path.write_text("old")
        with pytest.raises(error, match="stop"):  # noqa: SIM117, PT012 - the point is the inside
            with new_file(path, overwrite=True) as temporary:
                temporary.write_text("half")
                temporary.with_name(temporary.name + "-journal").write_text("half")
                raise error("stop")
        assert path.read_text() == "old"
        assert files_in(tmp_path) == ["map.gpkg"]

    def test_failing_before_anything_is_written(self, tmp_path):
        with pytest.raises(ValueError, match="stop"), new_file(tmp_path / "map.gpkg"):
            raise ValueError("stop")
        assert files_in(tmp_path) == []

    def test_two_at_once_do_not_meet(self, tmp_path):
        path = tmp_path / "map.tif"
        with new_file(path, overwrite=True) as one, new_file(path, overwrite=True) as two:
            assert one != two
            one.write_text("one")
            two.write_text("two")
        assert path.read_text() == "one"

    def test_appearing_meanwhile_is_not_overwritten(self, tmp_path):
        path = tmp_path / "map.tif"
        with pytest.raises(OutputError, match="exists already"):  # noqa: SIM117, PT012
            with new_file(path) as temporary:
                temporary.write_text("new")
                path.write_text("somebody else's")
        assert path.read_text() == "somebody else's"
        assert files_in(tmp_path) == ["map.tif"]

    def test_journals_and_statistics_of_the_old_file_go(self, tmp_path):
        path = tmp_path / "map.gpkg"
        for suffix in ("", "-wal", "-shm", "-journal", ".aux.xml", ".ovr", ".msk"):
            path.with_name(path.name + suffix).write_text("old")
        with new_file(path, overwrite=True) as temporary:
            temporary.write_text("new")
        assert files_in(tmp_path) == ["map.gpkg"]
        assert path.read_text() == "new"

    def test_statistics_of_the_new_file_come_along(self, tmp_path):
        path = tmp_path / "map.tif"
        with new_file(path) as temporary:
            temporary.write_text("new")
            temporary.with_name(temporary.name + ".aux.xml").write_text("statistics")
        assert files_in(tmp_path) == ["map.tif", "map.tif.aux.xml"]

    def test_a_geopackage_open_elsewhere_is_replaced_whole(self, tmp_path):
        path = tmp_path / "map.gpkg"
        frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
        frame.to_file(path, layer="old")
        reader = sqlite3.connect(path)
        reader.execute("pragma journal_mode=wal")
        reader.execute("create table scratch (a)")
        reader.commit()
        assert "map.gpkg-wal" in files_in(tmp_path)
        with new_file(path, overwrite=True) as temporary:
            frame.to_file(temporary, layer="new")
        reader.close()
        assert gpd.list_layers(path)["name"].tolist() == ["new"]
        assert files_in(tmp_path) == ["map.gpkg"]

    def test_a_link_stays_a_link(self, tmp_path):
        real = tmp_path / "real.tif"
        real.write_text("old")
        (tmp_path / "link.tif").symlink_to(real)
        with new_file(tmp_path / "link.tif", overwrite=True) as temporary:
            temporary.write_text("new")
        assert (tmp_path / "link.tif").is_symlink()
        assert real.read_text() == "new"

    def test_a_locked_file_is_an_output_error(self, tmp_path, monkeypatch):
        def locked(self, target):
            raise PermissionError(13, "The process cannot access the file", str(target))

        monkeypatch.setattr("pathlib.Path.replace", locked)
        with pytest.raises(OutputError, match=r"cannot be written \(The process.*Close it in"):  # noqa: SIM117
            with new_file(tmp_path / "map.gpkg") as temporary:
                temporary.write_text("new")
        assert files_in(tmp_path) == ["map_new.gpkg"]


NAMES = ["a.gpkg", "a_scores.tif", "a_options.yaml"]


def write_all(folder, overwrite=True, before_the_end=lambda: None):
    """Write three files that belong together."""
    with new_files([folder / name for name in NAMES], overwrite=overwrite) as unfinished:
        for temporary in unfinished:
            temporary.write_text("new")
        unfinished[1].with_name(unfinished[1].name + ".aux.xml").write_text("new")
        before_the_end()


def contents(folder):
    return {p.name: p.read_text() for p in folder.iterdir()}


class TestNewFiles:
    def test_all_appear_at_the_end(self, tmp_path):
        write_all(
            tmp_path, False, lambda: [pytest.fail(n) for n in NAMES if n in files_in(tmp_path)]
        )
        assert contents(tmp_path) == dict.fromkeys([*NAMES, "a_scores.tif.aux.xml"], "new")

    @pytest.mark.parametrize("name", NAMES)
    def test_one_that_appears_meanwhile_keeps_all_from_appearing(self, tmp_path, name):
        foreign = tmp_path / name
        with pytest.raises(OutputError, match=f"{name} exists already"):
            write_all(tmp_path, False, lambda: foreign.write_text("somebody else's"))
        assert contents(tmp_path) == {name: "somebody else's"}

    @pytest.mark.parametrize("name", NAMES)
    def test_one_that_was_not_written_keeps_all_from_appearing(self, tmp_path, name):
        def lose():
            for path in tmp_path.glob(f".{Path(name).stem}.????????.part{Path(name).suffix}"):
                path.unlink()

        with pytest.raises(OutputError, match=f"{name} cannot be written .No such file"):
            write_all(tmp_path, before_the_end=lose)
        assert contents(tmp_path) == {}


class TestCheckOutput:
    def test_creates_nothing(self, tmp_path):
        check_output(tmp_path / "a" / "b.tif", overwrite=False)
        check_output_folder(tmp_path / "a" / "b", overwrite=False)
        assert files_in(tmp_path) == []

    def test_a_bare_name_is_in_this_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        check_output("map.gpkg", overwrite=False)
        with new_file("map.gpkg") as temporary:
            temporary.write_text("new")
        assert files_in(tmp_path) == ["map.gpkg"]

    def test_existing(self, tmp_path):
        path = tmp_path / "map.gpkg"
        path.write_text("old")
        check_output(path, overwrite=True)
        with pytest.raises(OutputError, match=r"map\.gpkg exists already.*--overwrite \(-f\)"):
            check_output(path, overwrite=False)
        with pytest.raises(OutputError, match="exists already"), new_file(path):
            pytest.fail("the block must not run")

    def test_a_folder_is_in_the_way(self, tmp_path):
        with pytest.raises(OutputError, match="is a folder"):
            check_output(tmp_path, overwrite=True)

    @pytest.mark.parametrize("below", ["map.gpkg", "deeper/map.gpkg"])
    def test_a_file_is_in_the_way(self, tmp_path, below):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match=r"lies in .*file, which is a file"):
            check_output(tmp_path / "file" / below, overwrite=True)
        with pytest.raises(OutputError, match=r"lies in .*file, which is a file"):
            check_output_folder(tmp_path / "file" / below, overwrite=True)

    @pytest.mark.parametrize("name", ["x" * 300 + ".gpkg", "a\0b.gpkg"])
    def test_a_name_that_the_file_system_refuses(self, tmp_path, name):
        for check in (check_output, check_output_folder):
            with pytest.raises(OutputError, match=r"cannot be written.*refuses this name"):
                check(tmp_path / name, overwrite=False)

    def test_a_link_to_itself(self, tmp_path):
        link = tmp_path / "map.gpkg"
        link.symlink_to(link)
        with pytest.raises(OutputError, match=r"map\.gpkg cannot be written"):
            check_output(link, overwrite=True)

    def test_a_link_to_where_nothing_can_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        link = tmp_path / "map.gpkg"
        link.symlink_to(tmp_path / "file" / "map.gpkg")
        with pytest.raises(OutputError, match=r"map\.gpkg lies in .*file, which is a file"):
            check_output(link, overwrite=False)

    def test_a_drive_that_is_not_there(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os.path, "exists", lambda _: False)
        with pytest.raises(OutputError, match="lies on a drive that is not there"):
            check_output(tmp_path / "map.gpkg", overwrite=False)

    def test_no_permission(self, tmp_path, monkeypatch):
        asked = []

        def denied(path, mode):
            asked.append((path, mode))
            return False

        monkeypatch.setattr(os, "access", denied)
        with pytest.raises(OutputError, match=r"where you may not write.*permission"):
            check_output(tmp_path / "new" / "map.gpkg", overwrite=False)
        assert asked == [(tmp_path, os.W_OK | os.X_OK)]
        with pytest.raises(OutputError, match="where you may not write"):
            check_output_folder(tmp_path / "run", overwrite=False)

    def test_parents_that_cannot_be_made(self, tmp_path, monkeypatch):
        def full(self, **options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.mkdir", full)
        with (
            pytest.raises(OutputError, match=r"cannot be written \(No space left on device\)"),
            new_file(tmp_path / "new" / "map.gpkg"),
        ):
            pytest.fail("the block must not run")


class TestNewFolder:
    def test_appears_at_the_end(self, tmp_path):
        path = tmp_path / "runs" / "roads"
        with new_folder(path) as temporary:
            assert temporary.parent == path.parent
            (temporary / "config.yaml").write_text("a: 1")
            assert not path.exists()
        assert files_in(path) == ["config.yaml"]
        assert files_in(tmp_path / "runs") == ["roads"]

    def test_nothing_is_left_of_a_failure(self, tmp_path):
        path = tmp_path / "roads"
        path.mkdir()
        (path / "config.yaml").write_text("old")
        with pytest.raises(KeyboardInterrupt, match="stop"):  # noqa: SIM117, PT012
            with new_folder(path, overwrite=True) as temporary:
                (temporary / "config.yaml").write_text("half")
                raise KeyboardInterrupt("stop")
        assert (path / "config.yaml").read_text() == "old"
        assert files_in(tmp_path) == ["roads"]

    def test_replaces_one_of_ours(self, tmp_path):
        path = tmp_path / "roads"
        path.mkdir()
        (path / "config.yaml").write_text("old")
        (path / "stale.png").write_text("old")
        with pytest.raises(OutputError, match="exists already"):
            check_output_folder(path, overwrite=False)
        with new_folder(path, overwrite=True) as temporary:
            (temporary / "config.yaml").write_text("new")
        assert files_in(path) == ["config.yaml"]
        assert (path / "config.yaml").read_text() == "new"
        assert files_in(tmp_path) == ["roads"]

    def test_never_replaces_somebody_elses(self, tmp_path):
        path = tmp_path / "home"
        path.mkdir()
        (path / "thesis.docx").write_text("ten years")
        with (
            pytest.raises(OutputError, match=r"no config\.yaml, so geocobot did not make it"),
            new_folder(path, overwrite=True),
        ):
            pytest.fail("the block must not run")
        assert files_in(path) == ["thesis.docx"]

    def test_an_empty_folder_is_free(self, tmp_path):
        (tmp_path / "roads").mkdir()
        with new_folder(tmp_path / "roads") as temporary:
            (temporary / "a").write_text("new")
        assert files_in(tmp_path / "roads") == ["a"]

    def test_a_file_is_in_the_way(self, tmp_path):
        (tmp_path / "roads").write_text("")
        with pytest.raises(OutputError, match=r"is a file.*Choose another name"):
            check_output_folder(tmp_path / "roads", overwrite=True)

    def test_a_folder_that_may_not_be_read(self, tmp_path, monkeypatch):
        def denied(self):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", denied)
        with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\)"):
            check_output_folder(tmp_path, overwrite=True)

    def test_the_old_one_comes_back_after_an_interrupt(self, tmp_path, monkeypatch):
        path = tmp_path / "roads"
        path.mkdir()
        (path / "config.yaml").write_text("old")
        real_rename = Path.rename

        def rename(self, to):
            if self != path and to == path and (self / "new").exists():
                raise KeyboardInterrupt("stop")
            return real_rename(self, to)

        monkeypatch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt, match="stop"):  # noqa: SIM117
            with new_folder(path, overwrite=True) as temporary:
                (temporary / "new").write_text("new")
        assert files_in(path) == ["config.yaml"]
        assert files_in(tmp_path) == ["roads"]

    def test_the_old_one_comes_back_if_the_new_one_cannot(self, tmp_path, monkeypatch):
        finished, target = tmp_path / "finished", tmp_path / "roads"
        for folder, text in ((finished, "new"), (target, "old")):
            folder.mkdir()
            (folder / "config.yaml").write_text(text)
        real_rename = type(finished).rename

        def rename(self, to):
            if self == finished:
                raise PermissionError(13, "Permission denied")
            return real_rename(self, to)

        monkeypatch.setattr("pathlib.Path.rename", rename)
        with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\)"):
            put_folder(finished, target)
        assert (target / "config.yaml").read_text() == "old"
        assert files_in(tmp_path) == ["finished", "roads"]


def test_a_folder_that_may_not_be_entered_is_told_of(tmp_path, monkeypatch):
    private = tmp_path / "private"
    private.mkdir()

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    # What an unprivileged user meets; root, who runs many a test, enters everywhere.
    for name in ("exists", "is_dir", "is_file"):
        monkeypatch.setattr(Path, name, refused)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != private)
    with pytest.raises(OutputError, match="where you may not write"):
        check_output(private / "sub" / "roads.gpkg", overwrite=False)


@pytest.mark.skipif(os.name != "posix", reason="Windows paths are no archives")
def test_a_folder_that_pyogrio_takes_for_an_archive_is_refused(tmp_path):
    folder = tmp_path / "done!"
    folder.mkdir()
    with pytest.raises(OutputError, match=r"a\.gpkg has ! in its path \(.*done!\).*Rename the"):
        check_output(folder / "a.gpkg", overwrite=False)
    with pytest.raises(OutputError, match=r"done! has ! in its path \(.*done!\).*Rename the"):
        check_output_folder(folder, overwrite=False)
    check_output(tmp_path / "done!.gpkg", overwrite=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no names of bytes")
def test_names_that_are_not_utf_8_are_told_of(tmp_path, scene_factory, labels_factory):
    bad = os.fsdecode(b"bad\xff")
    with pytest.raises(OutputError, match="has a path that is not UTF-8"):
        check_output(tmp_path / f"{bad}.gpkg", overwrite=False)
    with pytest.raises(OutputError, match="has a path that is not UTF-8"):
        check_output_folder(tmp_path / bad / "run", overwrite=False)
    raster = scene_factory().rename(tmp_path / f"{bad}.tif")
    with pytest.raises(UnreadableFileError, match="has a name that is not UTF-8"):
        Scene.open(raster)
    labels = labels_factory([shapely.box(0, 0, 1, 1)]).rename(tmp_path / f"{bad}.gpkg")
    with pytest.raises(UnreadableFileError, match="has a name that is not UTF-8"):
        read_vector(VectorSource(path=labels))
