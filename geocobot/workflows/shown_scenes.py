"""The scenes that a map of polygons shows: as they are named, or as its options say."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocobot.classes import BACKGROUND
from geocobot.config import EvaluateOptions
from geocobot.errors import ConfigError, GeocobotError
from geocobot.io.class_raster import holds_classes
from geocobot.io.files import find_labels
from geocobot.io.misplaced import in_words
from geocobot.io.opening import check_path, is_raster_name
from geocobot.io.scene import Scene
from geocobot.workflows.map_pairs import MapPair
from geocobot.yaml_file import read_yaml

_LOG = logging.getLogger("geocobot.workflows")


def open_shown(path: str, nodata: float | None) -> Scene:
    """A scene that was mapped.

    Raises:
        GeocobotError: it cannot be opened.
    """
    check_path(path)
    return Scene.open(path, nodata=nodata)


def scenes_of_polygons(pair: MapPair, options: EvaluateOptions) -> tuple[list[Scene], bool]:
    """The rasters in whose pixels polygons are judged, and whether they say where there is data.

    Raises:
        ConfigError: nothing tells which.
        GeocobotError: one cannot be opened.
    """
    if pair.rasters:
        return [open_shown(raster, options.nodata) for raster in pair.rasters], True
    recorded = _recorded_scenes(pair.pred, options)
    if recorded is not None:
        return recorded
    paths = [path for s in find_labels(options.labels) for path in s.paths]
    if is_raster_name(paths[0]):
        return [Scene.open(path, bands=(1,), is_imagery=False) for path in paths], False
    raise ConfigError(
        pair.pred,
        "has polygons, and nothing tells in which pixels to judge them",
        "A map is compared with labels pixel by pixel",
        "Name the scene that was mapped with --raster, or all that it shows",
    )


def _recorded_scenes(pred: str, options: EvaluateOptions) -> tuple[list[Scene], bool] | None:
    """The scenes, or the scores, that the options beside polygons of geocobot's name.

    Returns:
        They, and whether they say where there is data: a mask whose background is declared as
        nodata says where something was found. None where nothing is named, or is gone.
    """
    vector = Path(pred)
    record = vector.with_name(f"{vector.stem}_options.yaml")
    try:
        said = read_yaml(record)
    except GeocobotError:
        return None
    found = _named_in(said, vector)
    if not found:
        return None
    names = in_words([str(path) for path in found])
    _LOG.info("%s is judged in the pixels of %s, as %s says.", vector.name, names, record.name)
    if options.area is None and (said.get("area") or said.get("bbox")):
        _LOG.warning(
            "%s shows a part of %s, as %s says; what is true elsewhere counts as missed. Pass that "
            "part as --area.",
            vector.name,
            in_words([path.name for path in found]),
            record.name,
        )
    if "scores" in said:
        traced = [Scene.open(path, bands=(1,), is_imagery=False) for path in found]
        is_mask = any(holds_classes(s.path) and s.band_nodata == (BACKGROUND,) for s in traced)
        return traced, not is_mask
    nodata = options.nodata if options.nodata is not None else said.get("nodata")
    return [Scene.open(path, nodata=nodata) for path in found], True


def _named_in(said: Mapping[str, Any], vector: Path) -> list[Path]:
    """The files that options name, where they lay or beside the map; none where one is gone."""
    named = said.get("scores") or said.get("raster")
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return []
    found = []
    for name in names:
        places = (Path(name), vector.parent / Path(name).name)
        found += [place for place in places if place.is_file()][:1]
    return found if len(found) == len(names) else []
