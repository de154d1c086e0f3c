"""Score and class rasters: what is written strip by strip is what other tools read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rio_cogeo import cog_validate

from geocobot.classes import ClassSpec, name_classes
from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.scores import ClassWriter, ScoreWriter
from geocobot.steps import LOGIT_NODATA, NODATA, SCORE_SCALE, encode_scores
from geocobot.tiling import Strip

CLASSES = name_classes(["road", "roof"])


def make_grid(height, width):
    return GeoGrid(CRS("EPSG:32631"), Affine(0.5, 0, 5e5, 0, -0.5, 5e6), (height, width))


def cut(height, cuts):
    edges = [0, *sorted({c % height for c in cuts} - {0}), height]
    return pairwise(edges)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    height=st.integers(1, 700),
    width=st.integers(1, 600),
    cuts=st.lists(st.integers(0, 700), max_size=6),
)
def test_scores_survive_any_cut_into_strips(tmp_path, height, width, cuts):
    rng = np.random.default_rng(height)
    scores = rng.random((2, height, width), dtype=np.float32)
    valid = rng.random((height, width)) < 0.8
    path = tmp_path / "scores.tif"
    with ScoreWriter(path, make_grid(height, width), CLASSES) as writer:
        for top, bottom in cut(height, cuts):
            writer.write(Strip.of(top, scores[:, top:bottom], valid[top:bottom]))
    with rasterio.open(path) as dataset:
        stored = dataset.read()
    np.testing.assert_array_equal(stored == NODATA, np.broadcast_to(~valid, stored.shape))
    assert (
        np.abs(stored / SCORE_SCALE - scores)[:, valid].max(initial=0) <= 0.5 / SCORE_SCALE + 1e-6
    )


def test_the_score_raster_says_what_it_holds(tmp_path):
    path = tmp_path / "scores.tif"
    grid = make_grid(300, 600)
    with ScoreWriter(path, grid, CLASSES) as writer:
        writer.write(Strip.of(0, np.zeros((2, 300, 600), np.float32), np.ones((300, 600), bool)))
    with rasterio.open(path) as dataset:
        assert dataset.descriptions == ("road", "roof")
        assert dataset.nodata == NODATA
        assert dataset.scales == pytest.approx((1 / 254, 1 / 254))
        assert dataset.transform == grid.transform
        assert dataset.crs.to_epsg() == 32631
        assert dataset.block_shapes == [(512, 512), (512, 512)]
        assert dataset.compression.name == "deflate"


def test_the_class_raster_carries_colors_and_names(tmp_path):
    path = tmp_path / "classes.tif"
    classes = (ClassSpec(1, "road", "#e69f00"), ClassSpec(7, "roof", "#0072b2"))
    labels = np.random.default_rng(0).choice([0, 1, 7, 255], size=(520, 300)).astype(np.uint8)
    with ClassWriter(path, make_grid(520, 300), classes) as writer:
        writer.write(0, labels[:100])
        writer.write(100, labels[100:])
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), labels)
        colors = dataset.colormap(1)
        assert colors[1] == (230, 159, 0, 255)
        assert colors[7] == (0, 114, 178, 255)
        assert dataset.nodata == NODATA
        assert dataset.colorinterp[0].name == "palette"
        assert dataset.tags(1)["CLASS_7"] == "roof"


def test_all_digits_are_kept_on_request(tmp_path):
    path = tmp_path / "scores.tif"
    height, width = 1500, 2100
    rng = np.random.default_rng(0)
    logits = rng.integers(-32767, 32768, (2, height, width)).astype(np.int16)
    logits[:, :700, :900] = LOGIT_NODATA
    with ScoreWriter(path, make_grid(height, width), CLASSES, dtype="float32") as writer:
        for row in (0, 300, 600, 900, 1200):
            writer.write(Strip.of_logits(row, logits[:, row : row + 300]))
    is_valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    assert is_valid, (errors, warnings)
    with rasterio.open(path) as dataset:
        stored = dataset.read()
        assert dataset.dtypes == ("float32", "float32")
        assert np.isnan(dataset.nodata)
        assert dataset.scales == (1.0, 1.0)
        coarse = dataset.read(1, out_shape=(height // 4, width // 4))
        masked = dataset.read_masks(1) == 0
    assert np.array_equal(np.isnan(stored), logits == LOGIT_NODATA)
    assert np.array_equal(masked, logits[0] == LOGIT_NODATA)
    np.testing.assert_allclose(
        stored[logits != LOGIT_NODATA],
        1 / (1 + np.exp(-logits[logits != LOGIT_NODATA] / 1024)),
        atol=1e-6,
    )
    assert np.isnan(coarse[:170, :220]).all()
    means = stored[0, 720:, 920:].reshape(195, 4, 295, 4).mean(axis=(1, 3))
    assert np.abs(coarse[180:, 230:] - means).max() < 0.01


def test_digits_that_are_not_there_are_not_made_up(tmp_path):
    strip = Strip.of(0, np.zeros((2, 5, 5), np.float32), np.ones((5, 5), bool))
    with (
        pytest.raises(ValueError, match="without exact scores"),
        ScoreWriter(tmp_path / "s.tif", make_grid(5, 5), CLASSES, dtype="float32") as writer,
    ):
        writer.write(strip)


@pytest.mark.parametrize("kind", ["scores", "classes"])
def test_the_files_are_cloud_optimized(tmp_path, kind):
    height, width = 1500, 2100
    rng = np.random.default_rng(0)
    path = tmp_path / f"{kind}.tif"
    grid = make_grid(height, width)
    if kind == "scores":
        scores = np.kron(rng.random((2, 75, 105)), np.ones((20, 20))).astype(np.float32)
        valid = np.ones((height, width), bool)
        valid[:700, :900] = False
        with ScoreWriter(path, grid, CLASSES) as writer:
            writer.write(Strip.of(0, scores, valid))
    else:
        labels = np.kron(rng.integers(0, 3, (75, 105)), np.ones((20, 20))).astype(np.uint8)
        labels[:700, :900] = NODATA
        with ClassWriter(path, grid, CLASSES) as writer:
            writer.write(0, labels)
    is_valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    assert is_valid, (errors, warnings)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1) == [2, 4, 8]
        coarse = dataset.read(1, out_shape=(height // 4, width // 4))
        full = dataset.read(1)
    assert (coarse[:170, :220] == NODATA).all()
    inner = coarse[180:, 230:]
    if kind == "scores":
        means = full[720:, 920:].reshape(195, 4, 295, 4).mean(axis=(1, 3))
        assert np.abs(inner - means).max() < 2
    else:
        # Blocks of 20 px are whole multiples of an overview's pixels.
        assert np.array_equal(inner, full[720::4, 920::4])


def test_bytes_do_not_depend_on_the_strips(tmp_path):
    labels = np.random.default_rng(1).integers(0, 3, size=(600, 400)).astype(np.uint8)
    for name, step in (("high", 600), ("low", 7)):
        with ClassWriter(tmp_path / name, make_grid(600, 400), CLASSES) as writer:
            for top in range(0, 600, step):
                writer.write(top, labels[top : top + step])
    assert (tmp_path / "high").read_bytes() == (tmp_path / "low").read_bytes()


def test_encoding_keeps_the_ends_of_the_scale():
    scores = np.array([[[0.0, 0.5, 1.0, 0.3]]], np.float32)
    valid = np.array([[True, True, True, False]])
    assert encode_scores(scores, valid).tolist() == [[[0, 127, 254, 255]]]


def write_rows(path, *row_offs, stop=None):
    """Write ten rows at each offset into a class raster of 50; then stop with an error."""
    with ClassWriter(path, make_grid(50, 40), CLASSES) as writer:
        for row_off in row_offs:
            writer.write(row_off, np.zeros((10, 40), np.uint8))
        if stop:
            raise stop


def test_a_gap_between_strips_is_refused(tmp_path):
    with pytest.raises(ValueError, match="row 20 after row 10"):
        write_rows(tmp_path / "c.tif", 0, 20)


def test_a_raster_that_ends_early_is_refused(tmp_path):
    with pytest.raises(ValueError, match="10 of 50 rows were written"):
        write_rows(tmp_path / "c.tif", 0)


def test_a_failure_of_the_caller_is_not_hidden(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="stop"):
        write_rows(tmp_path / "c.tif", 0, stop=KeyboardInterrupt("stop"))


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match="cannot be written"),
        ScoreWriter(tmp_path / "none" / "s.tif", make_grid(5, 5), CLASSES),
    ):
        pass


@pytest.mark.parametrize("kind", ["scores.tif", "classes.tif"])
def test_a_disk_that_is_full_at_any_byte_is_an_error_and_no_file(tmp_path, fill_the_disk, kind):
    found = fill_the_disk(tmp_path, kind)
    assert found["broken"] == found["left behind"] == []
    assert found["whole"]
    assert len(found["refused"]) > 40


def test_messages_name_the_finished_file(tmp_path):
    hidden = tmp_path / "none" / ".s.1a2b3c4d.part.tif"
    with (
        pytest.raises(OutputError, match=r"s\.tif cannot be written \(.*none") as info,
        ScoreWriter(tmp_path / "s.tif", make_grid(5, 5), CLASSES, unfinished=hidden),
    ):
        pass
    assert "part" not in str(info.value)
    assert "previous exception" not in str(info.value)


def test_a_block_that_is_lost_on_its_way_is_told_of(tmp_path, monkeypatch):
    read = rasterio.io.DatasetReader.read
    monkeypatch.setattr(
        rasterio.io.DatasetReader, "read", lambda self, **kw: read(self, **kw) ^ np.uint8(1)
    )
    with pytest.raises(OutputError, match=r"c\.tif cannot be written \(parts of it did not reach"):
        write_rows(tmp_path / "c.tif", *range(0, 50, 10))
