"""Labels that are rasters: values to classes, other grids, what is unknown, what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from geocobot.classes import IGNORE, name_classes
from geocobot.errors import (
    BandError,
    ConfigError,
    CrsError,
    EmptyLabelsError,
    FieldError,
    GridError,
    MissingFileError,
    OverlapError,
    UnreadableFileError,
)
from geocobot.io.area import read_area
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.io.scores import ClassWriter
from geocobot.io.widths import Widths

# The default scene of scene_factory: 96 x 64 px of 1 m from (500000, 5000000) downwards.
WEST, NORTH = 500_000.0, 5_000_000.0


@pytest.fixture
def scene(scene_factory):
    return Scene.open(scene_factory())


@pytest.fixture
def classes_factory(scene_factory):
    """Write class numbers (H, W) as a raster."""

    def make(values, name="classes.tif", **options):
        return scene_factory(name, image=np.asarray(values)[None], **options)

    return make


def some_classes(rng=0):
    """Class numbers on the default scene, in blocks."""
    coarse = np.random.default_rng(rng).choice([0, 3, 7], (8, 12)).astype("uint8")
    return np.kron(coarse, np.ones((8, 8), "uint8"))


def whole(labels, scene):
    return labels.on(scene.grid, scene.name).read(scene.grid.window).classes


def test_values_become_classes(classes_factory, scene):
    values = some_classes()
    labels = read_labels([classes_factory(values)])
    assert [(c.number, c.name) for c in labels.classes] == [(1, "3"), (2, "7")]
    assert labels.name == "classes.tif"
    np.testing.assert_array_equal(
        whole(labels, scene), np.select([values == 3, values == 7], [1, 2])
    )


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_of_every_type_with_nodata_unknown(classes_factory, scene, dtype):
    values = some_classes().astype(dtype)
    values[:8] = 99
    found = whole(read_labels([classes_factory(values, nodata=99)]), scene)
    assert (found[:8] == IGNORE).all()
    assert not (found[8:] == IGNORE).any()


def test_nan_is_unknown(classes_factory, scene):
    values = some_classes().astype("float32")
    values[:8] = np.nan
    labels = read_labels([classes_factory(values)])
    assert [c.name for c in labels.classes] == ["3", "7"]
    assert (whole(labels, scene)[:8] == IGNORE).all()


def test_zero_is_background_even_as_nodata(classes_factory, scene):
    values = some_classes()
    found = whole(read_labels([classes_factory(values, nodata=0)]), scene)
    assert ((found == 0) == (values == 0)).all()


def test_chosen_by_value_in_the_order_given(classes_factory, scene):
    values = some_classes()
    labels = read_labels([classes_factory(values)], LabelChoice(classes=["7=#ff0000"]))
    assert [(c.name, c.color) for c in labels.classes] == [("7", "#ff0000")]
    np.testing.assert_array_equal(whole(labels, scene), (values == 7).astype("uint8"))
    both = read_labels([classes_factory(values)], LabelChoice(classes=["7", "3"]))
    np.testing.assert_array_equal(whole(both, scene), np.select([values == 7, values == 3], [1, 2]))


def test_a_map_made_before_keeps_names_and_colors(tmp_path, scene):
    classes = name_classes(["tree", "house"], {"tree": "#112233"})
    values = np.where(some_classes() == 7, 2, 1).astype("uint8")
    values[:8] = IGNORE
    with ClassWriter(tmp_path / "map.tif", scene.grid, classes) as writer:
        writer.write(0, values)
    labels = read_labels([tmp_path / "map.tif"])
    assert [(c.name, c.color) for c in labels.classes] == [(c.name, c.color) for c in classes]
    np.testing.assert_array_equal(whole(labels, scene), values)
    chosen = read_labels([tmp_path / "map.tif"], LabelChoice(classes=["house"]))
    assert (whole(chosen, scene) == 1).sum() == (values == 2).sum()


@pytest.fixture
def legend(classes_factory):
    """Values 3, 5 and 7, of which the first and the last have one name."""
    values = some_classes()
    values[:8, 40:] = 5
    path = classes_factory(values)
    with rasterio.open(path, "r+") as sink:
        sink.update_tags(1, CLASS_3="tree", CLASS_5="house", CLASS_7="tree")
    return path, values


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, {"tree": (3, 7), "house": (5,)}),
        (["tree"], {"tree": (3, 7)}),
        (["house", "tree"], {"house": (5,), "tree": (3, 7)}),
        (["7"], {"tree": (7,)}),
        (["7", "5"], {"tree": (7,), "house": (5,)}),
        (["7", "5", "3"], {"tree": (7, 3), "house": (5,)}),
        (["tree", "3"], {"tree": (3, 7)}),
    ],
)
def test_values_of_one_name_are_one_class_that_keeps_it(legend, scene, asked, expected):
    path, values = legend
    labels = read_labels([path], LabelChoice(classes=asked))
    assert [c.name for c in labels.classes] == list(expected)
    numbers = [np.isin(values, own) for own in expected.values()]
    np.testing.assert_array_equal(
        whole(labels, scene), np.select(numbers, range(1, len(numbers) + 1))
    )


def test_a_color_goes_to_the_class_of_a_value(legend):
    path, _ = legend
    for asked in (["7=#123456"], ["tree=#123456"]):
        (found,) = read_labels([path], LabelChoice(classes=asked)).classes
        assert (found.name, found.color) == ("tree", "#123456")


def test_a_legend_may_have_more_values_than_classes(classes_factory, scene):
    values = np.arange(1, 64 * 96 + 1, dtype="int32").reshape(64, 96)
    path = classes_factory(values)
    with rasterio.open(path, "r+") as sink:
        sink.update_tags(1, **{f"CLASS_{v}": f"kind {v % 3}" for v in range(1, 64 * 96 + 1)})
    found = whole(read_labels([path]), scene)
    np.testing.assert_array_equal(found, (values - 1) % 3 + 1)


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857"])
def test_on_another_grid_as_gdal_warps_it(classes_factory, scene, crs):
    values = some_classes()
    degrees = crs == "EPSG:4326"
    path = classes_factory(values)
    with rasterio.open(path) as source:
        bounds = rasterio.warp.transform_bounds(source.crs, crs, *source.bounds)
    res = (bounds[2] - bounds[0]) / (70 if degrees else 140)
    shape = (int((bounds[3] - bounds[1]) / res) + 2, int((bounds[2] - bounds[0]) / res) + 2)
    transform = Affine(res, 0, bounds[0] - res, 0, -res, bounds[3] + res)
    there, back = np.full(shape, 99, "uint8"), np.full((64, 96), 99, "uint8")
    reproject(
        values, there, src_crs="EPSG:32633", src_transform=scene.grid.transform,
        dst_crs=crs, dst_transform=transform, resampling=Resampling.nearest, init_dest_nodata=False,
    )  # fmt: skip
    reproject(
        there, back, src_crs=crs, src_transform=transform, dst_crs="EPSG:32633",
        dst_transform=scene.grid.transform, resampling=Resampling.nearest,
    )  # fmt: skip
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=1, dtype="uint8",
        crs=crs, transform=transform, nodata=99,
    ) as sink:  # fmt: skip
        sink.write(there, 1)
    found = whole(read_labels([path]), scene)
    expected = np.select([back == 0, back == 3, back == 7], [0, 1, 2], IGNORE)
    assert (found == expected).mean() > 0.995


def test_any_window_is_that_part_of_the_whole(classes_factory, scene):
    raster = read_labels([classes_factory(some_classes(), res=1.3)]).on(scene.grid, "scene")
    padded = np.pad(raster.read(scene.grid.window).classes, 50, constant_values=IGNORE)
    rng = np.random.default_rng(1)
    for _ in range(40):
        col, row = int(rng.integers(-40, 90)), int(rng.integers(-40, 60))
        width, height = (int(v) for v in rng.integers(1, 50, 2))
        found = raster.read(Window(col, row, width, height)).classes
        expected = padded[row + 50 : row + 50 + height, col + 50 : col + 50 + width]
        np.testing.assert_array_equal(found[: expected.shape[0], : expected.shape[1]], expected)


def test_several_files_lie_on_each_other_and_beside_them_nothing_is_known(classes_factory, scene):
    one = classes_factory(np.full((64, 40), 1, "uint8"), "one.tif")
    two = classes_factory(np.full((30, 40), 2, "uint8"), "two.tif", origin_xy=(WEST + 20, NORTH))
    found = whole(read_labels([one, two]), scene)
    assert found[10, [5, 30, 50, 70]].tolist() == [1, 2, 2, IGNORE]
    assert found[50, [5, 30, 50]].tolist() == [1, 1, IGNORE]


def test_area_and_boundary_count_as_well(classes_factory, labels_factory, scene):
    values = np.zeros((64, 96), "uint8")
    values[20:40, 20:40] = 1
    polygon = shapely.box(WEST, NORTH - 64, WEST + 60, NORTH)
    area = read_area([labels_factory([polygon], name="area.gpkg")])
    found = whole(read_labels([classes_factory(values)], area=area, boundary_px=2), scene)
    assert (found[:, 60:] == IGNORE).all()
    assert (found == 1).sum() == 16 * 16
    assert found[18, 30] == IGNORE
    assert found[17, 30] == 0


def test_a_scene_that_no_file_reaches_is_unknown(classes_factory, scene_factory):
    east = scene_factory("east.tif", origin_xy=(WEST + 960, NORTH))
    scenes = [Scene.open(scene_factory()), Scene.open(east)]
    labels = read_labels([classes_factory(some_classes())])
    here, there = (r.read(r.grid.window).classes for r in labels.on_each(scenes))
    assert (here != IGNORE).all()
    assert (there == IGNORE).all()
    with pytest.raises(OverlapError, match=r"classes\.tif covers x 500000.*nothing of it lies on"):
        labels.on(scenes[1].grid, "east")
    with pytest.raises(OverlapError, match="nothing of it lies on east"):
        labels.on_each(scenes[1:])


def test_a_scene_across_the_date_line_is_met(classes_factory, scene_factory):
    """UTM zone 1 begins at 180 degrees east; a file in degrees ends there."""
    crs, west = "EPSG:32601", 166_021.44 - 50_000
    across = Scene.open(scene_factory(crs=crs, res=1000, origin_xy=(west, 100_000)))
    path = classes_factory(
        np.full((20, 100), 3, "uint8"), crs="EPSG:4326", res=0.1, origin_xy=(-180, 1)
    )
    found = whole(read_labels([path]), across)
    assert (found[:40, 60:] == 1).all()
    assert (found[:, :40] == IGNORE).all()


def test_pickles_before_and_after_reading(classes_factory, scene):
    raster = read_labels([classes_factory(some_classes())]).on(scene.grid, "scene")
    before = pickle.loads(pickle.dumps(raster))
    expected = raster.read(scene.grid.window).classes
    after = pickle.loads(pickle.dumps(raster))
    for copy in (before, after):
        np.testing.assert_array_equal(copy.read(scene.grid.window).classes, expected)


def test_the_digest_is_of_pixels_and_choice(classes_factory):
    path = classes_factory(some_classes())
    digests = {
        read_labels([path]).digest(),
        read_labels([path], LabelChoice(classes=["7", "3"])).digest(),
        read_labels([path], LabelChoice(classes=["7"])).digest(),
    }
    classes_factory(some_classes(1))
    digests.add(read_labels([path]).digest())
    assert len(digests) == 4


class TestRefused:
    def test_rotated(self, classes_factory):
        turned = Affine(1, 0.3, WEST, 0.3, -1, NORTH)
        with pytest.raises(GridError, match=r"is rotated or sheared .*gdalwarp -r near"):
            read_labels([classes_factory(np.eye(9, dtype="uint8"), transform=turned)])

    def test_several_bands(self, scene_factory):
        with pytest.raises(BandError, match=r"scene\.tif has 3 bands.*gdal_translate -b 1"):
            read_labels([scene_factory()])

    def test_values_that_stand_for_no_data_and_do_not_say_so(self, classes_factory):
        values = np.ones((64, 96), np.float32)
        values[:5] = -3.4028234663852886e38
        with pytest.raises(BandError, match=r"has the value -3\.40\S*e\+38\. .*-a_nodata -3\.40"):
            read_labels([classes_factory(values)])

    def test_values_that_are_not_whole(self, classes_factory):
        with pytest.raises(BandError, match=r"has the value 0\.5\. Class numbers are whole"):
            read_labels([classes_factory(np.full((8, 8), 0.5, "float32"))])

    def test_background_alone(self, classes_factory):
        with pytest.raises(EmptyLabelsError, match=r"classes\.tif has no class"):
            read_labels([classes_factory(np.zeros((8, 8), "uint8"))])

    def test_too_many_values(self, classes_factory, scene):
        values = np.arange(64 * 96, dtype="int32").reshape(64, 96)
        with pytest.raises(FieldError, match=r"has 6143 different values.*at most 254"):
            read_labels([classes_factory(values)])
        labels = read_labels([classes_factory(values)], LabelChoice(classes=["5000", "17"]))
        assert np.argwhere(whole(labels, scene) == 1).tolist() == [[5000 // 96, 5000 % 96]]

    def test_a_class_that_does_not_occur(self, classes_factory):
        with pytest.raises(FieldError, match=r"nothing of class 5\. Its classes are 3 and 7"):
            read_labels([classes_factory(some_classes())], LabelChoice(classes=["5"]))

    def test_without_a_place(self, classes_factory):
        with pytest.raises(CrsError, match=r"classes\.tif has no CRS"):
            read_labels([classes_factory(some_classes(), crs=None)])

    def test_not_there(self, tmp_path):
        with pytest.raises(MissingFileError, match=r"not exist\. --labels names a raster file"):
            read_labels([tmp_path / "classes.tif"])

    def test_truncated(self, classes_factory):
        noise = np.random.default_rng(0).integers(0, 5, (600, 600)).astype("uint8")
        path = classes_factory(noise)
        path.write_bytes(path.read_bytes()[: noise.size // 2])
        with pytest.raises(UnreadableFileError, match=r"classes\.tif cannot be read at rows"):
            read_labels([path])

    def test_beside_a_vector_file(self, classes_factory, labels_factory):
        vector = labels_factory([shapely.box(0, 0, 1, 1)])
        with pytest.raises(ConfigError, match=r"names the raster .*classes\.tif and the vector fi"):
            read_labels([classes_factory(some_classes()), vector])

    @pytest.mark.parametrize(
        ("choice", "flag"),
        [
            (LabelChoice(where="a = 1"), "--where"),
            (LabelChoice(class_field="a"), "--class-field"),
            (LabelChoice(widths=Widths(line_width_m=3)), "--line-width"),
        ],
    )
    def test_what_is_said_of_features(self, classes_factory, choice, flag):
        with pytest.raises(ConfigError, match=rf"{flag} is said of labels that are a raster"):
            read_labels([classes_factory(some_classes())], choice)
