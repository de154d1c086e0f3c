"""Where to compute, and how exactly."""

from __future__ import annotations

import logging
import platform

import torch

from geocobot.config.values import DeviceName, PrecisionName
from geocobot.errors import DeviceError
from geocobot.models.precision import Compute, has_bfloat16

_log = logging.getLogger("geocobot.workflows")


def choose_device(name: DeviceName) -> torch.device:
    """Turn the option into a device; auto is the GPU where there is one.

    Raises:
        DeviceError: CUDA was asked for and is not there.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise DeviceError(
            "--device cuda",
            "finds no GPU that this PyTorch can use",
            "It needs an NVIDIA GPU, its driver and a CUDA build of PyTorch",
            "See geocobot info, or pass --device cpu",
        )
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")


def check_gpus(n: int, otherwise: str) -> None:
    """Refuse more GPUs than there are.

    Args:
        n: how many are asked for.
        otherwise: what else one can do, as the end of a sentence.

    Raises:
        DeviceError: there are fewer.
    """
    found = torch.cuda.device_count()
    if n > found:
        raise DeviceError(
            f"--devices {n}",
            f"finds {found} GPU{'' if found == 1 else 's'}",
            "Each of them needs one of its own",
            f"Pass --devices {found}, or {otherwise}",
        )


def choose_compute(device_name: DeviceName, precision: PrecisionName) -> Compute:
    """Turn two options into where to compute and how exactly.

    Args:
        device_name: auto is the GPU where there is one.
        precision: auto is bfloat16 where the device has instructions for it.

    Raises:
        DeviceError: CUDA was asked for and is not there.
    """
    device = choose_device(device_name)
    is_native = has_bfloat16(device)
    if precision == "auto":
        return Compute(device, "bfloat16" if is_native else "float32")
    if precision == "bfloat16" and not is_native:
        _log.warning(
            "This %s has no instructions for bfloat16 and is slow at it: --precision float32 is "
            "faster here.",
            device.type.upper().replace("CUDA", "GPU"),
        )
    return Compute(device, precision)


def device_name(device: torch.device) -> str:
    """A device in words: a GPU's name, or a CPU's kind and how many threads compute on it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {platform.machine()}, {torch.get_num_threads()} threads"
