"""Where to compute, and how exactly: where bfloat16 pays."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from geocobot.config.values import DtypeName


@dataclass(frozen=True)
class Compute:
    """Where to compute, and how exactly.

    Attributes:
        device: a CPU or a GPU.
        precision: of large products; bfloat16 by autocast, so that sums and norms stay float32.
    """

    device: torch.device
    precision: DtypeName = "float32"

    def autocast(self) -> AbstractContextManager[Any]:
        """Inside this `with` block large products are as exact as asked."""
        half = self.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for products of bfloat16, and not only an emulation.

    On CPUs these are AVX512-BF16 and AMX; PyTorch releases that cannot tell count as without.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
