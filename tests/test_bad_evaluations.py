"""What `geocobot evaluate` refuses: one paragraph, exit code 2, nothing left behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from typer.testing import CliRunner

from geocobot.cli.app import app

WEST, NORTH = 500_000.0, 5_000_000.0
DOCS = Path(__file__).resolve().parents[1] / "docs" / "bad-input.md"


def at(col: float, row: float, width: float = 20, height: float = 20) -> shapely.Polygon:
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


ROOFS = [at(20 + 60 * k, 20 + 60 * n) for k in range(2) for n in range(2)]
LINE = shapely.LineString([(WEST, NORTH), (WEST, NORTH - 9)])


@dataclass(frozen=True)
class Kit:
    """What the cases make their files with."""

    folder: Path
    raster: Callable[..., Path]
    vector: Callable[..., Path]

    def scores(self, name: str = "map_scores.tif", **how: Any) -> Path:
        """A raster of scores of roofs and roads, or as many bands as it names."""
        names = how.pop("descriptions", ("roofs", "roads"))
        image = np.full((len(names), 128, 128), 0.2, np.float32)
        return self.raster(name, image=image, descriptions=names, **how)

    def two(self) -> list[object]:
        """A map and labels, and the flag that names another map."""
        return [self.scores(), self.labels(), "--pred", self.scores("other_scores.tif")]

    def numbers(self) -> Path:
        """A raster of class numbers."""
        image = np.zeros((128, 128), np.uint8)
        image[20:40, 20:40] = 1
        path = self.raster("numbers.tif", image=image)
        with rasterio.open(path, "r+") as sink:
            sink.update_tags(1, CLASS_1="roofs")
        return path

    def polygons(self, name: str = "map.gpkg", shapes: Any = ROOFS) -> Path:
        return self.vector(shapes, name=name, class_name=["roofs"] * len(shapes))

    def beside(self, name: str) -> list[shapely.Polygon]:
        """Polygons, when a line without a CRS has been written under a name beside them."""
        self.vector([LINE], crs=None, name=name, class_name=["roofs"])
        return ROOFS

    def labels(self, kinds: str = "ab", shapes: Any = ROOFS) -> Path:
        names = {"a": "roofs", "b": "roads", "c": "pools"}
        kind = [names[kinds[k % len(kinds)]] for k in range(len(shapes))]
        return self.vector(shapes, name="truth.gpkg", kind=kind)


@dataclass(frozen=True)
class Case:
    """One entry of the page.

    Attributes:
        said: what is said, as the page has it.
        words: makes the command's words.
    """

    said: str
    words: Callable[[Kit], list[object]]


def pair(pred: object, labels: object, *more: object) -> list[object]:
    return ["--pred", pred, "--labels", labels, "--class-field", "kind", *more]


CASES = {
    "a map that is not there": Case(
        "missing.tif does not exist. --pred names a raster file. Check the path.",
        lambda kit: pair("missing.tif", kit.labels()),
    ),
    "a vector file that is not there": Case(
        "missing.gpkg does not exist. --pred names a vector file. Check the path.",
        lambda kit: pair("missing.gpkg", kit.labels()),
    ),
    "a scene in place of a map": Case(
        "scene.tif holds uint8 values. Scores are numbers from 0 to 1 (float32), or what geocobot "
        "predict --save-scores writes.",
        lambda kit: pair(kit.raster(), kit.labels()),
    ),
    "lines in place of polygons": Case(
        "lines.gpkg has 1 lines or points. --pred names areas: polygons, or a raster. Choose the "
        "layer of polygons with --pred-layer, or widen lines in QGIS (Buffer).",
        lambda kit: pair(
            kit.polygons("lines.gpkg", [LINE]),
            kit.labels(),
            "--raster",
            kit.raster(),
        ),
    ),
    "polygons, and nothing that tells the pixels": Case(
        "map.gpkg has polygons, and nothing tells in which pixels to judge them. A map is compared "
        "with labels pixel by pixel. Name the scene that was mapped with --raster, or all that it "
        "shows.",
        lambda kit: pair(kit.polygons(), kit.labels()),
    ),
    "polygons elsewhere": Case(
        "map.gpkg has 1 polygons, and none of them lies on scene (EPSG:32633). A map is judged in "
        "the pixels of the scene that it shows. Check in QGIS that they lie on each other, and "
        "name the scene with --raster.",
        lambda kit: pair(
            kit.polygons(shapes=[at(9000, 0)]), kit.labels(), "--raster", kit.raster()
        ),
    ),
    "polygons without such an attribute": Case(
        "map.gpkg has no field 'what'. Its fields are class_name. Choose one of them with "
        "--pred-class-field.",
        lambda kit: pair(
            kit.polygons(), kit.labels(), "--pred-class-field", "what", "--raster", kit.raster()
        ),
    ),
    "labels elsewhere": Case(
        "Labels and scene have to show the same place.",
        lambda kit: pair(kit.scores(), kit.labels(shapes=[at(9000, 0), at(9050, 0)])),
    ),
    "labels in which nothing is": Case(
        "truth.gpkg has no usable feature.",
        lambda kit: ["--pred", kit.scores(), "--labels", kit.vector([], name="truth.gpkg")],
    ),
    "labels on nodata alone": Case(
        "truth.gpkg labels no pixel of map_scores.tif that is judged: the features lie on nodata, "
        "outside of --area or --labelled-area, or are smaller than a pixel. A map is judged by "
        "what is labelled. Look at map and labels in QGIS.",
        lambda kit: pair(kit.scores(nodata=0.2), kit.labels()),
    ),
    "classes of other names": Case(
        "map_scores.tif has no class pools and roofs, which truth.gpkg has. Classes are compared "
        "by name, and those of the map are forest and water. Say with --class-field which "
        "attribute names the classes of the labels, with --pred-class-field that of polygons, or "
        "list those to judge with --classes.",
        lambda kit: pair(kit.scores(descriptions=("forest", "water")), kit.labels("ac")),
    ),
    "a class that the map does not know": Case(
        "map_scores.tif has no class pools, which truth.gpkg has.",
        lambda kit: pair(kit.scores(), kit.labels("abc")),
    ),
    "another scene than that of a raster": Case(
        "map_scores.tif has 128 x 128 px, and scene.tif 96 x 64 px of other places or sizes. A "
        "raster is judged in its own pixels, and --raster says which of these have data. Name the "
        "scene that it was made of, or leave --raster out.",
        lambda kit: pair(kit.scores(), kit.labels(), "--raster", kit.raster(name="scene.tif")),
    ),
    "an area elsewhere": Case(
        "area.gpkg has nothing on map_scores. --area is where the map is judged. Check in QGIS "
        "that they lie on each other.",
        lambda kit: pair(
            kit.scores(), kit.labels(), "--area", kit.vector([at(9000, 0)], name="area.gpkg")
        ),
    ),
    "a threshold for what has no scores": Case(
        "--threshold is given, and numbers.tif holds classes. It asks something of scores. Leave "
        "it out, or name the file of scores with --pred.",
        lambda kit: pair(kit.numbers(), kit.labels("a"), "--threshold", 0.5),
    ),
    "nodata of a scene that nobody has named": Case(
        "--nodata is given without --raster, and numbers.tif is a raster. It says which value of "
        "the scene is no data; a map in pixels says that itself. Name the scene with --raster, or "
        "leave it out.",
        lambda kit: pair(kit.numbers(), kit.labels("a"), "--nodata", 0),
    ),
    "centerlines without a CRS": Case(
        "map_centerlines.shp has no CRS. geocobot needs a geographic or projected one to place the "
        "centerlines. Set it in QGIS and save again.",
        lambda kit: pair(
            kit.polygons("map.shp", kit.beside("map_centerlines.shp")),
            kit.vector([LINE, LINE], name="truth.gpkg", kind=["roofs", "roofs"]),
            *("--raster", kit.raster()),
            *("--line-width", 9),
        ),
    ),
    "several maps and fewer scenes": Case(
        "--raster names 1 scene (scene.tif), and --pred 2 maps (map_scores.tif, other_scores.tif). "
        "Every map is judged in a scene of its own, or one map in all of them. Name as many scenes "
        "as maps, or leave --raster out: rasters have their own pixels, and maps of geocobot "
        "predict say what they show.",
        lambda kit: pair(*kit.two(), "--raster", kit.raster(name="scene.tif")),
    ),
    "maps of several kinds": Case(
        "--pred names map_scores.tif, which holds scores, and numbers.tif, which holds classes. "
        "Maps that are judged together are of one kind, as scores tell more than classes. Name "
        "those of one kind, such as with a pattern: 'maps/*_scores.tif'.",
        lambda kit: pair(kit.scores(), kit.labels("a"), "--pred", kit.numbers()),
    ),
    "a map that is named twice": Case(
        "--pred names map_scores.tif twice. Every file counts once. Leave it out where a folder or "
        "a pattern covers it already.",
        lambda kit: pair(kit.scores(), kit.labels(), "--pred", kit.scores()),
    ),
    "a pattern that no map has": Case(
        "nothing/*.gpkg matches no file. --pred names files, or a pattern that some have. Check "
        "the folder and the ending; ** stands for folders at any depth.",
        lambda kit: pair("nothing/*.gpkg", kit.labels()),
    ),
    "labels that lie on none of several scenes": Case(
        "Labels and scene have to show the same place.",
        lambda kit: pair(
            kit.scores(), kit.labels(shapes=[at(9000, 0)]), "--pred", kit.scores("other.tif")
        ),
    ),
    "a map that lies on another scene than its own": Case(
        "map.gpkg has 1 polygons, and none of them lies on second (EPSG:32633).",
        lambda kit: pair(
            kit.polygons(shapes=[at(20, 20)]),
            kit.labels(),
            *("--pred", kit.polygons("other.gpkg")),
            *("--raster", kit.raster(name="second.tif", origin_xy=(WEST + 5000, NORTH))),
            *("--raster", kit.raster(name="first.tif")),
        ),
    ),
    "a scene that a raster of several does not show": Case(
        "away.tif lies elsewhere, and map_scores.tif is in EPSG:32633. A raster that maps several "
        "scenes shows each of them, in its own pixels. Name the scenes that it was made of, or "
        "leave --raster out.",
        lambda kit: pair(
            kit.scores(),
            kit.labels(),
            *("--raster", kit.raster(name="scene.tif")),
            *("--raster", kit.raster(name="away.tif", origin_xy=(WEST + 5000, NORTH))),
        ),
    ),
    "blocks that are too many": Case(
        "--block-size is 1 m, which makes 16,384 blocks. Up to 10,000 are drawn from, and each has "
        "to be larger than the objects mapped. Choose larger blocks, or leave it out.",
        lambda kit: pair(kit.scores(), kit.labels(), "--block-size", 1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_entry(
    name: str,
    scene_factory: Callable[..., Path],
    labels_factory: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    words = CASES[name].words(Kit(tmp_path, scene_factory, labels_factory))
    result = CliRunner().invoke(app, ["evaluate", *map(str, words), "-o", str(out)])
    said = " ".join(result.stderr.split()).replace(f"{tmp_path}/", "")
    assert result.exit_code == 2, said
    assert CASES[name].said in said
    assert said.count("Error:") == 1
    assert "Traceback" not in said
    assert result.stdout == ""
    assert not out.exists()


def test_the_page_has_these_entries_and_no_other() -> None:
    text = DOCS.read_text(encoding="utf-8").partition("## Maps to judge\n")[2].partition("\n## ")[0]
    entries = {
        name: " ".join(said.split())
        for name, said in re.findall(r"^- ([^:\n]+): (.+(?:\n  .+)*)", text, re.MULTILINE)
    }
    assert entries == {name: case.said for name, case in CASES.items()}
