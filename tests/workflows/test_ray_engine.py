"""Maps by a Ray cluster: nodes that end, folders they do not see, addresses without a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray.cluster_utils import Cluster

from geocobot.errors import MissingFileError, OutputError, UnreadableFileError, WorkerError
from geocobot.inference import ray_engine
from geocobot.inference.predictor import PredictorSource
from geocobot.inference.row_maker import RowMaker
from geocobot.models.precision import Compute
from geocobot.workflows.predict import predict

from .test_engines import Told, alone, model, scene, stopped_clock
from .untrained import contents, options_for

__all__ = ["alone", "model", "scene", "stopped_clock"]  # fixtures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that computes nothing, and two nodes with a CPU each, on this machine."""
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def on(cluster: Cluster, **values: Any) -> dict[str, Any]:
    return {"engine": "ray", "address": cluster.address, "devices": 2} | values


def test_two_nodes_make_the_same_bytes(
    model: Path, scene: Path, tmp_path: Path, alone: dict[str, bytes], cluster: Cluster
) -> None:
    told = Told(1, lambda: None)
    result = predict(options_for(model, scene, tmp_path / "ray", **on(cluster)), told)
    assert contents(tmp_path / "ray") == alone
    assert told.done == result.scenes[0].tiles


def test_a_node_that_ends_half_way_changes_nothing(
    model: Path, scene: Path, tmp_path: Path, alone: dict[str, bytes], cluster: Cluster
) -> None:
    lost = min(cluster.worker_nodes, key=str)
    told = Told(25, lambda: cluster.remove_node(lost, allow_graceful=False))
    predict(options_for(model, scene, tmp_path / "ray", **on(cluster)), told)
    assert len(cluster.worker_nodes) == 1
    assert contents(tmp_path / "ray") == alone


def test_a_cluster_goes_on_where_a_process_was_stopped(
    model: Path, scene: Path, tmp_path: Path, alone: dict[str, bytes], cluster: Cluster
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    out = tmp_path / "ray"
    with pytest.raises(KeyboardInterrupt):
        predict(options_for(model, scene, out), Told(30, stop))
    predict(options_for(model, scene, out, resume=True, **on(cluster)))
    assert contents(out) == alone


def test_the_scene_s_errors_come_from_the_nodes_as_they_are(
    model: Path, scene: Path, tmp_path: Path, cluster: Cluster
) -> None:
    content = bytearray(scene.read_bytes())
    scene.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(UnreadableFileError, match=r"scene\.tif cannot be read at rows"):
        predict(options_for(model, scene, tmp_path / "broken", **on(cluster)))


def test_nodes_that_do_not_see_what_they_need(
    model: Path, tmp_path: Path, cluster: Cluster
) -> None:
    """A folder, and a model, of this machine alone."""
    compute = Compute(torch.device("cpu"))
    ray.init(address=cluster.address, log_to_driver=False)

    def join(file: Path, folder: Path) -> None:
        made = partial(RowMaker, PredictorSource(str(file)), compute, 1)
        ray.get(ray.remote(ray_engine._Actor).remote(made).join.remote(str(folder)))

    with pytest.raises(OutputError, match=r"elsewhere is not there on a node.*all nodes share"):
        join(model, tmp_path / "elsewhere")
    with pytest.raises(MissingFileError, match=r"unseen\.safetensors does not exist"):
        join(tmp_path / "unseen.safetensors", tmp_path)


def test_an_address_without_a_cluster(model: Path, scene: Path, tmp_path: Path) -> None:
    options = options_for(model, scene, tmp_path, engine="ray", address="127.0.0.1:1")
    with pytest.raises(WorkerError, match=r"--address 127.0.0.1:1 leads to no Ray cluster"):
        predict(options)


def test_without_an_address_it_is_a_cluster_of_this_machine(
    model: Path, scene: Path, tmp_path: Path, alone: dict[str, bytes]
) -> None:
    assert "RAY_ADDRESS" not in os.environ
    predict(options_for(model, scene, tmp_path / "ray", engine="ray"))
    assert contents(tmp_path / "ray") == alone
