"""Rasters of scores: geocobot's own and others', in strips."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.errors import BandError, CrsError, MissingFileError, UnreadableFileError
from geocobot.grid import GeoGrid
from geocobot.io.raster_writer import BLOCK_PX
from geocobot.io.score_file import ScoreFile
from geocobot.io.scores import ScoreWriter
from geocobot.scaling import Scaling
from geocobot.tiling import Strip

CLASSES = (ClassSpec(3, "roads", "#112233", 0.41), ClassSpec(7, "roofs", "#445566", 0.62))
GRID = GeoGrid(CRS("EPSG:32631"), Affine(0.5, 0, 5e5, 0, -0.5, 5e6), (1200, 90))


def whole(file):
    strips = list(file.strips())
    assert [s.row_off for s in strips] == list(range(0, file.grid.height, BLOCK_PX))
    return np.concatenate([s.steps for s in strips], axis=1)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_what_was_written_comes_back(tmp_path, dtype):
    rng = np.random.default_rng(0)
    logits = rng.integers(-6000, 6000, (2, *GRID.shape)).astype(np.int16)
    logits[:, 300:700, 10:40] = np.iinfo(np.int16).min
    strip = Strip.of_logits(0, logits)
    path = tmp_path / "scores.tif"
    with ScoreWriter(path, GRID, CLASSES, dtype=dtype) as writer:
        writer.write(strip)
    file = ScoreFile.open(path)
    assert file.classes == CLASSES
    assert (file.grid.shape, file.grid.transform) == (GRID.shape, GRID.transform)
    assert file.in_steps == (dtype == "uint8")
    np.testing.assert_array_equal(whole(file), strip.steps)


def test_what_was_done_to_scores_comes_back(tmp_path):
    strip = Strip.of_logits(0, np.zeros((2, *GRID.shape), np.int16))
    scaling = (Scaling(1.0 / 3, -0.1), Scaling())
    for name, given in [("scaled", scaling), ("as_it_is", ())]:
        with ScoreWriter(tmp_path / f"{name}.tif", GRID, CLASSES, scaling=given) as writer:
            writer.write(strip)
        assert ScoreFile.open(tmp_path / f"{name}.tif").scaling == given


@pytest.mark.parametrize("tags", [{"TEMPERATURE": "hot", "BIAS": "0"}, {"TEMPERATURE": "50"}, {}])
def test_tags_of_others_tell_of_no_scaling(tmp_path, tags):
    path = write(tmp_path / "s.tif", np.zeros((20, 30), np.float32))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(1, **tags)
    assert ScoreFile.open(path).scaling == ()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_plane_of_insides_is_no_class(tmp_path, dtype):
    logits = np.random.default_rng(0).integers(-6000, 6000, (3, *GRID.shape)).astype(np.int16)
    strip = Strip.of_logits(0, logits)
    path = tmp_path / "scores.tif"
    with ScoreWriter(path, GRID, CLASSES, dtype=dtype, separate=True) as writer:
        writer.write(strip)
    file = ScoreFile.open(path)
    assert file.separates
    assert file.classes == CLASSES
    np.testing.assert_array_equal(whole(file), strip.steps)
    alone = file.of_classes()
    assert not alone.separates
    np.testing.assert_array_equal(whole(alone), strip.steps[:2])


def test_an_only_band_is_a_class_whatever_it_says(tmp_path):
    path = write(tmp_path / "s.tif", np.zeros((20, 30), np.float32))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(1, PLANE="interior")
    assert [spec.name for spec in ScoreFile.open(path).classes] == ["band 1"]


def write(path, values, **options):
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    size = {"count": count, "height": height, "width": width, "dtype": values.dtype.name}
    place = {"crs": "EPSG:32631", "transform": Affine(0.5, 0, 5e5, 0, -0.5, 5e6)}
    names = options.pop("names", ())
    with rasterio.open(path, "w", driver="GTiff", **size, **place | options) as sink:
        sink.write(values)
        for band, name in enumerate(names, start=1):
            sink.set_band_description(band, name)
    return path


def test_scores_of_other_tools(tmp_path):
    """Shares in float64, with NaN and a nodata value, and names of their own."""
    shares = np.random.default_rng(0).random((2, 40, 50))
    shares[0, 5, 6], shares[1, 7, 8] = np.nan, -9999
    path = write(tmp_path / "s.tif", shares, nodata=-9999, names=["water", "ice"])
    file = ScoreFile.open(path)
    assert [(c.number, c.name, c.threshold) for c in file.classes] == [
        (1, "water", 0.5),
        (2, "ice", 0.5),
    ]
    (strip,) = file.strips()
    expected = np.ones((40, 50), bool)
    expected[5, 6] = expected[7, 8] = False
    np.testing.assert_array_equal(strip.valid, expected)
    assert np.abs(strip.scores - shares)[:, expected].max() <= 0.5 / 254 + 1e-6


def test_bands_without_names_are_numbered(tmp_path):
    file = ScoreFile.open(write(tmp_path / "s.tif", np.zeros((3, 5, 5), np.float32)))
    assert [c.name for c in file.classes] == ["band 1", "band 2", "band 3"]
    twice = write(tmp_path / "t.tif", np.zeros((2, 5, 5), np.float32), names=["a", "a"])
    assert [c.name for c in ScoreFile.open(twice).classes] == ["band 1", "band 2"]


def test_there_may_be_more_classes_than_a_model_reads_bands(tmp_path):
    shares = np.random.default_rng(0).random((40, 6, 7), dtype=np.float32)
    file = ScoreFile.open(write(tmp_path / "s.tif", shares, nodata=-1))
    assert len(file.classes) == 40
    (strip,) = file.strips()
    assert np.abs(strip.scores - shares).max() <= 0.5 / 254 + 1e-6


def test_rows_from_south_to_north_are_turned(tmp_path):
    shares = np.random.default_rng(0).random((1, 700, 20)).astype(np.float32)
    north = whole(ScoreFile.open(write(tmp_path / "n.tif", shares)))
    place = Affine(0.5, 0, 5e5, 0, 0.5, 5e6 - 350)
    south = ScoreFile.open(write(tmp_path / "s.tif", shares[:, ::-1], transform=place))
    assert south.scene.flipped
    np.testing.assert_array_equal(whole(south), north)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_whole_numbers_are_no_scores(tmp_path, dtype):
    path = write(tmp_path / "s.tif", np.zeros((5, 5), dtype))
    with pytest.raises(BandError, match=rf"holds {dtype} values\. Scores are numbers from 0 to 1"):
        ScoreFile.open(path)


@pytest.mark.parametrize("value", [3.5, -2.0])
def test_logits_are_no_scores(tmp_path, value):
    shares = np.full((600, 5), 0.5, np.float32)
    shares[550, 2] = value
    file = ScoreFile.open(write(tmp_path / "s.tif", shares))
    with pytest.raises(BandError, match=rf"s\.tif holds {value:g} in rows 512 to 600\. Scores are"):
        list(file.strips())


def test_what_rounding_leaves_beside_0_and_1_is_a_score(tmp_path):
    shares = np.array([[-1e-5, 1 + 1e-5]], np.float32)
    (strip,) = ScoreFile.open(write(tmp_path / "s.tif", shares)).strips()
    assert strip.steps.tolist() == [[[0, 254]]]


def test_a_model_with_other_classes_is_refused(tmp_path):
    file = ScoreFile.open(write(tmp_path / "s.tif", np.zeros((5, 5), np.float32)))
    assert file.named_as(CLASSES[:1], "m.safetensors").classes == CLASSES[:1]
    with pytest.raises(BandError, match=r"s\.tif has 1 band, and m\.safetensors 2 classes"):
        file.named_as(CLASSES, "m.safetensors")


def test_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.tif does not exist"):
        ScoreFile.open(tmp_path / "none.tif")
    with pytest.raises(CrsError, match=r"s\.tif has no CRS"):
        ScoreFile.open(write(tmp_path / "s.tif", np.zeros((5, 5), np.float32), crs=None))
    noise = np.random.default_rng(0).random((1200, 400)).astype(np.float32)
    cut = write(tmp_path / "cut.tif", noise)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(UnreadableFileError, match=r"cut\.tif cannot be read at rows"):
        list(ScoreFile.open(cut).strips())
