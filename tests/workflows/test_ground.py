from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.windows import Window
from shapely import LineString, box

from geocobot.config import TrainOptions
from geocobot.data.split import choose_patch_px, split_scenes
from geocobot.errors import BandError, ConfigError, EmptyLabelsError, OverlapError
from geocobot.progress import SilentProgress
from geocobot.workflows.ground import Ground, read_inputs, survey_ground

# The default scene of scene_factory: 96 x 64 px of 1 m from (500000, 5000000) downwards.
WEST, NORTH = 500_000.0, 5_000_000.0


def at(col: float, row: float, width: float = 10.0, height: float = 10.0) -> Any:
    return box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


def look(rasters: list[Path], labels: list[Path], **options: Any) -> Ground:
    said = TrainOptions(raster=tuple(map(str, rasters)), labels=tuple(map(str, labels)), **options)
    return survey_ground(read_inputs(said), said.seed, SilentProgress())


@pytest.fixture
def half_empty(scene_factory: Callable[..., Path]) -> Path:
    """A scene without data in its columns 48 to 95."""
    image = np.full((3, 64, 96), 9, dtype=np.uint8)
    image[:, :, 48:] = 0
    return scene_factory(image=image, nodata=0)


@pytest.mark.parametrize(
    "shape",
    [at(60, 10), at(-10, 0, 10, 64), at(10.1, 10.1, 0.3, 0.3)],
    ids=["on nodata", "touching the edge", "between pixel centers"],
)
def test_labels_that_cover_no_pixel_are_refused(
    half_empty: Path, labels_factory: Callable[..., Path], shape: Any
) -> None:
    labels = labels_factory([shape], name="roofs.gpkg")
    with pytest.raises(
        EmptyLabelsError, match=r"roofs\.gpkg labels no pixel with data on scene.*nodata"
    ):
        look([half_empty], [labels])


def test_a_scene_without_data_is_blamed_before_the_labels(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    empty = scene_factory(image=np.zeros((3, 64, 96), np.uint8), nodata=0)
    with pytest.raises(BandError, match=r"scene\.tif has no pixel with data"):
        look([empty], [labels_factory([at(10, 10)])])


def test_a_class_without_a_pixel_is_named(
    half_empty: Path, labels_factory: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    shapes, kinds = [at(10, 10), at(60, 10), at(500, 10)], ["tree", "roof", "pond"]
    ground = look([half_empty], [labels_factory(shapes, kind=kinds)], class_field="kind")
    assert [c.name for c in ground.labels.classes] == ["pond", "roof", "tree"]
    (said,) = caplog.messages
    assert said.startswith("labels.gpkg: no pixel with data is labelled pond and roof; ")


def test_a_scene_without_a_labelled_pixel_is_named(
    half_empty: Path,
    scene_factory: Callable[..., Path],
    labels_factory: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = scene_factory("other.tif", origin_xy=(WEST + 96, NORTH))
    look([half_empty, other], [labels_factory([at(60, 10, 60, 10)])])
    assert caplog.messages == [
        "scene: no pixel with data is labelled; all of them count as background."
    ]


def test_labels_on_every_scene_are_no_reason_to_talk(
    half_empty: Path, labels_factory: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    ground = look([half_empty], [labels_factory([at(10, 10)])])
    assert not caplog.messages
    assert ground.surveys[0].totals.tolist() == [48 * 64 - 100, 100]


def test_a_scene_outside_the_labelled_area_is_named(
    scene_factory: Callable[..., Path],
    labels_factory: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    scenes = [scene_factory(), scene_factory("other.tif", origin_xy=(WEST + 96, NORTH))]
    area = labels_factory([at(5, 5, 40, 50)], name="area.gpkg")
    ground = look(scenes, [labels_factory([at(10, 10)])], labelled_area=(str(area),))
    assert caplog.messages == [
        "other: no pixel with data lies in the labelled area; nothing is learned from there."
    ]
    assert ground.surveys[0].totals.tolist() == [40 * 50 - 100, 100]
    assert ground.surveys[1].class_numbers == ()


def test_an_area_elsewhere_leaves_nothing_to_learn(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    area = labels_factory([at(500, 5, 40, 50)], name="area.gpkg")
    with pytest.raises(EmptyLabelsError, match=r"labels no pixel with data on scene.*labelled-ar"):
        look([scene_factory()], [labels_factory([at(10, 10)])], labelled_area=(str(area),))


def test_a_boundary_that_takes_everything_is_named(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    with pytest.raises(EmptyLabelsError, match=r"nothing but boundary \(--ignore-boundary\)"):
        look([scene_factory()], [labels_factory([at(10, 10, 6, 6)])], ignore_boundary=8)


def test_pixels_near_a_boundary_are_not_counted(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    ground = look([scene_factory()], [labels_factory([at(10, 10, 20, 20)])], ignore_boundary=1)
    assert ground.surveys[0].totals.tolist() == [64 * 96 - 20 * 20 - 4 * 20, 18 * 18]


def test_what_was_learned_from_depends_on_every_choice(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    """A run goes on only with what it began with."""
    shapes = [at(10, 10), at(40, 10), LineString([(WEST, NORTH - 50), (WEST + 96, NORTH - 50)])]
    labels = labels_factory(shapes, name="a.geojson", crs="EPSG:32633", kind=["a", "b", "c"])
    area = labels_factory([at(0, 0, 80, 64)], name="area.gpkg")
    choices: list[dict[str, Any]] = [
        {},
        {"line_width": 4.0},
        {"classes": ("a", "c")},
        {"classes": ("c", "b", "a")},
        {"where": "kind <> 'b'"},
        {"labelled_area": (str(area),)},
        {"ignore_boundary": 1},
    ]
    found = {
        look([scene_factory()], [labels], class_field="kind", **choice).fingerprint
        for choice in choices
    }
    assert len(found) == len(choices) - 1  # two of them choose the same features


class TestValidation:
    """Scenes and areas that are validated, not learned from."""

    def test_a_scene_of_its_own(
        self, scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
    ) -> None:
        bright = np.full((3, 64, 96), 250, dtype=np.uint8)
        other = scene_factory("other.tif", origin_xy=(WEST + 960, NORTH), image=bright)
        labels = labels_factory([at(10, 10), at(970, 10)])
        ground = look([scene_factory()], [labels], val_raster=(str(other),))
        assert ground.validation == ((), (Window(0, 0, 96, 64),))
        assert [s.name for s in ground.surveys] == ["scene", "other"]
        alone = look([scene_factory()], [labels])
        assert ground.ranges == alone.ranges
        assert ground.fingerprint != alone.fingerprint

    def test_polygons(
        self, scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
    ) -> None:
        area = labels_factory([at(5.5, 7, 20, 10), at(80, 50, 90, 90), at(500, 0)], name="a.gpkg")
        ground = look([scene_factory()], [labels_factory([at(10, 10)])], val_area=(str(area),))
        assert ground.validation == ((Window(5, 7, 21, 10), Window(80, 50, 16, 14)),)

    def test_polygons_elsewhere(
        self, scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
    ) -> None:
        area = labels_factory([at(500, 0)], name="area.gpkg")
        with pytest.raises(OverlapError, match=r"area\.gpkg has no polygon on scene\. --val-area"):
            look([scene_factory()], [labels_factory([at(10, 10)])], val_area=(str(area),))

    def test_what_is_learned_from_cannot_judge(
        self, scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
    ) -> None:
        scene = scene_factory()
        with pytest.raises(ConfigError, match=r"--val-raster names .*scene\.tif, which --raster"):
            look([scene], [labels_factory([at(10, 10)])], val_raster=(str(scene.parent),))

    def test_a_scene_of_another_kind(
        self, scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
    ) -> None:
        other = scene_factory("other.tif", origin_xy=(WEST + 96, NORTH), dtype="uint16")
        with pytest.raises(BandError, match=r"other\.tif holds uint16 values"):
            look([scene_factory()], [labels_factory([at(10, 10)])], val_raster=(str(other),))


def test_a_black_border_that_nobody_declared_is_told_of(
    scene_factory: Callable[..., Path],
    labels_factory: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    image = np.full((3, 64, 96), 9, dtype=np.uint8)
    image[:, :, 72:] = 0
    scene = scene_factory(image=image)
    labels = labels_factory([at(10, 10)])
    assert look([scene], [labels]).surveys[0].black_px == 24 * 64
    assert caplog.messages == [
        (
            "scene: 25 % of its pixels are 0 in every band and count as data; if nothing was taken "
            "there, pass --nodata 0."
        )
    ]
    caplog.clear()
    assert look([scene], [labels], nodata=0.0).surveys[0].black_px == 0
    image[:2, :, 72:] = 1
    look([scene_factory(image=image)], [labels])
    assert not caplog.messages


class TestRealScenes:
    """Folders of tiles, and an area outside of which nothing is known."""

    def test_rio_is_two_folders_of_tiles(
        self, real_data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rio = real_data / "rio_buildings"
        ground = look([rio / "3band"], [rio / "vectorData" / "geoJson"], nodata=0.0)
        assert [s.name.rpartition("img")[2] for s in ground.scenes] == list(map(str, range(1, 11)))
        assert [c.name for c in ground.labels.classes] == ["geoJson"]
        bare = [s.name for s in ground.surveys if s.class_numbers == (0,)]
        assert [name.rpartition("img")[2] for name in bare] == ["1", "2", "3"]
        (said,) = [m for m in caplog.messages if "count as background" in m]
        assert all(f"Public_img{n}" in said for n in (1, 2, 3))
        # Most of every tile is black, and that is no background.
        assert all(s.totals.sum() < 0.35 * s.grid.height * s.grid.width for s in ground.surveys)
        caplog.clear()
        look([rio / "3band"], [rio / "vectorData" / "geoJson"])
        (said,) = [m for m in caplog.messages if "pass --nodata 0" in m]
        assert "and 6 more: 68 to 89 % of their pixels are 0" in said
        patch_px = choose_patch_px(ground.surveys, 512)
        splits = split_scenes(ground.surveys, patch_px)
        assert sum(len(split.val) for split in splits) >= 2

    def test_flanders_is_known_in_squares(
        self, real_data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        flanders = real_data / "flanders_fields"
        ground = look(
            [flanders / "scene.tif"],
            [flanders / "labels.gpkg"],
            labels_layer="polygons",
            labelled_area=(str(flanders / "labelled_area.gpkg"),),
        )
        (survey,) = ground.surveys
        assert survey.class_numbers == (0, 1)
        assert survey.totals.sum() == pytest.approx(11 * 64**2, rel=0.02)
        assert any("lie outside the labelled area and do not count" in m for m in caplog.messages)
