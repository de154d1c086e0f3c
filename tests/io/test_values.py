from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
from shapely import Point

from geocobot.io.values import named_features


@pytest.mark.parametrize(
    ("dtype", "values", "names"),
    [
        ("Int64", [3, pd.NA], ["3"]),
        ("string", ["roof", pd.NA], ["roof"]),
        ("boolean", [True, pd.NA], ["True"]),
        ("float64", [3.0, float("nan")], ["3"]),
        ("object", [" roof ", None], ["roof"]),
    ],
)
def test_missing_values_of_every_type_are_left_out(dtype, values, names):
    frame = gpd.GeoDataFrame(
        {"kind": pd.array(values, dtype=dtype)}, geometry=[Point(0, 0), Point(1, 1)]
    )
    assert named_features(frame, "kind", "a.gpkg").class_name.tolist() == names
