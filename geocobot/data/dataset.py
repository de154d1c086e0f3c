"""Scenes as TorchGeo datasets: TorchGeo slices in, normalized tensors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import torch
from pyproj import CRS
from rasterio.windows import Window
from torchgeo.datasets import GeoDataset

from geocobot.bands import BandRange, normalize, ranges_for
from geocobot.classes import IGNORE
from geocobot.grid import Bounds, GeoGrid
from geocobot.io.label_raster import LabelRaster
from geocobot.io.scene import Scene
from geocobot.windows import intersect

INTERIOR = "interior"
"""Name of what samples say of the insides of single objects."""

GeoSlices: TypeAlias = tuple[slice, slice] | tuple[slice, slice, slice]
"""TorchGeo's index: slices of x, y and, before TorchGeo 0.10, time, in units of the CRS."""

Sample: TypeAlias = dict[str, torch.Tensor]
"""What a dataset hands out; see `SceneDataset.__getitem__`."""


class SceneDataset(GeoDataset):
    """One scene, with or without labels, indexed by TorchGeo slices.

    Args:
        scene: what to read.
        ranges: for the scene's data type one per band, in its order, perhaps among those of other
            types; scale raw values for the model.
        labels: class numbers on the scene's grid; without them samples have no "label".
        regions: rectangles that samplers may draw from, in pixels; they may overhang the
            scene, which is padded there; default the whole scene.
        separate: whether samples say where the insides of single objects are.
    """

    def __init__(
        self,
        scene: Scene,
        ranges: Sequence[BandRange],
        labels: LabelRaster | None = None,
        regions: Sequence[Window] | None = None,
        *,
        separate: bool = False,
    ) -> None:
        self.scene = scene
        self.separate = separate
        self.ranges = ranges_for(ranges, scene.dtype)
        self.labels = labels
        self.regions = (scene.grid.window,) if regions is None else tuple(regions)
        self.paths = scene.path
        bounds = [scene.grid.bounds_of(region) for region in self.regions]
        self.index = index_of(scene.grid.crs, bounds)
        self._res = scene.grid.res_xy

    @property
    def grid(self) -> GeoGrid:
        """The scene's pixel grid."""
        return self.scene.grid

    def window_of(self, slices: GeoSlices) -> Window:
        """The integer window of TorchGeo slices.

        Raises:
            GridMismatchError: the slices do not fall on the scene's pixels.
        """
        x, y = slices[:2]
        return self.grid.window_for((x.start, y.start, x.stop, y.stop))

    def __getitem__(self, index: GeoSlices) -> Sample:  # type: ignore[override] # x and y always
        """Read one window.

        Args:
            index: slices of x and y in units of the CRS, on pixel edges.

        Returns:
            "image" (C, H, W) float32 as `bands.normalize` makes it; "valid" (H, W) bool, True
            where there is data; "window" (4,) int64: col_off, row_off, width, height; with
            labels also "label" (H, W) int64 class numbers, `IGNORE` where not valid, and if
            objects are to be told apart `INTERIOR` (H, W) bool, True inside of one.

        Raises:
            GridMismatchError: the slices do not fall on the scene's pixels.
            IndexError: the window does not touch the scene.
        """
        window = self.window_of(index)
        if intersect(window, self.grid.window) is None:
            raise IndexError(f"{window} does not touch {self.scene.name}")
        patch = self.scene.read(window)
        sample = {
            "image": torch.from_numpy(normalize(patch.image, patch.valid, self.ranges)),
            "valid": torch.from_numpy(patch.valid),
            "window": torch.tensor(
                [window.col_off, window.row_off, window.width, window.height], dtype=torch.int64
            ),
        }
        if self.labels is not None:
            classes = np.where(patch.valid, self.labels.read(window).classes, np.uint8(IGNORE))
            sample["label"] = torch.from_numpy(classes.astype(np.int64))
            if self.separate:
                assert self.labels.interiors is not None
                sample[INTERIOR] = torch.from_numpy(self.labels.interiors.read(window))
        return sample


def index_of(crs: CRS, boxes: Sequence[Bounds]) -> gpd.GeoDataFrame:
    """One row per rectangle, valid at any time, as TorchGeo's samplers expect it."""
    always = pd.Interval(pd.Timestamp.min, pd.Timestamp.max, closed="both")
    times: Any = pd.IntervalIndex([always] * len(boxes), name="datetime")
    return gpd.GeoDataFrame(geometry=[shapely.box(*b) for b in boxes], index=times, crs=crs)
