"""Who computes a map: this process, several of them, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from geocobot.config import PredictOptions
from geocobot.errors import ConfigError
from geocobot.inference.engines import Engine, LocalEngine
from geocobot.inference.lanes import threads_restored
from geocobot.inference.predictor import PredictorSource
from geocobot.models.precision import Compute
from geocobot.progress import Progress
from geocobot.workflows.device import check_gpus, choose_compute


def choose_machine(options: PredictOptions) -> tuple[Compute, int]:
    """Where each part of the engine computes, and with how many threads.

    Raises:
        DeviceError: a GPU was asked for and is not there, or so many are not.
        ConfigError: an option of the cluster comes without it.
    """
    is_cluster = options.engine == "ray"
    if options.address is not None and not is_cluster:
        raise ConfigError(
            f"--address {options.address}",
            "comes without --engine ray",
            "Only a Ray cluster has an address",
            "Add --engine ray, or leave --address out",
        )
    if is_cluster and options.device == "cuda":
        # The nodes have GPUs; this machine need not.
        precision = "bfloat16" if options.precision == "auto" else options.precision
        return Compute(torch.device("cuda"), precision), threads_of_each(options)
    compute = choose_compute(options.device, options.precision)
    if compute.device.type == "cuda" and not is_cluster:
        check_gpus(options.devices, "a cluster: --engine ray")
    return compute, threads_of_each(options)


def threads_of_each(options: PredictOptions) -> int:
    """With how many threads each part of the engine computes."""
    if options.threads is not None:
        return options.threads
    is_cluster = options.engine == "ray"
    return 1 if is_cluster else max(1, torch.get_num_threads() // options.devices)


@contextmanager
def open_engine(
    options: PredictOptions, compute: Compute, threads: int, progress: Progress
) -> Iterator[Engine]:
    """Load the model wherever it computes.

    Args:
        options: which model, and how many compute.
        compute: where, and how exactly.
        threads: of each.
        progress: shows the download of the base.

    Raises:
        GeocobotError: the model, a package or the cluster is not as needed.
    """
    source = PredictorSource(options.model, options.checkpoint, options.tta)
    if options.engine == "local" and options.devices == 1:
        with threads_restored():
            yield LocalEngine(source.load(progress), compute, threads)
        return
    source.load(progress)  # what is wrong with it is told here, and a download comes once
    if options.engine == "ray":
        try:
            from geocobot.inference.ray_engine import RayEngine
        except ModuleNotFoundError as error:
            raise ConfigError(
                "--engine ray",
                f"needs a package that is not installed ({error.name})",
                "A map on a cluster is computed by Ray",
                "Install it: pip install 'geocobot[ray]'",
            ) from error
        with RayEngine(source, compute, options.devices, threads, options.address) as cluster:
            yield cluster
    else:
        from geocobot.inference.process_engine import ProcessEngine

        with ProcessEngine(source, compute, options.devices, threads) as processes:
            yield processes
