from __future__ import annotations

import numpy as np
import pytest
import shapely

from geocobot.synthetic.network import WIDTHS_M, Network, plan_network

from .conftest import SIZE_M

SEEDS = range(6)


@pytest.fixture(scope="module", params=SEEDS)
def network(request: pytest.FixtureRequest) -> Network:
    return plan_network(request.param, SIZE_M)


def test_the_same_seed_plans_the_same_roads() -> None:
    first, again = plan_network(4, SIZE_M), plan_network(4, SIZE_M)
    assert all(
        np.array_equal(a.line, b.line) for a, b in zip(first.roads, again.roads, strict=True)
    )
    assert not np.array_equal(first.towns, plan_network(5, SIZE_M).towns)


def test_wide_roads_come_first_and_carry_the_width_of_their_kind(network: Network) -> None:
    widths = [r.width_m for r in network.roads]
    assert widths == sorted(widths, reverse=True)
    assert all(r.width_m == WIDTHS_M[r.kind] for r in network.roads)
    assert sum(r.kind == "main" for r in network.roads) == 2


def test_roads_curve_without_kinks_or_loops(network: Network) -> None:
    for road in network.roads:
        steps = np.diff(road.line, axis=0)
        turns = np.diff(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))
        assert np.abs(turns).max(initial=0) < np.deg2rad(12)
        assert np.linalg.norm(steps, axis=1).max() < 8
        assert shapely.LineString(road.line).is_simple
    assert max(np.ptp(np.arctan2(*np.diff(r.line, axis=0).T)) for r in network.roads) > 0.2


def test_every_junction_lies_on_at_least_two_roads(network: Network) -> None:
    lines = [shapely.LineString(r.line) for r in network.roads]
    for junction in shapely.points(network.junctions):
        assert sum(line.distance(junction) < 1e-6 for line in lines) >= 2


def test_no_road_ends_in_the_open(network: Network) -> None:
    lines = [shapely.LineString(r.line) for r in network.roads]
    place = shapely.box(0, 0, *SIZE_M)
    for n, road in enumerate(network.roads):
        others = shapely.union_all(lines[:n] + lines[n + 1 :])
        for end in shapely.points(road.line[[0, -1]]):
            assert not place.contains(end) or others.distance(end) < 1e-6


def test_asphalt_is_as_wide_as_the_road(network: Network) -> None:
    road = network.roads[-1]
    line = shapely.LineString(road.line)
    assert road.asphalt.area == pytest.approx(
        line.length * road.width_m + np.pi * road.width_m**2 / 4, rel=0.01
    )


def test_townness_is_one_in_a_town_and_falls_outwards(network: Network) -> None:
    center = network.towns[0]
    at = network.townness(np.stack([center, center + np.array([0.0, 2000.0])]))
    assert at[0] == pytest.approx(1.0)
    assert at[1] < 0.01
