"""What computed, and what it took of power, for reports."""

from __future__ import annotations

import torch

from geocobot.models.precision import Compute

_WATTS = {"cpu": 10.0, "cuda": 300.0}
"""Of a busy core, and of a busy GPU: what servers draw, within a factor of two."""


def describe_machine(compute: Compute) -> str:
    """What computes, and how exactly; a cluster may have GPUs where this machine has none."""
    if compute.device.type == "cuda":
        has_its_own = torch.cuda.is_available()
        name = torch.cuda.get_device_name(compute.device) if has_its_own else "GPUs of a cluster"
        return f"{name}, {compute.precision}"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads != 1)}, {compute.precision}"


def describe_energy(compute: Compute, units: int, seconds: float) -> str:
    """What so many seconds take, roughly, on so many GPUs or cores of a CPU."""
    on_gpu = compute.device.type == "cuda"
    watts = _WATTS["cuda" if on_gpu else "cpu"]
    what = "GPU" if on_gpu else "core"
    return f"about {units * watts * seconds / 3600:.2g} Wh, at {watts:g} W per {what}"
