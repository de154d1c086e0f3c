from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from geocobot.classes import IGNORE, name_classes
from geocobot.errors import BandError
from geocobot.io.class_raster import ClassRaster, holds_classes
from geocobot.io.output import new_file
from geocobot.io.scores import ClassWriter

LABELS = np.kron(np.array([[0, 1, 2], [7, 1, 0], [2, 2, 7]]), np.ones((30, 20))).astype(np.uint8)


def write(path, bands, *, tags=None, **profile):
    bands = np.atleast_3d(bands) if bands.ndim == 3 else bands[None]
    place = {"crs": "EPSG:32633", "transform": Affine(2, 0, 5e5, 0, -2, 5e6)}
    count, height, width = bands.shape
    profile = {"dtype": bands.dtype} | place | profile
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, **profile
    ) as sink:
        sink.write(bands)
        if tags:
            sink.update_tags(1, **tags)
    return path


def whole(raster: ClassRaster) -> np.ndarray:
    return np.concatenate([strip.labels for strip in raster.strips()])


def test_what_the_writer_wrote(tmp_path):
    path = tmp_path / "classes.tif"
    classes = name_classes(["road", "roof", "water"])
    labels = LABELS.copy()
    labels[labels == 7] = 3
    labels[:5, :5] = IGNORE
    grid = ClassRaster.open(write(tmp_path / "place.tif", labels)).grid
    with new_file(path) as temporary, ClassWriter(temporary, grid, classes) as sink:
        sink.write(0, labels)
    raster = ClassRaster.open(path)
    assert holds_classes(path)
    assert [(c.number, c.name, c.color) for c in raster.classes] == [
        (c.number, c.name, c.color) for c in classes
    ]
    np.testing.assert_array_equal(whole(raster), labels)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_a_raster_that_names_nothing(tmp_path, dtype):
    raster = ClassRaster.open(write(tmp_path / "c.tif", LABELS.astype(dtype)))
    assert [(c.number, c.name) for c in raster.classes] == [
        (1, "class 1"),
        (2, "class 2"),
        (7, "class 7"),
    ]
    np.testing.assert_array_equal(whole(raster), LABELS)


@pytest.mark.parametrize(
    ("values", "nodata"), [((0, 1000, 2000), None), ((-5, 3, 300), 9), ((0, 255, 255), None)]
)
def test_numbers_that_are_no_class_numbers_are_counted(tmp_path, values, nodata):
    """A mask of 0 and 255 is the commonest raster of classes there is."""
    labels = np.array(values, dtype=np.int16)[np.searchsorted([0, 1, 2], LABELS % 7)]
    if max(values) == 255:
        labels = labels.astype(np.uint8)
    path = write(tmp_path / "mask.tif", labels, nodata=nodata)
    raster = ClassRaster.open(path)
    present = sorted({v for v in values if v != 0})
    assert [c.number for c in raster.classes] == list(range(1, len(present) + 1))
    names = ["mask"] if len(present) == 1 else [f"class {v}" for v in present]
    assert [c.name for c in raster.classes] == names
    expected = np.zeros(labels.shape, dtype=np.uint8)
    for number, value in enumerate(present, start=1):
        expected[labels == value] = number
    np.testing.assert_array_equal(whole(raster), expected)


def test_nodata_is_no_class(tmp_path):
    raster = ClassRaster.open(write(tmp_path / "c.tif", LABELS, nodata=7))
    assert [c.number for c in raster.classes] == [1, 2]
    np.testing.assert_array_equal(whole(raster), np.where(LABELS == 7, IGNORE, LABELS))


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("int16", -9999), ("uint16", 65535), ("int32", -(2**31))]
)
@pytest.mark.parametrize("tags", [None, {"CLASS_1": "road", "CLASS_2": "roof"}])
def test_nodata_beyond_class_numbers_is_no_class(tmp_path, dtype, nodata, tags):
    values = np.where(LABELS == 7, np.array(nodata, dtype), LABELS.astype(dtype))
    raster = ClassRaster.open(write(tmp_path / "c.tif", values, nodata=nodata, tags=tags))
    assert [c.number for c in raster.classes] == [1, 2]
    np.testing.assert_array_equal(whole(raster), np.where(LABELS == 7, IGNORE, LABELS))


@pytest.mark.parametrize("tags", [{}, {"NODATA_VALUES": "0"}])
@pytest.mark.parametrize("values", [LABELS, LABELS.astype(np.uint16) * 100])
def test_background_that_is_declared_as_nodata_is_background(tmp_path, values, tags):
    path = write(tmp_path / "c.tif", values, nodata=0)
    with rasterio.open(path, "r+") as sink:
        sink.update_tags(**tags)
    raster = ClassRaster.open(path)
    np.testing.assert_array_equal(whole(raster) == 0, LABELS == 0)
    assert not (whole(raster) == IGNORE).any()


def test_a_mask_beside_a_background_that_is_nodata_still_hides(scene_factory):
    shown = np.ones(LABELS.shape, dtype=bool)
    shown[:10] = False
    raster = ClassRaster.open(scene_factory(image=LABELS, nodata=0, mask=shown))
    np.testing.assert_array_equal(whole(raster), np.where(shown, LABELS, IGNORE))


def test_a_named_background_is_no_class(tmp_path):
    tags = {"CLASS_0": "background", "CLASS_1": "road", "CLASS_2": "roof", "CLASS_7": "water"}
    raster = ClassRaster.open(write(tmp_path / "c.tif", LABELS, tags=tags))
    assert [(c.number, c.name) for c in raster.classes] == [(1, "road"), (2, "roof"), (7, "water")]
    np.testing.assert_array_equal(whole(raster), LABELS)


def test_values_of_one_name_are_one_class(tmp_path):
    tags = {"CLASS_1": "tree", "CLASS_2": "road", "CLASS_7": "tree"}
    raster = ClassRaster.open(write(tmp_path / "c.tif", LABELS, tags=tags))
    assert [(c.number, c.name) for c in raster.classes] == [(1, "tree"), (2, "road")]
    np.testing.assert_array_equal(whole(raster), np.where(LABELS == 7, 1, LABELS))


def test_scores_are_no_classes(tmp_path):
    assert not holds_classes(write(tmp_path / "shares.tif", LABELS.astype(np.float32) / 9))
    assert not holds_classes(write(tmp_path / "two.tif", np.stack([LABELS, LABELS])))
    steps = write(tmp_path / "steps.tif", LABELS)
    with rasterio.open(steps, "r+") as file:
        file.scales = (1 / 254,)
    assert not holds_classes(steps)


def test_a_number_without_a_name_is_an_error(tmp_path):
    path = write(tmp_path / "c.tif", LABELS, tags={"CLASS_1": "road", "CLASS_2": "roof"})
    raster = ClassRaster.open(path)
    with pytest.raises(BandError, match=r"holds 7 in rows 0 to 90.*1 road, 2 roof.*Correct"):
        whole(raster)
    path = write(tmp_path / "big.tif", LABELS.astype(np.int16) + 256, tags={"CLASS_1": "road"})
    with pytest.raises(BandError, match="holds 256 in rows"):
        whole(ClassRaster.open(path))
    path = write(tmp_path / "far.tif", LABELS.astype(np.int16), tags={"CLASS_300": "road"})
    with pytest.raises(BandError, match=r"holds 1 in rows.*the classes 300 road"):
        whole(ClassRaster.open(path))


def test_what_holds_no_classes_is_an_error(tmp_path):
    many = np.arange(400, dtype=np.uint16).reshape(20, 20)
    with pytest.raises(BandError, match=r"holds 399 different whole numbers, 1 to 399.*gdal_calc"):
        ClassRaster.open(write(tmp_path / "many.tif", many))


def test_a_model_says_what_numbers_are_called(tmp_path):
    raster = ClassRaster.open(write(tmp_path / "c.tif", np.where(LABELS == 7, 0, LABELS)))
    named = raster.named_as(name_classes(["road", "roof", "water"]), "model.safetensors")
    assert [c.name for c in named.classes] == ["road", "roof", "water"]
    with pytest.raises(BandError, match=r"has class 2, and m\.safetensors has none"):
        raster.named_as(name_classes(["road"]), "m.safetensors")


@pytest.mark.parametrize("value", [0, 9])
def test_nothing_is_a_class_without_a_pixel(tmp_path, value):
    path = write(tmp_path / "empty.tif", np.full((5, 5), value, np.uint8), nodata=9)
    raster = ClassRaster.open(path)
    assert [(c.number, c.name) for c in raster.classes] == [(1, "empty")]
    assert set(whole(raster).ravel().tolist()) <= {0, IGNORE}
