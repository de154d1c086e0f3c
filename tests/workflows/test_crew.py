"""Trainings by several processes, as options ask for them and launchers start them."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shapely import LineString
from typer.testing import CliRunner

from geocobot.cli.app import app
from geocobot.config import TrainOptions
from geocobot.errors import ConfigError, DeviceError, WorkerError
from geocobot.models.modelfile import load_model
from geocobot.settings import to_flags
from geocobot.training import processes
from geocobot.training.launch import Launch, find_launch
from geocobot.workflows import defaults
from geocobot.workflows.crew import choose_crew, launch_of
from geocobot.workflows.defaults import fill_in, refuse_misfits
from geocobot.workflows.train import train
from geocobot.yaml_file import read_yaml

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_PX = 320
DOCS = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"
CPU, GPU = torch.device("cpu"), torch.device("cuda")
LAUNCHERS = ("SLURM_", "TORCHELASTIC_", "MASTER_", "RANK", "LOCAL_RANK", "WORLD_SIZE", "GROUP_")

# The tests may run where a shell has interrupts ignored.
HEEDING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from geocobot.cli import main
main()
"""


@pytest.fixture(autouse=True)
def _short_epochs() -> None:
    """None here: commands that tests start have the package's."""


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may themselves run in a job of SLURM."""
    for name in os.environ:
        if name.startswith(LAUNCHERS):
            monkeypatch.delenv(name)


@pytest.fixture
def options(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path], tmp_path: Path
) -> TrainOptions:
    """An epoch of 64 px patches on bright bars over dark ground, lines labelled."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    tops = range(16, SIDE_PX, 64)
    for row in tops:
        image[:, row : row + 16] += 120
    ends = (WEST, WEST + SIDE_PX)
    lines = [LineString([(x, NORTH - row - 8) for x in ends]) for row in tops]
    return TrainOptions(
        raster=(str(scene_factory(image=image)),),
        labels=(str(labels_factory(lines, name="bars.gpkg")),),
        line_width=16.0,
        out=str(tmp_path / "run"),
        patch_size=64,
        batch_size=2,
        epochs=1,
        device="cpu",
        precision="float32",
        dropout=0.0,
    )


def asked(**said: Any) -> TrainOptions:
    return TrainOptions(raster=("a.tif",), labels=("b.shp",), **said)


def losses(folder: Path) -> list[float]:
    with (folder / "logs" / "csv" / "metrics.csv").open(newline="") as file:
        return [float(r["train_loss"]) for r in csv.DictReader(file) if r["train_loss"]]


def by_torchrun(monkeypatch: pytest.MonkeyPatch, **said: int) -> None:
    """As torchrun tells the processes that it starts."""
    told = {"RANK": 0, "WORLD_SIZE": 4, "LOCAL_RANK": 0, "GROUP_RANK": 0} | said
    for name, value in {"TORCHELASTIC_RUN_ID": "none", **told}.items():
        monkeypatch.setenv(name, str(value))


def by_srun(monkeypatch: pytest.MonkeyPatch, **said: object) -> None:
    """As srun tells the processes that it starts."""
    told = {
        "STEP_NUM_TASKS": 4,
        "STEP_NODELIST": "gpu[07-08]",
        "PROCID": 3,
        "LOCALID": 1,
        "NODEID": 1,
        "JOB_ID": 123_456,
    }
    for name, value in (told | said).items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))


def test_torchrun_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_launch() is None
    by_torchrun(monkeypatch, RANK=3, LOCAL_RANK=1, GROUP_RANK=1)
    assert find_launch() == Launch("torchrun", 3, 4, 1, 1, "env://")


def test_srun_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    by_srun(monkeypatch)
    assert find_launch() == Launch("srun", 3, 4, 1, 1, "tcp://gpu07:18456")
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "4000")
    found = find_launch()
    assert found is not None
    assert found.meeting == "tcp://10.0.0.1:4000"


def test_a_batch_script_of_slurm_is_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NTASKS": "4", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert launch_of(asked(devices=4)) is None


def test_a_single_process_asks_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    by_torchrun(monkeypatch)
    assert launch_of(asked()) is None


def test_a_launcher_of_one_process_leaves_the_others_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_srun(monkeypatch, STEP_NUM_TASKS=1, PROCID=0, LOCALID=0, NODEID=0)
    assert launch_of(asked(devices=4)) is None


def assert_in_docs(message: object) -> None:
    """That what is said is what docs/bad-input.md says is said."""
    assert str(message) in " ".join(DOCS.read_text(encoding="utf-8").split())


def test_several_nodes_need_a_launcher() -> None:
    expected = r"--devices 2 --nodes 3 finds no launcher .* torchrun or srun .* docs/scale\.md"
    with pytest.raises(ConfigError, match=expected) as caught:
        choose_crew(asked(devices=2, nodes=3), CPU)
    assert_in_docs(caught.value)


@pytest.mark.parametrize(("devices", "nodes"), [(2, 1), (2, 3), (4, 1), (1, 4)])
def test_a_launcher_that_has_started_others_is_refused(
    devices: int, nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_torchrun(monkeypatch, RANK=3, LOCAL_RANK=1, GROUP_RANK=1)
    expected = r"torchrun has started 4 processes, of which this is number 1 on node 1\. They are"
    with pytest.raises(ConfigError, match=expected) as caught:
        choose_crew(asked(devices=devices, nodes=nodes), CPU)
    if (devices, nodes) == (2, 1):
        assert_in_docs(caught.value)
    assert launch_of(asked(devices=2, nodes=2)) is not None


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    expected = r"--devices 3 finds 1 GPU\. .* Pass --devices 1, or tr"
    with pytest.raises(DeviceError, match=expected) as caught:
        choose_crew(asked(devices=3), GPU)
    assert_in_docs(caught.value)


def test_a_batch_is_shared_out_evenly() -> None:
    expected = r"--batch-size 6 cannot be shared out among 4 proc"
    with pytest.raises(ConfigError, match=expected) as caught:
        refuse_misfits(asked(batch_size=6, devices=2, nodes=2))
    assert_in_docs(caught.value)
    refuse_misfits(asked(batch_size=8, devices=2, nodes=2))


@pytest.mark.parametrize(
    ("devices", "nodes", "batch_size", "workers"), [(1, 1, 4, 4), (3, 1, 6, 3), (4, 2, 8, 2)]
)
def test_defaults_are_for_all_devices_together(
    devices: int, nodes: int, batch_size: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "choose_patch_px", lambda _surveys, max_px, _seed, _given: max_px)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    filled = fill_in(asked(base="vit_b", devices=devices, nodes=nodes), GPU, [])
    assert (filled.batch_size, filled.workers) == (batch_size, workers)


@pytest.mark.slow
def test_one_command_trains_by_two_processes(options: TrainOptions, tmp_path: Path) -> None:
    alone = train(options)
    words = to_flags(replace(options, out=str(tmp_path / "both"), devices=2))
    result = CliRunner().invoke(app, ["train", *words, "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["folder"] == str(tmp_path / "both")
    assert "Training" in result.stderr
    assert "Warning" not in result.stderr
    both = tmp_path / "both"
    assert {p.name for p in both.iterdir()} == {p.name for p in alone.folder.iterdir()}
    assert len(losses(both)) == len(losses(alone.folder))
    assert losses(both)[0] == pytest.approx(losses(alone.folder)[0], rel=0.3)
    saved = read_yaml(both / "config.yaml")
    assert (saved["devices"], saved["batch_size"]) == (2, 2)
    load_model(both / "model.safetensors")


@pytest.mark.slow
def test_a_run_that_lost_a_process_goes_on_alone(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = replace(options, epochs=3, devices=2)
    shown = processes.show
    heard: list[str] = []

    def kill_in_the_second_epoch(said: tuple[str, Any], task: Any) -> None:
        shown(said, task)
        if said[0] == "note" and said[1].startswith("epoch 2"):
            heard.append(said[1])
            crew[1]._process.kill()

    followed, crew = processes._followed, []

    def follow(found: Any, task: Any) -> Any:
        crew.extend(found)
        return followed(found, task)

    with monkeypatch.context() as patched:
        patched.setattr(processes, "show", kill_in_the_second_epoch)
        patched.setattr(processes, "_followed", follow)
        with pytest.raises(WorkerError, match=r"exit code -9.*--resume") as caught:
            train(asked)
    assert_in_docs(caught.value)
    partial = tmp_path / "run.partial"
    assert heard
    assert (partial / "checkpoints" / "last.ckpt").is_file()
    result = train(replace(asked, resume=True, devices=1))
    steps = len(losses(result.folder))
    assert steps == json.loads(result.metrics.read_text())["training"]["steps"]
    assert not partial.exists()


@pytest.mark.slow
def test_features_are_kept_by_all_processes(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path))
    given = replace(options, adapter="none", pool_epochs=1, feature_cache_gb=1.0, dropout=None)
    train(replace(given, devices=2))
    kept = list((tmp_path / "features").glob("*.features"))
    assert len(kept) > 2 * len(losses(tmp_path / "run"))  # patches, and validation blocks


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def start(words: list[str], told: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "geocobot", "train", *words],
        env=os.environ | told,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_there(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def two_nodes(words: list[str]) -> list[subprocess.Popen[str]]:
    """The same command on two nodes of a process each, as srun starts it."""
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    common |= {"SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "7"}
    places = [{"SLURM_PROCID": str(k), "SLURM_NODEID": str(k)} for k in range(2)]
    return [start(words, common | place) for place in places]


@pytest.mark.slow
def test_two_nodes_train_together(options: TrainOptions, tmp_path: Path) -> None:
    train(replace(options, out=str(tmp_path / "both"), devices=2))
    words = to_flags(replace(options, nodes=2))
    nodes = two_nodes(words)
    (said, noise), (nothing, quiet) = (node.communicate(timeout=200) for node in nodes)
    assert [node.returncode for node in nodes] == [0, 0], noise + quiet
    assert "Trained tiny" in said
    assert (nothing, quiet) == ("", "")
    # One thread each: the same sums in the same order.
    assert losses(tmp_path / "run") == losses(tmp_path / "both")
    assert not (tmp_path / "run.partial").exists()


@pytest.mark.slow
def test_torchrun_starts_processes_that_train_together(
    options: TrainOptions, tmp_path: Path
) -> None:
    words = ["train", *to_flags(replace(options, devices=2))]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "-m", "geocobot", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Trained tiny") == 1
    load_model(tmp_path / "run" / "model.safetensors")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has other groups of processes")
def test_ctrl_c_ends_all_processes_and_says_how_to_go_on(
    options: TrainOptions, tmp_path: Path
) -> None:
    words = to_flags(replace(options, epochs=50, devices=2))
    checkpoint = tmp_path / "run.partial" / "checkpoints" / "last.ckpt"
    heeding = [sys.executable, "-c", HEEDING, "train", *words]
    run = subprocess.Popen(heeding, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not checkpoint.is_file():
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(timeout=0.5)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "repeat the command with --resume" in " ".join(said.split())
    assert "Traceback" not in said
    until = time.monotonic() + 20
    while is_there(run.pid):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert not (checkpoint.with_name("job.ckpt")).exists()


@pytest.mark.slow
def test_what_stops_the_first_node_stops_the_other(options: TrainOptions, tmp_path: Path) -> None:
    missing = tmp_path / "missing.tif"
    nodes = two_nodes(to_flags(replace(options, nodes=2, raster=(str(missing),))))
    told = [node.communicate(timeout=200) for node in nodes]
    assert [node.returncode for node in nodes] == [2, 2], told
    assert all("missing.tif does not exist" in noise for _, noise in told)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_node_that_is_gone_ends_the_run_which_can_be_resumed(
    options: TrainOptions, tmp_path: Path, killed: int
) -> None:
    nodes = two_nodes(to_flags(replace(options, epochs=50, nodes=2)))
    checkpoint = tmp_path / "run.partial" / "checkpoints" / "last.ckpt"
    while not checkpoint.is_file():
        with pytest.raises(subprocess.TimeoutExpired):
            nodes[1 - killed].wait(timeout=0.5)
    nodes[killed].kill()
    told = [node.communicate(timeout=200) for node in nodes]
    assert nodes[1 - killed].returncode == 2, told
    assert "is not to be reached any more" in told[1 - killed][1]
    epochs = torch.load(checkpoint, weights_only=True)["epoch"] + 2
    again = replace(options, epochs=epochs)
    if killed == 0:
        train(replace(again, resume=True))
    else:
        both = two_nodes([*to_flags(replace(again, nodes=2)), "--resume"])
        told = [node.communicate(timeout=200) for node in both]
        assert [node.returncode for node in both] == [0, 0], told
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["training"]["epochs"] == epochs
