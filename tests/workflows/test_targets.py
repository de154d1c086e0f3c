"""The files of a scene appear together, or none of them does."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.tiling import Strip
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.open_targets import open_targets
from geocobot.workflows.targets import choose_targets

GRID = GeoGrid(CRS("EPSG:32633"), Affine(1, 0, 5e5, 0, -1, 5e6), (20, 30))
CLASSES = name_classes(["road"])


def targets_in(folder, name="o.fgb"):
    (targets,) = choose_targets(
        ["scene.tif"], str(folder / name), save_scores=True, save_classes=True
    )
    return targets


def write(targets, *, overwrite=False, before_the_end=lambda: None):
    """Write every file of a scene without any polygon."""
    with open_targets(targets, GRID, CLASSES, overwrite=overwrite) as files:
        scores = np.zeros((1, *GRID.shape), np.float32)
        for _ in files.record([Strip.of(0, scores, np.ones(GRID.shape, bool))]):
            pass
        files.write_config("new")
        before_the_end()


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_all_files_of_a_scene_appear(tmp_path):
    targets = targets_in(tmp_path)
    write(targets)
    assert sorted(tmp_path.iterdir()) == sorted(targets.paths())


@pytest.mark.parametrize(
    ("raster", "stem"),
    [
        ("https://example.org/a/scene.v2.tif?token=a/b.secret", "scene.v2"),
        ("/vsicurl/https://example.org/scene.tif?token=a/b.secret", "scene"),
        ("/vsizip/all.zip/scene.tif", "scene"),
        ("here?/why?.tif", "why?"),
    ],
)
def test_results_are_named_after_the_scene_and_not_after_secrets_in_its_url(raster, stem):
    (targets,) = choose_targets([raster], None, save_scores=False, save_classes=False)
    assert targets.polygons == Path(f"{stem}_pred.gpkg")


def test_scenes_of_one_name_are_told_apart_by_their_items():
    rasters = ["a/TCI.tif", "b/TCI.tif", "other.tif"]
    how = {"save_scores": False, "save_classes": False}
    found = choose_targets(rasters, None, items=["S2A/1:x", "S2B_2", "S2C_3"], **how)
    assert [str(t.polygons) for t in found] == [
        "S2A_1_x_pred.gpkg", "S2B_2_pred.gpkg", "other_pred.gpkg",
    ]  # fmt: skip
    for items in ([None, None, None], ["same", "same", None], ["S2A/1", "S2A:1", None]):
        with pytest.raises(OutputError, match=r"would hold the results of 2 rasters named"):
            choose_targets(rasters, None, items=items, **how)
    one_is_enough = choose_targets(rasters, None, items=["S2A_1", None, None], **how)
    assert one_is_enough[0].polygons == Path("S2A_1_pred.gpkg")


def test_a_folder_that_may_not_be_entered_is_told_of(tmp_path, monkeypatch):
    private = tmp_path / "private"
    private.mkdir()

    def refused(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    # What an unprivileged user meets; root, who runs many a test, enters everywhere.
    for name in ("exists", "is_dir", "is_file", "stat"):
        monkeypatch.setattr(Path, name, refused)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != private)
    with pytest.raises(OutputError, match="where you may not write"):
        MappingRun.claim(targets_in(private), resume=False, overwrite=False)


def test_the_class_raster_has_its_style_beside_it(tmp_path):
    targets = targets_in(tmp_path, "o.v2.gpkg")
    write(targets)
    assert targets.classes_style == tmp_path / "o.v2_classes.qml"
    assert 'label="road"' in targets.classes_style.read_text(encoding="utf-8")
    (without,) = choose_targets(["a.tif"], None, save_scores=False, save_classes=False)
    assert without.classes_style is None


def test_a_file_that_appears_meanwhile_keeps_all_others_from_appearing(tmp_path):
    for i, name in enumerate(p.name for p in targets_in(tmp_path).paths()):
        folder = tmp_path / str(i)
        folder.mkdir()
        with pytest.raises(OutputError, match=f"{name} exists already"):
            write(targets_in(folder), before_the_end=(folder / name).touch)
        assert contents(folder) == {name: b""}


def test_old_results_stay_if_a_single_file_cannot_be_replaced(tmp_path, monkeypatch):
    targets = targets_in(tmp_path)
    for path in targets.paths():
        path.write_text("old")
    before = contents(tmp_path)
    real = Path.replace
    for locked in targets.paths():

        def replace(self, to, locked=locked):
            if to == locked and self.read_bytes() != b"old":
                raise PermissionError(13, "The process cannot access the file")
            return real(self, to)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", replace)
            with pytest.raises(OutputError, match=f"{locked.name} cannot be written .The process"):
                write(targets, overwrite=True)
        kept = [path for path in tmp_path.iterdir() if "_new" in path.name]
        assert len(kept) == len(before)
        for path in kept:
            path.unlink()
        assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["o.qml", "o_classes.qml", "o_options.yaml"])
def test_a_full_disk_is_told_of_in_the_name_of_the_finished_file(tmp_path, monkeypatch, name):
    real = Path.write_text

    def write_text(self, *args, **kwargs):
        if self.name.startswith(f".{Path(name).stem}."):
            raise OSError(28, "No space left on device")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(OutputError, match=rf"{name} cannot be written .No space left"):
        write(targets_in(tmp_path))
    assert contents(tmp_path) == {}
