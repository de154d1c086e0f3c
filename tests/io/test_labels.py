"""Labels from file to scene: classes, widths, and what is said when they do not fit."""

from __future__ import annotations

import logging

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS

from geocobot.classes import IGNORE
from geocobot.errors import (
    ConfigError,
    CrsError,
    EmptyLabelsError,
    FieldError,
    GeometryError,
    LayerError,
    MissingFileError,
    OverlapError,
    UnreadableFileError,
)
from geocobot.io.area import read_area
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.io.widths import Widths

# On the default scene of scene_factory: 96 x 64 px of 1 m from (500000, 5000000) downwards.
WEST, NORTH = 500_000.0, 5_000_000.0
UTM = CRS(32633)


def box(col, row, width, height):
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


def line(*pixels):
    return shapely.LineString([(WEST + c, NORTH - r) for c, r in pixels])


@pytest.fixture
def scene(scene_factory):
    return Scene.open(scene_factory())


def burn(labels, scene):
    return labels.on(scene.grid, scene.name).read(scene.grid.window).classes


class TestClasses:
    def test_a_folder_is_one_class_however_many_files_it_has(
        self, labels_factory, scene, tmp_path, caplog
    ):
        for name in ("roads/1.gpkg", "houses/1.gpkg", "houses/2.gpkg", "other/1.gpkg"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            labels_factory([box(10, 20, 5, 6)], name=name)
        folders = [tmp_path / name for name in ("roads", "houses")]
        labels = read_labels(folders, scene=scene)
        assert [spec.name for spec in labels.classes] == ["roads", "houses"]
        assert not caplog.records
        files = [tmp_path / name / "1.gpkg" for name in ("roads", "other")]
        labels = read_labels(files, scene=scene)
        assert [spec.name for spec in labels.classes] == ["1"]
        assert "are one class, 1: a class is called after its file" in caplog.text

    def test_one_class_named_after_the_file(self, labels_factory, scene):
        labels = read_labels([labels_factory([box(10, 20, 5, 6)], name="houses.gpkg")])
        assert [(c.number, c.name) for c in labels.classes] == [(1, "houses")]
        assert labels.files == ("houses.gpkg",)
        expected = np.zeros((64, 96), "uint8")
        expected[20:26, 10:15] = 1
        np.testing.assert_array_equal(burn(labels, scene), expected)

    @pytest.mark.parametrize(
        ("values", "names"),
        [
            ([10, 9, 10], ["9", "10"]),
            ([2.0, 1.5, 2.0], ["1.5", "2"]),
            (["tree", "house ", "house"], ["house", "tree"]),
            (["b", "10", "9"], ["9", "10", "b"]),
            ([True, False, True], ["False", "True"]),
        ],
    )
    def test_field_values_are_sorted(self, labels_factory, values, names):
        path = labels_factory([box(i, i, 2, 2) for i in range(3)], kind=values)
        assert [
            c.name for c in read_labels([path], LabelChoice(class_field="kind")).classes
        ] == names

    def test_empty_values_are_counted(self, labels_factory, caplog):
        path = labels_factory([box(i, i, 2, 2) for i in range(4)], kind=["a", None, " ", "b"])
        labels = read_labels([path], LabelChoice(class_field="kind"))
        assert len(labels.features) == 2
        assert "2 features have no value in kind" in caplog.text

    def test_a_gap_makes_no_float_of_a_number(self, labels_factory):
        path = labels_factory([box(i, i, 2, 2) for i in range(2)], kind=[7.0, None])
        assert [c.name for c in read_labels([path], LabelChoice(class_field="kind")).classes] == [
            "7"
        ]

    def test_only_empty_values(self, labels_factory):
        path = labels_factory([box(0, 0, 2, 2)], kind=[" "])
        with pytest.raises(FieldError, match="has no value in the field 'kind'"):
            read_labels([path], LabelChoice(class_field="kind"))

    def test_too_many_values(self, labels_factory):
        path = labels_factory([box(0, 0, 2, 2)] * 300, kind=list(range(300)))
        with pytest.raises(
            FieldError, match=r"has 300 different values.*at most 254.*another --class"
        ):
            read_labels([path], LabelChoice(class_field="kind"))

    def test_missing_field(self, labels_factory):
        path = labels_factory([box(0, 0, 2, 2)], kind=["a"])
        with pytest.raises(FieldError, match=r"has no field 'type'.*kind"):
            read_labels([path], LabelChoice(class_field="type"))

    def test_the_later_class_wins_and_says_so(self, labels_factory, scene, caplog):
        path = labels_factory([box(0, 0, 9, 9), box(5, 5, 9, 9)], kind=["b", "a"])
        with caplog.at_level(logging.INFO, logger="geocobot"):
            labels = read_labels([path], LabelChoice(class_field="kind"))
        assert burn(labels, scene)[7, 7] == 2
        assert "the later one wins (a, b)" in caplog.text


class TestSeveralFiles:
    def test_each_is_a_class_in_the_order_given(self, labels_factory, scene):
        roads = labels_factory([box(0, 0, 9, 9)], name="roads.gpkg")
        houses = labels_factory([box(20, 0, 9, 9)], name="houses.geojson", crs="EPSG:32633")
        labels = read_labels([roads, houses])
        assert [c.name for c in labels.classes] == ["roads", "houses"]
        assert labels.name == "roads.gpkg and houses.geojson"
        classes = burn(labels, scene)
        assert classes[4, 4] == 1
        assert classes[4, 24] == 2

    def test_classes_unite_by_name(self, labels_factory, scene):
        one = labels_factory([box(0, 0, 9, 9)], name="one.gpkg", kind=["tree"])
        two = labels_factory(
            [box(20, 0, 9, 9), box(40, 0, 9, 9)], name="two.gpkg", kind=["house", "tree"]
        )
        labels = read_labels([one, two], LabelChoice(class_field="kind"))
        assert [c.name for c in labels.classes] == ["house", "tree"]
        assert burn(labels, scene)[4, [4, 24, 44]].tolist() == [2, 1, 2]

    def test_of_different_crs(self, labels_factory, scene):
        metres = labels_factory([box(0, 0, 9, 9)], name="one.gpkg")
        degrees = gpd.GeoSeries([box(19.8, 2.8, 9.4, 9.4)], crs=UTM).to_crs(4326)
        other = labels_factory(degrees, "EPSG:4326", "two.gpkg")
        labels = read_labels([metres, other])
        assert labels.features.crs == CRS(4326)
        classes = burn(labels, scene)
        expected = np.zeros((64, 96), "uint8")
        expected[:9, :9] = 1
        expected[3:12, 20:29] = 2
        np.testing.assert_array_equal(classes, expected)

    def test_all_are_named_where_they_miss_the_scene(self, labels_factory, scene):
        files = [labels_factory([box(1000 * i, 0, 9, 9)], name=f"{i}.gpkg") for i in range(1, 7)]
        for paths, said in (
            (files[:2], r"^1\.gpkg and 2\.gpkg cover x 501000.*nothing of them lies on scene"),
            (files, r"^1\.gpkg, 2\.gpkg, 3\.gpkg, 4\.gpkg and 2 more cover x 501000"),
        ):
            with pytest.raises(OverlapError, match=said):
                read_labels(paths).on(scene.grid, scene.name)

    def test_one_that_lies_on_no_scene_is_named(self, labels_factory, scene_factory, caplog):
        east = scene_factory("east.tif", origin_xy=(WEST + 96, NORTH))
        scenes = [Scene.open(scene_factory()), Scene.open(east)]
        files = [
            labels_factory([box(col, 0, 9, 9)], name=name)
            for col, name in ((0, "west.gpkg"), (100, "east.gpkg"), (1000, "away.gpkg"))
        ]
        rasters = read_labels(files).on_each(scenes)
        assert [r.source.numbers.tolist() for r in rasters] == [[1], [2]]
        assert caplog.messages == [
            "away.gpkg: nothing of it lies on scene and east, so that it is of no use."
        ]


class TestLines:
    def test_default_width_is_said_aloud(self, labels_factory, scene, caplog):
        path = labels_factory([line((0, 32), (96, 32)), line((48, 0), (48, 64))])
        with caplog.at_level(logging.INFO, logger="geocobot"):
            labels = read_labels([path])
        assert "The 2 lines are taken to be 8 m wide; --line-width" in caplog.text
        classes = burn(labels, scene)
        assert classes[:, 10].nonzero()[0].tolist() == list(range(28, 36))

    def test_width_is_as_asked(self, labels_factory, scene, caplog):
        path = labels_factory([line((0, 32), (96, 32))])
        with caplog.at_level(logging.INFO, logger="geocobot"):
            labels = read_labels([path], LabelChoice(widths=Widths(line_width_m=4)))
        assert "--line-width" not in caplog.text
        assert burn(labels, scene)[:, 10].nonzero()[0].tolist() == list(range(30, 34))

    def test_lines_and_polygons_in_one_layer(self, labels_factory, scene):
        path = labels_factory(
            [line((0, 50), (96, 50)), box(10, 10, 5, 5)], name="mixed.geojson", crs="EPSG:32633"
        )
        classes = burn(read_labels([path], LabelChoice(widths=Widths(line_width_m=2))), scene)
        assert (classes[49:51] == 1).all()
        assert (classes[10:15, 10:15] == 1).all()
        assert classes.sum() == 2 * 96 + 25

    def test_width_without_lines_is_said_to_change_nothing(self, labels_factory, caplog):
        with caplog.at_level(logging.INFO, logger="geocobot"):
            read_labels(
                [labels_factory([box(0, 0, 5, 5)])], LabelChoice(widths=Widths(line_width_m=3))
            )
        assert "changes nothing" in caplog.text

    def test_thinner_than_a_pixel_is_a_warning(self, labels_factory, scene, caplog):
        labels = read_labels(
            [labels_factory([line((0, 32), (96, 32))])],
            LabelChoice(widths=Widths(line_width_m=0.5)),
        )
        burn(labels, scene)
        assert (
            "1 lines 0.5 m wide or less are thinner than the pixels of scene (1 m)" in caplog.text
        )

    @pytest.mark.parametrize("width", [0, -1, float("nan")])
    def test_no_width(self, labels_factory, width):
        path = labels_factory([line((0, 32), (96, 32))])
        with pytest.raises(ConfigError, match=r"--line-width is .*metres"):
            read_labels([path], LabelChoice(widths=Widths(line_width_m=width)))

    def test_each_line_has_the_width_of_its_field(self, labels_factory, scene, caplog):
        path = labels_factory(
            [line((0, row), (96, row)) for row in (10, 30, 50)], lanes_m=[2.0, 6.0, None]
        )
        widths = Widths(width_field="lanes_m", line_width_m=4)
        classes = burn(read_labels([path], LabelChoice(widths=widths)), scene)
        assert classes[:, 20].nonzero()[0].tolist() == [9, 10, *range(27, 33), *range(48, 52)]
        assert "1 of 3 lines have no width in lanes_m and are taken to be 4 m wide" in caplog.text

    def test_several_files_with_classes_and_widths(self, labels_factory, scene):
        kinds = {"kind": ["main", "side"], "width": ["6 m", "2"]}
        one = labels_factory([line((0, 10), (96, 10)), line((0, 30), (96, 30))], **kinds)
        two = labels_factory([box(5, 50, 9, 9)], name="b.gpkg", kind=["house"], width=["none"])
        choice = LabelChoice(class_field="kind", widths=Widths(width_field="width"))
        classes = burn(read_labels([one, two], choice), scene)
        assert [int((classes == n).sum()) for n in (1, 2, 3)] == [81, 6 * 96, 2 * 96]


class TestPoints:
    def test_they_become_discs(self, labels_factory, scene):
        path = labels_factory([shapely.Point(WEST + 30, NORTH - 30)])
        labels = read_labels([path], LabelChoice(widths=Widths(point_radius_m=10)))
        classes = burn(labels, scene)
        rows, cols = classes.nonzero()
        assert np.hypot(rows + 0.5 - 30, cols + 0.5 - 30).max() < 10
        assert classes.sum() == pytest.approx(np.pi * 100, rel=0.03)

    def test_one_beside_the_scene_reaches_into_it(self, labels_factory, scene):
        path = labels_factory([shapely.Point(WEST - 5, NORTH - 30)])
        labels = read_labels([path], LabelChoice(widths=Widths(point_radius_m=8)))
        assert burn(labels, scene).nonzero()[1].max() == 2

    def test_without_a_radius_they_are_refused(self, labels_factory):
        path = labels_factory([shapely.MultiPoint([(WEST, NORTH), (WEST, NORTH - 9)])])
        with pytest.raises(GeometryError, match=r"has 2 points.*such as --point-radius 3"):
            read_labels([path])

    def test_beside_lines_and_polygons(self, labels_factory, scene, caplog):
        shapes = [shapely.Point(WEST + 9, NORTH - 9), line((0, 50), (96, 50)), box(60, 5, 5, 5)]
        path = labels_factory(shapes, name="mixed.geojson", crs="EPSG:32633")
        widths = Widths(point_radius_m=3, line_width_m=2)
        with caplog.at_level(logging.INFO, logger="geocobot"):
            classes = burn(read_labels([path], LabelChoice(widths=widths)), scene)
        assert "1 line, 1 point and 1 polygon in 1 class" in caplog.text
        assert classes[49:51].all()
        assert classes[5:10, 60:65].all()
        assert classes[8, 8]


class TestChoice:
    def test_classes_in_the_order_given_and_others_background(self, labels_factory, scene, caplog):
        path = labels_factory(
            [box(0, 0, 9, 9), box(5, 0, 9, 9), box(40, 0, 9, 9)], kind=["tree", "house", "car"]
        )
        choice = LabelChoice(class_field="kind", classes=["tree=#00AA00", "house"])
        with caplog.at_level(logging.INFO, logger="geocobot"):
            labels = read_labels([path], choice)
        assert [c.name for c in labels.classes] == ["tree", "house"]
        assert labels.classes[0].color == "#00aa00"
        assert "1 features of other classes (car) are background" in caplog.text
        assert burn(labels, scene)[4, [2, 7, 12, 44]].tolist() == [1, 2, 2, 0]
        other = read_labels([path], LabelChoice(class_field="kind", classes=["house", "tree"]))
        assert burn(other, scene)[4, [2, 7, 12, 44]].tolist() == [2, 2, 1, 0]

    def test_a_class_that_is_not_there(self, labels_factory):
        path = labels_factory([box(0, 0, 9, 9)] * 2, kind=["tree", "house"])
        choice = LabelChoice(class_field="kind", classes=["House", "tree"])
        with pytest.raises(FieldError, match=r"nothing of class House\. .*are house and tree"):
            read_labels([path], choice)

    def test_of_too_many_values_some_can_be_chosen(self, labels_factory):
        path = labels_factory([box(0, 0, 2, 2)] * 300, kind=list(range(300)))
        labels = read_labels([path], LabelChoice(class_field="kind", classes=["7", "5"]))
        assert [c.name for c in labels.classes] == ["7", "5"]
        assert len(labels.features) == 2

    def test_files_are_chosen_by_name(self, labels_factory, scene):
        roads = labels_factory([box(0, 0, 9, 9)], name="roads.gpkg")
        houses = labels_factory([box(20, 0, 9, 9)], name="houses.gpkg")
        labels = read_labels([roads, houses], LabelChoice(classes=["houses", "roads"]))
        assert burn(labels, scene)[4, [4, 24]].tolist() == [2, 1]

    @pytest.mark.parametrize("ending", [".gpkg", ".shp", ".geojson", ".fgb"])
    def test_where_asks_attributes_that_are_not_read(self, labels_factory, scene, ending):
        path = labels_factory(
            [box(0, 0, 9, 9), box(20, 0, 9, 9)], "EPSG:4326", f"a{ending}", year=[2010, 2020]
        )
        choice = LabelChoice(where="year > 2015", crs="EPSG:32633")
        classes = burn(read_labels([path], choice), scene)
        assert classes.sum() == 81
        assert classes[4, 24] == 1

    def test_where_nothing_is_left(self, labels_factory):
        path = labels_factory([box(0, 0, 9, 9)], year=[2010])
        with pytest.raises(EmptyLabelsError, match=r"has no usable feature with year > 2015\."):
            read_labels([path], LabelChoice(where="year > 2015"))


class TestLabelledArea:
    def test_outside_is_unknown(self, labels_factory, scene, caplog):
        path = labels_factory([box(10, 10, 9, 9), box(70, 10, 9, 9)])
        area = read_area([labels_factory([box(5, 5, 30, 40)], name="area.gpkg")])
        classes = burn(read_labels([path], area=area), scene)
        expected = np.full((64, 96), IGNORE)
        expected[5:45, 5:35] = 0
        expected[10:19, 10:19] = 1
        np.testing.assert_array_equal(classes, expected)
        assert "1 of 2 features on scene lie outside the labelled area" in caplog.text

    def test_in_another_crs_and_of_several_files(self, labels_factory, scene):
        metres = labels_factory([box(0, 0, 20, 64)], name="west.gpkg")
        east = gpd.GeoSeries([box(60.3, -5, 60, 80)], crs=UTM).to_crs(4326)
        degrees = labels_factory(east, "EPSG:4326", "east.geojson")
        area = read_area([metres, degrees])
        path = labels_factory([box(10, 10, 60, 9)])
        classes = burn(read_labels([path], area=area), scene)
        known = classes != IGNORE
        assert known[:, :20].all()
        assert known[:, 60:].all()
        assert not known[:, 20:60].any()

    def test_elsewhere_nothing_is_known(self, labels_factory, scene):
        area = read_area([labels_factory([box(500, 5, 30, 40)], name="area.gpkg")])
        classes = burn(read_labels([labels_factory([box(10, 10, 9, 9)])], area=area), scene)
        assert (classes == IGNORE).all()

    @pytest.mark.parametrize(
        ("shapes", "crs", "error", "said"),
        [
            ([line((0, 0), (9, 9))], UTM, GeometryError, "has 1 lines or points.*with polygons"),
            ([None], UTM, EmptyLabelsError, "has no polygon. --labelled-area is where"),
            ([box(0, 0, 9, 9)], None, CrsError, "has no CRS. geocobot needs"),
        ],
    )
    def test_what_is_no_area(self, labels_factory, shapes, crs, error, said):
        path = labels_factory(shapes, crs, "area.gpkg", a=[1])
        with pytest.raises(error, match=rf"area\.gpkg {said}"):
            read_area([path])

    def test_of_several_layers_none_can_be_named(self, labels_factory):
        labels_factory([box(0, 0, 9, 9)], name="areas.gpkg", layer="north")
        path = labels_factory([box(0, 0, 9, 9)], name="areas.gpkg", layer="south")
        with pytest.raises(LayerError, match=r"has 2 layers: north, south.*Save the one that is"):
            read_area([path])

    def test_a_missing_file_is_named_by_its_flag(self, tmp_path):
        with pytest.raises(MissingFileError, match=r"not exist\. --labelled-area names a vector"):
            read_area([tmp_path / "area.gpkg"])


class TestScenesWithoutFeatures:
    def test_one_of_several_may_have_none(self, labels_factory, scene_factory):
        east = scene_factory("east.tif", origin_xy=(WEST + 96, NORTH))
        scenes = [Scene.open(scene_factory()), Scene.open(east)]
        rasters = read_labels([labels_factory([box(0, 0, 9, 9)])]).on_each(scenes)
        assert [int(r.read(r.grid.window).classes.sum()) for r in rasters] == [81, 0]

    def test_all_have_none(self, labels_factory, scene_factory):
        east = scene_factory("east.tif", origin_xy=(WEST + 96, NORTH))
        scenes = [Scene.open(scene_factory()), Scene.open(east)]
        with pytest.raises(OverlapError, match="nothing of it lies on scene, which covers"):
            read_labels([labels_factory([box(1000, 0, 9, 9)])]).on_each(scenes)


class TestCrs:
    def test_shapefile_without_prj(self, labels_factory, scene):
        path = labels_factory([line((0, 0), (9, 9))], crs=None, name="roads.shp", a=[1])
        with pytest.raises(CrsError) as caught:
            read_labels([path], scene=scene)
        assert str(caught.value).removeprefix(str(path.parent) + "/") == (
            "roads.shp has no CRS (roads.prj is missing). geocobot needs one to place the lines "
            "on scene.tif (EPSG:32633). Pass `--labels-crs EPSG:4326`, or set it in QGIS and "
            "save again."
        )

    def test_without_a_scene_to_name(self, labels_factory):
        path = labels_factory([box(0, 0, 9, 9)], crs=None, name="houses.fgb")
        with pytest.raises(CrsError, match=r"houses\.fgb has no CRS\..*polygons on the scene"):
            read_labels([path])

    def test_given_where_none_is_declared(self, labels_factory, scene):
        path = labels_factory([box(0, 0, 9, 9)], crs=None, name="houses.shp", a=[1])
        assert burn(read_labels([path], LabelChoice(crs="EPSG:32633")), scene).sum() == 81

    def test_given_where_a_wrong_one_is_declared(self, labels_factory, scene):
        path = labels_factory([box(0, 0, 9, 9)], crs="EPSG:4326")
        assert burn(read_labels([path], LabelChoice(crs="EPSG:32633")), scene).sum() == 81

    def test_nonsense(self, labels_factory):
        path = labels_factory([box(0, 0, 9, 9)])
        with pytest.raises(CrsError, match="--labels-crs is 'EPSG:1', which is no CRS"):
            read_labels([path], LabelChoice(crs="EPSG:1"))

    def test_a_site_plan_has_no_place_on_the_earth(self, labels_factory):
        site = 'LOCAL_CS["site",UNIT["metre",1]]'
        path = labels_factory([box(0, 0, 9, 9)], crs=site)
        with pytest.raises(CrsError, match=r"labels\.gpkg has the CRS site, which says nothing of"):
            read_labels([path])
        assert len(read_labels([path], LabelChoice(crs="EPSG:32633")).features) == 1

    def test_a_prj_without_sense(self, labels_factory):
        path = labels_factory([box(0, 0, 9, 9)], name="houses.shp", a=[1])
        path.with_suffix(".prj").write_text("GARBAGE")
        with pytest.raises(CrsError, match=r"has no CRS \(houses\.prj says nothing that GDAL"):
            read_labels([path])


class TestEmpty:
    def test_no_features(self, labels_factory):
        path = labels_factory([], name="none.geojson", crs="EPSG:4326")
        with pytest.raises((EmptyLabelsError, LayerError), match=r"none\.geojson has no"):
            read_labels([path])

    def test_no_geometry(self, labels_factory):
        path = labels_factory([None, shapely.Polygon()], a=[1, 2])
        with pytest.raises(EmptyLabelsError, match=r"labels\.gpkg has no usable feature"):
            read_labels([path])


class TestOverlap:
    def test_names_both_extents(self, labels_factory, scene):
        labels = read_labels([labels_factory([box(1000, 0, 10, 10)])])
        with pytest.raises(
            OverlapError,
            match=r"labels\.gpkg covers x 501000 to 501010, y 4999990 to 5000000 in "
            r"EPSG:32633, and nothing of it lies on scene, which covers x 500000 to 500096, "
            r"y 4999936 to 5000000",
        ):
            labels.on(scene.grid, scene.name)

    def test_names_the_scene_in_both_crs(self, labels_factory, scene):
        labels = read_labels([labels_factory([shapely.box(1, 1, 2, 2)], "EPSG:4326")])
        with pytest.raises(OverlapError, match=r"x 15 to 15\.0012.*in EPSG:4326, that is x 500000"):
            labels.on(scene.grid, scene.name)

    def test_metres_declared_as_degrees(self, labels_factory, scene):
        labels = read_labels([labels_factory([box(0, 0, 10, 10)], "EPSG:4326")])
        with pytest.raises(OverlapError, match="fit the scene's CRS: pass --labels-crs EPSG:32633"):
            labels.on(scene.grid, scene.name)

    def test_degrees_declared_as_metres(self, labels_factory, scene):
        shape = shapely.box(15.0002, 45.1530, 15.0004, 45.1533)
        labels = read_labels([labels_factory([shape], "EPSG:32633")])
        with pytest.raises(OverlapError, match="fit degrees: pass --labels-crs EPSG:4326"):
            labels.on(scene.grid, scene.name)

    @pytest.mark.parametrize(
        ("crs", "extra"), [("EPSG:4326", ""), ("EPSG:32633", " and pass --labels-crs EPSG:4326")]
    )
    def test_swapped_axes(self, labels_factory, scene, crs, extra):
        shape = shapely.box(45.1530, 15.0002, 45.1533, 15.0004)
        labels = read_labels([labels_factory([shape], crs)])
        with pytest.raises(OverlapError, match=rf"look swapped.*coordinates\){extra}\.$"):
            labels.on(scene.grid, scene.name)

    def test_extents_meet_but_no_feature_does(self, labels_factory, scene):
        path = labels_factory([box(-100, 0, 10, 10), box(200, 0, 10, 10)])
        with pytest.raises(OverlapError, match="the extents meet, but no feature does"):
            read_labels([path]).on(scene.grid, scene.name)

    def test_far_away_in_a_crs_that_does_not_reach(self, labels_factory, scene_factory):
        scene = Scene.open(scene_factory(crs="EPSG:3031", origin_xy=(100_000.0, 100_000.0), res=10))
        labels = read_labels([labels_factory([box(0, 0, 10, 10)])])
        with pytest.raises(OverlapError, match="Labels and scene have to show the same place"):
            labels.on(scene.grid, scene.name)


class TestRealLabels:
    def burn(self, folder, scene_file, label_file, **options):
        scene = Scene.open(folder / scene_file)
        return burn(read_labels([folder / label_file], LabelChoice(**options), scene=scene), scene)

    def test_vegas_roads(self, real_data):
        classes = self.burn(real_data / "vegas_roads", "scene.tif", "roads.geojson")
        assert 0.2 < (classes == 1).mean() < 0.35
        assert IGNORE not in classes

    def test_vegas_multiclass(self, real_data):
        classes = self.burn(
            real_data / "vegas_multiclass", "scene_rgb8.tif", "labels.geojson", class_field="label"
        )
        assert set(np.unique(classes)) == {0, 1, 2, 3}

    def test_kampala_labels_are_in_degrees(self, real_data):
        classes = self.burn(real_data / "kampala_buildings", "scene_a.tif", "labels.geojson")
        assert 0.2 < (classes == 1).mean() < 0.3

    def test_landsat_labels_declare_a_wrong_crs(self, real_data):
        folder = real_data / "landsat_fields"
        with pytest.raises(OverlapError, match="fit the scene's CRS, which has no code: pass"):
            self.burn(folder, "scene.tif", "labels_bad_crs.geojson")
        classes = self.burn(
            folder, "scene.tif", "labels_bad_crs.geojson", crs=str(folder / "scene.tif")
        )
        # 19 circular fields of about 48 ha.
        assert (classes == 1).sum() * 900 / 1e4 == pytest.approx(650, rel=0.05)

    def test_swellendam_roads_alike_in_both_crs(self, real_data):
        folder = real_data / "swellendam_roads"
        utm = self.burn(folder, "scene.tif", "roads_33S.shp")
        degrees = self.burn(folder, "scene.tif", "training_data.gpkg", layer="roads")
        assert utm.sum() > 3000
        assert int(utm.sum()) == pytest.approx(int(degrees.sum()), rel=0.02)
        assert (utm != degrees).mean() < 1e-3

    def test_swellendam_layers_and_corrupt_water(self, real_data):
        folder = real_data / "swellendam_roads"
        with pytest.raises(LayerError, match="roads, restaurants, schools, buildings"):
            read_labels([folder / "training_data.gpkg"])
        with pytest.raises(UnreadableFileError, match=r"water\.shp cannot be read"):
            read_labels([folder / "water.shp"])

    def test_flanders_has_a_feature_without_geometry(self, real_data, caplog):
        folder = real_data / "flanders_fields"
        labels = read_labels([folder / "labels.gpkg"], LabelChoice(class_field="label_name"))
        assert len(labels.features) == 198
        assert "1 features have no geometry" in caplog.text
