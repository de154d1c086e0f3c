"""APLS beside the program that its authors published.

Claim: on the same networks with the same control nodes both give the same, to 0.001. Two things set
them apart: of two nodes that go to the same place of the other network the published program keeps
one, and it leaves short ways out, but not where they start at a node that the other network lacks.

    pip download --no-deps apls==0.1.0 && unzip apls-0.1.0-py3-none-any.whl -d published
    python benchmarks/apls.py published [--networks 60]

Random networks of 40 to 340 m, whose nodes are their control nodes; the map is part of the truth,
moved by up to 1 m, with up to two roads that are none. Then the labels of `vegas_roads`, and these
without every fourth road and 1 m aside, with control nodes every 50 m. What the program imports for
files and pictures, and does not need for this, is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import geopandas as gpd
import networkx as nx
import numpy as np
import shapely
from real_scenes import DATA

from geocobot.evaluation.apls import LEAST_PATH_M, SNAP_M, apls
from geocobot.evaluation.lines import RoadLines
from geocobot.evaluation.plane import plane_around
from geocobot.evaluation.roads import Network
from geocobot.io.shapes import clean_parts

FAR_M = 1000.0
_SAME = 1e-3
_OTHER_NAMES = 100_000  # nodes of both networks need names that differ


def main() -> None:
    options = _parse()
    published = _load(options.folder / "apls" / "apls.py")
    dice = random.Random(1)
    pairs = [_draw(dice) for _ in range(options.networks)]
    pairs = [pair for pair in pairs if all(map(len, pair))]
    is_same = [_compare(published, *pair, FAR_M) <= _SAME for pair in pairs]
    is_doubled = [_meet(*pair) or _meet(*pair[::-1]) for pair in pairs]
    left = sum(not same and not doubled for same, doubled in zip(is_same, is_doubled, strict=True))
    print(f"random networks: {sum(is_same)} of {len(pairs)} the same")
    print(f"others in which no two nodes go to the same place or are near: {left}")
    labels = _vegas()
    for name, lines in (
        ("the labels", labels),
        ("every fourth gone", labels[np.arange(len(labels)) % 4 != 0]),
        ("1 m aside", shapely.transform(labels, lambda xy: xy + 1.0)),
    ):
        print(f"vegas_roads, {name}:", end=" ")
        _compare(published, Network.of(lines), Network.of(labels), 50.0, is_told=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the wheel was unpacked")
    parser.add_argument("--networks", type=int, default=60)
    return parser.parse_args()


def _load(path: Path) -> ModuleType:
    """The published program, without what it reads files and draws pictures with."""
    for name in ("apls_utils", "apls_plots", "osmnx_funcs", "graphTools", "wkt_to_G"):
        sys.modules[name] = MagicMock()
    for name in ("topo_metric", "sp_metric", "utm"):
        sys.modules[name] = MagicMock()
    sys.modules["utm"].to_latlon = lambda *_, **__: (0.0, 0.0)  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location("published_apls", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with contextlib.redirect_stdout(io.StringIO()):
        spec.loader.exec_module(module)
    return module


def _draw(dice: random.Random) -> tuple[Network, Network]:
    """A map and its truth."""

    def roads(count: int) -> list[shapely.LineString]:
        ends = [
            [(40 * dice.randint(0, 6), 40 * dice.randint(0, 6)) for _ in "ab"] for _ in range(count)
        ]
        return [shapely.LineString(xy) for xy in ends if xy[0] != xy[1]]

    truth = roads(dice.randint(1, 6))
    drawn = [road for road in truth if dice.random() < 0.8] + roads(dice.randint(0, 2))
    moved = [
        shapely.LineString(
            [(x + dice.uniform(-1, 1), y + dice.uniform(-1, 1)) for x, y in r.coords]
        )
        for r in drawn
    ]
    predicted, labelled = (Network.of(np.array(r, dtype=object)) for r in (moved, truth))
    return predicted, labelled


def _meet(source: Network, target: Network) -> bool:
    """Whether two nodes go to the same place of the other network, or lie nearer than a way."""
    points = shapely.points(source.nodes)
    tree = shapely.STRtree(target.edges)
    which, edge = tree.query_nearest(points, max_distance=SNAP_M, all_matches=False)
    near = target.edges[edge]
    along = shapely.line_locate_point(near, points[which])
    places = shapely.line_interpolate_point(near, along)
    pairs = [
        shapely.STRtree(p).query(p, predicate="dwithin", distance=distance)
        for p, distance in ((places, 0.01), (points, LEAST_PATH_M))
    ]
    return any((pair[0] != pair[1]).any() for pair in pairs)


def _vegas() -> Any:
    """The roads of `vegas_roads` on a plane in metres."""
    frame = clean_parts(gpd.read_file(DATA / "vegas_roads" / "roads.geojson"), "roads.geojson")
    return RoadLines.of(frame.assign(class_id=1), plane_around([frame]), "roads.geojson").lines


def _compare(
    published: ModuleType,
    predicted: Network,
    truth: Network,
    spacing_m: float,
    *,
    is_told: bool = False,
) -> float:
    """The largest difference between the three figures of both."""
    ours = apls(predicted, truth, spacing_m=spacing_m)
    mine = [v or 0.0 for v in (ours.truth_to_predicted, ours.predicted_to_truth, ours.value)]
    graphs = _graph(truth, 0), _graph(predicted, _OTHER_NAMES)
    with contextlib.redirect_stdout(io.StringIO()):
        found = published.make_graphs(
            *graphs,
            weight="length",
            linestring_delta=spacing_m,
            is_curved_eps=-1,
            max_snap_dist=SNAP_M,
            allow_renaming=True,
        )
        control, lengths = found[4:6], found[6:10]
        total, there, back = published.compute_apls_metric(
            *lengths, *control, min_path_length=LEAST_PATH_M
        )
    theirs = [float(v) for v in (there, back, total)]
    if is_told:
        print(*(f"{a:.4f} / {b:.4f}" for a, b in zip(mine, theirs, strict=True)), sep=", ")
    return max(abs(a - b) for a, b in zip(mine, theirs, strict=True))


def _graph(network: Network, first: int) -> nx.MultiGraph:
    """A network as the published program takes it; its nodes are named from a number on."""
    graph = nx.MultiGraph(crs={}, name="roads")
    place = {"utm_zone": 33, "utm_letter": "N", "lat": 0.0, "lon": 0.0}
    for i, (x, y) in enumerate(network.nodes.tolist(), start=first):
        graph.add_node(i, x=x, y=y, osmid=i, **place)
    for i, (edge, ends) in enumerate(zip(network.edges, network.ends.tolist(), strict=True)):
        sizes = {"length": edge.length, "travel_time": edge.length, "speed_m/s": 1.0}
        graph.add_edge(*(first + n for n in ends), osmid=first + i, geometry=edge, **sizes)
    return graph


if __name__ == "__main__":
    main()
