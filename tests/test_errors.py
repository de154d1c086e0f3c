"""Errors: four parts, one paragraph, whole across process borders."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest

from geocobot import errors
from geocobot.errors import GeocobotError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, GeocobotError)
]


def test_message_of_the_design():
    error = errors.CrsError(
        "roads.shp",
        "has no CRS (roads.prj is missing)",
        "geocobot needs one to place the lines on scene.tif (EPSG:32633)",
        "Pass `--labels-crs EPSG:4326`, or set it in QGIS and save again",
    )
    assert str(error) == (
        "roads.shp has no CRS (roads.prj is missing). geocobot needs one to place the lines on "
        "scene.tif (EPSG:32633). Pass `--labels-crs EPSG:4326`, or set it in QGIS and save again."
    )


def test_there_are_kinds():
    assert len(KINDS) >= 18


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_keeps_its_parts(self, kind):
        error = kind(Path("folder") / "a.tif", "is odd", "It must be even", "Double it")
        assert error.subject == str(Path("folder") / "a.tif")
        assert (error.found, error.needed, error.remedy) == (
            "is odd",
            "It must be even",
            "Double it",
        )
        assert str(error).endswith("a.tif is odd. It must be even. Double it.")

    def test_pickles(self, kind):
        error = kind("a.tif", "is odd", "It must be even", "Double it")
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert str(copy) == str(error)
        assert copy.remedy == "Double it"

    def test_is_explained(self, kind):
        assert kind.__doc__
        assert issubclass(kind, GeocobotError)
