"""Error maps of several scenes as one, with the largest errors of all of them in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import geopandas as gpd
import numpy as np
import pandas as pd

from geocobot.evaluation.error_map import MOST_PLACES, ErrorMap
from geocobot.evaluation.line_errors import LineErrors


def joint_errors(
    maps: Sequence[ErrorMap], names: Sequence[str], most_places: int = MOST_PLACES
) -> ErrorMap:
    """Lay error maps side by side; each feature says in the column `scene` where it is from.

    Args:
        maps: of the scenes, all in one CRS; at least one.
        names: of the scenes.
        most_places: how many places to look at there are in all.
    """
    places = _joined([part.places for part in maps], names)
    order = np.argsort(-places["area_m2"].to_numpy(), kind="stable")[:most_places]
    places = places.iloc[order].reset_index(drop=True)
    places["rank"] = np.arange(1, len(places) + 1)
    return ErrorMap(
        right=_joined([part.right for part in maps], names),
        false=_joined([part.false for part in maps], names),
        missed=_joined([part.missed for part in maps], names),
        places=places,
        lines=_joint_lines([part.lines for part in maps], names),
    )


def _joint_lines(parts: Sequence[LineErrors | None], names: Sequence[str]) -> LineErrors | None:
    """Errors of lines of the scenes that have some; None where none has."""
    there = [(part, name) for part, name in zip(parts, names, strict=True) if part is not None]
    if not there:
        return None
    own = [name for _, name in there]
    return LineErrors(
        *(_joined([getattr(part, f.name) for part, _ in there], own) for f in fields(LineErrors))
    )


def _joined(frames: Sequence[gpd.GeoDataFrame], names: Sequence[str]) -> gpd.GeoDataFrame:
    """Features of all scenes, with the name of each."""
    named = [
        frame.assign(scene=pd.Series([name] * len(frame), index=frame.index, dtype="str"))
        for frame, name in zip(frames, names, strict=True)
    ]
    # Where a scene has none of them, types are those of the others.
    filled = [frame for frame in named if len(frame)] or named[:1]
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=frames[0].crs)
