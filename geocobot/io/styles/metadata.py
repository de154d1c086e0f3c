"""What a layer says of itself: where it comes from, when it was made, under which license."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self
from xml.etree.ElementTree import Element, SubElement

from geocobot._version import __version__
from geocobot.classes import ClassSpec
from geocobot.io.styles.document import QGIS_VERSION, document

_TAG = "GEOCOBOT_ORIGIN"
_MAX_SCENES = 20


@dataclass(frozen=True)
class Origin:
    """What a map was made of; rasters of scores hand it on to their polygons.

    Attributes:
        model: name of the model file, and its base; empty where nobody knows.
        scenes: names of the scenes' files.
        license: under which the map may be used; empty where nobody said.
    """

    model: str = ""
    scenes: tuple[str, ...] = ()
    license: str = ""

    def tags(self) -> dict[str, str]:
        """The same as a tag of a raster; nothing where nothing is known."""
        return {_TAG: json.dumps(asdict(self), ensure_ascii=False)} if self != Origin() else {}

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> Self:
        """What a raster's tags say; nothing is known where they say nothing that can be read."""
        try:
            said = json.loads(tags[_TAG])
            scenes = tuple(map(str, said["scenes"]))
            return cls(str(said["model"]), scenes, str(said["license"]))
        except (KeyError, TypeError, ValueError):
            return cls()


def describe(classes: Sequence[ClassSpec]) -> str:
    """What a layer of polygons says of itself in QGIS (Properties > Information)."""
    names = ", ".join(spec.name for spec in classes)
    return (
        f"Polygons of {names}, mapped by geocobot. score: mean score of the class in the polygon, "
        f"0 to 1; score_p10: a tenth of its pixels score this or less; area_m2, perimeter_m: "
        f"geodesic; width_m: of the rectangle with this area and perimeter."
    )


def history(origin: Origin, classes: Sequence[ClassSpec], moment: datetime) -> tuple[str, ...]:
    """How a layer came about, one fact a line."""
    shown = ", ".join(origin.scenes[:_MAX_SCENES])
    more = len(origin.scenes) - _MAX_SCENES
    if more > 0:
        shown += f" and {more} more"
    thresholds = ", ".join(f"{spec.name} {spec.threshold:g}" for spec in classes)
    facts = [
        f"Mapped by geocobot {__version__} on {moment.isoformat(timespec='seconds')}",
        f"Model: {origin.model}" if origin.model else "",
        f"Scenes: {shown}" if shown else "",
        f"Thresholds: {thresholds}",
    ]
    return tuple(fact for fact in facts if fact)


def metadata_of(
    layer: str,
    classes: Sequence[ClassSpec],
    origin: Origin,
    moment: datetime,
    abstract: str | None = None,
) -> Element:
    """Layer metadata as a QGIS project holds it.

    Args:
        layer: its title.
        classes: with the thresholds in force.
        origin: what it was made of.
        moment: when.
        abstract: what it is; default see `describe`.
    """
    root = Element("resourceMetadata")
    texts: list[tuple[str, str]] = [
        ("identifier", ""),
        ("parentidentifier", ""),
        ("language", "ENG"),
        ("type", "dataset"),
        ("title", layer),
        ("abstract", describe(classes) if abstract is None else abstract),
        ("fees", ""),
    ]
    if origin.license:
        texts.append(("license", origin.license))
    texts += [("history", fact) for fact in history(origin, classes, moment)]
    for tag, text in texts:
        SubElement(root, tag).text = text
    return root


def metadata_xml(*args: Any, **kwargs: Any) -> str:
    """The metadata of `metadata_of` as QGIS keeps it in files and tables."""
    root = metadata_of(*args, **kwargs)
    root.tag = "qgis"
    root.set("version", QGIS_VERSION)
    return document(root)
