"""Which kind labels are, whatever their ending is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio.shutil
from shapely import box

from geocobot.io.label_files import read_labels
from geocobot.io.labels import FeatureLabels

VIRTUAL_FEATURES = """
<OGRVRTDataSource>
  <OGRVRTLayer name="roofs">
    <SrcDataSource>{path}</SrcDataSource>
    <SrcLayer>{layer}</SrcLayer>
  </OGRVRTLayer>
</OGRVRTDataSource>
"""


def test_pictures_and_virtual_files_of_numbers_are_rasters(
    scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    numbers = np.zeros((1, 40, 50), np.uint8)
    numbers[0, 10:20, 5:30] = 1
    tif = scene_factory("numbers.tif", image=numbers)
    png = tmp_path / "labels.png"
    rasterio.shutil.copy(tif, png, driver="PNG", worldfile="YES")
    vrt = tmp_path / "labels.vrt"
    rasterio.shutil.copy(tif, vrt, driver="VRT")
    for path in (png, vrt):
        labels = read_labels([str(path)])
        assert not isinstance(labels, FeatureLabels)
        assert [c.name for c in labels.classes] == ["1"]


def test_virtual_files_of_features_are_features(
    labels_factory: Callable[..., Path], tmp_path: Path
) -> None:
    path = labels_factory([box(500_000, 4_999_950, 500_020, 4_999_980)], name="roofs.gpkg")
    vrt = tmp_path / "roofs.vrt"
    vrt.write_text(VIRTUAL_FEATURES.format(path=path, layer="roofs"), encoding="utf-8")
    labels = read_labels([str(vrt)])
    assert isinstance(labels, FeatureLabels)
    assert len(labels.features) == 1
