"""Processes that a launcher has started on several nodes: torchrun, or SLURM's srun."""

from __future__ import annotations

import itertools
import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.rendezvous import rendezvous

from geocobot.errors import WorkerError
from geocobot.processes import sendable
from geocobot.progress import Progress
from geocobot.training.fit import FitResult
from geocobot.training.job import Job, kept_in_file
from geocobot.training.peers import Seat, joined

LauncherName: TypeAlias = Literal["torchrun", "srun"]
Result = TypeVar("Result")

# As Lightning chooses SLURM's port: jobs that share a node have others.
_FIRST_PORT, _PORTS = 15_000, 10_000
_LOOK_EVERY_S = 0.2
# How long the first process waits at the end until the others know how it ended; after an error
# they may be gone, or wait for each other.
_PATIENCE_S, _ERROR_PATIENCE_S = 60.0, 3.0
_JOB, _END, _LEFT = "job", "end", "left"

_trainings = itertools.count()


@dataclass(frozen=True)
class Launch:
    """What a launcher tells a process that it has started.

    Attributes:
        launcher: who it was.
        number: of the process among all, from 0.
        of: how many processes it has started.
        local: number of the process on its node.
        node: number of the node.
        meeting: where the processes meet, as torch writes it.
    """

    launcher: LauncherName
    number: int
    of: int
    local: int
    node: int
    meeting: str


def find_launch() -> Launch | None:
    """What the environment says of a launcher; None where there is none."""
    if TorchElasticEnvironment.detect():
        told = TorchElasticEnvironment()
        return Launch(
            "torchrun",
            number=told.global_rank(),
            of=told.world_size(),
            local=told.local_rank(),
            node=told.node_rank(),
            meeting="env://",
        )
    # Of the step, which srun starts: those of the job are there for a batch script, too.
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return Launch(
            "srun",
            number=int(os.environ["SLURM_PROCID"]),
            of=int(os.environ["SLURM_STEP_NUM_TASKS"]),
            local=int(os.environ["SLURM_LOCALID"]),
            node=int(os.environ["SLURM_NODEID"]),
            meeting=f"tcp://{_slurm_address()}:{_slurm_port()}",
        )
    return None


def _slurm_address() -> str:
    """The node of the first process."""
    nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_NODELIST", "127.0.0.1")
    return os.environ.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(nodes)


def _slurm_port() -> int:
    """A port that follows from the job alone."""
    job = int(os.environ.get("SLURM_JOB_ID", "0"))
    return int(os.environ.get("MASTER_PORT", _FIRST_PORT + job % _PORTS))


class Led:
    """Processes of a launcher, of which the first one leads; the others train along.

    Args:
        launch: of this process.
        devices: processes on each node.
        nodes: how many nodes there are.
    """

    def __init__(self, launch: Launch, devices: int, nodes: int) -> None:
        self.seat = Seat(launch.number, launch.local, launch.node, devices, nodes)
        # Several trainings may follow each other, in all processes in the same order.
        self._store = _part_of(_meet(launch), f"geocobot/{next(_trainings)}")

    def conduct(self, work: Callable[[], Result]) -> Result:
        """Do the work of a run in the first process, and train along in the others.

        Args:
            work: calls `fit` once.

        Returns:
            What the first process made of it, in all of them.

        Raises:
            WorkerError: the first process is gone.
            Exception: what stopped the first process, in all of them.
        """
        if not self.seat.is_first:
            told: Result = self._follow()
            return told
        try:
            result = work()
        except BaseException as error:
            self._tell_end(error)
            raise
        self._tell_end(result)
        return result

    def fit(self, job: Job, progress: Progress | None = None) -> FitResult:
        """Train as `training.fit.fit` does, together with the processes that follow."""
        with kept_in_file(job) as path:
            self._store.set(_JOB, str(path))
            return self._fit(job, progress)

    def _fit(self, job: Job, progress: Progress | None = None) -> FitResult:
        """Train in this process, together with the others."""
        group = _part_of(self._store, "group")
        device_type = job.settings.compute.device.type
        try:
            with joined(self.seat, group, device_type) as peers:
                return job.done(progress, peers)
        except RuntimeError as error:
            if isinstance(error, dist.DistError) or "gloo" in str(error):
                raise WorkerError(
                    "A process that trained with others",
                    f"is not to be reached any more ({str(error).splitlines()[0]})",
                    "All of them take part in every step",
                    "See what it has said; then repeat the command with --resume",
                ) from error
            raise

    def _follow(self) -> Any:
        """Wait for the job, train along, wait for the end."""
        if self._wait(_JOB, _END) == _JOB:
            self._fit(Job.read(Path(self._store.get(_JOB).decode())))
            self._wait(_END)
        end = pickle.loads(bytes.fromhex(self._store.get(_END).decode()))  # noqa: S301 # from the first process
        self._store.add(_LEFT, 1)
        if isinstance(end, BaseException):
            raise end
        return end

    def _wait(self, *keys: str) -> str:
        """Wait until the first process has said one of several things: which.

        However long it takes: scenes of a country are surveyed for hours.
        """
        while True:
            try:
                for key in keys:
                    if self._store.check([key]):
                        return key
            except RuntimeError as error:
                raise WorkerError(
                    "The process that leads the training",
                    "is not to be reached any more",
                    "The others follow it until its end",
                    "See what it has said; then repeat the command with --resume",
                ) from error
            time.sleep(_LOOK_EVERY_S)

    def _tell_end(self, end: Any) -> None:
        """Tell the others how it ended, and wait until they know: the store may go with us."""
        is_error = isinstance(end, BaseException)
        told = pickle.dumps(sendable(end) if is_error else end)
        until = time.monotonic() + (_ERROR_PATIENCE_S if is_error else _PATIENCE_S)
        with suppress(RuntimeError):  # a store that is gone has ended with the others
            self._store.set(_END, told.hex())
            while self._store.add(_LEFT, 0) < self.seat.of - 1 and time.monotonic() < until:
                time.sleep(_LOOK_EVERY_S)


def _meet(launch: Launch) -> Any:
    """The store that all processes share, as soon as all are there.

    Raises:
        WorkerError: they do not find each other.
    """
    try:
        met, *_ = next(iter(rendezvous(launch.meeting, rank=launch.number, world_size=launch.of)))
    except dist.DistError as error:
        raise WorkerError(
            f"Process {launch.number} of {launch.of} that {launch.launcher} has started",
            f"does not meet the others at {launch.meeting} ({str(error).splitlines()[0]})",
            "All of them connect to the node of the first one",
            "Set MASTER_ADDR and MASTER_PORT to an address of it that the others reach, and a port",
        ) from error
    return met


def _part_of(store: Any, name: str) -> Any:
    """A part of a store, whose keys nobody else has."""
    return dist.PrefixStore(name, store)  # type: ignore[attr-defined] # it is documented there
