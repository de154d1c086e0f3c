"""Where to compute."""

from __future__ import annotations

import torch

from geocobot.config.values import (
    DeviceName,
)
from geocobot.errors import DeviceError


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
