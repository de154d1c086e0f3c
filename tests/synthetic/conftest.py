"""One planned and one painted place for the whole room."""

from __future__ import annotations

import pytest
from pyproj import CRS

from geocobot.synthetic.frame import Frame
from geocobot.synthetic.place import Place, Plan, make_place, plan_place

SIZE_M = (420.0, 360.0)
CRS_OF_FRAMES = CRS.from_epsg(32632)


@pytest.fixture(scope="session")
def plan() -> Plan:
    """A plan large enough for town and country."""
    return plan_place(3, SIZE_M)


@pytest.fixture(scope="session")
def place() -> Place:
    """A painted place of 300 x 400 m at 0.5 m."""
    return make_place(0, (600, 800), 0.5)


@pytest.fixture
def frame() -> Frame:
    """A frame of 40 m x 30 m at 0.5 m."""
    return Frame.of(CRS_OF_FRAMES, (60, 80), 0.5)
