"""Names, folders and patterns: which files they stand for."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from geocobot.errors import ConfigError, MissingFileError, UnreadableFileError
from geocobot.io.files import find_maps, find_rasters, find_vectors, name_of


@pytest.fixture
def folder(tmp_path):
    for name in (
        "img10.tif",
        "img2.TIF",
        "img2.tfw",
        "a.vrt",
        "a.png",
        "img2_pred_scores.tif",
        "img2_pred_classes.tif",
        "img2_pred.gpkg",
        "roads.shp",
        "roads.dbf",
        "b.geojson",
        "deep/img1.tif",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "town.gdb").mkdir()
    (tmp_path / "looks.tif").mkdir()
    return tmp_path


def names(paths):
    return [Path(path).name for path in paths]


def test_a_folder_is_its_rasters_in_natural_order(folder, caplog):
    with caplog.at_level(logging.INFO, logger="geocobot"):
        found = find_rasters([str(folder)])
    assert names(found) == ["a.vrt", "img2.TIF", "img10.tif"]
    assert caplog.messages == [
        f"{folder}: 3 results of geocobot are left out.",
        f"{folder}: 3 files are read.",
    ]


def test_a_pattern_is_what_it_matches(folder):
    assert names(find_rasters([f"{folder}/[!i]*.png"])) == ["a.png"]
    assert names(find_rasters([f"{folder}/**/img1*.tif"])) == ["img1.tif", "img10.tif"]


def test_of_a_pattern_results_are_left_out_unless_it_names_them(folder, caplog):
    """The same command finds the same scenes when it has saved scores beside them."""
    results = ["img2_pred_classes.tif", "img2_pred_scores.tif"]
    with caplog.at_level(logging.INFO, logger="geocobot"):
        assert names(find_rasters([f"{folder}/img*.tif"])) == ["img10.tif"]
    assert f"{folder}/img*.tif: 2 results of geocobot are left out." in caplog.messages
    assert names(find_rasters([f"{folder}/*_pred_*.tif"])) == results
    assert names(find_rasters([f"{folder}/img2*.tif"])) == results
    assert names(find_rasters([f"{folder}/img2_pred_scores.tif"])) == results[1:]
    assert names(find_maps([f"{folder}/img*.tif"])) == [*results, "img10.tif"]


def test_files_urls_and_what_is_not_there_stay_as_they_are(folder):
    given = [
        f"{folder}/img10.tif",
        "https://example.org/a*b.tif?x=[1]",
        "/vsizip/a.zip/*.tif",
        "nowhere.tif",
    ]
    assert find_rasters(given) == tuple(given)


def test_a_file_with_a_star_in_its_name_is_a_file(tmp_path):
    path = tmp_path / "a[1].tif"
    path.touch()
    assert find_rasters([str(path)]) == (str(path),)


def test_vectors_come_in_sets(folder):
    one, two = find_vectors([f"{folder}/*.shp", f"{folder}/*.geojson"], "--labels")
    assert (names(one.paths), one.name) == (["roads.shp"], folder.name)
    assert names(two.paths) == ["b.geojson"]
    (all_of_it,) = find_vectors([str(folder)], "--labels")
    assert names(all_of_it.paths) == ["b.geojson", "roads.shp", "town.gdb"]
    (geodatabase,) = find_vectors([str(folder / "town.gdb")], "--labels")
    assert names(geodatabase.paths) == ["town.gdb"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("maps/roads.shp", "roads"),
        ("maps/roads*.shp", "maps"),
        ("maps/**/x?.shp", "maps"),
        ("maps/[ab]/x.shp", "maps"),
    ],
)
def test_what_files_have_in_common(given, name):
    assert name_of(given) == name


def test_the_name_of_a_folder(folder, monkeypatch):
    assert name_of(f"{folder}/deep/") == "deep"
    monkeypatch.chdir(folder / "deep")
    assert name_of(".") == name_of("*.tif") == "deep"


def test_a_folder_without_rasters_says_what_it_has(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"is a folder without a raster file \(no file\)"):
        find_rasters([str(tmp_path)])
    for name in ("a.png", "b.JPG", "c"):
        (tmp_path / name).touch()
    with pytest.raises(UnreadableFileError, match=r"raster file \(only \.jpg, \.png\)\. --raster"):
        find_rasters([str(tmp_path)])
    with pytest.raises(UnreadableFileError, match=r"without a vector file .*--labels takes files"):
        find_vectors([str(tmp_path)], "--labels")


def test_a_pattern_without_a_match(tmp_path):
    with pytest.raises(MissingFileError, match=r"\*\.tif matches no file\. --raster names files"):
        find_rasters([f"{tmp_path}/*.tif"])


def test_a_file_named_twice(folder):
    with pytest.raises(ConfigError, match=r"--raster names .*img10\.tif twice"):
        find_rasters([f"{folder}/img10.tif", str(folder)])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(folder):
    folder.chmod(0)
    try:
        with pytest.raises(UnreadableFileError, match="is a folder that cannot be read"):
            find_rasters([str(folder)])
    finally:
        folder.chmod(0o755)
