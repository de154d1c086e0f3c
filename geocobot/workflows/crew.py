"""Who trains: this process, several of this machine, or those that a launcher has started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch

from geocobot.config import TrainOptions
from geocobot.errors import ConfigError
from geocobot.progress import Progress
from geocobot.training.fit import FitResult
from geocobot.training.job import Job
from geocobot.training.launch import Launch, Led, find_launch
from geocobot.training.processes import fit_in_processes
from geocobot.workflows.device import check_gpus

Result = TypeVar("Result")


class Crew(Protocol):
    """Those who train."""

    def conduct(self, work: Callable[[], Result]) -> Result:
        """Do all of a run where it has to be done once; its result wherever it is asked for."""

    def fit(self, job: Job, progress: Progress | None = None) -> FitResult:
        """Train as `training.fit.fit` does; called within `conduct`."""


class Alone:
    """This process."""

    def conduct(self, work: Callable[[], Result]) -> Result:
        """Do it here."""
        return work()

    def fit(self, job: Job, progress: Progress | None = None) -> FitResult:
        """Train here."""
        return job.done(progress)


class Processes(Alone):
    """Several processes of this machine, which this one starts for the training alone.

    Args:
        devices: how many.
    """

    def __init__(self, devices: int) -> None:
        self.devices = devices

    def fit(self, job: Job, progress: Progress | None = None) -> FitResult:
        """Train there."""
        return fit_in_processes(job, progress, devices=self.devices)


def choose_crew(options: TrainOptions, device: torch.device) -> Crew:
    """Those who train, by the options and by what has started this process.

    Args:
        options: how many there are to be.
        device: where to compute.

    Raises:
        ConfigError: the launcher has started others than the options ask for, or there is none.
        DeviceError: there are fewer GPUs than asked for.
    """
    launch = launch_of(options)
    if device.type == "cuda" and options.devices > 1:
        check_gpus(options.devices, "train on several nodes: --nodes, see docs/scale.md")
    if launch is not None:
        return Led(launch, options.devices, options.nodes)
    return Alone() if options.devices == 1 else Processes(options.devices)


def launch_of(options: TrainOptions) -> Launch | None:
    """What a launcher says of this process; None where there is none, or the run needs none.

    Raises:
        ConfigError: the launcher has started others than the options ask for, or there is none.
    """
    wanted = options.devices * options.nodes
    launch = find_launch() if wanted > 1 else None
    asked = f"--devices {options.devices} --nodes {options.nodes}"
    if launch is None or launch.of == 1:
        if options.nodes == 1:
            return None
        raise ConfigError(
            asked,
            "finds no launcher that has started this process beside others",
            "On several nodes torchrun or srun starts a process for each of --devices on each of "
            "--nodes, all with this command",
            "See docs/scale.md for the commands",
        )
    fits = launch.local < options.devices and launch.node < options.nodes
    if launch.of != wanted or not fits:
        raise ConfigError(
            asked,
            f"is asked for, and {launch.launcher} has started {launch.of} processes, of which this "
            f"is number {launch.local} on node {launch.node}",
            "They are to be --devices on each of --nodes",
            "Make them agree; see docs/scale.md for the commands",
        )
    return launch
