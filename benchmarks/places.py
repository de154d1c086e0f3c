"""Real places with a part to train on and a part to judge that training never sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import rasterio
from rasterio.windows import Window
from real_scenes import DATA, crop

from geocobot.io.area import read_area
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.workflows.ground import Inputs


@dataclass(frozen=True)
class Part:
    """A scene, or some of its columns or rows.

    Attributes:
        scene: raster file in the folder of real scenes.
        first: first column or row.
        end: the one after the last; None for all that follow.
        axis: what is counted, from the west or from the north.
    """

    scene: str
    first: int = 0
    end: int | None = None
    axis: Literal["column", "row"] = "column"

    def window(self, width: int, height: int) -> Window:
        """Where the part lies in its scene."""
        end = self.end or (width if self.axis == "column" else height)
        size = end - self.first
        if self.axis == "column":
            return Window(self.first, 0, size, height)
        return Window(0, self.first, width, size)


@dataclass(frozen=True)
class Place:
    """One real place.

    Attributes:
        labels: label file in the folder of real scenes.
        train: what is learned from.
        judged: what is judged, never seen in training.
        layer: of the label file, where it has several.
        class_field: attribute whose values are the classes.
        labelled_area: polygons within which the labels are complete; what lies outside is neither
            background nor judged. None where they are complete throughout.
        patch_px: side of patches and validation blocks; None leaves it to geocobot.
    """

    labels: str
    train: Part
    judged: Part
    layer: str | None = None
    class_field: str | None = None
    labelled_area: str | None = None
    patch_px: int | None = None


def west_east(scene: str, column: int) -> tuple[Part, Part]:
    """A scene west and east of a column."""
    return Part(scene, end=column), Part(scene, first=column)


def south_north(scene: str, row: int) -> tuple[Part, Part]:
    """A scene south and north of a row."""
    return Part(scene, first=row, axis="row"), Part(scene, end=row, axis="row")


PLACES: Mapping[str, Place] = {
    "vegas_roads": Place("vegas_roads/roads.geojson", *west_east("vegas_roads/scene.tif", 650)),
    "vegas_multiclass": Place(
        "vegas_multiclass/labels.geojson",
        *west_east("vegas_multiclass/scene_rgb8.tif", 250),
        class_field="label",
    ),
    "kampala_buildings": Place(
        "kampala_buildings/labels.geojson",
        Part("kampala_buildings/scene_a.tif"),
        Part("kampala_buildings/scene_b.tif"),
    ),
    # Column 440 goes through one of the 43 buildings; 385 and 600 are the nearest that go through
    # none, and leave 16 and 11 of them on one side.
    "atlanta_buildings": Place(
        "atlanta_buildings/labels.geojson", *west_east("atlanta_buildings/scene.tif", 440)
    ),
    # Labelled are eleven squares of 64 px. The east has bare fields and woods, the west pastures
    # that are as red as the woods: learned from one of them, the other is worse than a map with
    # fields everywhere, by any arm. South and north have all of it, the woods apart; the south has
    # one square more. Validation is one block.
    "flanders_fields": Place(
        "flanders_fields/labels.gpkg",
        *south_north("flanders_fields/scene.tif", 421),
        layer="polygons",
        labelled_area="flanders_fields/labelled_area.gpkg",
        patch_px=64,
    ),
}

# Places with more than a handful of patches to label, learned and judged in one scene.
ROOMY_PLACES: Mapping[str, Place] = {
    "kampala_gardens": Place(
        "kampala_buildings/labels.geojson", *south_north("kampala_buildings/scene_a.tif", 1536)
    ),
    "vegas_roads": PLACES["vegas_roads"],
}


def find_place(name: str) -> Place:
    """A place of either kind."""
    return PLACES[name] if name in PLACES else ROOMY_PLACES[name]


def open_part(place: Place, part: Part, folder: Path) -> Inputs:
    """A part with its labels; cut out into the folder where it is not a whole scene."""
    scene = Scene.open(cut_part(part, folder))
    complete = place.labelled_area
    labels = read_labels(
        [DATA / place.labels],
        LabelChoice(layer=place.layer, class_field=place.class_field),
        area=None if complete is None else read_area([DATA / complete]),
        scene=scene,
    )
    return Inputs((scene,), labels, (labels.on(scene.grid, scene.name),))


def cut_part(part: Part, folder: Path) -> Path:
    """A part as a file: the scene itself, or cut out into the folder."""
    path = DATA / part.scene
    if part == Part(part.scene):
        return path
    with rasterio.open(path) as source:
        window = part.window(source.width, source.height)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{Path(part.scene).parent}_{part.axis}_{part.first}_{part.end or 'end'}.tif"
        return crop(source, window, folder / name)
