from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely import Point

from geocobot.errors import FieldError
from geocobot.io.values import named_features, sorted_names


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


@pytest.mark.parametrize("value", [["a", "b"], np.array(["a", "b"]), b"ab"])
def test_values_that_name_nothing_are_refused(value):
    frame = gpd.GeoDataFrame({"kind": [value, "c"]}, geometry=[Point(0, 0), Point(1, 1)])
    with pytest.raises(FieldError, match=r"a\.gpkg has lists or bytes in the field 'kind'"):
        named_features(frame, "kind", "a.gpkg")


def test_a_word_that_floats_do_not_compare_is_a_word():
    numbers = [str(i) for i in range(50)]
    assert sorted_names(["nan", "b", *reversed(numbers), "-inf"]) == ["-inf", *numbers, "b", "nan"]
