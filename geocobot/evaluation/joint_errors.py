"""Error maps of several scenes as one, with the largest errors of all of them in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import geopandas as gpd
import numpy as np
import pandas as pd

from geocobot.evaluation.error_map import MOST_PLACES, ErrorMap


def joint_errors(
    maps: Sequence[ErrorMap], names: Sequence[str], most_places: int = MOST_PLACES
) -> ErrorMap:
    """Lay error maps side by side; each feature says in the column `scene` where it is from.

    Args:
        maps: of the scenes, all in one CRS; at least one.
        names: of the scenes.
        most_places: how many places to look at there are in all.
    """
    joined = {}
    for field in fields(ErrorMap):
        frames = [getattr(part, field.name) for part in maps]
        joined[field.name] = _joined(frames, names)
    places = joined["places"]
    order = np.argsort(-places["area_m2"].to_numpy(), kind="stable")[:most_places]
    places = places.iloc[order].reset_index(drop=True)
    places["rank"] = np.arange(1, len(places) + 1)
    return ErrorMap(**joined | {"places": places})


def _joined(frames: Sequence[gpd.GeoDataFrame], names: Sequence[str]) -> gpd.GeoDataFrame:
    """Features of all scenes, with the name of each."""
    named = [
        frame.assign(scene=pd.Series([name] * len(frame), dtype="str"))
        for frame, name in zip(frames, names, strict=True)
    ]
    # Where a scene has none of them, types are those of the others.
    filled = [frame for frame in named if len(frame)] or named[:1]
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=frames[0].crs)
