"""Which map shows which scene, where several are judged at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from geocobot.config import EvaluateOptions
from geocobot.errors import ConfigError
from geocobot.io.files import find_maps, find_rasters
from geocobot.io.opening import file_name, file_stem

_LOG = logging.getLogger("geocobot.workflows")


@dataclass(frozen=True)
class MapPair:
    """A map and the scenes that it shows.

    Attributes:
        pred: the map.
        rasters: the scenes, as far as the command names them.
    """

    pred: str
    rasters: tuple[str, ...] = ()


def pair_maps(options: EvaluateOptions) -> tuple[MapPair, ...]:
    """The maps to be judged, each with its scene, or one map with all of them.

    Where every map is called after one of the scenes, as those of `geocobot predict` are, names
    tell which belong together, else their order does.

    Args:
        options: name both.

    Raises:
        ConfigError: there are several maps, and not as many scenes.
        GeocobotError: a name stands for nothing.
    """
    maps = find_maps(options.pred)
    if options.raster is None:
        return tuple(MapPair(path) for path in maps)
    rasters = find_rasters(options.raster)
    if len(maps) == 1:
        return (MapPair(maps[0], rasters),)
    if len(maps) != len(rasters):
        raise ConfigError(
            "--raster",
            f"names {_counted(rasters, 'scene')}, and --pred {_counted(maps, 'map')}",
            "Every map is judged in a scene of its own, or one map in all of them",
            "Name as many scenes as maps, or leave --raster out: rasters have their own pixels, "
            "and maps of geocobot predict say what they show",
        )
    named = _by_name(maps, rasters)
    if named is None:
        _LOG.info("--pred and --raster belong together in the order in which they are named.")
        named = rasters
    return tuple(MapPair(path, (raster,)) for path, raster in zip(maps, named, strict=True))


def _by_name(maps: Sequence[str], rasters: Sequence[str]) -> tuple[str, ...] | None:
    """The scene after which each map is called; None where names do not tell."""
    stems = {file_stem(raster): raster for raster in rasters}
    found = []
    for path in maps:
        name = file_stem(path)
        called = [stem for stem in stems if name == stem or name.startswith(f"{stem}_")]
        if not called:
            return None
        found.append(stems[max(called, key=len)])
    return tuple(found) if len(set(found)) == len(rasters) else None


def _counted(paths: Sequence[str], what: str) -> str:
    """How many there are, and the first of them."""
    number = f"{len(paths)} {what}{'s' * (len(paths) != 1)}"
    shown = ", ".join(file_name(path) for path in paths[:3])
    return f"{number} ({shown}{', ...' if len(paths) > 3 else ''})"
